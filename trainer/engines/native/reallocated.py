"""A budget answer as files: Robyn's table, and a document for people and programs (robyn-spec §15.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.base import SCHEMA_VERSION
from contracts.model import BudgetQuestion
from trainer.engines.native.budget import WIDER, Frame, Reallocation
from trainer.engines.native.efficiency import METRIC, efficiency
from trainer.engines.native.files import write_csv, write_json
from trainer.engines.native.result import DependentType, Floats, ModelAnswer

_Columns = dict[str, Any]


def write(answer: Reallocation, folder: Path) -> None:
    """Write `<solID>_<scenario>_reallocated.csv` and allocator.json."""
    frame = answer.frame
    write_csv(table(answer), folder / f"{frame.model.solution}_{frame.question.scenario}_reallocated.csv")
    write_json(document(answer), folder / "allocator.json")


def write_refusal(model: ModelAnswer, question: BudgetQuestion, reason: str, folder: Path) -> None:
    """Write the allocator.json of a question that has no answer."""
    write_json({**_head(model, question), "feasible": False, "reason": reason}, folder / "allocator.json")


def table(answer: Reallocation) -> pd.DataFrame:
    """Robyn's columns, a row per channel by name of the modelled column; money and response per period.

    `...Total` sums over channels or periods as in Robyn; `...Unbound` belongs to the wider bounds.
    """
    frame = answer.frame
    today, budget = frame.today, float(frame.today.sum())
    if frame.question.scenario == "max_response":
        budget = frame.budget
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            **_question(frame),
            **_history("histSpendAll", frame.history[0], len(frame.inputs.window_dates)),
            **_history("histSpendWindow", today, len(frame.dates)),
            **_before(frame),
            "total_budget_unit": budget,
            "total_budget_unit_delta": budget / today.sum() - 1,
            **_spend_after(frame, answer.spend, ""),
            **_spend_after(frame, answer.wider, "Unbound"),
            **_response_after(frame, answer.spend, ""),
            **_response_after(frame, answer.wider, "Unbound"),
        }
        before = _before(frame)["initResponseUnitTotal"]
        for suffix in ("", "Unbound"):
            after = columns[f"optmResponseUnitTotal{suffix}"]
            columns[f"optmResponseUnitTotalLift{suffix}"] = after / before - 1
    return pd.DataFrame(columns)


def _question(frame: Frame) -> _Columns:
    wider = dict(zip(("low", "up"), frame.wider_bounds, strict=True))
    bounds: _Columns = {}
    for side, factor in (("low", frame.low), ("up", frame.high)):
        bounds |= {f"constr_{side}": factor, f"constr_{side}_abs": factor * frame.today}
    bounds["unconstr_mult"] = WIDER
    for side, factor in wider.items():
        bounds |= {f"constr_{side}_unb": factor, f"constr_{side}_unb_abs": factor * frame.today}
    return {
        "solID": frame.model.solution,
        "dep_var_type": frame.inputs.dependent_type,
        "channels": frame.names,
        "date_min": str(frame.dates[0]),
        "date_max": str(frame.dates[-1]),
        "periods": f"{len(frame.dates)} {frame.inputs.interval}s",
        **bounds,
    }


def _history(name: str, spend: Floats, periods: int) -> _Columns:
    return {
        name: spend * periods,
        f"{name}Total": spend.sum() * periods,
        f"{name}Unit": spend,
        f"{name}UnitTotal": spend.sum(),
        f"{name}Share": spend / spend.sum(),
    }


def _before(frame: Frame) -> _Columns:
    """Robyn takes the mean response of the window where every channel is modelled by its spend."""
    today, curves = frame.today, frame.curves
    simulated = curves.response(today)
    mean = {media.name: float(media.response.mean()) for media in frame.model.media}
    by_spend = frame.names == frame.spend_names
    response = np.array([mean[name] for name in frame.names]) if by_spend else simulated
    return {
        "initSpendUnit": today,
        "initSpendUnitTotal": today.sum(),
        "initSpendShare": today / today.sum(),
        "initSpendTotal": today.sum() * len(frame.dates),
        "initResponseUnit": response,
        "initResponseUnitSim": simulated,
        "initResponseUnitTotal": response.sum(),
        "initResponseMargUnit": curves.response(today + 1) - simulated,
        "initResponseTotal": response.sum() * len(frame.dates),
        "initResponseUnitShare": response / response.sum(),
        "initRoiUnit": response / today,
        "initCpaUnit": today / response,
    }


def _spend_after(frame: Frame, spend: Floats, suffix: str) -> _Columns:
    total, before = spend.sum(), frame.today.sum()
    return {
        f"optmSpendUnit{suffix}": spend,
        f"optmSpendUnitDelta{suffix}": spend / frame.today - 1,
        f"optmSpendUnitTotal{suffix}": total,
        f"optmSpendUnitTotalDelta{suffix}": total / before - 1,
        f"optmSpendShareUnit{suffix}": spend / total,
        f"optmSpendTotal{suffix}": total * len(frame.dates),
    }


def _response_after(frame: Frame, spend: Floats, suffix: str) -> _Columns:
    response = frame.curves.response(spend)
    return {
        f"optmResponseUnit{suffix}": response,
        f"optmResponseMargUnit{suffix}": frame.curves.response(spend + 1) - response,
        f"optmResponseUnitTotal{suffix}": response.sum(),
        f"optmResponseTotal{suffix}": response.sum() * len(frame.dates),
        f"optmResponseUnitShare{suffix}": response / response.sum(),
        f"optmRoiUnit{suffix}": response / spend,
        f"optmCpaUnit{suffix}": spend / response,
        f"optmResponseUnitLift{suffix}": response / _before(frame)["initResponseUnit"] - 1,
    }


def document(answer: Reallocation) -> dict[str, Any]:
    """The content of allocator.json: before and after, in total and by channel, on the same curves.

    Spend and response are over the dates, `mean_spend` per period. Numbers may be NaN or infinite.
    """
    frame = answer.frame
    asked = {"budget": frame.budget * len(frame.dates)}
    if frame.question.scenario == "target_efficiency":
        asked = {"target": frame.target}
    return {
        **_head(frame.model, frame.question),
        "feasible": True,
        "metric": METRIC[frame.inputs.dependent_type],
        "start": str(frame.dates[0]),
        "end": str(frame.dates[-1]),
        "interval": frame.inputs.interval,
        "periods": len(frame.dates),
        **asked,
        "before": _total(frame, frame.today),
        "after": _total(frame, answer.spend),
        "channels": [_channel(answer, i) for i in range(len(frame.names))],
    }


def _head(model: ModelAnswer, question: BudgetQuestion) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "sol_id": model.solution, "scenario": question.scenario}


def _total(frame: Frame, spend: Floats) -> dict[str, float]:
    periods, kind = len(frame.dates), frame.inputs.dependent_type
    return _figures(float(spend.sum()), float(frame.curves.response(spend).sum()), periods, kind)


def _figures(spend: float, response: float, periods: int, kind: DependentType) -> dict[str, float]:
    return {
        "spend": spend * periods,
        "mean_spend": spend,
        "response": response * periods,
        METRIC[kind]: efficiency(response, spend, kind),
    }


def _channel(answer: Reallocation, i: int) -> dict[str, Any]:
    frame = answer.frame
    return {
        "name": frame.spend_names[i],
        "modelled": frame.names[i],
        "bounds": {"low": frame.low[i], "high": frame.high[i]},
        "before": _channel_figures(frame, frame.today, i),
        "after": _channel_figures(frame, answer.spend, i),
    }


def _channel_figures(frame: Frame, spends: Floats, i: int) -> dict[str, float]:
    kind, response = frame.inputs.dependent_type, frame.curves.response
    figures = _figures(float(spends[i]), float(response(spends)[i]), len(frame.dates), kind)
    marginal = float((response(spends + 1) - response(spends))[i])
    return figures | {f"marginal_{METRIC[kind]}": efficiency(marginal, 1.0, kind)}
