"""`make chaos-real`: real processes, real kills, a disk that is really full, and all promises kept."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.adapters.families import MissingPart
from tests.chaos.disk import may_mount, own_mounts
from tests.chaos.driver import Run
from tests.chaos.plan import draw
from tests.chaos.system import Misfortune, System

Family = Callable[[Path, int], AbstractContextManager[tuple[System, str]]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("family", choices=["embedded", "gcp"])
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--over", type=float, default=0.5, help="seconds between two requests, on average")
    parser.add_argument("--kill-every", type=float, default=2.0, help="seconds between two kills, on average")
    parser.add_argument("--kills", type=int, help="how many processes are killed; left out: one per job")
    parser.add_argument("--full", type=float, default=10.0, help="for how many seconds the disk is full")
    args = parser.parse_args()
    if args.family == "embedded" and not may_mount():
        own_mounts(["-m", "tests.chaos", *sys.argv[1:]])
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    base = Path(tempfile.mkdtemp(prefix="mmm-chaos-"))
    try:
        with _family(args.family)(base / "run", args.jobs) as (system, no_disk):
            return _run(system, no_disk, args, base)
    except MissingPart as reason:
        say(f"not run: {reason}")
        return 0
    finally:
        if not (base / "kept").exists():
            shutil.rmtree(base, ignore_errors=True)


def _family(name: str) -> Family:
    if name == "embedded":
        from tests.chaos.embedded import embedded

        return embedded
    try:
        from tests.chaos.cloud import cloud
    except ModuleNotFoundError as error:
        raise MissingPart(f"requirements/gcp.txt is not installed ({error})") from error
    return cloud


def _run(system: System, no_disk: str, args: Any, base: Path) -> int:
    say(f"family {args.family}, {args.jobs} requests, seed {args.seed}")
    if no_disk:
        say(f"the disk is not filled: {no_disk}")
    steps = draw(args.seed, args.jobs, args.over * args.jobs)
    misfortune = Misfortune(args.seed, args.kill_every, args.kills or args.jobs)
    run = Run(system, steps, misfortune, 0 if no_disk else args.full, tables=args.family == "embedded")
    kept = run.run()
    _report(run)
    if kept:
        say("every promise was kept")
        return 0
    system.stop()
    shutil.copytree(base / "run", base / "kept", symlinks=True)
    say(f"BROKEN: {run.finding}\neverything is kept in {base / 'kept'}")
    return 1


def _report(run: Run) -> None:
    say(f"took {run.seconds:.0f} s; killed {sum(run.misfortune.counts.values())} processes:")
    for whom, times in sorted(run.misfortune.counts.items()):
        say(f"  {times:5d} × {whom}")
    say(
        f"nothing could be stored for {run.full_s:.0f} s"
        if run.filled
        else "everything could be stored always"
    )
    say("jobs ended: " + ", ".join(f"{number} {state}" for state, number in sorted(run.states.items())))
    say(
        "attempts: " + ", ".join(f"{number} jobs × {tries}" for tries, number in sorted(run.attempts.items()))
    )


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
