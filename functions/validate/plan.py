"""Whether the data can carry what the request asks for: size, components, studies, budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from contracts.base import some
from contracts.model import CalibrationStudy, ModelConfig
from contracts.request import TrainRequest
from contracts.series import (
    SMALLEST_LIFT,
    Interval,
    Obstacle,
    StudyRows,
    budget_obstacles,
    columns_of,
    error_scale,
    flat_obstacles,
    last_days,
    lies_after,
    size_obstacles,
    study_rows,
    train_rows,
)
from contracts.validation import ResolvedWindow
from functions.validate.columns import Numbers
from functions.validate.findings import Findings

_ROWS_PER_VARIABLE = 10
"""Rows for each variable below which validation warns."""
_SPEND_TOLERANCE = 0.1
"""Relative difference of a study's spend to the data's from which on validation warns."""
_LEAST_CONFIDENCE = 0.8
"""Confidence of a study below which validation warns."""


def check_size(rows: int, interval: Interval, model: ModelConfig, findings: Findings) -> None:
    """Enough rows: a warning as in Robyn, an error where nothing can be fitted (robyn-spec §1.2, §4)."""
    variables = columns_of(model, rows, interval)
    if rows < _ROWS_PER_VARIABLE * variables:
        findings.warning(
            "few-rows",
            f"{rows} rows for {variables} variables; {_ROWS_PER_VARIABLE} per variable are recommended",
            "deliver a longer period, or use fewer variables",
        )
    for obstacle in size_obstacles(rows, interval, model):
        findings.error(*obstacle)


def check_trained(inside: pd.DataFrame, numbers: Numbers, model: ModelConfig, findings: Findings) -> None:
    """Every media column has a value above 0 in the rows that every candidate is trained on."""
    columns, train = model.columns, train_rows(len(inside), model)
    constant = {*numbers.rows(0, train).constant()}
    for name in dict.fromkeys([*(channel.spend for channel in columns.paid_media), *columns.media]):
        if name in constant and inside[name].iloc[:train].eq(0).all() and inside[name].ne(0).any():
            findings.warning(
                "untrained-media",
                f"column '{name}' is 0 in the first {train} rows of the window, all that some candidates are "
                "trained on; they find no effect of it",
                "raise search.train_size, choose another window, or leave the channel out",
                name,
            )


def check_dependent(inside: Numbers, model: ModelConfig, findings: Findings) -> None:
    """The dependent variable varies in every part of the window, whose rows are given."""
    name = model.columns.dependent
    if inside.varies(name):  # else it is told already
        for obstacle in flat_obstacles(inside.column(name).tolist(), model):
            findings.error(*obstacle, column=name)


def check_components(
    dates: Sequence[date], interval: Interval, model: ModelConfig, findings: Findings
) -> None:
    """The Prophet components fit the interval."""
    components = model.prophet.components
    if "weekday" in components and interval != "day":
        findings.error(
            "component-interval",
            f"the component `weekday` needs daily data; these are per {interval}",
            "remove `weekday` from prophet.components, or deliver daily data",
        )
    if "holiday" in components and interval == "month" and any(first.day != 1 for first in dates):
        findings.error(
            "component-interval",
            "monthly data with the component `holiday` need dates on the first of the month",
            "set resample to month, or move the dates",
            model.columns.date,
        )


def check_holidays(model: ModelConfig, findings: Findings) -> None:
    """The holiday calendar exists."""
    country = model.prophet.holiday_country
    if country is None:
        return
    from holidays import list_supported_countries  # here, because most requests can do without it

    known = list_supported_countries()
    if country not in known:
        findings.error(
            "no-holidays",
            f"there is no holiday calendar for country '{country}'",
            "use an ISO code such as DE, FR, GB or US, or remove the component `holiday`",
        )


def check_calibration(
    frame: pd.DataFrame,
    dates: Sequence[date],
    parts: Mapping[str, pd.DataFrame],
    interval: Interval,
    window: ResolvedWindow,
    request: TrainRequest,
    findings: Findings,
) -> None:
    """The studies lie in the window, a model can reach them, and the data know what they cost.

    `frame` holds the totals, on `dates`, and `parts` each region. The engine robyn can use fewer studies than
    the native one (robyn-spec §10).
    """
    for i, study in enumerate(request.calibration):
        name = f"calibration[{i}]"
        if study.region and study.region not in parts:
            findings.error(
                "study-region",
                f"{name} was measured in '{study.region}', which is no region of the data; there are: "
                f"{some(parts)}",
                "write the region as the data do, or leave it out",
                request.columns.region,
            )
            continue
        if study.start < window.start or study.end > window.end:
            findings.error(
                "study-outside",
                f"{name} goes from {study.start} to {study.end}, outside the modelling window from "
                f"{window.start} to {window.end}",
                "remove the study, correct its dates, or widen the window",
            )
        else:
            rows = study_rows(dates, interval, study.start, study.end)
            whole = parts[study.region] if study.region else frame
            touched = whole.iloc[rows.first : rows.stop]
            _check_study_sign(name, study, request, findings)
            _check_study_spend(touched, rows, name, study, request, findings)
            if request.engine == "robyn" and not study.region:
                _check_study_of_robyn(touched, rows, name, study, request, findings)
        if study.confidence < _LEAST_CONFIDENCE:
            findings.warning(
                "study-confidence",
                f"{name} has a confidence of {study.confidence:g}, below {_LEAST_CONFIDENCE:g}",
                "calibrate with studies that are surer, or remove it",
            )


def _check_study_sign(name: str, study: CalibrationStudy, model: ModelConfig, findings: Findings) -> None:
    signs = {channel.spend: channel.sign for channel in model.columns.paid_media}
    signs |= {variable.name: variable.sign for variable in model.columns.organic}
    against = "negative" if study.lift > 0 else "positive"
    if study.lift and all(signs.get(channel) == against for channel in study.channels):
        findings.warning(
            "study-sign",
            f"{name} measured a lift of {study.lift:,.0f}, but the effect of {some(study.channels)} may only "
            f"be {against}; no model can reach it",
            "check the sign of the lift; if it is right, set the channels' sign to `default`",
        )


def _check_study_spend(
    touched: pd.DataFrame,
    rows: StudyRows,
    name: str,
    study: CalibrationStudy,
    model: ModelConfig,
    findings: Findings,
) -> None:
    paid = [channel.spend for channel in model.columns.paid_media if channel.spend in study.channels]
    if not paid or not set(paid) <= set(touched.columns):
        return
    spent = float(touched[paid].sum(axis=1).to_numpy() @ rows.weights)
    if abs(spent - study.spend) > _SPEND_TOLERANCE * study.spend:
        findings.warning(
            "study-spend",
            f"{name} says that {some(paid)} cost {study.spend:,.0f}, but the data hold {spent:,.0f} from "
            f"{study.start} to {study.end}",
            "check the study's channels, dates and spend; they should agree within 10 %",
        )


def _check_study_of_robyn(
    touched: pd.DataFrame,
    rows: StudyRows,
    name: str,
    study: CalibrationStudy,
    model: ModelConfig,
    findings: Findings,
) -> None:
    """Robyn divides by the days between the first days of the periods, and by the lift (robyn-spec §10.2)."""
    if not rows.whole or rows.stop - rows.first < 2:
        findings.error(
            "study-robyn",
            f"{name} from {study.start} to {study.end} does not cover two or more whole periods of the data, "
            "without which Robyn scales its effect by a wrong number of days",
            "use the engine native, widen the dates to whole periods if the lift was measured in them, or "
            "remove the study",
        )
    dependent = model.columns.dependent
    if dependent in touched and abs(study.lift) < error_scale(study.lift, touched[dependent].to_list()):
        findings.error(
            "study-robyn",
            f"{name} has a lift of {study.lift:,.0f}, and Robyn divides by it; it must be at least "
            f"{SMALLEST_LIFT:.1%} of '{dependent}' in its periods",
            "use the engine native, or remove the study",
        )


def check_days(dates: Sequence[date], interval: Interval, model: ModelConfig, findings: Findings) -> None:
    """The days that the request names lie in the data: every annotation, and some holiday of each name."""
    first, last = dates[0], last_days(dates, interval)[-1]
    span = f"the data, which go from {first} to {last}"
    outside = [note.text for note in model.annotations if not first <= note.date <= last]
    if outside:
        findings.warning(
            "annotation-outside",
            f"these annotations lie outside {span}: {some(outside)}",
            "they are drawn nowhere; correct their dates, or remove them",
        )
    seen = {day.name for day in model.prophet.holidays if first <= day.date <= last}
    unseen = dict.fromkeys(day.name for day in model.prophet.holidays if day.name not in seen)
    if unseen:
        findings.warning(
            "holiday-outside",
            f"these holidays have no day in {span}: {some(unseen)}",
            "nothing can be learned of their effect; correct their dates, or remove them",
        )


def check_budget(
    dates: Sequence[date],
    parts: Mapping[str, pd.DataFrame],
    interval: Interval,
    request: TrainRequest,
    findings: Findings,
) -> None:
    """The dates of the budget questions lie in the data, or after them where that can be answered.

    A region that is asked about is one of `parts`, the posterior's only.
    """
    for path, question in request.questions:
        obstacles = list(budget_obstacles(dates, interval, path, question))
        if lies_after(dates, interval, question) and request.posterior is None:
            message = f"{path}.start {question.start} lies after the data, where only the posterior answers"
            obstacles.append(Obstacle("budget-after", message, "leave `posterior: off` out"))
        if question.of_regions and request.posterior is None:
            message = f"{path} asks about regions, of which only the posterior knows"
            obstacles.append(Obstacle("budget-region", message, "leave `posterior: off` out"))
        if question.region and question.region not in parts:
            message = f"{path}.region '{question.region}' is no region of the data; there are: {some(parts)}"
            obstacles.append(Obstacle("budget-region", message, "write the region as the data do"))
        for plan, regions in question.region_plans.items():
            if unknown := [region for region in regions if region not in parts]:
                message = f"{path}.region_plans.{plan}: {some(unknown)}: no region of the data; there are: "
                advice = "write the region as the data do"
                obstacles.append(Obstacle("budget-region", message + some(parts), advice))
        for obstacle in obstacles:
            findings.error(*obstacle)
