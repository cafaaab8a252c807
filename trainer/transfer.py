"""Copy files to objects and back."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from functions.ports import AlreadyExists, ObjectInfo, ObjectStore
from functions.runtime import TrainerRuntime
from functions.steps import existing

_PIECE = 1 << 20  # bytes copied at a time


def download(objects: ObjectStore, name: str, path: Path) -> None:
    """Write an object's content to a file.

    Raises:
        NotFound: there is no such object.
    """
    with objects.reader(name) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, _PIECE)


def upload(runtime: TrainerRuntime, name: str, path: Path) -> ObjectInfo:
    """Create an object with a file's content; one that is there already stays as it is."""
    with suppress(AlreadyExists), runtime.ports.objects.writer(name) as target, path.open("rb") as source:
        shutil.copyfileobj(source, target, _PIECE)
    return existing(runtime, name)
