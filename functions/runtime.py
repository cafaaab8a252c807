"""The ports, settings and log of this process, made once and lazily."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.log import Log, bridge
from functions.ports import Ports, TrainerPorts
from functions.settings import (
    EmbeddedSettings,
    EmbeddedTrainerSettings,
    GcpSettings,
    GcpTrainerSettings,
    Settings,
    TrainerSettings,
    read_people_settings,
    read_settings,
    read_trainer_settings,
)

if TYPE_CHECKING:
    from functions.web.people import Identify


@dataclass(frozen=True)
class TrainerRuntime:
    """What a task of a training works with."""

    ports: TrainerPorts
    settings: TrainerSettings
    log: Log


@dataclass(frozen=True)
class Runtime(TrainerRuntime):
    """What every handler works with."""

    ports: Ports
    settings: Settings


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


def trainer_runtime() -> TrainerRuntime:
    """The runtime of a task of a training, from the environment.

    Raises:
        functions.settings.MissingSettings: with every missing or wrong name.
    """
    settings = read_trainer_settings()
    runtime = TrainerRuntime(_trainer_ports(settings), settings, Log(settings.log_format))
    bridge(runtime.log)
    return runtime


def identify(settings: Settings) -> Identify:
    """What tells the page who asks.

    Raises:
        functions.settings.MissingSettings: with every missing or wrong name.
    """
    if isinstance(settings, GcpSettings):
        from functions.adapters.gcp.iap import IapPeople

        return IapPeople(read_people_settings())
    from functions.web.people import local_user

    return local_user


def _ports(settings: EmbeddedSettings | GcpSettings) -> Ports:
    if isinstance(settings, GcpSettings):
        from functions.adapters.gcp import gcp_ports

        return gcp_ports(settings)
    from functions.adapters.embedded import Embedded

    return Embedded(settings.folder).ports()


def _trainer_ports(settings: EmbeddedTrainerSettings | GcpTrainerSettings) -> TrainerPorts:
    if isinstance(settings, GcpTrainerSettings):
        from functions.adapters.gcp import gcp_trainer_ports

        return gcp_trainer_ports(settings)
    from functions.adapters.embedded import Embedded

    return Embedded(settings.folder).ports()
