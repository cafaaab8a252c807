"""Compiling with numba, and its cache of machine code.

The cache is NUMBA_CACHE_DIR, or else a folder of the user's own, wherever a process was started. In an image
it is built once, for one CPU baseline (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES), and then only read. numba ignores
a cache that it cannot write to and compiles everything again; so a read-only cache is copied.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.misc.appdirs import AppDirs

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call and cache the machine code; a division by zero gives inf or NaN, as in R."""
    return cast(Function, numba.njit(cache=True, error_model="numpy")(function))


def compiled_without_lock(function: Function) -> Function:
    """`compiled`, releasing the interpreter's lock while it runs."""
    return cast(Function, numba.njit(cache=True, error_model="numpy", nogil=True)(function))


def _writable(cache: str) -> str:
    """Return `cache`, or a writable copy of a few MB that is removed when this process ends."""
    if not os.path.isdir(cache) or os.access(cache, os.W_OK):
        return cache
    folder = tempfile.mkdtemp(prefix="numba-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = os.path.join(folder, "cache")
    shutil.copytree(cache, copy, copy_function=shutil.copyfile)
    for path, _, _ in os.walk(copy):
        os.chmod(path, 0o700)
    return copy


_OWN = AppDirs("mmm-trainer", appauthor=False).user_cache_dir  # type: ignore[no-untyped-call]
numba.config.CACHE_DIR = _writable(numba.config.CACHE_DIR or _OWN)  # type: ignore[attr-defined]
