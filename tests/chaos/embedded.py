"""The embedded family under stress: one host, one folder on a small disk of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from contracts.events import JOB_FINISHED, SWEEP_REQUESTS
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.warehouse import load_table
from infra.local.demo_data import generate
from infra.local.host import ADDRESS, CONNECTION, local_settings
from tests.adapters.gcp_servers.emulators import free_port
from tests.adapters.receiver import receiving
from tests.chaos.disk import fill, mount, unmount
from tests.chaos.plan import DATA, data
from tests.chaos.system import Server, System

SLOTS = 3


@dataclass
class EmbeddedSystem(System):
    """A host that may be killed, and a disk that may be full."""

    folder: Path = Path()
    store: Embedded | None = None

    def pending(self) -> list[Any]:
        """All but the sweeps, of which there is always a next one."""
        assert self.store
        return [one for one in self.store.bus.pending() if one.subscription != SWEEP_REQUESTS]

    def upload(self, name: str, content: bytes) -> None:
        """Copy a file into the folder, as a person does."""
        path = self.folder / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.part")
        aside.write_bytes(content)
        aside.replace(path)

    def look_after(self) -> Iterator[str]:
        """Keep the host running, and the disk full while it must be: what was freed is filled again."""
        if self.full:
            fill(self._ballast)
            list(super().look_after())  # a host may end at its start on a full disk
        else:
            yield from super().look_after()

    def left_behind(self) -> list[Path]:
        """Temporary files of tasks."""
        return list((self.folder / "temporary").iterdir())

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        super().fill()
        fill(self._ballast)

    def free(self) -> None:
        """Give the disk back."""
        self._ballast.unlink()
        super().free()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextmanager
def embedded(base: Path, requests: int) -> Iterator[tuple[EmbeddedSystem, str]]:
    """A fresh installation under `base`, and why its disk cannot be filled, if so."""
    folder, watch = base / "disk", base / "watch"
    watch.mkdir(parents=True)
    no_disk = mount(folder, 48 + requests)
    table = pa.Table.from_pandas(generate().table.iloc[:110], preserve_index=False)
    load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
    store, port = Embedded(folder), free_port()
    given = {"folder": str(folder), "slots": SLOTS, "port": port, "watch": str(watch)}
    command = [sys.executable, "-m", "tests.chaos.host", json.dumps(given)]
    with receiving() as upstream:
        store.bus.subscribe("upstream", JOB_FINISHED, upstream.url)
        system = EmbeddedSystem(
            ports=store.ports(),
            settings=local_settings(folder, SLOTS),
            upstream=upstream,
            watch=watch,
            url=f"http://{ADDRESS}:{port}",
            servers=[Server(command, base / "host.log", dict(os.environ))],
            folder=folder,
            store=store,
        )
        system.upload(DATA, data())
        try:
            yield system, no_disk
        finally:
            system.stop()
            if not no_disk:
                unmount(folder)
