"""Where the answers to several budget questions are: the files of each further one bear its number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from contracts.result import Allocation


@contextmanager
def room(folder: Path, number: int) -> Iterator[Path]:
    """A folder for the answer to a question, counted from 1; afterwards its files are in `folder`.

    Those of the first keep their names, `allocator.json` of the second becomes `allocator-2.json`. R may have
    left files in the room already (`export_budget` in r/R/budget.R).
    """
    if number == 1:
        yield folder
        return
    scratch = folder / f"answer-{number}"
    scratch.mkdir(exist_ok=True)
    yield scratch
    for path in scratch.iterdir():
        path.rename(folder / f"{path.stem}-{number}{path.suffix}")
    scratch.rmdir()


def answers(folder: Path) -> list[Allocation]:
    """The answers that a result has, in the order of the questions."""
    found = []
    for number in count(1):
        path = folder / ("allocator.json" if number == 1 else f"allocator-{number}.json")
        if not path.is_file():
            break
        found.append(Allocation.model_validate_json(path.read_bytes()))
    return found
