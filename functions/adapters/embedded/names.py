"""Which object names are files, and where."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

_MAX_NAME = 1024  # bytes, as in Cloud Storage
_MAX_SEGMENT = 255  # bytes, as in every usual file system
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def object_path(bucket: Path, name: str) -> Path:
    """The file of an object.

    Raises:
        ValueError: the name cannot be that of a file, or would lead out of the bucket.
    """
    path, folders = _way(str(bucket), name)
    for folder in folders:
        if os.path.islink(folder):
            raise ValueError(
                f"{name!r} cannot be the name of an object: a folder on its way is a symbolic link"
            )
    return path


@lru_cache(maxsize=1024)  # a message asks for each of its names several times
def _way(bucket: str, name: str) -> tuple[Path, tuple[str, ...]]:
    """The file of an object, and the folders between it and the bucket."""
    problem = _problem(name)
    if problem:
        raise ValueError(f"{name!r} cannot be the name of an object: {problem}")
    folders = (f"{bucket}/{folder}" for folder in accumulate(name.split("/")[:-1], "{}/{}".format))
    return Path(bucket, name), tuple(folders)


def _problem(name: str) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    segments = name.split("/")
    checks = (
        (not name, "it is empty"),
        (name.startswith("/"), "it begins with a slash"),
        ("" in segments, "it has an empty part between slashes"),
        ("." in segments or ".." in segments, "it has a part `.` or `..`"),
        (_CONTROL.search(name) is not None, "it has a control character"),
        (any(len(part.encode()) > _MAX_SEGMENT for part in segments), f"a part is over {_MAX_SEGMENT} bytes"),
        (size > _MAX_NAME, f"it is over {_MAX_NAME} bytes"),
    )
    return next((problem for found, problem in checks if found), None)
