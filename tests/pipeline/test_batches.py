"""A batch: many requests over one base, however it comes; its rows are jobs like any other."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
import yaml

from contracts.batch import Batch, BatchRequest, BatchState, request_of_row
from contracts.events import BATCH_REQUESTS
from contracts.job import DeadLetter, Job, JobState
from tests.pipeline.test_crashes import Fate, mortal_world
from tests.pipeline.world import Crash, World


def base(world: World) -> dict[str, Any]:
    request = world.request("r")
    del request["request_id"]
    return request


def rows(count: int, **every: Any) -> list[Any]:
    return [{"labels": {"row": str(number)}, **every} for number in range(1, count + 1)]


def batch(world: World, name: str, lines: list[Any], **changes: Any) -> dict[str, Any]:
    return {"name": name, "base": {**base(world), **changes}, "rows": lines}


def publish(world: World, body: dict[str, Any]) -> str:
    world.publish(body, BATCH_REQUESTS)
    return BatchRequest.model_validate(body).batch_id


def drop(world: World, name: str, content: bytes) -> None:
    world.ports.objects.replace(f"drop-zone/{name}", content, None)


def of(world: World, batch_id: str) -> Batch:
    found = world.ports.jobs.get(Batch, batch_id)
    assert found is not None
    return found


def only(world: World) -> Batch:
    [found] = world.ports.jobs.find(Batch)
    return found


def jobs(world: World, batch_id: str) -> dict[int | None, Job]:
    return {job.batch_row: job for job in world.ports.jobs.find(Job, batch_id=batch_id)}


def ends(world: World) -> list[dict[str, Any]]:
    return [event for event in world.received if event["type"] == "batch-finished"]


def live(world: World, ticks: int = 8) -> None:
    """Run everything, with a tick of sweep a minute."""
    for _ in range(ticks):
        world.run()
        world.clock.pass_(minutes=1)
        world.sweep()
    world.run()


def test_a_message_becomes_jobs_and_ends_once(world: World):
    batch_id = publish(world, batch(world, "monday", rows(5)))
    live(world)
    found = of(world, batch_id)
    assert (found.state, found.rows, found.unfolded, found.jobs) == (BatchState.FINISHED, 5, 5, 5)
    assert found.counts == {JobState.SUCCEEDED: 5}
    made = jobs(world, batch_id)
    assert {row: job.request["labels"]["row"] for row, job in made.items()} == {
        n: str(n) for n in range(1, 6)
    }
    assert all(job.request_id.startswith(f"monday-{row}-") for row, job in made.items())
    [end] = ends(world)
    assert (end["batch_id"], end["counts"], end["left_out"]) == (batch_id, {"SUCCEEDED": 5}, 0)


def test_rows_that_cannot_be_requests_are_named_and_hold_up_nobody(world: World):
    taken = world.submit("taken")
    world.deliver()
    lines = rows(4)
    lines[1] = {"search.trials": "many", "columns.paid_media.77.spend": "x"}
    lines[2] = "no mapping"
    lines += [{"request_id": "taken", "revision": "other"}, {"request_id": "has spaces"}]
    batch_id = publish(world, batch(world, "monday", lines))
    live(world)
    found, made = of(world, batch_id), jobs(world, batch_id)
    assert found.counts == {JobState.SUCCEEDED: 2, JobState.REJECTED: 3}
    assert (made[1].state, made[4].state) == (JobState.SUCCEEDED, JobState.SUCCEEDED)
    wrong = made[2].error
    assert wrong is not None
    told = "\n".join(wrong.errors)
    assert all(part in told for part in ("search.trials", "columns.paid_media.77.spend: does not fit"))
    assert made[3].error is not None
    assert "must be a mapping" in made[3].error.errors[0]
    assert made[6].error is not None
    assert "request_id" in made[6].error.errors[0]
    [refused] = found.refused
    assert (refused.row, refused.request_id) == (5, "taken")
    assert world.job(taken).state is JobState.SUCCEEDED
    [end] = ends(world)
    assert (end["jobs"], end["refused"]) == (5, 1)


def test_sent_twice_it_starts_nothing_twice_and_a_changed_row_is_a_new_request(world: World):
    body = batch(world, "monday", rows(3))
    first = publish(world, body)
    publish(world, body)
    live(world)
    publish(world, body)
    live(world)
    assert len(world.ports.jobs.find(Job)) == 3
    assert len(ends(world)) == 1
    body["rows"][1] = {"labels": {"row": "changed"}}
    second = publish(world, body)
    live(world)
    assert second != first
    found, before = of(world, second), jobs(world, first)
    assert (found.jobs, found.counts) == (1, {JobState.SUCCEEDED: 1})
    assert {one.row: one.job_id for one in found.known} == {1: before[1].job_id, 3: before[3].job_id}
    assert len(world.ports.jobs.find(Job)) == 4


CSV = "search.trials;labels\n1;{row: a}\n1;{row: b}\n1;{row: [c}\n"


@pytest.mark.parametrize("first", ["table", "base"])
def test_a_table_in_the_drop_zone_is_a_batch_once_its_base_is_there(world: World, first: str):
    settings = yaml.safe_dump({key: value for key, value in base(world).items() if key != "country"}).encode()
    files = {"table": ("DE/monday.batch.csv", CSV.encode("cp1252")), "base": ("DE/request.yaml", settings)}
    for one in (first, *(files.keys() - {first})):
        world.deliver()
        drop(world, *files[one])
    live(world)
    found = only(world)
    assert (found.name, found.jobs, found.counts) == (
        "DE/monday",
        3,
        {JobState.SUCCEEDED: 2, JobState.REJECTED: 1},
    )
    made = jobs(world, found.batch_id)
    assert {job.country for job in made.values()} == {"DE"}
    assert made[3].error is not None
    assert made[3].error.errors[0].startswith("labels: ")
    drop(world, *files["table"])
    live(world, 2)
    assert len(world.ports.jobs.find(Job)) == 3
    assert len(ends(world)) == 1


def test_tables_say_the_same_in_every_format(world: World, tmp_path: Path):
    lines = [{"search.trials": 1, "revision": "a b"}, {"search.trials": 2, "revision": "2026"}]
    with xlsxwriter.Workbook(tmp_path / "t.xlsx") as book:
        sheet = book.add_worksheet()
        for number, line in enumerate([["search.trials", "revision"], [1, "a b"], [2, '"2026"']]):
            sheet.write_row(number, 0, line)
    texts = {
        "a.batch.csv": b'search.trials,revision\n1,a b\n2,"""2026"""\n',
        "b.batch.xlsx": (tmp_path / "t.xlsx").read_bytes(),
        "c.batch.jsonl": "\n".join(map(json.dumps, lines)).encode(),
    }
    drop(world, "_batches/request.yaml", yaml.safe_dump(base(world)).encode())
    for name, text in texts.items():
        drop(world, f"_batches/{name}", text)
    live(world, 3)
    found = world.ports.jobs.find(Batch)
    assert len(found) == 3
    said = [
        sorted(
            (job.request["search"]["trials"], job.request["revision"])
            for job in jobs(world, one.batch_id).values()
        )
        for one in found
    ]
    assert said == [[(1, "a b"), (2, "2026")]] * 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.batch.csv", b"search.trials\n", "has no rows"),
        ("a.batch.csv", b"a,a\n1,2\n", "several columns of the name 'a'"),
        ("a.batch.xlsx", b"no workbook", "no workbook of Excel"),
        ("a.batch.parquet", b"PAR1", "they end in .csv, .xlsx, .jsonl"),
        ("a.batch.csv", b"a\n" + b"1\n" * 2001, "at most 2000 entries"),
    ],
)
def test_a_table_that_cannot_be_read_is_a_rejected_batch_with_the_reason(
    world: World, name: str, content: bytes, reason: str
):
    drop(world, "DE/request.yaml", yaml.safe_dump(base(world)).encode())
    drop(world, f"DE/{name}", content)
    live(world, 2)
    found = only(world)
    assert found.state is BatchState.REJECTED
    assert found.error is not None
    assert reason in "\n".join(found.error.errors)
    [end] = ends(world)
    assert end["error"]["errors"] == found.error.errors
    assert world.ports.jobs.find(Job) == []


def test_a_message_that_is_no_batch_is_told_to_its_sender_or_becomes_a_dead_letter(world: World):
    world.publish({"name": "monday", "rows": [], "bases": {}}, BATCH_REQUESTS)
    world.publish({"rows": [{}]}, BATCH_REQUESTS)
    live(world, 1)
    [end] = ends(world)
    assert {line.partition(":")[0] for line in end["error"]["errors"]} == {"rows", "bases"}
    [letter] = world.ports.jobs.find(DeadLetter)
    assert letter.subscription == "extract-batches"
    assert "name: is required" in letter.reason


def test_a_row_of_a_countrys_folder_is_of_that_country(world: World):
    drop(world, "DE/a.batch.request.yaml", yaml.safe_dump(base(world)).encode())
    drop(world, "DE/a.batch.csv", b"country,labels\nDE,\nFR,{row: b}\n")
    live(world, 3)
    made = jobs(world, only(world).batch_id)
    assert made[1].state is JobState.SUCCEEDED
    assert made[2].error is not None
    assert made[2].error.errors[0] == "country: 'FR' is not the folder's, 'DE'"


def test_ids_are_made_of_name_row_and_content():
    one = BatchRequest(name="märz/plan", base={"country": "DE"}, rows=[{"a.b": 1}, {"a.b": 2}])
    other = BatchRequest(name="märz/plan", base={"country": "DE"}, rows=[{"a.b": 3}, {"a.b": 2}])
    ids = [[request_of_row(batch, row).derived_id for row in (1, 2)] for batch in (one, other)]
    assert ids[0][1] == ids[1][1]
    assert ids[0][0] != ids[1][0]
    assert ids[0][0].startswith("m-rz-plan-1-")


def test_a_large_batch_leaves_others_their_turn(world: World, monkeypatch: pytest.MonkeyPatch):
    """No more rows are accepted than extract has work for; a single request does not wait for the batch."""
    for module in ("extract", "sweep"):
        monkeypatch.setattr(f"functions.{module}.batches.AHEAD", 4)
    monkeypatch.setattr("functions.extract.batches.CHUNK", 4)
    batch_id = publish(world, batch(world, "monday", rows(12)))
    world.deliver()
    assert of(world, batch_id).unfolded < 12
    single = world.submit("single")
    for _ in range(4):
        world.clock.pass_(minutes=1)
        world.sweep()
        world.train()
    live(world)
    assert of(world, batch_id).counts == {JobState.SUCCEEDED: 12}
    order = sorted(world.ports.jobs.find(Job), key=started)
    assert single in [job.job_id for job in order[:6]]


def started(job: Job) -> str:
    return min(
        str(entry.at) + str(n) for n, entry in enumerate(job.timeline) if entry.state is JobState.RUNNING
    )


def post(world: World, path: str = "", body: Any = None) -> Any:
    return world.web.post(f"/api/v1/batches{path}", json=body)


def shown(world: World, batch_id: str) -> Any:
    return world.web.get(f"/api/v1/batches/{batch_id}").json


def test_a_call_is_the_same_batch_and_the_pages_show_it(world: World):
    body = batch(world, "monday", [*rows(2), {"search.trials": "<b>many</b>"}])
    answer = post(world, body=body)
    assert (answer.status_code, answer.json["state"]) == (201, "UNFOLDING")
    batch_id = answer.json["batch_id"]
    assert answer.headers["Location"] == f"/api/v1/batches/{batch_id}"
    assert post(world, body=body).status_code == 200
    live(world, 3)
    found = shown(world, batch_id)
    assert (found["states"], found["done"], found["state"]) == (
        {"SUCCEEDED": 2, "REJECTED": 1},
        1.0,
        "FINISHED",
    )
    [wrong] = found["wrong"]
    assert wrong["row"] == 3
    assert wrong["problems"][0].startswith("search.trials: ")
    [row] = world.web.get("/api/v1/batches").json["batches"]
    assert (row["batch_id"], row["states"]) == (batch_id, found["states"])
    listed = world.web.get(f"/api/v1/jobs?batch_id={batch_id}&state=SUCCEEDED").json["jobs"]
    assert len(listed) == 2
    page = world.web.get(f"/batches/{batch_id}").get_data(as_text=True)
    assert "Row 3" in page
    assert "<b>many" not in page
    assert batch_id in world.web.get("/batches").get_data(as_text=True)
    assert f"/batches/{batch_id}" in world.web.get(f"/jobs/{listed[0]['job_id']}").get_data(as_text=True)


def test_a_call_that_is_no_batch_is_refused_with_every_problem(world: World):
    answer = post(world, body={"rows": [], "base": 3})
    assert answer.status_code == 400
    assert {line.partition(":")[0] for line in answer.json["errors"]} == {"name", "rows", "base"}
    assert world.web.get("/api/v1/batches/nobody").status_code == 404
    assert post(world, "/nobody:cancel").status_code == 404
    large = post(world, body={"name": "a", "rows": [{"labels": "x" * (1 << 20)}]})
    assert large.status_code == 413
    assert world.ports.jobs.find(Batch) == []


def test_a_paused_batch_starts_nothing_and_holds_up_nobody(world: World):
    batch_id = post(world, body=batch(world, "monday", rows(3))).json["batch_id"]
    assert post(world, f"/{batch_id}:pause").json["launching"] == "paused"
    single = world.submit("single")
    world.run()
    for _ in range(5):
        world.clock.pass_(minutes=16)
        world.sweep()
        world.run()
    assert shown(world, batch_id)["states"] == {"QUEUED": 3}
    assert world.job(single).state is JobState.SUCCEEDED
    post(world, f"/{batch_id}:resume")
    live(world, 3)
    assert of(world, batch_id).counts == {JobState.SUCCEEDED: 3}


def test_a_cancelled_batch_stops_and_a_retry_does_what_was_not_done(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    for module in ("extract", "sweep"):
        monkeypatch.setattr(f"functions.{module}.batches.AHEAD", 2)
    monkeypatch.setattr("functions.extract.batches.CHUNK", 2)
    body = batch(world, "monday", rows(6))
    batch_id = post(world, body=body).json["batch_id"]
    world.deliver()
    world.clock.pass_(minutes=1)
    assert 0 < of(world, batch_id).unfolded < 6
    assert post(world, f"/{batch_id}:cancel").json["cancelled_by"]
    for _ in range(3):
        world.deliver()
        for task in world.tasks():
            world.embedded.launcher.finish_task(task["execution"], task["task_index"], 137)
        world.clock.pass_(minutes=1)
        world.sweep()
    world.clock.pass_(minutes=1)
    world.sweep()
    cancelled = of(world, batch_id)
    assert (cancelled.state, set(cancelled.counts)) == (BatchState.FINISHED, {JobState.CANCELLED})
    assert ends(world)[0]["left_out"] == 6 - cancelled.unfolded
    assert post(world, f"/{batch_id}:cancel").status_code == 200
    assert post(world, f"/{batch_id}:retry").json["round"] == 2
    live(world)
    assert of(world, batch_id).counts == {JobState.SUCCEEDED: 6}
    assert [end["round"] for end in ends(world)] == [1, 2]
    assert post(world, f"/{batch_id}:retry").status_code == 409


def test_only_what_failed_is_started_again(world: World):
    body = batch(world, "monday", rows(3))
    body["rows"][1] = {"source.table": "later"}
    body["rows"][2] = {"search.trials": "many"}
    batch_id = post(world, body=body).json["batch_id"]
    world.deliver()
    row = next(job for job in world.ports.jobs.find(Job, batch_id=batch_id) if job.batch_row == 1)
    for _ in range(8):
        world.train(exit_code=1)
        world.clock.pass_(minutes=11)
        world.sweep()
    assert world.job(row.job_id).state is JobState.FAILED
    live(world, 2)
    assert of(world, batch_id).counts == {JobState.FAILED: 1, JobState.REJECTED: 2}
    post(world, f"/{batch_id}:retry")
    live(world)
    assert of(world, batch_id).counts == {JobState.SUCCEEDED: 1, JobState.REJECTED: 2}
    assert world.job(row.job_id).attempt == 4


def live_on(world: World, rounds: int) -> None:
    """Deliver; whoever dies is started again by the platform, later."""
    for _ in range(rounds):
        with suppress(Crash):  # not acknowledged: it comes again
            world.deliver(5_000)
        world.clock.pass_(minutes=11)
        world.publish({}, "sweep-requests")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_crash_at_any_write_of_a_batch_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
):
    monkeypatch.setattr("functions.extract.batches.CHUNK", 2)
    fate = Fate(0, before)
    lines: list[Any] = [{"validate_only": True}, {"search.trials": "many"}, ["it cannot be read"]]

    def whole(folder: Path, rounds: int) -> int:
        world = mortal_world(folder, fate)
        batch_id = publish(world, batch(world, "monday", lines))
        live_on(world, rounds)
        found, where = of(world, batch_id), f"write {fate.dies_at}: {fate.last}"
        assert found.state is BatchState.FINISHED, (where, found)
        assert found.counts == {JobState.SUCCEEDED: 1, JobState.REJECTED: 2}, where
        assert sorted(jobs(world, batch_id)) == [1, 2, 3], where
        assert len(world.ports.jobs.find(Job)) == 3, where
        told = ends(world)
        assert told, (where, "upstream was not told")
        assert all(one == told[0] for one in told), where
        assert len(told) == 1 or fate.last.startswith(("publish", "replace")), where
        assert {one["job_id"] for one in world.received if one["type"] == "job-finished"} == {
            job.job_id for job in jobs(world, batch_id).values()
        }, where
        assert world.ports.jobs.find(DeadLetter) == [], where
        return fate.writes

    writes = whole(tmp_path / "calm", 4)
    assert writes > 15
    for dies_at in range(1, writes + 1):
        fate = Fate(dies_at, before)
        whole(tmp_path / str(dies_at), 5)


def test_a_thousand_rows_are_unfolded_in_short_steps_although_every_step_or_so_dies(tmp_path: Path):
    """A step never looks at more than fifty rows; two rows may say the same and are two requests."""

    class Often(Fate):
        def wrap(self, name: str, real: Any) -> Any:
            self.dies_at = self.writes + 97 if self.writes >= self.dies_at else self.dies_at
            return super().wrap(name, real)

    fate = Often(97, before=False)
    world = mortal_world(tmp_path, fate)
    lines = [{"search.trials": f"many {number // 2}"} for number in range(1_000)]
    batch_id = publish(world, batch(world, "monday", lines))
    seen = [0]
    for _ in range(400):
        with suppress(Crash):
            while world.embedded.bus.deliver_one():
                found = world.ports.jobs.get(Batch, batch_id)
                seen.append(found.unfolded if found else 0)
        world.clock.pass_(minutes=11)
        world.publish({}, "sweep-requests")
        if found and found.state is BatchState.FINISHED:
            break
    assert max(after - before for before, after in pairwise(seen)) == 50
    assert fate.writes > 97 * 15
    found = of(world, batch_id)
    assert (found.state, found.jobs, found.counts) == (
        BatchState.FINISHED,
        1_000,
        {JobState.REJECTED: 1_000},
    )
    assert sorted(row or 0 for row in jobs(world, batch_id)) == list(range(1, 1_001))
    assert all(one == ends(world)[0] for one in ends(world))
    assert len(found.model_dump_json()) < 5_000
