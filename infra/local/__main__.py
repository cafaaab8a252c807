"""`python -m infra.local`: the commands behind the Makefile's targets for one machine."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import psutil
import requests
from rich.console import Console

from contracts.base import canonical_json
from contracts.engines import ENGINES, EngineName
from contracts.events import TRAIN_REQUESTS
from contracts.summary import ModelSummary
from functions.adapters.embedded import Embedded, FolderInUse
from functions.adapters.embedded.database import DamagedFolder
from functions.errors import Unavailable
from infra.local.batch import Submission, UnreadableRequests, read_requests
from infra.local.earned import budget_lines, channels_table, fit, trust_lines, warning_lines
from infra.local.follow import Client, describe, follow
from infra.local.host import (
    ADDRESS,
    LocalHost,
    PortTaken,
    TooFewFiles,
    local_settings,
    running,
    say,
    state_file,
)


def main() -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="infra.local", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the folder that holds everything")
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up")
    up_parser.add_argument("--port", type=int, required=True)
    up_parser.add_argument("--address", default=ADDRESS, help="where to listen; 0.0.0.0 in a container")
    up_parser.add_argument("--engines", type=_engines, default=["native"], help="the default one first")
    submit_parser = commands.add_parser("submit")
    submit_parser.add_argument("request", type=Path)
    submit_parser.add_argument("--base", type=Path)
    for verb in ("cancel", "retry"):
        commands.add_parser(verb).add_argument("job")
    commands.add_parser("replay").add_argument("letter", nargs="?")
    commands.add_parser("stop")
    commands.add_parser("demo")
    return _run(parser.parse_args())


def _run(args: argparse.Namespace) -> int:
    match args.command:
        case "up":
            return up(args.folder, args.port, args.address, args.engines)
        case "submit":
            return submit(args.folder, args.request, args.base)
        case "cancel" | "retry":
            return act(args.folder, args.command, args.job)
        case "replay":
            return replay(args.folder, args.letter)
        case "stop":
            return stop(args.folder)
        case _:
            from infra.local.demo import demo

            return demo(args.folder)


def _engines(text: str) -> list[EngineName]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in ENGINES:
            raise argparse.ArgumentTypeError(f"there is no engine '{name}', only {' and '.join(ENGINES)}")
    return cast(list[EngineName], names)


def up(folder: Path, port: int, address: str, engines: Sequence[EngineName]) -> int:
    """Keep the system running until Ctrl-C."""
    if "robyn" in engines and not _robyn_is_installed():
        return 1
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        with LocalHost(local_settings(folder, engines=engines), port, address=address) as host:
            say(f"MMM Trainer runs at {host.url}")
            say(f"  drop-zone  {host.settings.folder / 'bucket' / 'drop-zone'}/<country>/")
            say(f"  warehouse  {host.settings.folder / 'warehouse'}/<connection>.duckdb")
            say("Ctrl-C stops it; trainings that run go on, and are picked up by the next `make up`.")
            stopping.wait()
    except (PortTaken, TooFewFiles, FolderInUse, DamagedFolder, Unavailable, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    say("stopped")
    return 0


def _robyn_is_installed() -> bool:
    from trainer.engines.base import EngineError
    from trainer.engines.robyn import check_installation

    try:
        say("engine robyn: " + ", ".join(check_installation().splitlines()))
    except EngineError as error:
        sys.stderr.write(f"the engine robyn cannot be used here: {error}\n")
        return False
    return True


def submit(folder: Path, path: Path, base: Path | None) -> int:
    """Publish requests and follow their jobs; 0 only if every one succeeds."""
    client = _client(folder)
    try:
        submissions = read_requests(path, base)
    except UnreadableRequests as error:
        sys.stderr.write(f"nothing was submitted:\n{error}\n")
        return 2
    embedded = Embedded(folder.resolve())
    for submission in submissions:
        embedded.bus.publish(TRAIN_REQUESTS, json.dumps(submission.body).encode())
    console = Console()
    ended = follow(client, [submission.job_id for submission in submissions], console)
    bucket = folder.resolve() / "bucket"
    good = [_report(console, client, bucket, one, ended[one.job_id]) for one in submissions]
    return 0 if all(good) else 1


def _report(
    console: Console, client: Client, bucket: Path, submission: Submission, job: dict[str, Any]
) -> bool:
    """Say how a job ended: what was earned and what warns, or why it failed; then where to look."""
    same = canonical_json(job["request"]) == canonical_json(submission.body)
    refused = "refused: this request_id was used before, with another request; choose another"
    _tell(console, f"{submission.origin}: {describe(job) if same else refused}")
    summary = client.get(f"/api/jobs/{submission.job_id}")["summary"] if same else None
    if summary:
        earned = ModelSummary.model_validate(summary)
        console.print(channels_table(earned.best_model, earned.dependent))
        answers = [*filter(None, [earned.budget]), *earned.further_budgets]
        _tell(console, f"  {fit(earned)}", *budget_lines(answers), *trust_lines(earned.trust))
    if same:
        _tell(console, *_reasons(job), *warning_lines(job["findings"]))
    _tell(console, f"  {client.url}/jobs/{submission.job_id}")
    if summary:
        _tell(console, f"  {bucket / summary['results']}")
    return same and job["state"] == "SUCCEEDED"


def _tell(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _reasons(job: dict[str, Any]) -> list[str]:
    """Why a job ended, line by line, and what to do about each problem in the data."""
    problem = job.get("error") or {}
    advice = {finding["message"]: finding["advice"] for finding in job["findings"] if finding["advice"]}
    lines = [f"  {line}" for line in problem.get("detail", "").splitlines()]
    for error in problem.get("errors", []):
        lines += [f"  - {error}", *([f"    {advice[error]}"] if error in advice else [])]
    return lines


def act(folder: Path, verb: str, job: str) -> int:
    """Cancel or retry a job."""
    if not job:
        return _fail(f"say which: make {verb} JOB=<job id>")
    client = _client(folder)
    done, answer = client.act(f"/api/v1/jobs/{job}:{verb}")
    say(f"{job}: {answer['state'] if done else _why(answer)}")
    return 0 if done else 1


def replay(folder: Path, letter: str | None) -> int:
    """Send one dead letter again, or all that were not replayed yet."""
    client = _client(folder)
    letters = [letter] if letter else _unreplayed(client)
    if not letters:
        say("there is no dead letter to replay")
    good = True
    for one in letters:
        done, answer = client.act(f"/api/v1/dead-letters/{one}:replay")
        say(f"{one}: {'replayed' if done else _why(answer)}")
        good &= done
    return 0 if good else 1


def _why(problem: dict[str, Any]) -> str:
    return ": ".join(part for part in (problem["title"], problem.get("detail")) if part)


def _unreplayed(client: Client) -> list[str]:
    letters = client.get("/api/dead-letters")["dead_letters"]
    return [letter["letter_id"] for letter in letters if not letter.get("replayed_at")]


def stop(folder: Path) -> int:
    """Stop the system and what it trains."""
    found = running(folder)
    if found is None:
        say(f"nothing runs on {folder}")
        state_file(folder).unlink(missing_ok=True)
        return 0
    process, url = found
    process.terminate()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    killed = Embedded(folder.resolve()).launcher.stop_all()
    say(
        f"stopped {url}"
        + (f" and {killed} training task(s); they start again at the next `make up`" if killed else "")
    )
    return 0


def _client(folder: Path) -> Client:
    found = running(folder)
    if found is None:
        _fail(f"nothing runs on {folder}: start it with `make up` in another terminal")
    return Client(found[1])


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise SystemExit(2)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except requests.RequestException as error:
        _fail(f"the system does not answer (stopped, or very busy?); what was submitted goes on: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; what was submitted goes on\n")
        sys.exit(130)
