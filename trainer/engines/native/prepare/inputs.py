"""From the prepared table and the model's configuration to `Inputs`: window, currency, studies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import series
from contracts.model import CalibrationStudy, ModelConfig, PaidMedia, Sign, Variable
from trainer.engines.checks import dates_of, floats, interval_of, window_rows
from trainer.engines.common import Floats, SearchRange
from trainer.engines.native.prepare import calendar_columns
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.records import Inputs, Study


def build(data: pd.DataFrame, config: ModelConfig, prophet: ProphetColumns) -> Inputs:
    """The numeric inputs; `data` must have passed `check`.

    Exposures are turned into currency by their price in the window, for all rows (robyn-spec §2.3). With
    `search.baseline: joint` trend and season are columns of the model, in the place of Prophet's.
    """
    columns, dates = config.columns, dates_of(data, config)
    first, stop = window_rows(dates, config)
    joint = _joint(config, dates, first, stop)
    components = {
        name: values for name, values in prophet.components.items() if not joint or name == "holiday"
    }
    context = joint | {variable.name: floats(data, variable.name) for variable in columns.context}
    design = components | context | prophet.factors
    design |= {
        paid.selected: _in_currency(data, paid.spend, paid.exposure, slice(first, stop))
        for paid in columns.paid_media
    }
    design |= {variable.name: floats(data, variable.name) for variable in columns.organic}
    raw = [paid.exposure for paid in columns.paid_media] + [variable.name for variable in columns.organic]
    variables: list[Variable | PaidMedia] = [
        *columns.context,
        *columns.factors,
        *columns.paid_media,
        *columns.organic,
    ]
    baseline: list[Sign] = ["default"] * (len(components) + len(joint))
    return Inputs(
        dates=dates,
        interval=interval_of(dates),
        dependent_name=columns.dependent,
        dependent_type=columns.dependent_type,
        dependent=floats(data, columns.dependent),
        prophet=tuple(components),
        context=(*joint, *(variable.name for variable in (*columns.context, *columns.factors))),
        paid=tuple(paid.selected for paid in columns.paid_media),
        organic=tuple(variable.name for variable in columns.organic),
        values=np.column_stack(list(design.values())),
        signs=(*baseline, *(variable.sign for variable in variables)),
        spend_names=tuple(paid.spend for paid in columns.paid_media),
        spend=np.column_stack([floats(data, paid.spend) for paid in columns.paid_media]),
        exposure=np.column_stack(
            [floats(data, name) if name else np.full(len(data), np.nan) for name in raw]
        ),
        first=first,
        stop=stop,
        adstock=config.adstock,
        bounds=config.bounds,
        lambda_range=config.hyperparameters.ranges.get("lambda", (0.0, 1.0)),
        train_size=config.search.train_size if config.search.time_series_validation else None,
        penalties=_penalties(config, list(design)) if config.search.penalty_factors else {},
        studies=tuple(_study(study, config, dates, data) for study in config.calibration),
        solver=config.search.solver,
        best_by="nrmse" if config.search.best_by == "nrmse" else "error_score",
    )


def _joint(config: ModelConfig, dates: NDArray[np.datetime64], first: int, stop: int) -> dict[str, Floats]:
    """Columns of trend and season that are fitted together with the media, by name; none unless asked for."""
    if config.search.baseline != "joint":
        return {}
    days, components = (dates, interval_of(dates), first, stop), config.prophet.components
    found = dict(calendar_columns.calendar(*days, components))
    if "trend" in components:
        found |= {f"trend bend {k}": values for k, values in enumerate(calendar_columns.bends(*days).T, 1)}
    return found


def _penalties(config: ModelConfig, columns: list[str]) -> dict[str, SearchRange]:
    ranges = config.hyperparameters.ranges
    return {f"{name}_penalty": ranges.get(f"{name}_penalty", (0.0, 1.0)) for name in columns}


def _in_currency(data: pd.DataFrame, spend: str, exposure: str | None, window: slice) -> Floats:
    """The modelled column of a paid channel, in currency: exposures times their price in the window."""
    if not exposure:
        return floats(data, spend)
    exposures = floats(data, exposure)
    price = float(floats(data, spend)[window].sum() / exposures[window].sum())
    return exposures * price


def _study(
    study: CalibrationStudy, config: ModelConfig, dates: NDArray[np.datetime64], data: pd.DataFrame
) -> Study:
    selected = {paid.spend: paid.selected for paid in config.columns.paid_media}
    rows = series.study_rows(dates.tolist(), interval_of(dates), study.start, study.end)
    return Study(
        media=tuple(selected.get(name, name) for name in study.channels),
        start=np.datetime64(study.start),
        end=np.datetime64(study.end),
        lift=study.lift,
        scope=study.scope,
        first=rows.first,
        stop=rows.stop,
        weights=rows.weights,
        error_scale=series.error_scale(
            study.lift, floats(data, config.columns.dependent)[rows.first : rows.stop].tolist()
        ),
    )
