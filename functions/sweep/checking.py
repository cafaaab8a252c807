"""Whether the platform of trainings answers: the page may not ask it, so sweep does."""

from __future__ import annotations

import time
from contextlib import suppress

from contracts import names
from contracts.preview import Checked
from functions.errors import Failure
from functions.ports import AlreadyExists
from functions.runtime import Runtime


def check_launcher(runtime: Runtime, check_id: str) -> None:
    """Look for executions of a job that cannot exist, and put what came of it where the page looks for it."""
    started, problem = time.monotonic(), None
    try:
        runtime.ports.launcher.find("selftest", 1)
    except Failure as error:
        problem = error.problem
    answer = Checked(check_id=check_id, seconds=round(time.monotonic() - started, 3), problem=problem)
    with suppress(AlreadyExists):  # the message came twice
        runtime.ports.objects.create(names.preview(check_id), answer.model_dump_json().encode())
