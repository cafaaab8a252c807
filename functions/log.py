"""One log line shape everywhere: JSON in the cloud, readable on a terminal."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

Severity = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Log:
    """Writes log lines to a stream, by default standard error."""

    def __init__(self, log_format: Literal["json", "text"], stream: TextIO | None = None) -> None:
        self._json = log_format == "json"
        self._stream = stream

    @property
    def stream(self) -> TextIO:
        """Where lines go."""
        return self._stream or sys.stderr

    def __call__(self, severity: Severity, message: str, **fields: Any) -> None:
        """Write one line; fields that are None are left out."""
        known = {name: value for name, value in fields.items() if value is not None}
        line = (
            self._as_json(severity, message, known) if self._json else self._as_text(severity, message, known)
        )
        with suppress(OSError):  # nowhere to write, such as a full disk, is no reason to stop working
            self.stream.write(line + "\n")
            self.stream.flush()

    @staticmethod
    def _as_json(severity: str, message: str, fields: dict[str, Any]) -> str:
        return json.dumps({"severity": severity, "message": message, **fields}, default=str)

    @staticmethod
    def _as_text(severity: str, message: str, fields: dict[str, Any]) -> str:
        now = datetime.now(UTC).strftime("%H:%M:%S")
        details = " ".join(f"{name}={_escaped(value)}" for name, value in fields.items())
        return f"{now} {severity:<7} {_escaped(message)} {details}".rstrip()


def _escaped(value: Any) -> str:
    """The text with line breaks and control characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


class Bridge(logging.Handler):
    """A logging handler that writes records of libraries and adapters, from WARNING on, through our log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        severity: Severity = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        error = self.format(record) if record.exc_info else None
        self._log(severity, record.getMessage(), logger=record.name, error=error)


def bridge(log: Log) -> None:
    """Send everything that this process logs through `logging` to `log`."""
    unbridge()
    logging.getLogger().addHandler(Bridge(log))


def unbridge() -> None:
    """Undo `bridge`, for example before the file of its log is closed."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Bridge)]:
        root.removeHandler(handler)
