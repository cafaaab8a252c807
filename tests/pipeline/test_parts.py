"""A folder of Parquet parts is one upload, in whatever order its files come, and never half of it."""

from __future__ import annotations

import io
import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from contracts import names
from contracts.job import DeadLetter, Job, JobState, Upload
from functions.extract.decode import write_batches
from functions.extract.part_rows import read_parts
from functions.extract.parts import parts_of
from infra.local.demo_data import demo_settings, generate
from tests.pipeline.world import Crash, World

FOLDER, OWN, COUNTRY = (
    "drop-zone/AT/out.parquet",
    "drop-zone/AT/out.request.yaml",
    "drop-zone/AT/request.yaml",
)
TABLE = generate(seed=11, country="AT").table
SETTINGS = demo_settings(5, 1).encode()
MARK = f"{FOLDER}/_SUCCESS"


def parquet(frame: pd.DataFrame | pa.Table) -> bytes:
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def part(number: int, of: int = 4, folder: str = FOLDER) -> tuple[str, bytes]:
    size = len(TABLE) // of
    rows = TABLE.iloc[number * size : None if number == of - 1 else (number + 1) * size]
    return f"{folder}/part-{number:05}-3f2a.snappy.parquet", parquet(rows)


def files(folder: str = FOLDER) -> dict[str, bytes]:
    litter = {f"{folder}/._SUCCESS.crc": b"crc", f"{folder}/_temporary/0/part-00000.parquet": b"half"}
    return dict(part(i, folder=folder) for i in range(4)) | litter | {f"{folder}/_SUCCESS": b""}


def put(world: World, given: dict[str, bytes]) -> None:
    for name, data in given.items():
        world.ports.objects.replace(name, data, if_generation=None)
        world.deliver()
        world.clock.pass_(seconds=1)


def settle(world: World) -> None:
    """Time passes, and what waited for it is delivered again."""
    for _ in range(8):
        world.clock.pass_(seconds=30)
        world.deliver()


def jobs(world: World) -> list[Job]:
    return world.ports.jobs.find(Job)


def weeks(world: World, job: Job) -> int:
    dataset = world.ports.objects.read(names.dataset(job.country, job.job_id))
    return pd.read_parquet(io.BytesIO(dataset))["date"].nunique()


def the_only_job(world: World) -> Job:
    [job] = jobs(world)
    assert (job.upload.name, job.error, weeks(world, job)) == (FOLDER, None, len(TABLE))
    assert world.ports.jobs.find(DeadLetter) == []
    assert [up.name for up in world.ports.jobs.find(Upload, state="WAITING")] == []
    return job


@pytest.mark.parametrize("settings", [OWN, COUNTRY, "drop-zone/AT/OUT.parquet.request.yml"])
@pytest.mark.parametrize("settings_first", [True, False])
def test_a_folder_is_one_job_with_the_rows_of_all_its_parts(
    world: World, settings: str, settings_first: bool
):
    given = {settings: SETTINGS} | files() if settings_first else files() | {settings: SETTINGS}
    put(world, given)
    settle(world)
    the_only_job(world)


def test_its_job_is_trained(world: World):
    put(world, {OWN: SETTINGS} | files())
    settle(world)
    world.run()
    assert the_only_job(world).state is JobState.SUCCEEDED


@pytest.mark.parametrize("seed", range(6))
def test_files_may_come_in_any_order_and_every_event_twice(world: World, seed: int):
    chance = random.Random(seed)  # noqa: S311 (an order, no secret)
    shuffled = list((files() | {chance.choice([OWN, COUNTRY]): SETTINGS}).items())
    chance.shuffle(shuffled)
    for name, data in shuffled:
        world.ports.objects.replace(name, data, if_generation=None)
        for delivery in world.embedded.bus.pending():
            world.embedded.bus.deliver(delivery.id, lose_ack=True)
        world.clock.pass_(seconds=7)
    settle(world)
    the_only_job(world)


def test_parts_that_come_after_the_mark_are_waited_for(world: World):
    put(world, {OWN: SETTINGS, MARK: b""})
    for i in range(4):
        put(world, dict([part(i)]))
        world.clock.pass_(seconds=20)
        world.deliver()
        assert jobs(world) == []
    settle(world)
    the_only_job(world)


def test_a_part_that_comes_when_the_job_is_made_already_makes_one_that_replaces_it(world: World):
    late = dict([part(3)])
    put(world, {OWN: SETTINGS} | {name: data for name, data in files().items() if name not in late})
    settle(world)
    [first] = jobs(world)
    put(world, late)
    settle(world)
    world.run()
    second, first = jobs(world)
    assert (first.state, first.replaced_by) == (JobState.CANCELLED, second.job_id)
    assert (second.state, second.replaces) == (JobState.SUCCEEDED, first.job_id)
    assert weeks(world, second) == len(TABLE)


def test_a_folder_written_anew_is_a_new_job_and_the_old_one_stays(world: World):
    put(world, {OWN: SETTINGS} | files())
    settle(world)
    world.run()
    world.clock.pass_(hours=2)
    put(world, files())
    settle(world)
    world.run()
    assert [(job.state, job.replaced_by) for job in jobs(world)] == [(JobState.SUCCEEDED, None)] * 2


def test_corrected_settings_start_a_new_job_of_the_same_folder(world: World):
    put(world, {OWN: SETTINGS.replace(b"revenue", b"revenu", 1)} | files())
    settle(world)
    put(world, {OWN: SETTINGS})
    settle(world)
    second, first = jobs(world)
    assert (first.state, first.upload) == (JobState.REJECTED, second.upload)
    assert (second.state, weeks(world, second)) == (JobState.RUNNING, len(TABLE))


def test_a_folder_without_its_mark_is_shown_and_started_by_nothing_but_the_mark(world: World):
    given = files()
    mark = {MARK: given.pop(MARK)}
    put(world, given | {COUNTRY: SETTINGS})
    settle(world)
    assert jobs(world) == []
    page = world.web.get("/").get_data(as_text=True)
    assert "out.parquet" in page
    assert "its _SUCCESS and at least one part must be there" in page
    world.clock.pass_(days=7)
    world.sweep()
    [upload] = world.ports.jobs.find(Upload)
    assert (upload.state, "_SUCCESS" in upload.reason) == ("REJECTED", True)
    put(world, mark)
    settle(world)
    the_only_job(world)


@pytest.mark.parametrize("folder", ["drop-zone/AT/weekly", "drop-zone/AT/2026/weekly.parquet"])
def test_the_folder_may_have_another_name_or_lie_deeper(world: World, folder: str):
    put(world, files(folder) | {COUNTRY: SETTINGS})
    settle(world)
    assert [job.upload.name for job in jobs(world)] == [folder]


def test_a_mark_beside_the_files_of_a_country_is_told(world: World):
    put(world, {"drop-zone/AT/_SUCCESS": b""})
    [letter] = world.ports.jobs.find(DeadLetter)
    assert "drop-zone/<country>/<folder>" in letter.reason


@pytest.mark.parametrize("write", ["jobs", "objects", "bus"])
def test_a_crash_at_any_write_loses_nothing(world: World, monkeypatch, write: str):
    method = {"jobs": "create", "objects": "writer", "bus": "publish"}[write]
    put(world, {OWN: SETTINGS} | files())
    for _ in range(4):
        world.clock.pass_(seconds=30)
        port = getattr(world.ports, write)
        with world.crash_at(monkeypatch, port, method):
            try:
                world.deliver()
            except Crash:
                world.clock.pass_(minutes=11)
    settle(world)
    the_only_job(world)


def test_a_job_that_died_before_it_was_extracted_is_taken_up_by_the_sweep(world: World, monkeypatch):
    put(world, {OWN: SETTINGS} | files())
    world.clock.pass_(seconds=30)
    with monkeypatch.context() as patch:
        patch.setattr("functions.extract.uploads.extract", lambda *_: None)
        settle(world)
    assert [job.state for job in jobs(world)] == [JobState.ACCEPTED]
    world.clock.pass_(minutes=20)
    world.sweep()
    assert the_only_job(world).state is JobState.RUNNING


def test_a_request_may_name_a_folder_of_parts(world: World):
    put(world, files("sources/AT/weekly"))
    job_id = world.submit("by-hand", country="AT", source={"kind": "object", "name": "sources/AT/weekly"})
    world.deliver()
    assert weeks(world, world.job(job_id)) == len(TABLE)


# what the parts hold


def read(world: World, given: dict[str, bytes]) -> pd.DataFrame:
    put(world, given)
    out = io.BytesIO()
    write_batches(read_parts(world.ports.objects, FOLDER, parts_of(world.ports.objects, FOLDER)), out)
    return pd.read_parquet(out)


def test_folders_between_give_columns(world: World):
    frame = pd.DataFrame({"x": [1, 2]})
    found = read(
        world,
        {
            f"{FOLDER}/region=DE/part-0.parquet": parquet(frame),
            f"{FOLDER}/region=New%20York/part-0.parquet": parquet(frame + 2),
            f"{FOLDER}/region=__HIVE_DEFAULT_PARTITION__/part-0.parquet": parquet(frame + 4),
        },
    )
    assert found["x"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found["region"].tolist()[:4] == ["DE", "DE", "New York", "New York"]
    assert found["region"].isna().tolist() == [False] * 4 + [True] * 2


def test_parts_whose_columns_differ_fit_together(world: World):
    found = read(
        world,
        {
            f"{FOLDER}/part-0.parquet": parquet(pa.table({"a": [1, 2], "b": pa.nulls(2), "c": ["x", "y"]})),
            f"{FOLDER}/part-1.parquet": parquet(pa.table({"c": ["z"], "b": [0.5], "a": [1.5]})),
            f"{FOLDER}/part-2.parquet": parquet(pa.table({"a": [3], "d": [[1, 2]]})),
            f"{FOLDER}/part-3.parquet": parquet(pa.table({"a": pa.array([], pa.int64())})),
        },
    )
    assert found["a"].tolist() == [1, 2, 1.5, 3]
    assert found["b"].fillna(-1).tolist() == [-1, -1, 0.5, -1]
    assert found["c"].fillna("empty").tolist() == ["x", "y", "z", "empty"]
    assert "d" not in found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n1,2\n", "part-00001.parquet is not a Parquet file"),
        (parquet(pd.DataFrame({"a": [1]}))[:-9], "part-00001.parquet is damaged or was cut short"),
    ],
)
def test_a_part_that_cannot_be_read_is_named(world: World, content: bytes, reason: str):
    put(world, {OWN: SETTINGS} | files() | {f"{FOLDER}/part-00001.parquet": content})
    settle(world)
    [job] = jobs(world)
    assert job.state is JobState.REJECTED
    assert reason in job.error.detail


def test_partitions_can_be_the_country_column(world: World):
    settings = yaml.safe_load(SETTINGS) | {"country_column": "market", "country_value": "AT"}
    parts = {
        f"{FOLDER}/market={market}/part-0.parquet": parquet(TABLE.drop(columns="market", errors="ignore"))
        for market in ("AT", "CH")
    }
    put(world, {OWN: yaml.safe_dump(settings).encode()} | parts | {MARK: b""})
    settle(world)
    [job] = jobs(world)
    assert (job.state, job.rows) == (JobState.RUNNING, len(TABLE))
    assert world.ports.objects.stat(names.prepared("AT", job.job_id))
