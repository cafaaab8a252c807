"""The embedded family: everything of one installation under one folder of one machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from functions.adapters import SystemClock
from functions.adapters.embedded.bus import BusSettings, Push, SqliteBus
from functions.adapters.embedded.database import DamagedFolder, Database
from functions.adapters.embedded.jobs import SqliteJobStore
from functions.adapters.embedded.launcher import LauncherSettings, SubprocessLauncher
from functions.adapters.embedded.objects import FileObjectStore
from functions.adapters.embedded.warehouse import DuckDbWarehouses
from functions.adapters.embedded.watcher import Watcher
from functions.ports import Clock, Ports

_OURS = ("datasets", "training-configs", "outcomes", "model_summary")
"""Prefixes in the bucket under which only this program writes."""
_LOCK = "host.lock"
_ABANDONED_S = 24 * 3600.0


class FolderInUse(RuntimeError):
    """Another host runs on the folder."""


class Embedded:
    """Every port, under one folder.

    `state.db` holds documents, the object index, messages and executions; `bucket/` the objects;
    `warehouse/` one `<connection>.duckdb` per warehouse; `logs/` the output of trainings;
    `temporary/` their temporary files.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        push: Push | None = None,
        bus: BusSettings | None = None,
        launcher: LauncherSettings | None = None,
    ) -> None:
        """Open a folder, creating it if necessary.

        `environment`: what trainings are told of the installation; `push`: delivers messages by other means
        than HTTP; `bus`, `launcher`: how they work.

        Raises:
            DamagedFolder: it was used before, and its database is damaged, empty or missing.
        """
        self.folder = folder.resolve()
        self.clock: Clock = clock or SystemClock()
        _refuse_emptied(self.folder)
        self._database = Database(self.folder / "state.db")
        self.jobs = SqliteJobStore(self._database)
        self.bus = SqliteBus(self._database, self.clock, push, bus)
        self.objects = FileObjectStore(self._database, self.folder, self.bus, self.clock)
        self.watcher = Watcher(self.objects, self.jobs, self.clock)
        self.launcher = SubprocessLauncher(
            self._database, self.folder, self.clock, environment or {}, launcher
        )
        self.warehouses = DuckDbWarehouses(self.folder / "warehouse")
        self._lock: TextIO | None = None

    def ports(self) -> Ports:
        """What the functions need."""
        return Ports(
            jobs=self.jobs,
            objects=self.objects,
            bus=self.bus,
            launcher=self.launcher,
            warehouses=self.warehouses,
            clock=self.clock,
        )

    def lock(self) -> None:
        """Become the only host of the folder, until `close` or the end of this process.

        Raises:
            FolderInUse: another host runs on it.
        """
        lock = (self.folder / _LOCK).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise FolderInUse(
                f"another host (process {holder}) runs on {self.folder}; stop it, or choose another folder"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        self._database.forget_damage()
        self._remove_abandoned()

    def look(self) -> None:
        """Complain if the database is damaged or gone, whichever process of the folder has noticed.

        Raises:
            DamagedFolder: it is.
        """
        self._database.look()

    def close(self) -> None:
        """Release the lock, close this thread's database connection, and let the server of warm tasks end."""
        self.launcher.close()
        if self._lock:
            self._lock.close()
            self._lock = None
        self._database.close()

    def _remove_abandoned(self) -> None:
        """Delete partial files of dead writers; trainings that outlived the host may write others."""
        for path in self.objects.partial.iterdir():
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink(missing_ok=True)


def _refuse_emptied(folder: Path) -> None:
    """A new database in the place of a former one would forget every job, and start every upload again."""
    state = folder / "state.db"
    if state.exists() and state.stat().st_size:
        return
    ours = [folder / "bucket" / prefix for prefix in _OURS]
    if (folder / _LOCK).exists() or any(path.is_dir() and any(path.iterdir()) for path in ours):
        raise DamagedFolder(
            f"{state} is missing or empty, although the folder was used before: "
            "restore state.db from a backup, or choose another folder"
        )
