"""A budget answer as files: Robyn's table, and a document for people and programs (robyn-spec §15.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.base import SCHEMA_VERSION
from contracts.budget import BudgetQuestion
from trainer.engines.common import Floats
from trainer.engines.documents import write_json
from trainer.engines.native.budget.reallocation import WIDER, Frame, History, Reallocation, history
from trainer.engines.native.explain.efficiency import METRIC, efficiency
from trainer.engines.native.records import DependentType, Inputs, ModelAnswer
from trainer.engines.tables import write_csv

_Columns = dict[str, Any]


def write(answer: Reallocation, folder: Path) -> None:
    """Write `<solID>_<scenario>_reallocated.csv` and allocator.json."""
    frame = answer.frame
    write_csv(table(answer), folder / f"{frame.model.solution}_{frame.question.scenario}_reallocated.csv")
    write_json(document(answer), folder / "allocator.json")


def write_history(inputs: Inputs, model: ModelAnswer, question: BudgetQuestion, folder: Path) -> None:
    """Write the allocator.json of a question about the past; raises Infeasible."""
    write_json(historical_document(inputs, model, question), folder / "allocator.json")


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
    bounds: _Columns = {}
    for side, factor, limit in zip(("low", "up"), frame.factors, frame.limits, strict=True):
        bounds |= {f"constr_{side}": factor, f"constr_{side}_abs": limit}
    bounds["unconstr_mult"] = WIDER
    for side, limit in zip(("low", "up"), frame.wider, strict=True):
        bounds |= {f"constr_{side}_unb": limit / frame.today, f"constr_{side}_unb_abs": limit}
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
    past = history(frame.inputs, frame.model, frame.question)
    asked = {"budget": frame.budget * len(frame.dates)}
    if frame.question.scenario == "target_efficiency":
        asked = {"target": frame.target}
    return {
        **_head(frame.model, frame.question),
        **_found(past, frame.inputs),
        **asked,
        "historical": _past(past, slice(None), frame.inputs.dependent_type),
        "before": _total(frame, frame.today),
        "after": _total(frame, answer.spend),
        "channels": [
            _past_channel(past, i, frame.inputs.dependent_type) | _channel(answer, i)
            for i in range(len(frame.names))
        ],
    }


def historical_document(inputs: Inputs, model: ModelAnswer, question: BudgetQuestion) -> dict[str, Any]:
    """The content of allocator.json if nothing but the past was asked for; raises Infeasible."""
    past, kind = history(inputs, model, question), inputs.dependent_type
    return {
        **_head(model, question),
        **_found(past, inputs),
        "historical": _past(past, slice(None), kind),
        "channels": [_past_channel(past, i, kind) for i in range(len(past.names))],
    }


def _found(past: History, inputs: Inputs) -> dict[str, Any]:
    return {
        "feasible": True,
        "metric": METRIC[inputs.dependent_type],
        "start": str(past.dates[0]),
        "end": str(past.dates[-1]),
        "interval": inputs.interval,
        "periods": len(past.dates),
    }


def _past(past: History, channels: slice, kind: DependentType) -> dict[str, float]:
    """What channels cost in the data and earned in the model, over the dates."""
    periods = len(past.dates)
    spend, response = float(past.spend[channels].sum()), float(past.response[channels].sum())
    return _figures(spend / periods, response / periods, periods, kind)


def _past_channel(past: History, i: int, kind: DependentType) -> dict[str, Any]:
    return {
        "name": past.spend_names[i],
        "modelled": past.names[i],
        "historical": _past(past, slice(i, i + 1), kind),
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
    (low, high), spends = frame.factors[:, i], frame.limits[:, i] * len(frame.dates)
    return {
        "bounds": {"low": low, "high": high, "spend": spends},
        "before": _channel_figures(frame, frame.today, i),
        "after": _channel_figures(frame, answer.spend, i),
    }


def _channel_figures(frame: Frame, spends: Floats, i: int) -> dict[str, float]:
    kind, response = frame.inputs.dependent_type, frame.curves.response
    figures = _figures(float(spends[i]), float(response(spends)[i]), len(frame.dates), kind)
    marginal = float((response(spends + 1) - response(spends))[i])
    return figures | {f"marginal_{METRIC[kind]}": efficiency(marginal, 1.0, kind)}
