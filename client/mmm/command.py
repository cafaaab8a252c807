"""The command `mmm`: ask for models, follow them, and see what came of it.

\b
Exit status: 0 all is well · 1 a job did not succeed
2 a wrong call or request · 3 no connection or no right · 130 Ctrl-C
"""

from __future__ import annotations

import fnmatch
import functools
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Concatenate

import click
import yaml
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from contracts.api import BatchAnswer, JobAnswer, JobRow, RunAnswer, ScheduleAnswer, Validity
from contracts.batch import BatchRequest, requests_of
from contracts.deletion import OldResults
from contracts.job import JobState
from contracts.old_system import ImportReport
from contracts.problem import violations
from contracts.request import SettingsError, parse_settings
from contracts.summary import ModelSummary
from mmm.batches import batch_lines, batches_table, follow_batch
from mmm.client import Client
from mmm.errors import MmmError, NoAnswer, NotAllowed, Refused
from mmm.follow import describe, follow
from mmm.importing import (
    batch_of,
    import_mappings,
    import_runs,
    old_runs_table,
    report_lines,
    report_tables,
    write_table,
)
from mmm.old_files import BucketFiles, FolderFiles, OldFiles
from mmm.old_system import read_old_system
from mmm.reading import (
    Submission,
    UnreadableRequests,
    changed,
    is_table,
    read_document,
    read_requests,
    read_table,
)
from mmm.told import (
    PlainConsole,
    asked_table,
    budget_lines,
    budget_table,
    changes_lines,
    channels_table,
    columns_table,
    compared_table,
    dates_table,
    fit,
    fits,
    mapping_lines,
    printable,
    record_lines,
    spends_table,
    trust_lines,
    warning_lines,
)

FAILED, WRONG, NO_CONNECTION = 1, 2, 3
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass
class Place:
    """The system that is asked, and how answers are shown."""

    url: str | None
    folder: Path
    account: str | None

    @cached_property
    def client(self) -> Client:
        """A client of the system."""
        url = self.url or _running(self.folder)
        if self.account is None:
            return Client(url)
        from mmm.iap import IapServiceAccount

        return Client(url, IapServiceAccount(self.account, url))

    @cached_property
    def console(self) -> Console:
        """Where people read."""
        console = PlainConsole(markup=False)  # what is told may have brackets
        if not console.is_terminal:
            console.width = 120
        return console

    def bars(self, machine: bool) -> Console | None:
        """Where progress is shown: not among the answers for machines."""
        return Console(stderr=True) if machine else None

    def tell(self, *lines: str) -> None:
        """Print lines as they are."""
        for line in lines:
            self.console.print(line, highlight=False, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Print a table; on a terminal that is too narrow for it, a record for each row."""
        if self.console.is_terminal and not fits(table, self.console.width):
            self.tell(*record_lines(table))
        else:
            self.console.print(table, crop=False)

    def answer(self, machine: bool, found: BaseModel | Sequence[BaseModel], *parts: str | Table) -> None:
        """Print what came of a command: lines and tables for people, JSON for machines."""
        if machine:
            _print_json(found)
            return
        for part in parts:
            if isinstance(part, Table):
                self.show(part)
            else:
                self.tell(part)


def _running(folder: Path) -> str:
    """The address of the system that runs on a folder of this machine."""
    try:
        return str(json.loads((folder / "host.json").read_text(encoding="utf-8"))["url"])
    except (FileNotFoundError, ValueError) as error:
        raise NoAnswer(
            f"nothing runs on {folder}: start it with `make up` in another terminal, or name a system with "
            "--url or MMM_URL"
        ) from error


class Commands(click.Group):
    """Tells every error as people read it, with its exit status."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(context)
        except UnreadableRequests as error:
            _fail(f"nothing was sent:\n{error}", WRONG)
        except (NoAnswer, NotAllowed) as error:
            _fail(str(error), NO_CONNECTION)
        except MmmError as error:
            _fail(str(error), WRONG)
        except BrokenPipeError:
            raise  # whoever reads this has seen enough
        except OSError as error:
            _fail(f"{error.filename or 'the output'} cannot be written or read: {error.strerror}", WRONG)
        except KeyboardInterrupt:
            _fail("\ninterrupted; what was submitted goes on", 130)


def _fail(text: str, status: int) -> None:
    _warn(text)
    raise SystemExit(status)


def _warn(text: str) -> None:
    click.echo(printable(text), err=True)


as_json = click.option("--json", "machine", is_flag=True, help="Answer with JSON.")
job_id = click.argument("job", metavar="JOB")
job_ids = click.argument("jobs", metavar="JOB…", nargs=-1, required=True)
the_place = click.make_pass_decorator(Place)


@click.group(cls=Commands, help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", envvar="MMM_URL", help="Address of the system; also MMM_URL.")
@click.option(
    "--folder",
    envvar="MMM_FOLDER",
    default=".local",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Without an address: the system that runs on this folder.",
)
@click.option(
    "--impersonate",
    envvar="MMM_IMPERSONATE",
    metavar="ACCOUNT",
    help="Call through Identity-Aware Proxy as this service account; also MMM_IMPERSONATE.",
)
@click.pass_context
def main(context: click.Context, url: str | None, folder: Path, impersonate: str | None) -> None:
    """The group of all commands."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows few characters shows others as `?`
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    context.obj = Place(url, folder, impersonate)


@main.command()
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--base", type=click.Path(path_type=Path), help="Base request of a table.")
@click.option(
    "--set", "changes", multiple=True, metavar="PATH=VALUE", help="Change a field, as search.trials=3."
)
@click.option("--watch", is_flag=True, help="Follow the jobs to their end, and show what came of them.")
@as_json
@the_place
def submit(
    place: Place, path: Path, base: Path | None, changes: tuple[str, ...], watch: bool, machine: bool
) -> None:
    """Send train requests.

    PATH is a YAML or JSON file, a folder of them, or - for standard input; or the table of a batch, with a
    row for each: CSV, .xlsx or .jsonl.
    """
    if is_table(path):
        _submit_table(place, read_table(path, base, [_change(text) for text in changes]), watch, machine)
        return
    submissions = read_requests(path, base, [_change(text) for text in changes])
    jobs, refused = _send(place, submissions)
    if watch and jobs:
        ended = follow(
            place.client, [job.job_id for _, job in jobs], Console(stderr=True) if machine else None
        )
        jobs = [(one, ended[job.job_id]) for one, job in jobs]
    if machine:
        _print_json([job for _, job in jobs])
    elif watch:
        for one, job in jobs:
            _report(place, one.origin, job)
    else:
        for one, job in jobs:
            place.tell(f"{one.origin}: {job.job_id} {job.state}")
    failed = watch and any(job.state is not JobState.SUCCEEDED for _, job in jobs)
    sys.exit(WRONG if refused else FAILED if failed else 0)


def _submit_table(place: Place, table: BatchRequest, watch: bool, machine: bool) -> None:
    misfits = [one for one in requests_of(table) if one.problems]
    for one in misfits:
        _warn(f"row {one.row} cannot be a request: {'; '.join(one.problems)}")
    batch = place.client.submit_batch(table)
    if watch:
        batch = follow_batch(place.client, batch.batch_id, place.bars(machine))
    place.answer(machine, batch, *batch_lines(batch), f"  {place.client.url}/batches/{batch.batch_id}")
    sys.exit(WRONG if misfits else _batch_status(batch))


def _batch_status(batch: BatchAnswer) -> int:
    """What a command about a batch exits with: whether a row must change, or a job did not succeed."""
    if batch.error or batch.wrong:
        return WRONG
    return FAILED if batch.ended and batch.states.keys() - {JobState.SUCCEEDED} else 0


def _change(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text}: write PATH=VALUE, for example search.trials=3")
    return path, value


def _send(place: Place, submissions: Sequence[Submission]) -> tuple[list[tuple[Submission, JobAnswer]], bool]:
    jobs, refused = [], False
    for one in submissions:
        try:
            jobs.append((one, place.client.submit(one.body)))
        except NotAllowed:
            raise
        except Refused as error:
            refused = True
            _warn(f"{one.origin}: refused: {error}")
    return jobs, refused


@main.command()
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--base", type=click.Path(path_type=Path), help="Base request of a table.")
@click.option("--data", is_flag=True, help="Read and check the data too, by a job that trains nothing.")
@as_json
@the_place
def validate(place: Place, path: Path, base: Path | None, data: bool, machine: bool) -> None:
    """Say what is wrong with requests, without training."""
    submissions = read_requests(path, base)
    if data:
        checks = [(one.origin, place.client.check_data(one.body)) for one in submissions]
        ended = follow(
            place.client, [job.job_id for _, job in checks], Console(stderr=True) if machine else None
        )
        if machine:
            _print_json(list(ended.values()))
        else:
            for origin, job in checks:
                _report(place, origin, ended[job.job_id])
        sys.exit(0 if all(job.state is JobState.SUCCEEDED for job in ended.values()) else FAILED)
    answers = [(one.origin, _with_row(one, place.client.validate(one.body))) for one in submissions]
    if machine:
        _print_json([answer for _, answer in answers])
    else:
        for origin, answer in answers:
            place.tell(f"{origin}: {'valid' if answer.valid else 'not valid'}")
            for one in answer.violations:
                place.tell(f"  - {one.path}: {one.message}", *([f"    {one.advice}"] if one.advice else []))
    sys.exit(0 if all(answer.valid for _, answer in answers) else WRONG)


def _with_row(one: Submission, answer: Validity) -> Validity:
    """An answer that also says why the row of a table does not fit its base."""
    if not one.problems:
        return answer
    found = [*violations(one.problems), *answer.violations]
    return answer.model_copy(update={"valid": False, "violations": found, "normalized": None})


def which_jobs(command: Callable[..., None]) -> Callable[Concatenate[Place, ...], None]:
    """The options that choose jobs, given to a command as it passes them on to the API."""

    @click.option("--state", help="In these states, as FAILED,REJECTED.")
    @click.option("--country", help="Of a country.")
    @click.option("--revision", help="Of a series of models.")
    @click.option("--queue", help="Of a queue.")
    @click.option("--requested-by", help="For a person.")
    @click.option("--request-id", help="Whose request_id begins so.")
    @click.option("--batch", "batch_id", help="Of a batch.")
    @click.option("--schedule", help="Of the runs of a schedule.")
    @click.option("--label", metavar="NAME=VALUE", help="With this label.")
    @click.option("--since", metavar="AGE", help="Accepted within this time, as 90m, 12h, 7d, 4w.")
    @click.option("--older-than", metavar="AGE", help="Accepted longer ago than this, as 400d.")
    @functools.wraps(command)
    def chosen(
        place: Place,
        /,
        state: str | None,
        since: str | None,
        older_than: str | None,
        label: str | None,
        **others: Any,
    ) -> None:
        name, equals, value = (label or "").partition("=")
        if label and not equals:
            raise click.UsageError(f"--label {label}: write NAME=VALUE, for example team=growth")
        others["label"] = {name: value} if label else None
        others["state"] = state and [one.strip().upper() for one in state.split(",")]
        others["accepted_after"] = since and _ago(since, "--since")
        others["accepted_before"] = older_than and _ago(older_than, "--older-than")
        command(place, **others)

    return chosen


@main.command()
@click.option("--limit", default=25, show_default=True, type=click.IntRange(1), help="Most jobs to show.")
@click.option("--csv", "table", is_flag=True, help="Answer with the history of all that match, as CSV.")
@as_json
@the_place
@which_jobs
def jobs(place: Place, /, limit: int, table: bool, machine: bool, **filters: Any) -> None:
    """List jobs, newest first."""
    if table:
        place.client.history(sys.stdout.buffer, **filters)
        return
    found = [row for row, _ in zip(place.client.jobs(**filters), range(limit), strict=False)]
    place.answer(machine, found, _jobs_table(found))


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@the_place
@which_jobs
def history(place: Place, /, file: Path, **filters: Any) -> None:
    """Save the history of all jobs that match as a table: FILE.csv or FILE.parquet."""
    if file.suffix not in (".csv", ".parquet"):
        raise click.UsageError(f"{file}: name it .csv or .parquet, as the table shall be")
    partial = file.with_name(f"{file.name}.part")
    try:
        with partial.open("wb") as target:
            place.client.history(target, "csv" if file.suffix == ".csv" else "parquet", **filters)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    place.tell(f"saved as {file}")


def _ago(text: str, option: str) -> datetime:
    age = re.fullmatch(r"(\d{1,5})([mhdw])", text)
    if not age:
        raise click.UsageError(f"{option} {text}: write a number and m, h, d or w, for example 7d")
    return datetime.now(UTC).replace(microsecond=0) - timedelta(**{_UNITS[age[2]]: int(age[1])})


def _jobs_table(rows: Iterable[JobRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("job", "country", "revision", "state", "accepted", "what"):
        table.add_column(name, no_wrap=name != "what", overflow="fold")
    for row in rows:
        told = row.reason
        if row.result:
            word = row.result.worst or ""
            told = f"R² {_short(row.result.r2)}  NRMSE {_short(row.result.nrmse)}  {word}".rstrip()
        elif row.progress and not row.done:
            told = f"{row.progress.step} {100 * row.progress.done:.0f} %"
        table.add_row(
            row.job_id, row.country, row.revision, str(row.state), f"{row.accepted_at:%Y-%m-%d %H:%M}", told
        )
    return table


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


@main.command()
@job_id
@as_json
@the_place
def show(place: Place, job: str, machine: bool) -> None:
    """Show a job: its state, its steps, what came of it or why it failed."""
    found = place.client.job(job)
    if machine:
        _print_json(found)
        return
    for entry in found.timeline:
        note = f"  {entry.note}" if entry.note else ""
        place.tell(f"  {entry.at:%Y-%m-%d %H:%M:%S}  attempt {entry.attempt}  {entry.state}{note}")
    if found.settings:
        place.tell(f"  mapping {found.settings.key}, version {found.settings.version}")
    _report(place, found.request_id, found)


@main.command()
@job_id
@click.option("--follow", "following", is_flag=True, help="Go on until the attempt has ended.")
@click.option("--attempt", type=click.IntRange(1), help="Of another attempt than the last.")
@click.option("--task", default=0, type=click.IntRange(0), help="Of another task than the first.")
@the_place
def logs(place: Place, job: str, following: bool, attempt: int | None, task: int) -> None:
    """Print what a training has said."""
    for piece in place.client.log(job, attempt, task, following):
        click.echo(printable(piece), nl=False)


@main.command()
@job_id
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Folder to write the files into.")
@click.option("--only", default="*", help="Files whose names match, as '*.csv'.")
@as_json
@the_place
def results(place: Place, job: str, folder: Path | None, only: str, machine: bool) -> None:
    """Write the files of a job into a folder; without --to list them."""
    if folder is None:
        found = [file for file in place.client.files(job) if fnmatch.fnmatch(file.name, only)]
        place.answer(machine, found, *(f"{file.size:>12,}  {file.name}" for file in found))
        return
    paths = place.client.download(job, folder, only)
    if machine:
        click.echo(json.dumps([str(path) for path in paths]))
    else:
        place.tell(*(str(path) for path in paths))
    if not paths:
        _fail(f"job {job} has no file that matches {only}", FAILED)


@main.command()
@job_ids
@as_json
@the_place
def compare(place: Place, jobs: tuple[str, ...], machine: bool) -> None:
    """Show two to five jobs side by side."""
    found = place.client.compare(*jobs)
    unlike = (f"  ! the jobs have different {what}" for what in found.unlike)
    place.answer(machine, found, asked_table(found), compared_table(found), *unlike)


@main.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--country", required=True, help="Country that the data are of.")
@click.option(
    "--settings", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its settings."
)
@click.option("--source", is_flag=True, help="Start nothing: requests will name it.")
@as_json
@the_place
def upload(
    place: Place, path: Path, country: str, settings: Path | None, source: bool, machine: bool
) -> None:
    """Upload a file of data; with its settings, or those of its country, it becomes a job."""
    names = []
    if settings is not None:
        names.append(place.client.upload(settings, country, f"{path.stem}.request.yaml"))
    names.append(place.client.upload(path, country, place="sources" if source else "drop-zone"))
    if machine:
        click.echo(json.dumps(names))
    else:
        place.tell(*names)


@main.command()
@as_json
@the_place
def uploads(place: Place, machine: bool) -> None:
    """List uploads that wait for their settings, and files that nothing comes of, with the reason."""
    found = place.client.uploads()
    if machine:
        _print_json(found)
        return
    for one in found.uploads:
        place.tell(f"{one.name}: waits since {one.since:%Y-%m-%d %H:%M}: {one.reason or 'for its settings'}")
    place.tell(*(f"{one.name}: {one.reason}" for one in found.ignored))


@main.command()
@job_id
@click.argument("question", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--set", "changes", multiple=True, metavar="PATH=VALUE", help="A field of the question.")
@as_json
@the_place
def plan(place: Place, job: str, question: Path | None, changes: tuple[str, ...], machine: bool) -> None:
    """Answer a budget question about a finished job; without one, show what can be asked.

    QUESTION is a YAML file; `--set 'total=+10 %'` asks without a file.
    """
    if question is None and not changes:
        offer = place.client.plan_offer(job)
        ask = f"ask: mmm plan {job} --set 'total=+10 %' --set dates={offer.dates[0].name}"
        regions = _named("regions", offer.regions)
        place.answer(machine, offer, dates_table(offer), spends_table(offer), *offer.notes, *regions, ask)
        return
    asked = changed({} if question is None else read_document(question), [_change(one) for one in changes])
    answer = place.client.plan(job, **asked)
    tables = [budget_table(answer)] if answer.feasible else []
    lines = budget_lines([answer.model_copy(update={"channels": []})])
    place.answer(machine, answer, *tables, *lines, *answer.notes)
    sys.exit(0 if answer.feasible else FAILED)


def _named(what: str, names: Sequence[str]) -> list[str]:
    return [f"{what}: {', '.join(names)}"] if names else []


@main.command()
@click.argument("path", metavar="SOURCE", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--sheet", help="Sheet of an Excel workbook.")
@as_json
@the_place
def preview(place: Place, path: Path, sheet: str | None, machine: bool) -> None:
    """Show what is in a source: a YAML file with one, or with a request that names it."""
    body = read_document(path)
    found = place.client.preview(body.get("source", body), sheet)
    rows = f"  {'all' if found.whole else 'the first'} {found.rows:,} rows"
    place.answer(machine, found, columns_table(found), rows, *found.notes)


@main.command()
@job_ids
@as_json
@the_place
def cancel(place: Place, jobs: tuple[str, ...], machine: bool) -> None:
    """Stop jobs."""
    _each(place, jobs, place.client.cancel, machine)


@main.command()
@job_ids
@as_json
@the_place
def retry(place: Place, jobs: tuple[str, ...], machine: bool) -> None:
    """Start failed or cancelled jobs again."""
    _each(place, jobs, place.client.retry, machine)


@main.command("delete-results")
@click.argument("job", required=False)
@click.option("--older-than", metavar="AGE", help="In place of JOB: of jobs accepted longer ago, as 400d.")
@click.option("--country", help="Only of a country.")
@click.option("--revision", help="Only of a series of models.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@the_place
def delete_results(
    place: Place,
    job: str | None,
    older_than: str | None,
    country: str | None,
    revision: str | None,
    yes: bool,
) -> None:
    """Delete the files of a job's result, or of all old ones that nothing needs; the jobs stay.

    What would be deleted is listed first.
    """
    if (job is None) == (older_than is None):
        raise click.UsageError("name a JOB, or say --older-than")
    if job is not None:
        found = place.client.delete_results(job, dry_run=True)
        place.tell(*found.files, f"{len(found.files)} files, {found.bytes:,} bytes")
        if yes or click.confirm("Delete them?", err=True):
            place.client.delete_results(job)
            place.tell("deleted within a minute")
        return
    before = _ago(str(older_than), "--older-than")
    which = OldResults.model_validate({"accepted_before": before, "country": country, "revision": revision})
    listed = place.client.preview_deletion(which)
    for one in listed.results:
        kept = f"  kept: {one.kept}" if one.kept else ""
        place.tell(f"{one.accepted_at:%Y-%m-%d}  {one.job_id}{kept}")
    going = sum(one.kept is None for one in listed.results)
    more = " and more, which are older still" if listed.more else ""
    place.tell(f"{going} results to delete{more}, {len(listed.results) - going} of those listed are kept")
    if (going or listed.more) and (yes or click.confirm("Delete them?", err=True)):
        place.tell(
            f"{place.client.delete_old_results(which).deletion_id}: up to 20 a minute; see mmm deletions"
        )


@main.command()
@click.option("--stop", metavar="DELETION", help="Let one end where it is.")
@as_json
@the_place
def deletions(place: Place, stop: str | None, machine: bool) -> None:
    """List the deletions of old results, and how far they are."""
    found = [place.client.stop_deletion(stop)] if stop else list(place.client.deletions())
    if machine:
        _print_json(found)
        return
    for one in found:
        kept = len(one.kept) + one.more_kept
        waits = f"; waits: {one.waits_for}" if one.waits_for else ""
        place.tell(f"{one.deletion_id}: {one.state}, {one.deleted} deleted, {kept} kept{waits}")


def _each(place: Place, jobs: Sequence[str], act: Any, machine: bool) -> None:
    done: list[JobAnswer] = []
    for job in jobs:
        try:
            done.append(act(job))
        except NotAllowed:
            raise
        except Refused as error:
            _warn(f"{job}: {error}")
        else:
            if not machine:
                place.tell(f"{job}: {done[-1].state}")
    if machine:
        _print_json(done)
    sys.exit(0 if len(done) == len(jobs) else FAILED)


@main.command()
@click.argument("letters", metavar="[LETTER…]", nargs=-1)
@as_json
@the_place
def replay(place: Place, letters: tuple[str, ...], machine: bool) -> None:
    """Send dead letters again: those that are named, or all that were not sent again yet."""
    waiting = letters or [one.letter_id for one in place.client.dead_letters() if not one.replayed_at]
    done = [place.client.replay(letter) for letter in waiting]
    lines = [f"{letter.letter_id}: replayed" for letter in done]
    place.answer(machine, done, *(lines or ["there is no dead letter to replay"]))


@main.group(invoke_without_command=True)
@as_json
@click.pass_context
def queues(context: click.Context, machine: bool) -> None:
    """Show the queues; pause or resume one."""
    if context.invoked_subcommand is None:
        place = context.find_object(Place)
        assert place  # noqa: S101 (the group of all commands sets it)
        found = place.client.queues()
        if machine:
            _print_json(found)
            return
        for queue in found:
            paused = ", paused" if queue.paused else ""
            place.tell(f"{queue.name}: {queue.running} of {queue.limit} in use{paused}")


@queues.command()
@click.argument("name")
@as_json
@the_place
def pause(place: Place, name: str, machine: bool) -> None:
    """Let a queue start nothing new."""
    place.answer(machine, place.client.pause(name), f"{name}: paused; what runs goes on")


@queues.command()
@click.argument("name")
@as_json
@the_place
def resume(place: Place, name: str, machine: bool) -> None:
    """Let a queue start attempts again."""
    place.answer(machine, place.client.resume(name), f"{name}: goes on")


@main.group(invoke_without_command=True)
@click.option("--limit", default=25, show_default=True, type=click.IntRange(1), help="Most batches to show.")
@as_json
@click.pass_context
def batch(context: click.Context, limit: int, machine: bool) -> None:
    """List batches, newest first; show, cancel, retry, pause or resume one."""
    if context.invoked_subcommand is None:
        place = context.find_object(Place)
        assert place  # noqa: S101 (the group of all commands sets it)
        found = [row for row, _ in zip(place.client.batches(), range(limit), strict=False)]
        place.answer(machine, found, batches_table(found))


batch_id = click.argument("one", metavar="BATCH")


@batch.command("show")
@batch_id
@click.option("--watch", is_flag=True, help="Follow it to its end.")
@as_json
@the_place
def show_batch(place: Place, one: str, watch: bool, machine: bool) -> None:
    """Show a batch: its jobs by state, and the rows that must change."""
    found = follow_batch(place.client, one, place.bars(machine)) if watch else place.client.batch(one)
    _tell_batch(place, found, machine)
    if watch:
        sys.exit(_batch_status(found))


@batch.command("cancel")
@batch_id
@as_json
@the_place
def cancel_batch(place: Place, one: str, machine: bool) -> None:
    """Stop every job of a batch; rows that are no jobs yet become none."""
    _tell_batch(place, place.client.cancel_batch(one), machine)


@batch.command("retry")
@batch_id
@as_json
@the_place
def retry_batch(place: Place, one: str, machine: bool) -> None:
    """Start the failed jobs of a batch again; of a cancelled one everything that was not done."""
    _tell_batch(place, place.client.retry_batch(one), machine)


@batch.command("pause")
@batch_id
@as_json
@the_place
def pause_batch(place: Place, one: str, machine: bool) -> None:
    """Let no job of a batch be started; what runs goes on."""
    _tell_batch(place, place.client.pause_batch(one), machine)


@batch.command("resume")
@batch_id
@as_json
@the_place
def resume_batch(place: Place, one: str, machine: bool) -> None:
    """Let the jobs of a batch be started again."""
    _tell_batch(place, place.client.resume_batch(one), machine)


def _tell_batch(place: Place, found: BatchAnswer, machine: bool) -> None:
    place.answer(machine, found, *batch_lines(found))


@main.command("import")
@click.argument("folder")
@click.option("--apply", is_flag=True, help="Write it; without this only look.")
@click.option("--send", is_flag=True, help="Write it, and send the waiting rows of the queue as a batch.")
@click.option("--connection", help="Where the tables and queries of the queue are.")
@click.option("--name", default="imported", show_default=True, help="Name of the mappings here.")
@click.option(
    "--table",
    default="old-queue.jsonl",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where to write the waiting rows of the queue.",
)
@click.option(
    "--emulator",
    envvar="STORAGE_EMULATOR_HOST",
    metavar="URL",
    help="Ask this emulator of Cloud Storage, without signing in; also STORAGE_EMULATOR_HOST.",
)
@as_json
@the_place
def import_(
    place: Place,
    folder: str,
    apply: bool,
    send: bool,
    connection: str | None,
    name: str,
    table: Path,
    emulator: str | None,
    machine: bool,
) -> None:
    """Read what the old system left in FOLDER: mappings, queue, history, results.

    FOLDER is a folder of this machine, or gs://BUCKET/PREFIX, to which nothing is ever written.
    """
    files: OldFiles
    if folder.startswith("gs://"):
        files = BucketFiles(folder, emulator)
    elif Path(folder).is_dir():
        files = FolderFiles(Path(folder))
    else:
        raise click.UsageError(f"{folder} is no folder")
    apply = apply or send
    if connection is not None and connection not in (known := place.client.version().connections):
        raise click.UsageError(f"--connection {connection}: there are {', '.join(known)}")
    old = read_old_system(files, name, connection)
    if old.waiting and apply and not send:
        write_table(batch_of(old.waiting), table)
    mappings = import_mappings(place.client, old, name, apply)
    sent = [row for row in old.waiting if not row.problems] if send else []
    batch = place.client.submit_batch(batch_of(sent)) if sent else None
    report = ImportReport(
        folder=folder,
        applied=apply,
        mappings=mappings,
        waiting=old.waiting,
        not_waiting=old.not_waiting,
        runs=old.runs,
        kept=import_runs(place.client, old.runs) if apply else None,
        table=str(table) if old.waiting and apply and not send else None,
        batch_id=batch.batch_id if batch else None,
        unread=old.unread,
        aside=old.aside,
    )
    place.answer(machine, report, *report_tables(report), *report_lines(report))
    sys.exit(0 if report.whole else FAILED)


@main.command("old-runs")
@click.option("--country", help="Of a country.")
@click.option("--limit", default=25, show_default=True, type=click.IntRange(1), help="Most to show.")
@as_json
@the_place
def old_runs(place: Place, country: str | None, limit: int, machine: bool) -> None:
    """List trainings of the old system that were imported."""
    found = [run for run, _ in zip(place.client.old_runs(country), range(limit), strict=False)]
    place.answer(machine, found, old_runs_table(found))


@main.command()
@as_json
@the_place
def version(place: Place, machine: bool) -> None:
    """Show what the installation is, and whether it knows who asks."""
    found = place.client.version()
    text = yaml.safe_dump(found.model_dump(mode="json"), sort_keys=False).rstrip()
    place.answer(machine, found, place.client.url, text)


@main.group()
def mapping() -> None:
    """Say once what many requests of a country have in common."""


def of_mapping(command: Any) -> Any:
    """Let a command have the arguments COUNTRY and NAME."""
    return click.argument("country")(click.argument("name")(command))


@mapping.command("list")
@click.option("--country", help="Of a country.")
@as_json
@the_place
def list_mappings(place: Place, country: str | None, machine: bool) -> None:
    """List the mappings, each in its newest version."""
    found = list(place.client.mappings(country))
    if machine:
        _print_json(found)
        return
    for one in found:
        place.tell(f"{one.country} {one.name}: version {one.version}, {one.at:%Y-%m-%d %H:%M} by {one.by}")


@mapping.command("get")
@of_mapping
@click.option("--version", type=click.IntRange(1), help="Another one than the newest.")
@as_json
@the_place
def get_mapping(place: Place, country: str, name: str, version: int | None, machine: bool) -> None:
    """Print a mapping as it is written, to change it and put it back."""
    found = place.client.mapping(country, name, version)
    place.answer(machine, found, yaml.safe_dump(found.settings, sort_keys=False, allow_unicode=True).rstrip())


@mapping.command("put")
@of_mapping
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--note", default="", help="Why, for its history.")
@click.option(
    "--version", type=click.IntRange(1), help="Replace only this version; left out: write a new mapping."
)
@as_json
@the_place
def put_mapping(
    place: Place, country: str, name: str, path: Path, note: str, version: int | None, machine: bool
) -> None:
    """Write a mapping from a YAML or JSON file (-: standard input)."""
    found = place.client.put_mapping(country, name, read_document(path), note, version)
    line = f"{country} {name}: version {found.version}, {found.at:%Y-%m-%d %H:%M} by {found.by}"
    place.answer(machine, found, line)


@mapping.command("delete")
@of_mapping
@click.option("--note", default="", help="Why, for its history.")
@as_json
@the_place
def delete_mapping(place: Place, country: str, name: str, note: str, machine: bool) -> None:
    """End a mapping that nothing uses; its versions stay."""
    place.answer(machine, place.client.delete_mapping(country, name, note), f"{country} {name}: deleted")


@mapping.command("history")
@of_mapping
@as_json
@the_place
def mapping_history(place: Place, country: str, name: str, machine: bool) -> None:
    """Show who changed what, the newest version first."""
    found = list(place.client.mapping_history(country, name))
    if machine:
        _print_json(found)
        return
    for one in found:
        note = f": {one.note}" if one.note else ""
        ended = ", deleted" if one.state == "DELETED" else ""
        place.tell(f"version {one.version}, {one.at:%Y-%m-%d %H:%M} by {one.by}{ended}{note}")
        place.tell(*(f"  {each.path}: {each.before or '-'} -> {each.after or '-'}" for each in one.changes))


@mapping.command("check")
@of_mapping
@click.argument("path", metavar="SOURCE", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--sheet", help="Sheet of an Excel workbook.")
@click.option("--version", type=click.IntRange(1), help="Another one than the newest.")
@as_json
@the_place
def check_mapping(
    place: Place,
    country: str,
    name: str,
    path: Path,
    sheet: str | None,
    version: int | None,
    machine: bool,
) -> None:
    """Say which columns of a mapping a source has: a YAML file with one, or with a request that names it."""
    body = read_document(path)
    found = place.client.check_mapping(country, name, body.get("source", body), sheet, version)
    place.answer(machine, found, *mapping_lines(found))
    sys.exit(0 if found.complete else FAILED)


@main.group()
def schedule() -> None:
    """Let requests come again by themselves."""


@schedule.command("list")
@as_json
@the_place
def list_schedules(place: Place, machine: bool) -> None:
    """List the schedules, each with its next and its last run."""
    found = list(place.client.schedules())
    if machine:
        _print_json(found)
        return
    for one in found:
        following = f"next {one.next:%Y-%m-%d %H:%M} UTC" if one.next else one.state.lower()
        last = f", last {_run(one.last)}" if one.last else ""
        place.tell(f"{one.name}: {one.cron} {one.time_zone}, {following}{last}")


def _run(one: RunAnswer) -> str:
    came = f"{one.at:%Y-%m-%d %H:%M} {one.state or ('nothing came of it' if one.problem else 'on its way')}"
    return f"{came}: {one.problem.title}" if one.problem else came


@schedule.command("show")
@click.argument("name")
@as_json
@the_place
def show_schedule(place: Place, name: str, machine: bool) -> None:
    """Show a schedule: its text, when it comes next, and what came of its last runs."""
    found = place.client.schedule(name)
    place.answer(machine, found, *_next_and_last(found), "", _written(found))


@schedule.command("text")
@click.argument("name")
@the_place
def schedule_text(place: Place, name: str) -> None:
    """Print a schedule as it is written, to change it and put it back."""
    place.tell(_written(place.client.schedule(name)))


def _written(found: ScheduleAnswer) -> str:
    text = found.schedule.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(text, sort_keys=False, allow_unicode=True).rstrip()


def _next_and_last(found: ScheduleAnswer) -> list[str]:
    lines = [f"{found.name}: {found.state.lower()}, version {found.version}"]
    lines += [f"  next  {at:%Y-%m-%d %H:%M} UTC" for at in found.next]
    for one in found.runs:
        lines.append(f"  came  {_run(one)}  {one.job_id or one.batch_id or ''}".rstrip())
        if one.problem:
            lines += [f"        - {why}" for why in one.problem.errors or [one.problem.detail]]
    return lines


@schedule.command("put")
@click.argument("name")
@click.argument("file", type=click.File("rb"))
@click.option("--version", type=int, help="Replace only this version; left out: the one that is there.")
@as_json
@the_place
def put_schedule(place: Place, name: str, file: Any, version: int | None, machine: bool) -> None:
    """Write a schedule from a YAML or JSON file (-: standard input)."""
    text = _schedule_of(file.read())
    if version is None:
        there = [one.name for one in place.client.schedules()]
        version = place.client.schedule(name).version if name in there else 0
    found = place.client.put_schedule(name, text, version)
    place.answer(machine, found, *_next_and_last(found))


@schedule.command("preview")
@click.argument("file", type=click.File("rb"))
@as_json
@the_place
def preview_schedule(place: Place, file: Any, machine: bool) -> None:
    """Say when a schedule in a file would come, and what is wrong with it; nothing is kept."""
    found = place.client.preview_schedule(_schedule_of(file.read()))
    times = (f"{one.local}  ({one.at:%Y-%m-%d %H:%M} UTC)" for one in found.next)
    wrong = (f"- {one.path}: {one.message}; {one.advice}".removesuffix("; ") for one in found.violations)
    place.answer(machine, found, *times, *wrong)
    sys.exit(WRONG if found.violations else 0)


def _schedule_of(data: bytes) -> dict[str, Any]:
    try:
        return parse_settings(data)
    except SettingsError as error:
        raise UnreadableRequests(f"the schedule {error}") from error


@schedule.command("enable")
@click.argument("name")
@as_json
@the_place
def enable_schedule(place: Place, name: str, machine: bool) -> None:
    """Let a schedule come from now on."""
    found = place.client.enable_schedule(name)
    place.answer(machine, found, *_next_and_last(found))


@schedule.command("disable")
@click.argument("name")
@as_json
@the_place
def disable_schedule(place: Place, name: str, machine: bool) -> None:
    """Let a schedule come no more until it is enabled."""
    place.answer(machine, place.client.disable_schedule(name), f"{name}: disabled; what runs goes on")


@schedule.command("delete")
@click.argument("name")
@as_json
@the_place
def delete_schedule(place: Place, name: str, machine: bool) -> None:
    """Let a schedule come no more. Its jobs stay."""
    place.answer(machine, place.client.delete_schedule(name), f"{name}: deleted; its jobs stay")


@schedule.command("run")
@click.argument("name")
@as_json
@the_place
def run_schedule(place: Place, name: str, machine: bool) -> None:
    """Let a schedule come once, now."""
    found = place.client.run_schedule(name)
    run = found.runs[0]
    place.answer(machine, found, f"{name}: {run.job_id or run.batch_id}")


def _report(place: Place, origin: str, job: JobAnswer) -> None:
    """Say how a job is: what was earned and what warns, or why it failed; then where to look."""
    place.tell(f"{origin}: {describe(job)}")
    summary = _summary(place, job)
    if summary:
        place.show(channels_table(summary.best_model, summary.dependent))
        answers = [*filter(None, [summary.budget]), *summary.further_budgets]
        place.tell(f"  {fit(summary)}", *budget_lines(answers), *trust_lines(summary.trust))
    place.tell(*changes_lines(job.changes), *_reasons(job), *warning_lines(job.findings))
    place.tell(f"  {place.client.url}/jobs/{job.job_id}")
    if summary and place.url is None:
        place.tell(f"  {place.folder.resolve() / 'bucket' / summary.results}")


def _summary(place: Place, job: JobAnswer) -> ModelSummary | None:
    if job.state is not JobState.SUCCEEDED or job.asked.get("validate_only") is True:
        return None
    files = {file.name: file for file in place.client.files(job, job.attempt)}
    file = files.get("model_summary.json")
    return ModelSummary.model_validate_json(place.client.read(file)) if file else None


def _reasons(job: JobAnswer) -> list[str]:
    """Why a job ended, line by line, and what to do about each problem in the data."""
    if job.error is None:
        return []
    advice = {finding.message: finding.advice for finding in job.findings if finding.advice}
    lines = [f"  {line}" for line in job.error.detail.splitlines()]
    for error in job.error.errors:
        lines += [f"  - {error}", *([f"    {advice[error]}"] if error in advice else [])]
    return lines


def _print_json(answer: BaseModel | Sequence[BaseModel]) -> None:
    models = [answer] if isinstance(answer, BaseModel) else answer
    dumped = [one.model_dump(mode="json", by_alias=True) for one in models]
    told = dumped[0] if isinstance(answer, BaseModel) else dumped
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
