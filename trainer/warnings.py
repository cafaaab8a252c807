"""What to know before deciding by a model, read from the files of either engine's result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from contracts.attempt import TrainingConfig
from contracts.result import NO_EFFECT, BestModel, RefreshReport, ResultWarning
from trainer.engines.pictures.style import unreadable_scripts
from trainer.trust.thresholds import THRESHOLDS

_NOTHING = 1e-9
"""A contribution below this share of the predicted total is none."""


def add_warnings(folder: Path, config: TrainingConfig) -> list[ResultWarning]:
    """Write what there is to warn of into the best_model.json of a result; return what is new.

    First what the result warns of, then what validation did.
    """
    path = folder / "best_model.json"
    text = path.read_text(encoding="utf-8")
    best = BestModel.model_validate_json(text)
    found = [
        *_no_effect(best),
        *_fit(best),
        *_refresh(folder),
        *_fonts(best),
    ]
    warnings = [warning.model_dump() for warning in (*found, *config.warnings)]
    path.write_text(json.dumps({**json.loads(text), "warnings": warnings}, indent=1), encoding="utf-8")
    return found


def _no_effect(best: BestModel) -> Iterator[ResultWarning]:
    """One warning if no paid channel has an effect, otherwise one of the channels that have none."""
    silent = [one for one in best.channels if abs(one.response) <= _NOTHING * abs(best.totals.predicted)]
    paid = [channel for channel in best.channels if channel.paid]
    if all(channel in silent for channel in paid):
        yield ResultWarning(
            code=NO_EFFECT,
            message="no paid channel has any effect in the best model",
            advice=f"do not decide by it; check that {best.dependent} is what the channels should move, that "
            "their spend varies within the window, and that no context column says the same as they do",
        )
        silent = [channel for channel in silent if not channel.paid]
    if silent:
        yield ResultWarning(
            code="channel-without-effect",
            message=f"the best model gives nothing to {', '.join(channel.name for channel in silent)}",
            advice="that is seldom true: these data do not tell what it earns; a lift study (calibration), "
            "or more periods in which its spend varies, would",
        )


def _fit(best: BestModel) -> Iterator[ResultWarning]:
    r2 = best.train.r2
    limits = THRESHOLDS["r2"]
    if r2 is not None and limits.word(r2) == "bad":
        yield ResultWarning(
            code="low-r2",
            message=f"R² is {r2:.2f}, below {limits.bad}: the model explains little of {best.dependent}",
            advice="add what else moves it (prices, holidays, events, competitors), or train on more periods",
        )
    unconverged = [one.objective for one in best.convergence if not one.converged]
    if unconverged:
        yield ResultWarning(
            code="not-converged",
            message=f"the search has not converged ({', '.join(unconverged)}): a longer one may find better",
            advice=f"raise search.iterations, now {best.search.iterations}, or search.trials, now "
            f"{best.search.trials}",
        )


def _refresh(folder: Path) -> list[ResultWarning]:
    path = folder / "refresh.json"
    return RefreshReport.model_validate_json(path.read_bytes()).warnings if path.is_file() else []


def _fonts(best: BestModel) -> Iterator[ResultWarning]:
    columns, channels = [one.name for one in best.contributions], [one.name for one in best.channels]
    scripts = unreadable_scripts([best.dependent, *columns, *channels])
    if scripts:
        yield ResultWarning(
            code="names-without-font",
            message=f"the pictures show boxes in place of names: no installed font has {', '.join(scripts)}",
            advice="the numbers are right; install a font that has it (Debian: fonts-noto-cjk for CJK) where "
            "the training runs, or give the columns other names",
        )
