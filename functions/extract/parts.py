"""Parquet datasets as Spark and others write them: a folder of parts is one upload.

Its parts and the mark `_SUCCESS`, each in its generation, make the version of the folder. Names that begin
with `_` or `.` are no parts, as Spark has it. A folder below that is named `region=DE` gives a column.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import islice

from contracts.names import parts_mark
from functions.extract.pairing import beginnings, belong, is_settings
from functions.ports import ObjectInfo, ObjectStore

MAX_LISTED = 10_000
"""Objects of a folder that are looked at to find its parts."""
_WRITTEN = re.compile(
    r"\.?(part-([a-z]-)?\d{5}|_SUCCESS|(_common)?_metadata|_(started|committed)_\d+)", re.IGNORECASE
)
"""Names of the files that Spark, Hadoop and others write into such a folder."""
_VERSION_DIGITS = 13  # 52 bits: a number that JSON and every reader of it keep


def folder_of(objects: ObjectStore, name: str) -> str | None:
    """The folder of parts in which a file of the drop-zone lies; None if the file is an upload by itself.

    It is one that is named `….parquet`, holds `_SUCCESS` or files that are named like Spark's parts, or is
    divided into folders like `region=DE`.
    """
    path = name.split("/")
    below = path[2:-1]  # without drop-zone, country and file
    for depth, part in enumerate(below, 2):
        if part.lower().endswith(".parquet"):
            return "/".join(path[: depth + 1])
        if depth > 2 and ("=" in part or part == "_temporary"):
            return "/".join(path[:depth])
    folder, file = "/".join(path[:-1]), path[-1]
    if below and (_WRITTEN.match(file) or objects.stat(parts_mark(folder))):
        return folder
    return None


def is_part(folder: str, name: str) -> bool:
    """Whether a file below a folder holds rows of it."""
    below = name.removeprefix(f"{folder}/").split("/")
    hidden = any(each.startswith(("_", ".")) and "=" not in each for each in below)
    return not (hidden or name.endswith("/") or is_settings(name))


def parts_of(objects: ObjectStore, folder: str) -> list[ObjectInfo]:
    """The parts of a folder, sorted by name."""
    listed = islice(objects.list(f"{folder}/"), MAX_LISTED)
    return [info for info in listed if is_part(folder, info.name)]


def version_of(files: Sequence[ObjectInfo]) -> int:
    """The generation of a folder, made of those of its parts and its mark."""
    told = "\n".join(sorted(f"{info.name}#{info.generation}" for info in files))
    return int(hashlib.sha256(told.encode()).hexdigest()[:_VERSION_DIGITS], 16) + 1


def folders_for(objects: ObjectStore, settings: str) -> list[str]:
    """The folders of parts to which settings belong, as far as their names begin alike."""
    found: dict[str, str] = {}
    for prefix in beginnings(settings):
        for info in objects.list(prefix):
            folder = "/".join(info.name.split("/")[: settings.count("/") + 1])
            if folder != info.name and belong(settings, folder):
                found.setdefault(folder, info.name)
    return [folder for folder, name in found.items() if folder_of(objects, name) == folder]
