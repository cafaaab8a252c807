"""Where the answers to several budget questions go: the files of each further one bear its number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def room(folder: Path, number: int) -> Iterator[Path]:
    """A folder for the answer to a question, counted from 1; afterwards its files are in `folder`.

    Those of the first keep their names, `allocator.json` of the second becomes `allocator-2.json`.
    """
    if number == 1:
        yield folder
        return
    with TemporaryDirectory(dir=folder, prefix="answer-") as scratch:
        yield Path(scratch)
        for path in Path(scratch).iterdir():
            path.rename(folder / f"{path.stem}-{number}{path.suffix}")
