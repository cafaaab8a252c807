"""`python -m infra.ops VERB`: what people do with a system that runs.

Every command prints a table, or with --json (or --format csv) something for programs. It ends with 0 if all
is well, 1 if it found something that is not, 2 if it could not do what was asked. What would delete, only
lists, unless it is told to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from functions.errors import Failure
from infra.ops import place
from infra.ops.clean import clean
from infra.ops.gcloud import CloudRefused
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
    return parser


def _smoke(one: argparse.ArgumentParser) -> None:
    one.add_argument("--timeout", type=float, default=300, help="seconds until it must have ended (300)")
    _does(one, lambda at, given: smoke(at, given.timeout))


def _clean(one: argparse.ArgumentParser) -> None:
    one.add_argument("--prefix", default="scratch/", help="of objects (scratch/)")
    one.add_argument("--older", type=int, default=30, help="days (30)")
    one.add_argument("--delete", action="store_true", help="let it go")
    _does(one, lambda at, given: clean(at, given.prefix, given.older, given.delete))


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
