"""`python -m infra.local.bench`: measures this machine, and prints one table of figures."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from infra.local.bench.figures import Figure

FOLDER = Path(".bench")


def main() -> int:
    """Measure everything that is asked for."""
    parser = argparse.ArgumentParser(prog="infra.local.bench", description=__doc__)
    parser.add_argument("--data", type=Path, help="a CSV file for the whole job, instead of generated data")
    parser.add_argument("--settings", type=Path, help="its settings, as they lie beside an upload")
    parser.add_argument("parts", nargs="*", help="one or more of the parts (default: all)")
    args = parser.parse_args()
    if (args.data is None) != (args.settings is None):
        parser.error("--data and --settings go together")
    upload = None if args.data is None else (args.data, args.settings)
    unknown = set(args.parts) - _parts(upload).keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    bench({name: part for name, part in _parts(upload).items() if name in (args.parts or _parts(upload))})
    return 0


def _parts(upload: tuple[Path, Path] | None) -> dict[str, Callable[[], list[Figure]]]:
    """Imported one by one, because the processes that they spawn import this module."""

    def search() -> list[Figure]:
        from infra.local.bench.search import measure

        return measure()

    def hypervolume() -> list[Figure]:
        from infra.local.bench.hypervolume import measure

        return measure()

    def outputs() -> list[Figure]:
        from infra.local.bench.outputs import measure

        return measure(FOLDER / "outputs")

    def job() -> list[Figure]:
        from infra.local.bench.job import measure

        return measure(FOLDER / "job", upload)

    def tasks() -> list[Figure]:
        from infra.local.bench.tasks import measure

        return measure(FOLDER / "tasks")

    def batch() -> list[Figure]:
        from infra.local.bench.batch import measure

        return measure(FOLDER / "batch")

    def pipeline() -> list[Figure]:
        from infra.local.bench.pipeline import measure

        return measure(FOLDER / "pipeline")

    def extract() -> list[Figure]:
        from infra.local.bench.extract import measure

        return measure(FOLDER / "extract")

    def growth() -> list[Figure]:
        from infra.local.bench.growth import measure

        return measure(FOLDER / "growth")

    def weeks() -> list[Figure]:
        from infra.local.bench.weeks import measure

        return measure(FOLDER / "weeks")

    def markets() -> list[Figure]:
        from infra.local.bench.markets import measure

        return measure(FOLDER / "markets")

    return {
        "search": search,
        "hypervolume": hypervolume,
        "outputs": outputs,
        "job": job,
        "tasks": tasks,
        "batch": batch,
        "pipeline": pipeline,
        "extract": extract,
        "growth": growth,
        "weeks": weeks,
        "markets": markets,
    }


def bench(parts: dict[str, Callable[[], list[Figure]]]) -> None:
    """Run the parts one after another, and print the table."""
    from rich.table import Table

    from infra.local.bench.figures import machine

    console = Console()
    if not console.is_terminal:
        console.width = 120
    shutil.rmtree(FOLDER, ignore_errors=True)
    table = Table(title="What it costs here", title_justify="left", caption=machine(), caption_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("beside it")
    for name, measure in parts.items():
        console.print(f"measuring: {name} …")
        started = time.monotonic()
        figures = measure()
        table.add_section()
        table.add_row(f"[bold]{name}", "", "", f"[dim]took {time.monotonic() - started:.0f} s")
        for figure in figures:
            table.add_row(figure.what, figure.value, figure.unit, figure.beside)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
