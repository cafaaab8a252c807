"""The functions on one machine: in the host's process, and in others while many messages wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from functions.adapters.embedded import Embedded
from functions.adapters.embedded.push import Refused
from functions.log import Log
from functions.runtime import Runtime, use
from infra.local import functions
from infra.local.functions import Functions, functions_app
from infra.local.host import local_settings, task_environment

PATIENCE_S = 120


def tick() -> dict[str, Any]:
    """A message of the clock."""
    return {"message": {"data": "e30=", "messageId": "1"}, "subscription": "sweep-requests"}


def helpers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it was killed
            if functions.__name__ in child.cmdline():
                found.append(child)
    return found


Push = Callable[[str, dict[str, Any]], None]


@pytest.fixture
def functions_at_work(tmp_path: Path) -> Iterator[tuple[Functions, Push]]:
    """The functions while this process is blocked, and a push that waits until another process answers."""
    settings = local_settings(tmp_path)
    with (tmp_path / "log").open("w", encoding="utf-8") as lines, ThreadPoolExecutor(2 * PATIENCE_S) as pool:
        use(Runtime(Embedded(tmp_path).ports(), settings, Log("text", lines)))
        app, gate = functions_app(), threading.Event()

        def blocked(environ: Any, start_response: Any) -> Any:
            gate.wait(2 * PATIENCE_S)
            return app(environ, start_response)

        these = Functions(blocked, 1, task_environment(settings), lines)
        waiting = [pool.submit(these, "sweep", tick()) for _ in range(functions.MANY)]

        def push(endpoint: str, envelope: dict[str, Any]) -> None:
            for _ in range(PATIENCE_S):
                pushed = pool.submit(these, endpoint, envelope)
                with suppress(TimeoutError):
                    pushed.result(1)
                    return
            raise AssertionError("no other process has answered")

        yield these, push
        gate.set()
        for one in waiting:
            one.result(PATIENCE_S)
        these.close()
    assert not helpers()


def test_another_process_helps_while_many_messages_wait(functions_at_work: tuple[Functions, Push]):
    _, push = functions_at_work
    for _ in range(2 * functions.CHANNELS):
        push("sweep", tick())
    with pytest.raises(Refused, match="404"):
        push("no-such-function", tick())
    with pytest.raises(Refused, match="400"):
        push("sweep", {})
    assert len(helpers()) == 1


def test_the_death_of_a_process_fails_its_deliveries_only(functions_at_work: tuple[Functions, Push]):
    these, push = functions_at_work
    push("sweep", tick())
    (process,) = helpers()
    process.kill()
    with pytest.raises(Refused, match="no answer"):
        push("sweep", tick())
    process.wait(PATIENCE_S)
    these.rest()
    push("sweep", tick())
    assert [helper.pid for helper in helpers()] != [process.pid]
