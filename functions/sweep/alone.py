"""What goes wrong with one of many that are swept stops none of the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from functions.errors import Failure, Transient
from functions.ports import Conflict
from functions.runtime import Runtime


@contextmanager
def alone(runtime: Runtime, **which: Any) -> Iterator[None]:
    """Sweep one job, batch, schedule or deletion; what fails is logged and tried again at the next tick."""
    try:
        yield
    except Conflict:
        runtime.log("INFO", "it was changed meanwhile", **which)
    except Transient as error:
        runtime.log("WARNING", f"nothing changed: {error.problem.detail}", **which)
    except Failure as error:  # for example a missing role, which concerns this one or needs a person
        runtime.log("ERROR", f"nothing changed: {error.problem.detail}", **which)
