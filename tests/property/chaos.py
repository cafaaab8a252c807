"""`make chaos N=…`: many schedules from one seed; the first that breaks a promise is shortened and stored."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress

from tests.property.exploration import Explored, explore
from tests.property.schedule import broken
from tests.property.simulation import simulation
from tests.property.tapes import keep, shorter, tape

_PERIOD_S = 30.0
"""From one line of progress to the next."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schedules", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--first", type=int, default=0, help="number of the first schedule")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    numbers = range(args.first, args.first + args.schedules)
    _say(f"seed {args.seed}, commit {_commit()}, {args.processes} processes")
    explored = _run(args.seed, numbers, args.processes)
    return _store(args.seed, args.first, explored) if explored.broke else 0


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"


def _run(seed: int, numbers: range, processes: int) -> Explored:
    """Run the schedules, or as many as there is time for until somebody interrupts."""
    explored, started, ended = Explored(), time.monotonic(), "interrupted after "
    told = started
    with suppress(KeyboardInterrupt), closing(explore(seed, numbers, processes)) as progress:
        for explored in progress:
            if time.monotonic() - told > _PERIOD_S:
                told = time.monotonic()
                _say(f"… {_came_to(numbers.start, explored, told - started)}")
        ended = ""
    kept = "" if explored.broke else "; every promise was kept"
    _say(f"{ended}{_came_to(numbers.start, explored, time.monotonic() - started)}{kept}")
    return explored


def _came_to(first: int, explored: Explored, seconds: float) -> str:
    covered = f"{len(explored.covered)} distinct (state, event, fault) triples"
    which = f"schedules {first} to {first + explored.schedules - 1}" if explored.schedules else "no schedule"
    return f"{which} in {seconds:.0f} s; {covered}"


def _store(seed: int, first: int, explored: Explored) -> int:
    number = first + explored.schedules - 1
    _say(f"schedule {number} broke a promise: {explored.broke}\nshortening it …")
    with simulation() as sim:
        short = shorter(sim, tape(seed, number))
        path = keep(f"seed-{seed}-{number}", short, broken(sim, short) or explored.broke)
    _say(f"stored as {path}")
    return 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
