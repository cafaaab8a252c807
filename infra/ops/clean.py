"""What may go: old objects of prefixes that age, and versions of secrets that were retired."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from datetime import datetime, timedelta

from contracts.cloud import PREFIXES
from functions.ports import Conflict, ObjectInfo
from infra.ops.gcloud import gcloud
from infra.ops.place import Place
from infra.ops.report import Report, Row, Usage

AGING = tuple(name for name, prefix in PREFIXES.items() if prefix.delete_after is not None)
"""Prefixes whose objects the bucket itself removes at some age; the others are never touched."""
MIN_DAYS = 7
"""What is younger may still be needed by a job that waits or trains."""


def clean(place: Place, prefix: str, older_days: int, delete: bool) -> Report:
    """List what may go, a row for each folder or version; with `delete` it goes.

    Raises:
        Usage: the prefix is protected, or the age is too small.
    """
    if not prefix.startswith(AGING):
        raise Usage(f"'{prefix}' is protected; objects may go under {', '.join(AGING)}")
    if older_days < MIN_DAYS:
        raise Usage(f"--older must be at least {MIN_DAYS} days: younger objects may still be needed")
    now = place.ports.clock.now()
    before = now - timedelta(days=older_days)
    old = [info for info in place.ports.objects.list(prefix) if info.updated < before]
    versions = _retired(place, before)
    if delete:
        for info in old:
            with suppress(Conflict):  # it was written anew meanwhile
                place.ports.objects.delete(info.name, info.generation)
        _destroy(place, versions)
    done = "deleted" if delete else "may go"
    rows = [*_folders(old, now, done), *({"what": name, "done": done} for name in versions)]
    note = f"{len(old)} objects, {len(versions)} versions of secrets"
    return Report(rows, note if delete else f"{note}; --delete lets them go")


def _folders(old: list[ObjectInfo], now: datetime, done: str) -> list[Row]:
    folders: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in old:
        folders["/".join(info.name.split("/")[:2]) + "/"].append(info)
    return [
        {
            "what": name,
            "done": done,
            "objects": len(inside),
            "bytes": sum(info.size for info in inside),
            "oldest_days": (now - min(info.updated for info in inside)).days,
        }
        for name, inside in sorted(folders.items())
    ]


def _retired(place: Place, before: datetime) -> list[str]:
    """Disabled versions of our secrets that were made before a time, by their full names."""
    if place.project is None:
        return []
    secrets = gcloud(place.project, "secrets", "list", "--filter=labels.part=secrets") or []
    names = [secret["name"].rsplit("/", 1)[1] for secret in secrets]
    filtered = f"--filter=state=DISABLED AND createTime<{before.isoformat()}"
    found = [gcloud(place.project, "secrets", "versions", "list", name, filtered) or [] for name in names]
    return [version["name"] for versions in found for version in versions]


def _destroy(place: Place, versions: list[str]) -> None:
    for name in versions:
        _, _, _, secret, _, number = name.split("/")
        gcloud(str(place.project), "secrets", "versions", "destroy", number, f"--secret={secret}")
