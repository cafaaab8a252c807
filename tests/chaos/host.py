"""The host of one machine, as `make up` runs it, but impatient and with the idle engine."""

from __future__ import annotations

import json
import sys
import threading
from functools import partial
from pathlib import Path
from unittest import mock

from functions.adapters.embedded import Embedded
from functions.adapters.embedded.bus import BusSettings
from functions.adapters.embedded.launcher import LauncherSettings
from functions.settings import EmbeddedSettings
from infra.local import host
from tests.chaos.haste import ACK_DEADLINE_S, MAX_BACK_OFF_S, SWEEP_PERIOD_S, hasten
from tests.chaos.training import WATCH

TRAINING = (sys.executable, "-m", "tests.chaos.training")


def main(settings: EmbeddedSettings, port: int, watch: str) -> None:
    """Run until somebody kills this process."""
    hasten()
    told = {**host.task_environment(settings), WATCH: watch}
    bus = BusSettings(max_back_off_s=MAX_BACK_OFF_S, ack_deadline_s=ACK_DEADLINE_S)
    impatient = partial(Embedded, bus=bus)
    with (
        mock.patch.object(host, "Embedded", impatient),
        mock.patch.object(host, "task_environment", return_value=told),
        mock.patch.object(host, "SWEEP_PERIOD_S", SWEEP_PERIOD_S),
        host.LocalHost(settings, port, trainings=LauncherSettings(command=TRAINING)),
    ):
        threading.Event().wait()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    settings = host.local_settings(Path(given["folder"]), given["slots"])
    main(settings, given["port"], given["watch"])
