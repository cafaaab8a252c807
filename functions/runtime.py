"""The ports, settings and log of this process, made once and lazily."""

from __future__ import annotations

from dataclasses import dataclass

from functions.log import Log, bridge
from functions.ports import Ports
from functions.settings import EmbeddedSettings, GcpSettings, Settings, read_settings


@dataclass(frozen=True)
class Runtime:
    """What every handler works with."""

    ports: Ports
    settings: Settings
    log: Log


_current: Runtime | None = None


def current() -> Runtime:
    """The runtime of this process; the first call makes it from the environment."""
    global _current
    if _current is None:
        settings = read_settings()
        _current = Runtime(_ports(settings), settings, Log(settings.log_format))
        bridge(_current.log)
    return _current


def use(runtime: Runtime) -> None:
    """Let this process work with a runtime made elsewhere (the local host, a test)."""
    global _current
    _current = runtime


def _ports(settings: EmbeddedSettings | GcpSettings) -> Ports:
    if isinstance(settings, GcpSettings):
        from functions.adapters.gcp import gcp_ports

        return gcp_ports(settings)
    from functions.adapters.embedded import Embedded

    return Embedded(settings.folder).ports()
