"""The handler of each function.

A handler is imported when it is first asked for: a cold start loads the libraries of one function only.
"""

from __future__ import annotations

from collections.abc import Callable

from functions.message import Message
from functions.runtime import Runtime

Handler = Callable[[Message, Runtime], None]


def _extract() -> Handler:
    from functions.extract.handler import handle

    return handle


def _validate() -> Handler:
    from functions.validate.handler import handle

    return handle


def _launch() -> Handler:
    from functions.launch.handler import handle

    return handle


def _finalize() -> Handler:
    from functions.finalize.handler import handle

    return handle


def _summarize() -> Handler:
    from functions.summarize.handler import handle

    return handle


def _sweep() -> Handler:
    from functions.sweep.handler import handle

    return handle


def _bury() -> Handler:
    from functions.bury.handler import handle

    return handle


HANDLERS: dict[str, Callable[[], Handler]] = {
    "extract": _extract,
    "validate": _validate,
    "launch": _launch,
    "finalize": _finalize,
    "summarize": _summarize,
    "sweep": _sweep,
    "bury": _bury,
}
"""What imports the handler of each function that messages wake; `web` is no handler but an application."""
