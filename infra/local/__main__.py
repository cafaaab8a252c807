"""`python -m infra.local`: the commands behind the Makefile's targets for one machine."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import psutil

from contracts.engines import ENGINES, EngineName
from functions.adapters.embedded import Embedded, FolderInUse
from functions.errors import Unavailable
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
    commands.add_parser("stop")
    commands.add_parser("demo")
    return _run(parser.parse_args())


def _run(args: argparse.Namespace) -> int:
    match args.command:
        case "up":
            return up(args.folder, args.port, args.address, args.engines)
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
        settings = local_settings(folder, engines=engines)
        with LocalHost(settings, port, address=address, processes=settings.cores) as host:
            say(f"MMM Trainer runs at {host.url}")
            say(f"  drop-zone  {host.settings.folder / 'bucket' / 'drop-zone'}/<country>/")
            say(f"  warehouse  {host.settings.folder / 'warehouse'}/<connection>.duckdb")
            say("Ctrl-C stops it; trainings that run go on, and are picked up by the next `make up`.")
            host.wait(stopping)
    except (PortTaken, TooFewFiles, FolderInUse, Unavailable, OSError) as error:
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
    try:
        killed = Embedded(folder.resolve()).launcher.stop_all()
    except Unavailable as error:
        sys.stderr.write(f"stopped {url}, but its trainings are not known: {error}\n")
        return 1
    say(
        f"stopped {url}"
        + (f" and {killed} training task(s); they start again at the next `make up`" if killed else "")
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
