"""The additional files of a refresh: the chain of models, with old and new periods together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.changes import Fit, worse
from contracts.result import FormerModel, ResultWarning
from trainer.engines.common import INTERCEPT
from trainer.engines.documents import write_json
from trainer.engines.refresh.continuation import Continuation
from trainer.engines.refresh.former import REFRESH, Former
from trainer.engines.tables import write_csv

STATUS = "refreshStatus"
"""0 for the first model of the chain, 1 for its refresh, and so on (Robyn's name)."""


def write(solution: str, refresh: Continuation, folder: Path) -> None:
    """Write refresh.json and the report_*.csv files (Robyn: robyn_refresh) into `folder`.

    `solution` is the chosen model; the other files of the result must be there. In the reports the chosen
    models of the chain follow one another; of a refresh the decomposition has only the new periods.
    """
    former = refresh.former
    found = Former(folder)
    warnings = list(worse_fit(found.model(solution), former.model(refresh.solution)))
    told = {"warnings": [one.model_dump() for one in warnings]}
    write_json(_description(refresh) | told, folder / REFRESH)
    ours = _reports(found, solution)
    theirs = _reports(former, refresh.solution)
    earlier = len(former.refresh.models) if former.refresh else 0
    for name, table in ours.items():
        chain = [theirs[name].assign(**{STATUS: earlier}), table.assign(**{STATUS: earlier + 1})]
        if earlier:
            before = former.table(name)
            chain.insert(0, before[before[STATUS] < earlier])
        write_csv(pd.concat(chain, ignore_index=True), folder / f"{name}.csv")


def _description(refresh: Continuation) -> dict[str, Any]:
    former, moved = refresh.former.refresh, refresh.moved
    ours = FormerModel(job=refresh.job, sol_id=refresh.solution)
    return {
        "models": [one.model_dump() for one in (*(former.models if former else ()), ours)],
        "steps": moved.steps,
        "added_start": str(moved.added_start),
        "window": {
            "start": str(moved.dates[moved.first]),
            "end": str(moved.dates[moved.last]),
            "rows": moved.rows,
        },
        "bounds_freedom": refresh.freedom,
        "notes": list(refresh.notes),
    }


def worse_fit(now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[ResultWarning]:
    """Whether a model fits worse than the one it continues, from the rows of both among the Pareto models."""
    found = [*worse(_fit(before), _fit(now))]
    if found:
        yield ResultWarning(
            code="refresh-fits-worse",
            message=f"the refresh fits worse than the model it continues: {', '.join(found)}",
            advice="the new periods may differ from the old ones; train a new model on them and compare, or "
            "give the refresh more freedom (refresh_of.bounds_freedom)",
        )


def _fit(model: Mapping[str, Any]) -> Fit:
    return Fit(r2=model["rsq_train"], nrmse=model["nrmse"])


def _reports(files: Former, solution: str) -> dict[str, pd.DataFrame]:
    """The rows of one model in each report."""
    hyperparameters, aggregated, decomposition = (
        table[table["solID"] == solution]
        for table in (
            files.hyperparameters,
            files.table("pareto_aggregated"),
            files.table("pareto_alldecomp_matrix"),
        )
    )
    if files.refresh:
        decomposition = decomposition[decomposition["ds"] >= str(files.refresh.added_start)]
    return {
        "report_hyperparameters": hyperparameters,
        "report_aggregated": _with_new_periods(aggregated, decomposition),
        "report_alldecomp_matrix": decomposition,
    }


def _with_new_periods(aggregated: pd.DataFrame, decomposition: pd.DataFrame) -> pd.DataFrame:
    """With contributions, and their shares, of the periods that the decomposition has (Robyn: ...RF)."""
    names = aggregated["rn"].replace(INTERCEPT, "intercept")
    total = decomposition[names].sum().to_numpy()
    return aggregated.assign(xDecompAggRF=total, xDecompPercRF=total / decomposition["depVarHat"].sum())
