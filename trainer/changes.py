"""What has changed since the job before it in its series: changes.json, from the files of both."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from contracts import names
from contracts.attempt import TrainingConfig
from contracts.changes import (
    ChangesDocument,
    ChannelChange,
    ColumnChange,
    DataChange,
    Fit,
    FitChange,
    FormerFiles,
    Predecessor,
    Series,
    Span,
    TrustChange,
    changes,
    worse,
)
from contracts.posterior import PosteriorDocument
from contracts.result import BestModel
from contracts.trust import TrustDocument
from contracts.validation import ValidationReport
from functions.ports import NotFound, ObjectStore
from trainer.engines.pictures.style import amount

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
_ALIKE = 1e-9
"""Relative difference up to which numbers are the same: regions may have been added up in another order."""
_NAMED = 5
"""How many columns or channels a sentence names."""


class _Incomparable(Exception):
    """Why something is not compared, in words."""


def find_changes(
    objects: ObjectStore, config: TrainingConfig, series: Series, prepared: Path, out: Path
) -> ChangesDocument:
    """The result in `out`, of the data in `prepared`, compared with that of the job before it.

    What cannot be compared is said and is no error: a predecessor may be deleted, or of another release.
    """
    before = series.predecessor
    if before is None:
        return ChangesDocument(reason=f"This is the first result of {_words(series)}.")
    ours = _Files(
        "this job",
        lambda name: _local(out / name),
        prepared.read_bytes,
        lambda: objects.read(names.validation(config.country, config.job_id)),
    )
    theirs = _Files(
        before.job_id,
        lambda name: objects.read(f"{before.results}{name}"),
        lambda: objects.read(before.prepared),
        lambda: objects.read(before.validation),
    )
    told = ChangesDocument(predecessor=Predecessor.model_validate(before.model_dump()))
    try:
        models = _best_models(before, ours, theirs)
        return _compared(told, ours, theirs, models, series.refreshes)
    except _Incomparable as reason:
        return told.model_copy(update={"reason": f"Nothing is compared: {reason}."})


def _words(series: Series) -> str:
    of = f"country {series.country}, revision {series.revision}"
    return f"schedule {series.schedule} ({of})" if series.schedule else of


def _local(path: Path) -> bytes:
    if not path.is_file():
        raise NotFound(path.name)
    return path.read_bytes()


@dataclass(frozen=True)
class _Files:
    """What one of the two jobs left. All raise _Incomparable where a file is missing or cannot be read."""

    job: str
    result: Callable[[str], bytes]
    prepared: Callable[[], bytes]
    validation: Callable[[], bytes]

    @property
    def report(self) -> ValidationReport:
        """What validation found."""
        return self._document(self.validation, "validation.json", ValidationReport)

    @property
    def posterior(self) -> PosteriorDocument:
        """What the data say about each channel; it has converged."""
        found = self.of_result("posterior.json", PosteriorDocument)
        if not found.converged:
            raise _Incomparable(f"the chains of the posterior of {self.job} do not agree")
        return found

    def of_result(self, name: str, contract: type[M]) -> M:
        """A document of the result."""
        return self._document(lambda: self.result(name), name, contract)

    def data(self) -> pd.DataFrame:
        """The prepared data by the first days of their periods."""
        try:
            table = pq.read_table(io.BytesIO(self.prepared()))
        except NotFound as error:
            raise _Incomparable(f"the prepared data of {self.job} are not there any more") from error
        except pa.ArrowInvalid as error:
            raise _Incomparable(f"the prepared data of {self.job} cannot be read") from error
        dates = next(one.name for one in table.schema if pa.types.is_date(one.type))
        frame: pd.DataFrame = table.to_pandas()
        return frame.set_index(dates)

    def _document(self, read: Callable[[], bytes], name: str, contract: type[M]) -> M:
        try:
            return contract.model_validate_json(read())
        except NotFound as error:
            raise _Incomparable(f"{self.job} has no {name}") from error
        except ValidationError as error:
            raise _Incomparable(f"{name} of {self.job} is of a version that this one cannot read") from error


def _best_models(before: FormerFiles, ours: _Files, theirs: _Files) -> tuple[BestModel, BestModel]:
    """The best models of both jobs, the former one first.

    Raises:
        _Incomparable: there is no former one any more, or it explains something else.
    """
    if before.deleted_by:
        raise _Incomparable(f"{before.deleted_by} had the result of {before.job_id} deleted")
    then, now = (files.of_result("best_model.json", BestModel) for files in (theirs, ours))
    for what, old, new in (
        ("explains", f"{then.dependent} ({then.dependent_type})", f"{now.dependent} ({now.dependent_type})"),
        ("has a row per", then.interval, now.interval),
    ):
        if old != new:
            raise _Incomparable(f"{before.job_id} {what} {old}, this job {new}")
    return then, now


def _compared(
    told: ChangesDocument,
    ours: _Files,
    theirs: _Files,
    models: tuple[BestModel, BestModel],
    refreshes: bool,
) -> ChangesDocument:
    then, now = models
    metric = "ROAS" if now.dependent_type == "revenue" else "CPA"
    unknown: list[str] = []

    def known(what: str, find: Callable[[], T]) -> T | None:
        try:
            return find()
        except _Incomparable as reason:
            unknown.append(f"{what} not compared: {reason}.")
            return None

    columns = known("Columns are", lambda: _columns(theirs.report, ours.report))
    data = known("The data are", lambda: _data(theirs.data(), ours.data(), *(columns or ([], []))))
    channels = known("What channels earn is", lambda: changes(theirs.posterior, ours.posterior))
    checks = known("Checks are", lambda: _checks(theirs, ours))
    fit = _fit(then, now) if refreshes else None
    sentences = [
        *(_data_sentences(data, now.interval) if data else ()),
        *_channel_sentences(channels or [], metric),
        *(_check_sentences(*checks) if checks else ()),
        *([_fit_sentence(fit)] if fit else []),
    ]
    return told.model_copy(
        update={
            "changed": [sentence for is_change, sentence in sentences if is_change],
            "unchanged": [sentence for is_change, sentence in sentences if not is_change],
            "unknown": unknown,
            "data": data,
            "metric": metric if channels else None,
            "channels": channels or [],
            "trust": checks[0] if checks else [],
            "best_model": fit,
        }
    )


_Sentence = tuple[bool, str]
"""Whether it tells a change, and what it says."""


def _columns(then: ValidationReport, now: ValidationReport) -> tuple[list[str], list[str]]:
    """The columns that the source has only now, and those that it had only then."""
    before, after = ([column.name for column in report.columns] for report in (then, now))
    return _only(after, before), _only(before, after)


def _only(these: Iterable[str], those: Iterable[str]) -> list[str]:
    others = set(those)
    return [name for name in these if name not in others]


def _data(then: pd.DataFrame, now: pd.DataFrame, new: list[str], lost: list[str]) -> DataChange:
    both = then.index.intersection(now.index).sort_values()
    columns, restated = _restated(then.loc[both], now.loc[both])
    return DataChange(
        periods=len(both),
        start=both[0] if len(both) else None,
        end=both[-1] if len(both) else None,
        restated=restated,
        columns=columns,
        new_periods=_span(now.index.difference(then.index)),
        lost_periods=_span(then.index.difference(now.index)),
        new_columns=new,
        lost_columns=lost,
        taken_up=_only(now.columns, then.columns),
        left_out=_only(then.columns, now.columns),
    )


def _restated(then: pd.DataFrame, now: pd.DataFrame) -> tuple[list[ColumnChange], int]:
    """The columns with other values in the same periods, and how many periods have some."""
    found, anywhere = [], np.zeros(len(now), bool)
    for name in now.columns.intersection(then.columns):
        other = _differ(then[name], now[name])
        if not other.any():
            continue
        anywhere |= other
        days, sums = now.index[other], {}
        if pd.api.types.is_numeric_dtype(now[name]) and pd.api.types.is_numeric_dtype(then[name]):
            sums = {"before": float(then[name].sum()), "now": float(now[name].sum())}
        found.append(ColumnChange(name=name, periods=int(other.sum()), first=days[0], last=days[-1], **sums))
    return sorted(found, key=lambda one: -one.periods), int(anywhere.sum())


def _differ(then: pd.Series[float], now: pd.Series[float]) -> NDArray[np.bool_]:
    if pd.api.types.is_numeric_dtype(then) and pd.api.types.is_numeric_dtype(now):
        before, after = then.to_numpy(np.float64), now.to_numpy(np.float64)
        return ~np.isclose(before, after, rtol=_ALIKE, atol=0.0, equal_nan=True)
    return np.array([old != new for old, new in zip(then, now, strict=True)], bool)


def _span(days: pd.Index[date]) -> Span | None:
    return Span(periods=len(days), first=min(days), last=max(days)) if len(days) else None


def _data_sentences(data: DataChange, interval: str) -> Iterator[_Sentence]:
    def counted(periods: int) -> str:
        return f"{periods:,} {interval}{'s' * (periods != 1)}"

    def dates(span: Span | ColumnChange) -> str:
        return f"{span.first}" if span.first == span.last else f"{span.first} to {span.last}"

    if data.new_periods:
        yield True, f"New data: {counted(data.new_periods.periods)}, {dates(data.new_periods)}."
    else:
        yield False, f"No {interval} is new."
    if data.lost_periods:
        yield (
            True,
            f"No longer in the data: {counted(data.lost_periods.periods)}, {dates(data.lost_periods)}.",
        )
    both = f"{counted(data.periods)} that both jobs have"
    if data.restated:
        told = [
            f"{one.name} in {counted(one.periods)} ({dates(one)}{_sums(one)})"
            for one in data.columns[:_NAMED]
        ]
        yield True, f"Restated: {data.restated:,} of the {both}: {_listed(told, len(data.columns))}."
    elif data.periods:
        yield False, f"Nothing was restated in the {both}, {data.start} to {data.end}: all values are equal."
    for what, columns in (
        ("New in the data", data.new_columns),
        ("No longer in the data", data.lost_columns),
        ("Newly used by the model", data.taken_up),
        ("No longer used by the model", data.left_out),
    ):
        if columns:
            noun = f"column{'s' * (len(columns) > 1)}"
            yield True, f"{what}: the {noun} {_listed(columns[:_NAMED], len(columns))}."


def _sums(column: ColumnChange) -> str:
    """The sums over all common periods, where they differ."""
    if column.before is None or column.now is None or np.isclose(column.before, column.now, _ALIKE, 0.0):
        return ""
    share = f", {100 * (column.now / column.before - 1):+.2f} %" if column.before else ""
    return f"; the sum over all of them was {column.before:,.10g} and is {column.now:,.10g}{share}"


def _listed(told: Sequence[str], count: int) -> str:
    more = [f"{count - len(told)} more"] if count > len(told) else []
    first = [*told, *more]
    return first[0] if len(first) == 1 else f"{', '.join(first[:-1])} and {first[-1]}"


def _channel_sentences(channels: Sequence[ChannelChange], metric: str) -> Iterator[_Sentence]:
    for one in channels:
        if one.changed:
            more = (one.now[1] > one.before[1]) == (metric == "ROAS")
            before, now = (
                f"{amount(middle)} ({amount(low)} to {amount(high)})"
                for low, middle, high in (one.before, one.now)
            )
            yield (
                True,
                f"{one.name} earns {'more' if more else 'less'} per unit of currency, probably "
                f"({100 * one.probability:.0f} %): {metric} {before} before, {now} now.",
            )
    still = [one.name for one in channels if not one.changed]
    if still:
        yield (
            False,
            f"Not changed for sure, since the {metric} differs by no more than the data leave open: "
            f"{_listed(still[:_NAMED], len(still))}.",
        )


def _checks(theirs: _Files, ours: _Files) -> tuple[list[TrustChange], int]:
    """The checks whose verdicts moved, and how many both jobs have."""
    then, now = (files.of_result("trust.json", TrustDocument) for files in (theirs, ours))
    words = {(line.topic, line.check): line.word for line in then.lines}
    both = [line for line in now.lines if (line.topic, line.check) in words]
    moved = [
        TrustChange(
            topic=line.topic,
            check=line.check,
            before=words[line.topic, line.check],
            now=line.word,
            figure=line.figure,
        )
        for line in both
        if line.word != words[line.topic, line.check]
    ]
    return moved, len(both)


def _check_sentences(moved: Sequence[TrustChange], both: int) -> Iterator[_Sentence]:
    for one in moved:
        yield True, f"The check of {one.topic} was {one.before} and is {one.now}: {one.figure}."
    if both > len(moved):
        yield False, f"{both - len(moved)} of the {both} checks have the verdict that they had."


def _fit(then: BestModel, now: BestModel) -> FitChange:
    before, after = (Fit(r2=one.train.r2, nrmse=one.nrmse) for one in (then, now))
    worsened, bettered = any(worse(before, after)), any(worse(after, before))
    verdict = "alike" if worsened == bettered else "worse" if worsened else "better"
    return FitChange(before=before, now=after, verdict=verdict)


def _fit_sentence(fit: FitChange) -> _Sentence:
    if fit.verdict == "alike":
        return False, "The best model fits about as well as the one that it continues."
    moved = [f"NRMSE {fit.before.nrmse:.4f} became {fit.now.nrmse:.4f}"]
    if fit.before.r2 is not None and fit.now.r2 is not None:
        moved.insert(0, f"R² {fit.before.r2:.2f} became {fit.now.r2:.2f}")
    return True, f"The best model fits {fit.verdict} than the one that it continues: {', '.join(moved)}."
