"""`python -m infra.ops VERB`: what people do with a system that runs.

Every command prints a table, or with --json (or --format csv) something for programs. It ends with 0 if all
is well, 1 if it found something that is not, 2 if it could not do what was asked. What would delete, only
lists, unless it is told to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from functions.errors import Failure
from infra import deploy
from infra.ops import actions, billing, keys, place
from infra.ops.clean import clean
from infra.ops.doctor import doctor
from infra.ops.draw import draw
from infra.ops.gcloud import CloudRefused
from infra.ops.month import month_cost
from infra.ops.performance import performance
from infra.ops.place import Place
from infra.ops.report import Report, Usage, render
from infra.ops.smoke import smoke
from infra.ops.training_cost import cost_of_jobs

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = _parser().parse_args(arguments)
    try:
        report: Report = given.act(given)
    except Failure as error:
        sys.stderr.write(f"{error.problem.title}: {error.problem.detail}\n")
        return 2
    except (Usage, CloudRefused) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(render(report, given.format))
    return 0 if report.good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.ops", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _smoke(_verb(verbs, "smoke", "one tiny request through the system"))
    _clean(_verb(verbs, "clean", "what may go; only lists it, unless --delete"))
    for name, paused in (("pause", True), ("resume", False)):
        what = "let queues start nothing new" if paused else "let queues start again"
        _pause(_verb(verbs, name, what), paused)
    _replay(_verb(verbs, "replay", "send dead letters again"))
    _backfill(_verb(verbs, "backfill", "write the lists of runs of countries from the summaries of all jobs"))
    _draw(_verb(verbs, "draw", "draw the one-pagers of other winners of a job, from its result"))
    _performance(_verb(verbs, "performance", "how long jobs wait and train, by engine and size"))
    _doctor(_verb(verbs, "doctor", "whether a deployed installation is whole and has its rights"))
    _cost(_verb(verbs, "cost", "what was billed, from the billing export in BigQuery"))
    _cost_job(_verb(verbs, "cost-job", "what trainings cost, from their times and list prices"))
    _idle_cost(_verb(verbs, "idle-cost", "what a month without work costs; needs no cloud"))
    _month_cost(_verb(verbs, "month-cost", "what a month with so many trainings costs; needs no cloud"))
    key = verbs.add_parser("key", help="keys for Snowflake").add_subparsers(required=True, metavar="DO")
    _keys(key)
    _rollback(verbs.add_parser("rollback", help="deploy the last release that worked, or another"))
    return parser


def _smoke(one: argparse.ArgumentParser) -> None:
    one.add_argument("--timeout", type=float, default=300, help="seconds until it must have ended (300)")
    _does(one, lambda at, given: smoke(at, given.timeout))


def _clean(one: argparse.ArgumentParser) -> None:
    one.add_argument("--prefix", default="scratch/", help="of objects (scratch/)")
    one.add_argument("--older", type=int, default=30, help="days (30)")
    one.add_argument("--delete", action="store_true", help="let it go")
    _does(one, lambda at, given: clean(at, given.prefix, given.older, given.delete))


def _pause(one: argparse.ArgumentParser, paused: bool) -> None:
    which = one.add_mutually_exclusive_group()
    which.add_argument("--queue", action="append", default=[], help="its name; may be repeated (all)")
    which.add_argument("--schedule", help="a job of Cloud Scheduler instead; mmm-sweep is the system's clock")
    _does(
        one,
        lambda at, given: (
            actions.pause_schedule(at, given.schedule, paused)
            if given.schedule
            else actions.pause_queues(at, given.queue, paused)
        ),
    )


def _replay(one: argparse.ArgumentParser) -> None:
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument("letter", nargs="?", help="the id of one")
    which.add_argument("--all", action="store_true", help="all that were not sent again yet")
    _does(one, lambda at, given: actions.replay(at, given.letter))


def _backfill(one: argparse.ArgumentParser) -> None:
    one.add_argument("--country", help="only this one (all)")
    _does(one, lambda at, given: actions.backfill(at, given.country))


def _draw(one: argparse.ArgumentParser) -> None:
    one.add_argument("job", help="the id of a job of the engine native that has succeeded")
    one.add_argument("--model", action="append", default=[], help="its solID; may be repeated (all winners)")
    one.add_argument("--into", type=Path, default=Path(), help="folder for the pictures (this one)")
    _does(one, lambda at, given: draw(at, given.job, given.model, given.into))


def _performance(one: argparse.ArgumentParser) -> None:
    one.add_argument("--days", type=int, default=30, help="of jobs (30)")
    one.add_argument("--against", type=Path, help="a former answer with --json; a worse P95 is a finding")
    one.add_argument("--tolerance", type=float, default=25, help="how much worse may be, in percent (25)")
    _does(one, lambda at, given: performance(at, given.days, given.against, given.tolerance))


def _doctor(one: argparse.ArgumentParser) -> None:
    _does(one, lambda at, _: doctor(at))


def _cost(one: argparse.ArgumentParser) -> None:
    one.add_argument("--project", required=True, help="the installation's project; it pays for the query")
    one.add_argument("--table", required=True, help="project.dataset.gcp_billing_export_v1_…")
    one.add_argument("--days", type=int, default=30, help="how many (30)")
    one.add_argument("--by", default="day,category", help=f"of {','.join(billing.BY)} (day,category)")
    one.set_defaults(
        act=lambda given: billing.cost(given.project, given.table, given.days, given.by.split(","))
    )


def _cost_job(one: argparse.ArgumentParser) -> None:
    one.add_argument("job", nargs="?", help="the id of one (all of the last days)")
    one.add_argument("--days", type=int, default=30, help="of jobs (30)")
    _does(one, lambda at, given: cost_of_jobs(at, given.job, given.days))


def _idle_cost(one: argparse.ArgumentParser) -> None:
    _environment(one)
    one.set_defaults(act=lambda given: month_cost(deploy.setting(given.environment, "engines"), {}))


def _month_cost(one: argparse.ArgumentParser) -> None:
    _environment(one)
    one.add_argument(
        "--trainings", nargs="+", type=_count, required=True, metavar="SIZE=NUMBER", help="such as small=1000"
    )
    one.set_defaults(
        act=lambda given: month_cost(deploy.setting(given.environment, "engines"), dict(given.trainings))
    )


def _environment(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--environment", choices=["dev", "prod"], required=True, help="whose engines have images"
    )


def _count(text: str) -> tuple[str, int]:
    """A size and a number, of SIZE=NUMBER."""
    size, _, number = text.partition("=")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not SIZE=NUMBER, such as small=1000")
    return size, int(number)


def _keys(verbs: Verbs) -> None:
    one = _key(verbs, "set", "add a key as the newest version of its secret")
    one.add_argument("file", type=Path, help="the private key, PEM")
    one.set_defaults(act=lambda given: keys.key_set(given.project, given.connection, given.file))
    one = _key(verbs, "test", "log in to Snowflake with the newest key")
    one.add_argument("--file", type=Path, help="with this key instead, before it is set")
    one.set_defaults(act=lambda given: keys.key_test(given.project, given.connection, given.file))
    one = _key(verbs, "retire", "which versions but the newest there are")
    one.add_argument("--disable", action="store_true", help="disable them, if the newest can log in")
    one.set_defaults(act=lambda given: keys.key_retire(given.project, given.connection, given.disable))
    one = _verb(verbs, "check", "fingerprint and age of every newest key")
    one.add_argument("--project", required=True)
    one.set_defaults(act=lambda given: keys.key_check(given.project, datetime.now(UTC)))


def _key(verbs: Verbs, name: str, what: str) -> argparse.ArgumentParser:
    one = _verb(verbs, name, what)
    one.add_argument("--project", required=True)
    one.add_argument("connection", help="its name, as requests say it")
    return one


def _rollback(one: argparse.ArgumentParser) -> None:
    one.add_argument("--project", required=True)
    one.add_argument("--environment", required=True, choices=["dev", "prod"])
    one.add_argument("--to", help="address of a deployed.json (that of the last release that worked)")
    one.set_defaults(act=_rolled_back, format="table")


def _rolled_back(given: argparse.Namespace) -> Report:
    to = ["--to", given.to] if given.to else []
    status = deploy.main(["rollback", "--project", given.project, "--environment", given.environment, *to])
    return Report([], good=status == 0)


def _verb(verbs: Verbs, name: str, what: str) -> argparse.ArgumentParser:
    one = verbs.add_parser(name, help=what, description=what)
    one.add_argument("--format", choices=["table", "csv", "json"], default="table")
    one.add_argument("--json", dest="format", action="store_const", const="json", help="--format json")
    return one


def _does(one: argparse.ArgumentParser, act: Callable[[Place, argparse.Namespace], Report]) -> None:
    """Let a command be about one installation."""
    place.arguments(one)
    one.set_defaults(act=lambda given: act(place.place(given), given))


if __name__ == "__main__":
    sys.exit(main())
