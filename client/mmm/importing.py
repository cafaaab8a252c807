"""The command `mmm import`: the old system's mappings, queue and history become what there is here for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from contracts.base import canonical_json
from contracts.batch import BatchRequest
from contracts.mapping import MappingDocument, MappingEntry
from contracts.old_system import (
    MAX_RUNS,
    ImportedMapping,
    ImportedRow,
    ImportReport,
    KeptOldRuns,
    OldRun,
    OldRunDocument,
    Unread,
)
from mmm.client import Client
from mmm.errors import Refused
from mmm.old_system import OldMapping, OldSystem
from mmm.reading import UnreadableRequests

_FROM = "imported from "
"""How the note of an imported version begins, in the history of the mapping."""


def import_mappings(client: Client, old: OldSystem, name: str, apply: bool) -> list[ImportedMapping]:
    """What becomes of each mapping; with `apply` each new one is written as the next version.

    A version is known by the file in its note. Nothing is written over what was changed here since.
    """
    done = []
    for country in dict.fromkeys(one.country for one in old.mappings):
        newest, history = _there(client, country, name)
        imported = {one.note.partition(";")[0]: one.version for one in history}
        for one in (each for each in old.mappings if each.country == country):
            note = f"{_FROM}{one.origin}"
            version = imported.get(note)
            ours = newest is None or newest.state == "DELETED" or newest.note.startswith(_FROM)
            if version is None and newest is not None and _same(newest, one):
                version = newest.version
            if one.problems:
                done.append(_told(one, name, "invalid"))
            elif version is not None:
                done.append(_told(one, name, "known", version))
            elif not ours:
                done.append(_told(one, name, "held back"))
            elif not apply:
                done.append(_told(one, name, "new"))
            else:
                left = f"; not understood: {', '.join(place for place, _ in one.said.unread)}"
                told = f"{note}{left if one.said.unread else ''}"[:500]
                seen = newest.version if newest else None
                newest = client.put_mapping(country, name, one.said.body, told, seen)
                done.append(_told(one, name, "new", newest.version))
    return done


def import_runs(client: Client, runs: Sequence[OldRun]) -> KeptOldRuns:
    """Have trainings of the old system listed; those that are listed already stay as they are."""
    kept = [client.keep_old_runs(runs[at : at + MAX_RUNS]) for at in range(0, len(runs), MAX_RUNS)]
    return KeptOldRuns(
        new=sum(one.new for one in kept),
        changed=sum(one.changed for one in kept),
        known=sum(one.known for one in kept),
    )


def batch_of(rows: Sequence[ImportedRow]) -> BatchRequest:
    """The rows as a batch: what all of them say is the base."""
    bodies = [row.body for row in rows]
    first = bodies[0]
    base = {
        key: value
        for key, value in first.items()
        if key != "request_id" and all(key in one and one[key] == value for one in bodies)
    }
    told = [{key: value for key, value in body.items() if key not in base} for body in bodies]
    return BatchRequest(name="old-queue", base=base, rows=told)


def write_table(batch: BatchRequest, table: Path) -> None:
    """Write a batch as a table and its base, as `mmm submit` reads them.

    Raises:
        UnreadableRequests: a file is there that says something else.
    """
    lines = "".join(f"{canonical_json(row)}\n" for row in batch.rows)
    base = yaml.safe_dump(batch.base, sort_keys=False, allow_unicode=True)
    files = {table: lines, table.with_suffix(".base.yaml"): base}
    for path, text in files.items():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise UnreadableRequests(
                f"{path} is there and says something else; send or remove it, or name another with --table"
            )
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")


def _there(client: Client, country: str, name: str) -> tuple[MappingDocument | None, list[MappingEntry]]:
    try:
        newest = client.mapping(country, name)
    except Refused as error:
        if error.problem.status != 404:
            raise
        return None, []
    return newest, list(client.mapping_history(country, name))


def _same(newest: MappingDocument, one: OldMapping) -> bool:
    return newest.state == "ACTIVE" and canonical_json(newest.settings) == canonical_json(one.said.body)


def _told(one: OldMapping, name: str, becomes: Any, version: int | None = None) -> ImportedMapping:
    return ImportedMapping(
        path=one.path,
        country=one.country,
        name=name,
        settings=one.said.body,
        read=one.said.read,
        missing=one.said.missing,
        problems=one.problems,
        becomes=becomes,
        version=version,
    )


def report_tables(report: ImportReport) -> Iterator[Table]:
    """What was found, as tables: mappings, and trainings by country."""
    if report.mappings:
        table = _table("mappings", ("file", "mapping", "becomes"))
        for one in report.mappings:
            version = f", version {one.version}" if one.version else ""
            table.add_row(one.path, f"{one.country} {one.name}", f"{one.becomes}{version}")
        yield table
    if report.runs:
        table = _table("trainings of the old system", ("country", "trainings", "results", "by state"))
        for country in dict.fromkeys(run.country for run in report.runs):
            runs = [run for run in report.runs if run.country == country]
            states = Counter(run.state or "not in the history" for run in runs)
            told = ", ".join(f"{count} {state}" for state, count in states.items())
            table.add_row(country, str(len(runs)), str(sum(run.results is not None for run in runs)), told)
        yield table


def report_lines(report: ImportReport) -> Iterator[str]:
    """What must be looked at, line by line, and what was done."""
    for one in report.mappings:
        if one.becomes == "held back":
            yield f"{one.path}: {one.country} {one.name} was changed here; --name imports it beside that"
        yield from (f"{one.path}: {problem}" for problem in one.problems)
        if one.missing:
            yield f"{one.path}: requests must say {', '.join(one.missing)}"
    others = ", ".join(f"{count} {state}" for state, count in report.not_waiting.items())
    if report.waiting or others:
        yield f"queue: {len(report.waiting)} rows wait{f' (others: {others})' if others else ''}"
    for row in report.waiting:
        yield from (f"  {row.path} row {row.row}: {problem}" for problem in row.problems)
    yield from _unread_lines("not understood", report.unread)
    yield from _unread_lines("without a meaning here", report.aside)
    if report.table:
        yield f"the waiting rows are in {report.table}; look at them, then: mmm submit {report.table}"
    if report.batch_id:
        yield f"the waiting rows without problems were sent as batch {report.batch_id}"
    if report.kept:
        kept = report.kept
        yield f"trainings listed: {kept.new} new, {kept.changed} changed, {kept.known} known"
    if not report.applied:
        yield "nothing was written; --apply writes it"


def _unread_lines(title: str, found: Sequence[Unread]) -> Iterator[str]:
    """A line for each file, key or row; files of one folder for one reason are told together."""
    together: dict[tuple[str, str], list[Unread]] = {}
    for one in found:
        folder = one.path.rsplit("/", 1)[0] if "/" in one.path and not one.place else one.path
        together.setdefault((f"{folder}: {one.place}" if one.place else folder, one.reason), []).append(one)
    if together:
        yield f"{title}:"
    for (place, reason), some in together.items():
        yield f"  {some[0].path if len(some) == 1 and not some[0].place else place}" + (
            f" ({len(some)} files): {reason}" if len(some) > 1 else f": {reason}"
        )


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def old_runs_table(runs: Sequence[OldRunDocument]) -> Table:
    """Trainings of the old system, a row for each."""
    table = _table("", ("country", "revision", "started", "state", "result"))
    table.title = None
    for one in runs:
        started = f"{one.started_at:%Y-%m-%d %H:%M}" if one.started_at else "–"
        table.add_row(one.country, one.revision or "–", started, one.state or "–", one.results or "–")
    return table
