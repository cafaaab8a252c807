"""`make chaos N=…`: many schedules from one seed; the first that breaks a promise is shortened and stored."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.property.schedule import broken
from tests.property.simulation import Simulation, simulation
from tests.property.tapes import keep, shorter, tape

MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schedules", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"seed {args.seed}", flush=True)  # noqa: T201
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder, simulation(Path(folder)) as sim:
        return _run(sim, args.seed, args.schedules)


def _run(sim: Simulation, seed: int, schedules: int) -> int:
    """Run the schedules, or as many as there is time for until somebody interrupts."""
    covered: set[tuple[str, str, str]] = set()
    started, number = time.monotonic(), 0
    with suppress(KeyboardInterrupt):
        while number < schedules:
            why = broken(sim, tape(seed, number))
            covered |= sim.faults.covered
            if why:
                short = shorter(sim, tape(seed, number))
                path = keep(f"seed-{seed}-{number}", short, broken(sim, short))
                print(f"schedule {number} broke a promise: {why}\nstored as {path}")  # noqa: T201
                return 1
            number += 1
    seconds = time.monotonic() - started
    print(  # noqa: T201
        f"{number} schedules in {seconds:.0f} s; {len(covered)} distinct (state, event, fault) triples; "
        "every promise was kept"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
