"""A batch: many requests over one base, however it comes; its rows are jobs like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
import yaml

from contracts.batch import Batch, BatchRequest, BatchState, request_of_row
from contracts.events import BATCH_REQUESTS
from contracts.job import DeadLetter, Job, JobState
from tests.pipeline.world import World


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
        ("a.batch.csv", b"a\n" + b"1\n" * 2001, "at most 2000 items"),
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
