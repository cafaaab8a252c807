"""`make demo`: shows every promise of the system once, on generated data."""

from __future__ import annotations

import base64
import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.live import Live
from rich.table import Table

from contracts import names
from contracts.events import JOB_FINISHED, TRAIN_REQUESTS
from contracts.job import DeadLetter, Job, JobState
from contracts.request import job_id_for
from contracts.summary import ModelSummary
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from infra.local.demo_data import (
    DemoData,
    bad_request,
    bad_table,
    demo_csv,
    demo_request,
    demo_settings,
    generate,
)
from infra.local.host import ADDRESS, CONNECTION, LocalHost, local_settings, running, say
from mmm.follow import describe
from mmm.told import amount, channels_table, fit, ratio

PATIENCE_S = 900.0
"""The longest time a demo may take: on a busy machine the first training compiles the engine for minutes."""
REQUEST_ID, BAD_REQUEST_ID = "demo-weekly-sales", "demo-broken-sales"
UPLOAD = "drop-zone/AT/sales.csv"
SUBSCRIPTION = "demo-subscriber"


@dataclass
class Subscriber:
    """An upstream system: receives what is published on `job-finished`."""

    console: Console
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        subscriber = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                envelope = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                subscriber.receive(json.loads(base64.b64decode(envelope["message"]["data"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing: `receive` prints what matters."""

        self._server = ThreadingHTTPServer((ADDRESS, 0), Receiver)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{ADDRESS}:{self._server.server_port}/"

    def receive(self, event: dict[str, Any]) -> None:
        """Print an event and keep it."""
        self.events.append(event)
        end = event.get("state") or event["error"]["title"]
        self.console.print(f"  ◀ {event['type']}  {event['job_id']}  {end}", markup=False, highlight=False)


@dataclass
class Demo:
    """One run: the local system, its users, and the expected results."""

    host: LocalHost
    subscriber: Subscriber
    console: Console
    first: DemoData
    second: DemoData

    def __post_init__(self) -> None:
        self.ports = self.host.embedded.ports()
        self.jobs = {job_id_for(REQUEST_ID): "train request, from a warehouse table"}

    def ask(self) -> None:
        """Do all that users do, at once, except for what must come second: messages are not ordered."""
        request = demo_request(REQUEST_ID)
        self._publish(request, "a train request; its data are a table of the warehouse")
        self._upload()
        self._wait(lambda: self.ports.jobs.get(Job, job_id_for(REQUEST_ID)) is not None)
        self._publish(request, "the same request again")
        self._publish({**request, "revision": "another"}, "the same request_id with another body")
        self._publish(bad_request(BAD_REQUEST_ID), "a request whose data are wrong in four ways")
        self.jobs[job_id_for(BAD_REQUEST_ID)] = "train request, broken data"
        self.console.print("  ▶ a message that is not JSON")
        self.ports.bus.publish(TRAIN_REQUESTS, b"please train something")
        self.console.print("The first training on a machine compiles the engine: a minute or two, once.")

    def _publish(self, request: dict[str, Any], what: str) -> None:
        self.console.print(f"  ▶ {what}")
        self.ports.bus.publish(TRAIN_REQUESTS, json.dumps(request).encode())

    def _upload(self) -> None:
        self.console.print(f"  ▶ an upload: {UPLOAD}, its settings beside it")
        self.ports.objects.create(UPLOAD, demo_csv(self.second))
        self.ports.objects.create("drop-zone/AT/sales.request.yaml", demo_settings().encode())

    def watch(self) -> None:
        """Show every job until all have ended and everything published has been answered."""
        with Live(console=self.console, refresh_per_second=4, transient=True) as live:
            self._wait(lambda: self._shown(live))

    def _wait(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not done() and time.monotonic() < end:
            time.sleep(0.25)

    def _shown(self, live: Live) -> bool:
        for known in self.ports.jobs.find(Job):
            self.jobs.setdefault(known.job_id, "uploaded file" if known.upload else "?")
        table = Table(box=None, show_header=False)
        ended = []
        for job_id in self.jobs:
            job = self.ports.jobs.get(Job, job_id)
            table.add_row(job_id, describe(job) if job else "published")
            ended.append(job is not None and job.state.terminal)
        live.update(table)
        self._progress_lines(table)
        answered = len({e["job_id"] for e in self.subscriber.events if e["type"] == "job-finished"})
        return all(ended) and len(ended) == 3 and answered == 3 and len(self._refusals()) > 0

    def _progress_lines(self, table: Table) -> None:
        """Print what changed, where there is no terminal to redraw."""
        if self.console.is_terminal:
            return
        rows = list(zip(*(column.cells for column in table.columns), strict=True))
        for row in rows:
            if row not in getattr(self, "_printed", []):
                self.console.print(f"    {row[0]}  {row[1]}", markup=False, highlight=False)
        self._printed = rows

    def _refusals(self) -> list[dict[str, Any]]:
        return [event for event in self.subscriber.events if event["type"] == "request-refused"]

    def report(self) -> bool:
        """Print the results; return whether they are as expected."""
        table = Table(title="What came of it", title_justify="left")
        for column in ("", "what", "outcome"):
            table.add_column(column)
        checks = [*self._job_checks(), *self._message_checks()]
        for good, what, outcome in checks:
            table.add_row("✔" if good else "✘", what, outcome)
        self.console.print(table)
        for job in self._succeeded():
            self._print_success(job)
        return all(good for good, _, _ in checks)

    def _job_checks(self) -> list[tuple[bool, str, str]]:
        rows = []
        for job_id, what in self.jobs.items():
            job = self.ports.jobs.get(Job, job_id)
            if job is None:
                rows.append((False, what, "no job"))
                continue
            wanted = JobState.REJECTED if job.request_id == BAD_REQUEST_ID else JobState.SUCCEEDED
            reasons = job.error.errors if job.error else []
            good = job.state is wanted and (wanted is JobState.SUCCEEDED or len(reasons) == 4)
            outcome = "\n".join([str(job.state), *(f"• {reason}" for reason in reasons)])
            rows.append((good, what, outcome))
        return [*rows, (len(rows) == 3, "jobs in all", str(len(rows)))]

    def _message_checks(self) -> list[tuple[bool, str, str]]:
        first = job_id_for(REQUEST_ID)
        answers = [e for e in self.subscriber.events if e["type"] == "job-finished" and e["job_id"] == first]
        refusals = self._refusals()
        letters = self.ports.jobs.find(DeadLetter)
        return [
            (
                bool(answers) and all(answer == answers[0] for answer in answers),
                "the same request again",
                f"answered by the first job, {first}",
            ),
            (
                len(refusals) == 1,
                "the same request_id, another body",
                "refused: " + "; ".join(refusal["error"]["title"] for refusal in refusals),
            ),
            (len(letters) == 1, "not JSON", "dead letter: " + "; ".join(letter.reason for letter in letters)),
        ]

    def _succeeded(self) -> list[Job]:
        found = (self.ports.jobs.get(Job, job_id) for job_id in self.jobs)
        return [job for job in found if job is not None and job.state is JobState.SUCCEEDED]

    def _print_success(self, job: Job) -> None:
        truth = self.second if job.upload else self.first
        summary = ModelSummary.model_validate_json(self.ports.objects.read(names.model_summary(job)))
        best = summary.best_model
        true = {
            "true contribution": [amount(truth.contributions[channel.name]) for channel in best.channels],
            "true ROAS": [ratio(truth.roas.get(channel.name)) for channel in best.channels],
        }
        table = channels_table(best, summary.dependent, true)
        table.title = f"{job.job_id}: model {best.sol_id}"
        self.console.print(table)
        self.console.print(f"  {fit(summary)}")
        bucket = self.host.settings.folder / "bucket"
        for name in (names.model_summary(job), f"{names.results(job)}onepager.png"):
            self.console.print(f"  {bucket / name}", soft_wrap=True, highlight=False)


def demo(folder: Path) -> int:
    """Run the demo in a fresh folder; return 0 only if every result is as expected."""
    if running(folder):
        say(f"a system runs on {folder}, which the demo would empty: `make stop FOLDER={folder}` first")
        return 1
    started = time.monotonic()
    console = Console()
    if not console.is_terminal:
        console.width = 120
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    first, second = generate(), generate(seed=12, country="AT")
    _fill_warehouse(folder, first)
    with (
        (folder / "host.log").open("w", encoding="utf-8") as lines,
        LocalHost(local_settings(folder), 0, Log("text", lines)) as host,
    ):
        console.print(f"MMM Trainer runs at {host.url} (its log: {folder}/host.log). The demo sends it:")
        subscriber = Subscriber(console)
        host.embedded.bus.subscribe(SUBSCRIPTION, JOB_FINISHED, subscriber.url)
        run = Demo(host, subscriber, console, first, second)
        run.ask()
        run.watch()
        good = run.report()
        host.embedded.bus.unsubscribe(SUBSCRIPTION)
    seconds = time.monotonic() - started
    console.print(f"{'All as it must be' if good else 'NOT as it must be'}, in {seconds:.0f} s.")
    say(f"`make up FOLDER={folder}` shows it all on a page, and takes more requests for its data.")
    return 0 if good else 1


def _fill_warehouse(folder: Path, data: DemoData) -> None:
    tables = {"weekly_sales": data.table, "broken_sales": bad_table(data.table)}
    for name, table in tables.items():
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        load_table(folder / "warehouse", CONNECTION, "main", name, arrow)
