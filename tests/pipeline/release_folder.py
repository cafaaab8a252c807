"""Makes what a release leaves behind, for `test_versions.py`; run it once for each, where Robyn is installed.

python -m tests.pipeline.release_folder tests/pipeline/released/<date of the release>.tar.xz
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from contracts.events import BATCH_REQUESTS
from contracts.request import job_id_for
from functions.adapters.embedded.warehouse import DuckDbWarehouse
from functions.errors import Unavailable
from infra.local.demo_data import generate
from tests.pipeline.world import World

LEFT_OUT = (".png", ".rds", ".txt", "console.log")
"""What is left out: pictures and objects of R, which are large, and logs, which name paths of the machine."""


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


def _continue_results(world: World) -> None:
    """A result of each engine, and one of each kind that continues another."""
    former = job_id_for("succeeded")
    search = {"iterations": 5, "trials": 1}
    world.submit("by-robyn", engine="robyn", search={**search, "iterations": 40})
    newer = {**world.request("any")["source"], "table": "newer_sales"}
    world.submit("refreshed", refresh_of={"job": former}, source=newer)
    world.submit("restarted", search={**search, "start_from": former})
    world.run()
    used = {"job_id": former}
    assert world.web.post("/api/v1/countries/DE:use", json=used).status_code == 200


def _ask_for_many(world: World) -> None:
    """A mapping in two versions, a batch at each stage, and a schedule of each kind."""
    said = world.request("any")
    request = {name: value for name, value in said.items() if name != "request_id"}
    own = ("request_id", "country", "source", "requested_by")
    settings = {name: value for name, value in said.items() if name not in own}
    for version, end in enumerate(("2024-06-24", "2024-12-30")):
        headers = {"If-Match": f'"{version}"'} if version else {}
        body = {"settings": {**settings, "window": {"end": end}}}
        assert world.web.put("/api/v1/mappings/DE/weekly", json=body, headers=headers).status_code < 300
    from_mapping = {name: said[name] for name in ("country", "source")} | {"settings": "weekly"}
    for name, base in (("ended", {**request, "validate_only": True}), ("paused", from_mapping)):
        world.publish({"name": name, "base": base, "rows": [{"labels": {"row": "1"}}, {}]}, BATCH_REQUESTS)
        _deliver(world, "extract-batches")
        if name == "ended":
            world.run()
    [paused] = [one for one in world.web.get("/api/v1/batches").json["batches"] if one["name"] == "paused"]
    assert world.web.post(f"/api/v1/batches/{paused['batch_id']}:pause").status_code == 200
    weekly = {"cron": "0 6 * * MON", "time_zone": "Europe/Berlin"}
    for name, what in (
        ("one", {"request": {**from_mapping, "refresh": "latest-of-schedule"}}),
        ("many", {"batch": {"base": from_mapping, "rows": [{"country": "DE"}]}}),
    ):
        schedule = {"version": 0, "schedule": {**weekly, **what}}
        answer = world.web.put(f"/api/v1/schedules/{name}", json=schedule)
        assert answer.status_code == 200, answer.json


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
    return None if member.name.endswith(LEFT_OUT) else member


def main(archive: Path) -> None:
    """Write the archive of a folder with jobs in every state, results of both engines, and all else."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder), engines=("native", "robyn"))
        world.fill_warehouse(generate().table[:190])
        world.fill_warehouse(name="newer_sales")
        _end_jobs(world)
        _continue_results(world)
        _ask_for_many(world)
        _begin_jobs(world)
        world.embedded._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        world.embedded.close()
        with tarfile.open(archive, "w:xz") as packed:
            for name in ("bucket", "warehouse", "state.db"):
                packed.add(Path(folder, name), name, filter=_kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
