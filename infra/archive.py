"""`python -m infra.archive FILE`: what the functions are deployed from, as one zip archive.

The same tree makes the same bytes, so that a deployment changes only what has changed.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from contracts.events import SUBSCRIPTIONS

ROOT = Path(__file__).resolve().parents[1]
ENTRY_POINTS = sorted({function for _, function in SUBSCRIPTIONS.values()} | {"web"})
"""The functions of the archive: those that are pushed to, and the page."""
_LEFT_OUT = ("__pycache__", "embedded", "examples", "schemas")
_MAIN = '''"""Where functions-framework looks for entry points; handlers are imported when first called."""

from functions.main import {names}

__all__ = {entry_points}
'''
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can hold


def contents() -> dict[str, bytes]:
    """Every file of the archive by its name in it, in order."""
    files = {str(path.relative_to(ROOT)): path.read_bytes() for path in _sources()}
    files["main.py"] = _main().encode()
    files["requirements.txt"] = (ROOT / "requirements" / "functions.txt").read_bytes()
    return dict(sorted(files.items()))


def write(archive: Path) -> None:
    """Write the archive under a temporary name, then rename it."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, data in contents().items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            file.writestr(entry, data)
    part.replace(archive)


def _main() -> str:
    return _MAIN.format(names=", ".join(ENTRY_POINTS), entry_points=ENTRY_POINTS)


def _sources() -> Iterator[Path]:
    for package in ("contracts", "functions"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and not set(_LEFT_OUT).intersection(path.relative_to(ROOT).parts):
                yield path


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    sys.stdout.write(f"{sys.argv[1]}: {Path(sys.argv[1]).stat().st_size:,} bytes\n")
