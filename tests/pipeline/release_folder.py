"""Makes what a released version leaves behind, for `test_versions.py`; run it once for each release.

python -m tests.pipeline.release_folder tests/pipeline/released/<date of the release>.tar.xz
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from functions.adapters.embedded.warehouse import DuckDbWarehouse
from functions.errors import Unavailable
from infra.local.demo_data import generate
from tests.pipeline.world import World

LEFT_OUT = ".png"
"""Files of results that are left out, because they are large: pictures."""


def _deliver(world: World, *subscriptions: str) -> None:
    """Deliver the newest message of each subscription."""
    for name in subscriptions:
        waiting = [one for one in world.embedded.bus.pending() if one.subscription == name]
        world.embedded.bus.deliver(waiting[-1].id)


def _end_jobs(world: World) -> None:
    """Jobs in each state that is an end, an upload that waits, and a dead letter."""
    columns = world.request("any")["columns"]
    world.submit("succeeded")
    world.submit("validated", validate_only=True)
    world.submit("rejected", columns={**columns, "dependent": "no_such_column"})
    world.submit("invalid", search={"iterations": -1})
    world.run()
    world.submit("failed")
    world.deliver()
    for _ in range(8):
        world.train(exit_code=1)
        world.clock.pass_(minutes=5)
        world.sweep()
    cancelled = world.submit("cancelled")
    _deliver(world, "extract-requests")
    world.act(cancelled, "cancel")
    world.publish(b"garbage")
    world.ports.objects.create("drop-zone/AT/waiting.csv", b"date,revenue\n2026-01-05,1\n")
    world.deliver()


def _begin_jobs(world: World) -> None:
    """Jobs in each state that is no end, with their messages on the way."""
    to_running = ("extract-requests", "validate-datasets", "launch-ready")
    world.submit("trained")
    _deliver(world, *to_running)
    world.train()
    _deliver(world, "finalize-outcomes")
    world.submit("running")
    _deliver(world, *to_running)
    world.tasks()
    world.submit("queued")
    _deliver(world, "extract-requests", "validate-datasets")
    world.submit("extracted")
    _deliver(world, "extract-requests")
    cancelling = world.submit("cancelling")
    _deliver(world, "extract-requests")
    world.act(cancelling, "cancel")
    world.submit("accepted", cache="refresh")
    with mock.patch.object(DuckDbWarehouse, "query", side_effect=Unavailable("not now")):
        _deliver(world, "extract-requests")


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "/robyn/" in member.name and member.name.endswith(LEFT_OUT) else member


def main(archive: Path) -> None:
    """Write the archive of a folder with jobs in every state, and results of the native engine."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.fill_warehouse(generate().table[:190])
        _end_jobs(world)
        _begin_jobs(world)
        world.embedded._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        world.embedded.close()
        with tarfile.open(archive, "w:xz") as packed:
            for name in ("bucket", "warehouse", "state.db"):
                packed.add(Path(folder, name), name, filter=_kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
