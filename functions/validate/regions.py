"""Data with a row per period and region: each region on its own, all periods in each, and their totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from contracts.base import plain_name, some
from contracts.request import TrainRequest
from contracts.series import Interval
from functions.validate.aggregate import aggregated, functions_of, told
from functions.validate.cleaning import kinds
from functions.validate.findings import Findings
from functions.validate.source import folded

MOST_REGIONS = 250
"""Regions that data may have."""
_SAME = 1e-6
"""Relative difference up to which a region is the sum of the others."""

Parts = dict[str, pd.DataFrame]
"""The rows of each region, by its name; where there are no regions all rows, by an empty name."""


def split(frame: pd.DataFrame, request: TrainRequest, findings: Findings) -> Parts:
    """The rows of each region, in the order of their names, without the column that names them.

    Names are compared as people see them, as those of columns are: a request can name every region.
    """
    column = request.columns.region
    if column is None or column not in frame:
        return {"": frame.copy()}
    regions = frame[column].map(plain_name, na_action="ignore")
    _check_names(regions, findings)
    regions = regions.fillna("")
    return {
        str(name): rows.drop(columns=column) for name, rows in frame.groupby(regions, sort=True) if len(rows)
    }


def _check_names(regions: pd.Series[str], findings: Findings) -> None:
    column, empty = str(regions.name), regions.isna()
    if empty.any():
        findings.error(
            "missing-region",
            f"column '{column}' is empty in {int(empty.sum())} row(s)",
            "name the region of every row",
            column,
            regions.index[empty],
        )
    names = [str(name) for name in regions.dropna().unique()]
    if len(names) > MOST_REGIONS:
        findings.error(
            "too-many-regions",
            f"column '{column}' names {len(names)} regions; {MOST_REGIONS} are possible",
            "group them into larger ones",
            column,
        )
    if len(names) == 1:
        findings.warning(
            "one-region",
            f"column '{column}' names one region only, {names[0]}",
            "leave columns.region out: with one region nothing more is learned",
            column,
        )
    counts = Counter(folded(name) for name in names)
    alike = [name for name in names if counts[folded(name)] > 1]
    if alike:
        findings.warning(
            "similar-region",
            f"column '{column}' has names that look like one region: {some(map(repr, alike))}",
            "write the same name in every row of a region",
            column,
        )


def without_empty(parts: Parts, request: TrainRequest, findings: Findings) -> Parts:
    """The regions in which something was sold or some media were used, unless there are none at all."""
    of_kind = kinds(request)
    summed = [name for name, kind in of_kind.items() if kind in ("dependent", "media", "organic")]
    there = {name: part for name, part in parts.items() if part.filter(summed).any(axis=None)}
    empty = [name for name in parts if name not in there]
    if not there or not empty:
        return parts
    findings.warning(
        "empty-region",
        f"{len(empty)} region(s) without sales and media in any period were left out: {some(empty)}",
        "check that their data are whole",
        request.columns.region,
    )
    return there


def check_periods(
    parts: Mapping[str, pd.DataFrame], interval: Interval | None, date: str, findings: Findings
) -> None:
    """Every region has a row for every date that any has."""
    if len(parts) < 2 or interval is None:
        return
    every = pd.DatetimeIndex(pd.concat([part[date] for part in parts.values()]).dropna().unique())
    missing = {name: every.difference(pd.DatetimeIndex(part[date])) for name, part in parts.items()}
    lacking = {name: dates.strftime("%Y-%m-%d") for name, dates in missing.items() if len(dates)}
    if lacking:
        named = (f"{name} has none for {some(dates, 3)}" for name, dates in lacking.items())
        findings.error(
            "region-gap",
            f"{len(lacking)} of {len(parts)} regions do not have every {interval}: {'; '.join(named)}",
            "deliver a row for each of them, with 0 where nothing happened; or leave the region out",
            date,
        )


def check_totals(parts: Mapping[str, pd.DataFrame], request: TrainRequest, findings: Findings) -> None:
    """No region is the sum of the others, and the dependent variable moves in each."""
    date, name = request.columns.date, request.columns.dependent
    if len(parts) < 2 or any(not {date, name} <= set(part) for part in parts.values()):
        return
    sold = pd.DataFrame({region: part.groupby(date)[name].sum() for region, part in parts.items()})
    whole = sold.sum(axis=1)
    for region in sold if len(parts) > 2 else ():
        others = whole - sold[region]
        if (abs(sold[region] - others) <= _SAME * abs(others)).all() and others.any():
            findings.error(
                "region-total",
                f"the region '{region}' is the sum of all others",
                "leave its rows out: regions are added up here",
                request.columns.region,
            )
    flat = [region for region in sold if sold[region].nunique() < 2]
    if flat:
        findings.warning(
            "flat-region",
            f"column '{name}' is the same in every period of {some(flat)}",
            "nothing is learned in these regions; leave them out, or add them to a neighbour",
            name,
        )


def totals(
    parts: Mapping[str, pd.DataFrame], request: TrainRequest, findings: Findings | None = None
) -> pd.DataFrame:
    """One row per date: sums, the mean of a context column or what `resample.aggregate` says.

    Factors that differ within a date are an error, told in `findings` if they are given.
    """
    if len(parts) < 2:
        return next(iter(parts.values()))
    date, of_kind = request.columns.date, kinds(request)
    frame = pd.concat(parts.values())
    frame = frame[frame[date].notna()]
    asked = request.resample.aggregate if request.resample else {}
    asked = {name: how for name, how in asked.items() if of_kind.get(name) == "context"}
    how = functions_of(frame, request, asked, "resample.aggregate", Findings())
    how |= {name: "first" for name in how if of_kind[name] == "factors"}
    if findings:
        for name in _differing(frame, date, [name for name in how if of_kind[name] == "factors"], findings):
            del how[name]
        findings.change("regions", f"{len(parts)} regions were added up: {told(how)}")
    result = aggregated(frame, frame[date], how).rename_axis(date).reset_index()
    result.index = pd.Index(frame.index.to_series().groupby(frame[date].to_numpy()).min())
    return result[[name for name in frame.columns if name in result]]


def _differing(frame: pd.DataFrame, date: str, factors: list[str], findings: Findings) -> Iterator[str]:
    for name in factors:
        levels = frame.groupby(date)[name].nunique(dropna=False)
        differ = levels[levels > 1]
        if len(differ):
            days = pd.DatetimeIndex(differ.index).strftime("%Y-%m-%d")
            findings.error(
                "region-factor",
                f"factor '{name}' differs between regions on {len(differ)} date(s): {some(days)}",
                "a factor is one of the whole country: write the same in all regions of a date, or make it a "
                "context column of 0 and 1, whose mean counts in the totals",
                name,
            )
            yield name
