"""`python -m infra.ops VERB`: what people do with a system that runs.

Every command prints a table, or with --json (or --format csv) something for programs. It ends with 0 if all
is well, 1 if it found something that is not, 2 if it could not do what was asked. What would delete, only
lists, unless it is told to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from functions.errors import Failure
from infra.ops import actions, place
from infra.ops.clean import clean
from infra.ops.gcloud import CloudRefused
from infra.ops.performance import performance
from infra.ops.place import Place
from infra.ops.report import Report, Usage, render
from infra.ops.smoke import smoke

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


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
    _performance(_verb(verbs, "performance", "how long jobs wait and train, by engine and size"))
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


def _performance(one: argparse.ArgumentParser) -> None:
    one.add_argument("--days", type=int, default=30, help="of jobs (30)")
    one.add_argument("--against", type=Path, help="a former answer with --json; a worse P95 is a finding")
    one.add_argument("--tolerance", type=float, default=25, help="how much worse may be, in percent (25)")
    _does(one, lambda at, given: performance(at, given.days, given.against, given.tolerance))


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
