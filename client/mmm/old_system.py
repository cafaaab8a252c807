"""Reads the layout of the old system from a place with files: mappings, queue, history and results.

Nothing is guessed: a file, a key or a row that is not understood is named with its reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from contracts.base import Country, canonical_json, error_lines, filled
from contracts.mapping import settings_problems
from contracts.old_system import ImportedRow, OldRun, Unread
from contracts.request import TrainRequest
from contracts.tables import TableError, read_rows
from mmm.old_files import OldFile, OldFiles, Unreadable
from mmm.old_keys import Said, plain_key, said_by

_MAPPING = re.compile(r"(?:^|/)(metadata/([^/]+)/([^/]+)/mapping\.json)$", re.IGNORECASE)
_RESULT = re.compile(r"(?:^|/)(robyn/([^/]+)/([^/]+)/([^/]+)/).+$")
_OURS = re.compile(r"^\d{8}T\d{6}Z-.+/attempt-\d+/")
"""Below `robyn/{revision}/{country}/`: a result of this system, where both share a bucket."""
_TIME = re.compile(
    r"(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)(?:[T_ -]?(\d\d)[:_.-]?(\d\d)(?:[:_.-]?(\d\d)(?:[.,]\d+)?)?)?"
    r"\s*(Z|UTC|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
_WAITING = ("", "pending", "queued", "waiting", "new", "todo", "scheduled")
_NOT_WAITING = frozenset(
    (
        *("running", "launching", "launched", "started", "in_progress", "done", "complete", "completed"),
        *("finished", "succeeded", "success", "failed", "error", "cancelled", "canceled", "skipped"),
        "stopped",
    )
)
_STATE = ("status", "state", "job_status", "queue_status")
_ABOUT_ROW = (
    "id",
    "job_id",
    "queue_id",
    "row_id",
    "submitted_at",
    "queued_at",
    "timestamp",
    "message",
)
_AT = {
    "country": ("country", "country_code"),
    "revision": ("revision",),
    "state": _STATE,
    "started_at": ("started_at", "start_time", "started", "start", "timestamp", "created_at", "launched_at"),
    "ended_at": ("ended_at", "end_time", "ended", "end", "finished_at", "completed_at"),
    "results": ("gcs_prefix", "gcs_path", "results", "result_path", "results_path", "output_path", "prefix"),
    "run": ("job_id", "execution_name", "execution_id", "id"),
}
"""Columns of the history, by what of a run they say."""
_COUNTRY: TypeAdapter[str] = TypeAdapter(Country)
_Dated = tuple[datetime, str, OldFile]
"""When a mapping was made, its path from `metadata/` on, and its file."""
_Row = tuple[int, dict[str, Any]]
"""A row of a table, with its number."""


@dataclass(frozen=True)
class OldMapping:
    """One `mapping.json`."""

    path: str
    origin: str
    """The path from `metadata/` on, wherever that lies."""
    country: str
    said: Said
    problems: list[str]


@dataclass
class OldSystem:
    """What a place holds of the old system."""

    mappings: list[OldMapping] = field(default_factory=list)
    """By country, oldest first; of several that say the same one after the other the first."""
    waiting: list[ImportedRow] = field(default_factory=list)
    not_waiting: dict[str, int] = field(default_factory=dict)
    runs: list[OldRun] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    aside: list[Unread] = field(default_factory=list)

    def settings(self, country: str) -> dict[str, Any] | None:
        """What the newest usable mapping of a country says."""
        usable = [one for one in self.mappings if one.country == country and not one.problems]
        return usable[-1].said.body if usable else None


def read_old_system(files: OldFiles, name: str, connection: str | None) -> OldSystem:
    """Read the old layout in a place; `metadata/`, `robyn/` and so on may lie at any depth.

    Results are only counted, never read. `name` is what mappings are called here; `connection` is where
    tables and queries of the queue are.
    """
    found = OldSystem()
    mappings: dict[str, list[_Dated]] = {}
    results: dict[str, tuple[int, int]] = {}
    ours: dict[str, Unread] = {}
    tables: list[OldFile] = []
    for file in files.listed():
        path = file.path
        last = path.rsplit("/", 1)[-1].lower()
        if match := _MAPPING.search(path):
            _add_mapping(found, mappings, file, match)
        elif match := _RESULT.search(path):
            if our := _OURS.match(path[match.start(4) :]):
                folder = path[: match.start(4) + our.end()]
                ours[folder] = Unread(path=folder, reason="is a result of this system")
            else:
                count, size = results.get(path[: match.end(1)], (0, 0))
                results[path[: match.end(1)]] = (count + 1, size + file.bytes)
        elif last.endswith(".csv") and ("queue" in last or last == "job_history.csv"):
            tables.append(file)
        else:
            found.unread.append(
                Unread(path=path, reason="is neither mapping.json, queue, job_history.csv nor a result")
            )
    found.aside += ours.values()
    for country in sorted(mappings):
        _read_mappings(found, country, files, sorted(mappings[country]))
    runs = _results(found, results)
    for file in tables:
        rows = _rows(found, files, file)
        if file.path.lower().endswith("job_history.csv"):
            _read_history(found, file.path, rows, runs)
        else:
            _read_queue(found, file.path, rows, name, connection)
    found.runs = sorted(runs.values(), key=lambda run: (run.country, run.run))
    return found


def when(text: str) -> datetime | None:
    """A point in time as folders and tables write it, UTC unless it says otherwise; None if it is none."""
    text = text.strip()
    if re.fullmatch(r"1\d{9}(\d{3})?", text):  # seconds or milliseconds since 1970
        return datetime.fromtimestamp(int(text[:10]), UTC)
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    zone = (match[7] or "Z").upper()
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    if zone in ("Z", "UTC"):
        return moment
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return moment - offset if zone[0] == "+" else moment + offset


def _add_mapping(
    found: OldSystem,
    mappings: dict[str, list[_Dated]],
    file: OldFile,
    match: re.Match[str],
) -> None:
    path, country, stamp = file.path, match[2], match[3]
    at = datetime.max.replace(tzinfo=UTC) if stamp.lower() == "latest" else when(stamp)
    if problem := _country_problem(country):
        found.unread.append(Unread(path=path, reason=problem))
    elif at is None:
        reason = (
            f"the name of its folder, {stamp}, is no time such as 20240131_120000, so its order is unknown"
        )
        found.unread.append(Unread(path=path, reason=reason))
    else:
        mappings.setdefault(country, []).append((at, match[1], file))


def _country_problem(country: str) -> str:
    try:
        _COUNTRY.validate_python(country)
    except ValidationError as error:
        return f"'{country}' is no country here: {error_lines(error)[0].partition(': ')[2]}"
    return ""


def _read_mappings(found: OldSystem, country: str, files: OldFiles, dated: Iterable[_Dated]) -> None:
    before = None
    for _, origin, file in dated:
        path = file.path
        try:
            document = json.loads(files.read(file))
        except Unreadable as error:
            found.unread.append(Unread(path=path, reason=str(error)))
            continue
        except (ValueError, RecursionError) as error:
            found.unread.append(Unread(path=path, reason=f"is not valid JSON: {error}"))
            continue
        said = said_by(document)
        for name, reason in (
            ("table", "only a request says where the data are"),
            ("query", "only a request says where the data are"),
            ("requested_by", "only a request says who asks"),
        ):
            if said.body.pop(name, None) is not None:
                said.aside.append((said.read.pop(name), reason))
        if said.country is not None and said.country.lower() != country.lower():
            said.unread.append(("country", f"says '{said.country}', but lies in the folder of '{country}'"))
        found.unread += [Unread(path=path, place=place, reason=reason) for place, reason in said.unread]
        found.aside += [Unread(path=path, place=place, reason=reason) for place, reason in said.aside]
        content = canonical_json(said.body)
        if not said.body:
            found.unread.append(Unread(path=path, reason="says nothing that a mapping can say here"))
        elif content != before:
            problems = settings_problems(said.body, country)
            found.mappings.append(OldMapping(path, origin, country, said, problems))
            before = content


def _results(found: OldSystem, results: dict[str, tuple[int, int]]) -> dict[str, OldRun]:
    """A run for each folder of a result, by its prefix; given with how many files and bytes it has."""
    runs = {}
    for folder, (count, size) in results.items():
        match = _RESULT.search(f"{folder}x")
        assert match  # noqa: S101 (it was found by this pattern)
        prefix, revision, country, stamp = match.groups()
        if problem := _country_problem(country):
            found.unread.append(Unread(path=folder, reason=problem))
            continue
        runs[prefix] = OldRun(
            country=country,
            run=prefix,
            revision=revision,
            started_at=when(stamp),
            results=prefix,
            files=count,
            bytes=size,
        )
    return runs


def _rows(found: OldSystem, files: OldFiles, file: OldFile) -> list[_Row]:
    """The rows of a table that can be read, numbered from 1."""
    try:
        rows = read_rows(file.path, files.read(file))
    except (TableError, Unreadable) as error:
        found.unread.append(Unread(path=file.path, reason=str(error)))
        return []
    kept = []
    for number, row in enumerate(rows, 1):
        if isinstance(row, dict):
            kept.append((number, row))
        else:
            found.unread.append(Unread(path=file.path, place=f"row {number}", reason="; ".join(row)))
    return kept


def _read_history(found: OldSystem, path: str, rows: Iterable[_Row], runs: dict[str, OldRun]) -> None:
    """Each row is a run; that of a result that is there, if it says so or began with it."""
    for number, row in rows:
        cells = {plain_key(name): _text(value) for name, value in row.items()}
        said = {
            key: next((cells[one] for one in names if cells.get(one)), None) for key, names in _AT.items()
        }
        place, country = f"row {number}", said["country"] or ""
        if problem := _country_problem(country) if country else "says no country":
            found.unread.append(Unread(path=path, place=place, reason=problem))
            continue
        times = {name: when(said[name] or "") for name in ("started_at", "ended_at")}
        for name, at in times.items():
            if said[name] and at is None:
                reason = f"'{said[name]}' is no time such as 2024-01-31 12:00:00"
                found.unread.append(Unread(path=path, place=f"{place}, {name}", reason=reason))
        prefix = _prefix_of(said, times["started_at"], runs)
        known = runs.get(prefix or "")
        digest = hashlib.sha256(canonical_json(cells).encode()).hexdigest()[:16]
        run = OldRun(
            country=known.country if known else country,
            run=prefix or said["run"] or f"row-{digest}",
            revision=said["revision"] or (known.revision if known else None),
            started_at=times["started_at"] or (known.started_at if known else None),
            ended_at=times["ended_at"],
            state=said["state"],
            results=known.results if known else None,
            files=known.files if known else None,
            bytes=known.bytes if known else None,
            said={name[:1000]: _text(value)[:1000] for name, value in list(row.items())[:100]},
        )
        key = prefix or f"{country}#{run.run}"
        if runs.get(key) not in (None, known) or (known and known.said):
            reason = f"is another row of the run {run.run}; the first one is listed"
            found.unread.append(Unread(path=path, place=place, reason=reason))
        else:
            runs[key] = run


def _prefix_of(said: dict[str, str | None], started: datetime | None, runs: dict[str, OldRun]) -> str | None:
    """The result that a row of the history is about, if it is there."""
    told = said["results"]
    if told and (match := _RESULT.search(f"{told.rstrip('/')}/x")) and match[1] in runs:
        return match[1]
    same = [
        prefix
        for prefix, run in runs.items()
        if started is not None
        and (run.country, run.revision, run.started_at) == (said["country"], said["revision"], started)
    ]
    return same[0] if len(same) == 1 else None


def _read_queue(found: OldSystem, path: str, rows: Iterable[_Row], name: str, connection: str | None) -> None:
    for number, row in rows:
        keys = {plain_key(key): key for key in row}
        state = plain_key(_text(row[keys[column]])) if (column := _one_of(_STATE, keys)) else ""
        if state in _WAITING:
            found.waiting.append(_waiting(found, path, number, row, name, connection))
        elif state in _NOT_WAITING:
            found.not_waiting[state] = found.not_waiting.get(state, 0) + 1
        else:
            reason = f"{state!r} is not known, so whether it waits is not known; sent is only what waits"
            place = f"row {number}, {keys[str(column)]}"
            found.unread.append(Unread(path=path, place=place, reason=reason))


def _waiting(
    found: OldSystem, path: str, number: int, row: dict[str, Any], name: str, connection: str | None
) -> ImportedRow:
    said = said_by(row, beside=frozenset((*_STATE, *_ABOUT_ROW)))
    place = f"row {number}"
    found.unread += [Unread(path=path, place=f"{place}, {key}", reason=why) for key, why in said.unread]
    found.aside += [Unread(path=path, place=f"{place}, {key}", reason=why) for key, why in said.aside]
    body = dict(said.body)
    table, query = body.pop("table", None), body.pop("query", None)
    problems = []
    source: dict[str, Any] = {}
    if query is not None and table is None:
        source = {"kind": "sql", "connection": connection, "query": query}
    elif table is not None and query is None:
        parts = str(table).replace('"', "").replace("`", "").split(".")
        if len(parts) == 3:
            source = dict(zip(("database", "schema", "table"), parts, strict=True))
            source = {"kind": "table", "connection": connection, **source}
        else:
            problems.append(f"source: '{table}' is not DATABASE.SCHEMA.TABLE; say it in the base or the row")
    elif table is not None:
        problems.append(
            "source: both a table and a query are given; say which is meant in the base or the row"
        )
    if source and connection is None:
        problems.append("source.connection: say where the data are with --connection")
        del source["connection"]
    settings = found.settings(said.country or "")
    if settings is not None:  # what the mapping says in the same words is left to it
        body = _beside(body, settings) | {"settings": name}
    body = {"country": said.country, **body, **({"source": source} if source else {})}
    body = {key: value for key, value in body.items() if value is not None}
    digest = hashlib.sha256(canonical_json(body).encode()).hexdigest()[:12]
    body = {"request_id": f"old-queue-{digest}", **body}
    asked = {key: value for key, value in body.items() if key != "settings"}
    try:
        TrainRequest.model_validate(filled(asked, settings or {}))
    except ValidationError as error:
        told = [line.partition(":")[0] for line in problems]
        problems += [line for line in error_lines(error) if line.partition(":")[0] not in told]
    return ImportedRow(path=path, row=number, body=body, problems=problems)


def _beside(said: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """What is said other than in settings; fields of several parts by part."""
    told: dict[str, Any] = {}
    for name, value in said.items():
        known = settings.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            inner = _beside(value, known)
            told |= {name: inner} if inner else {}
        elif name not in settings or canonical_json(value) != canonical_json(known):
            told[name] = value
    return told


def _one_of(names: Iterable[str], keys: dict[str, str]) -> str | None:
    return next((name for name in names if name in keys), None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
