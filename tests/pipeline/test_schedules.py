"""Schedules: what comes of them, once, whatever happens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow.parquet as pq
import pytest

from contracts.attempt import TrainingConfig
from contracts.batch import Batch, BatchState
from contracts.job import Deletion, Job, JobState
from contracts.names import attempt_of, dataset
from contracts.schedule import BatchTemplate, Schedule
from functions.message import Message
from functions.schedules.runs import until
from functions.sweep.handler import handle
from tests.pipeline.world import Crash, World


def template(world: World, **changes: Any) -> dict[str, Any]:
    request = world.request("x", validate_only=True, **changes)
    del request["request_id"]
    return request


def scheduled(world: World, name: str = "weekly", **changes: Any) -> Schedule:
    """A schedule that comes each Monday at 6, in Berlin; it is Monday, 7 o'clock there."""
    fields: dict[str, Any] = {
        "cron": "0 6 * * MON",
        "time_zone": "Europe/Berlin",
        "missed": "last",
        "request": template(world),
        **changes,
    }
    now = world.clock.now()
    schedule = Schedule(
        name=name,
        state="ENABLED",
        changed_by="somebody",
        changed_at=now,
        done_until=now,
        **fields,
    )
    stored = world.ports.jobs.create(schedule.model_copy(update=until(schedule, now)))
    assert stored is not None
    return stored


def sweep(world: World) -> None:
    world.sweep()
    world.deliver()


def known(world: World, name: str = "weekly") -> Schedule:
    found = world.ports.jobs.get(Schedule, name)
    assert found is not None
    return found


def runs(world: World) -> list[str]:
    """The occurrences whose jobs there are, oldest first."""
    jobs = world.ports.jobs.find(Job, schedule="weekly")
    return sorted(job.request_id.partition("@")[2] for job in jobs)


def test_each_occurrence_becomes_one_job_with_the_days_of_its_run(world: World):
    scheduled(world, request=template(world, window={"end": "last full week"}))
    for _ in range(15 * 24):
        world.clock.pass_(hours=1)
        sweep(world)
    assert runs(world) == ["20261123T050000Z", "20261130T050000Z"]
    told = known(world)
    assert told.deadline == datetime.fromisoformat("2026-12-07T05:00:00Z")
    job = world.job(told.runs[0].job_id or "")
    assert (job.state, job.schedule) == (JobState.SUCCEEDED, "weekly")
    assert job.request["window"] == {"end": "2026-11-29"}


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("all", ["20261123T050000Z", "20261130T050000Z", "20261207T050000Z"]),
        ("last", ["20261207T050000Z"]),
        ("skip", []),
    ],
)
def test_after_an_outage_it_catches_up_as_the_schedule_says(world: World, missed: str, expected: list[str]):
    scheduled(world, missed=missed)
    world.clock.pass_(days=22)
    sweep(world)
    assert runs(world) == expected
    passed = known(world).passed_over
    assert (passed is None) == (missed == "all")
    if passed:
        first, last = f"{passed.first:%m-%d}", f"{passed.last:%m-%d}"
        assert (first, last) == ("11-23", "11-30" if missed == "last" else "12-07")
    world.clock.pass_(days=5, hours=23, minutes=1)  # a minute after the next one
    sweep(world)
    assert runs(world) == [*expected, "20261214T050000Z"]


def test_what_is_late_by_minutes_is_not_missed_and_much_is_made_up_for_in_parts(world: World):
    scheduled(world, cron="* * * * *", missed="skip")
    world.clock.pass_(minutes=10)
    sweep(world)
    assert len(runs(world)) == 10
    made = scheduled(world, "each-minute", cron="* * * * *", missed="all")
    world.clock.pass_(minutes=50)
    for count in (20, 40, 50):
        sweep(world)
        assert len(world.ports.jobs.find(Job, schedule=made.name)) == count


def test_a_run_that_was_published_and_not_told_of_stays_one_job(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    scheduled(world)
    world.clock.pass_(days=7)
    request = Message(b"{}", {}, "1", "sweep-requests", 1)
    with world.crash_at(monkeypatch, world.ports.bus, "publish"), pytest.raises(Crash):
        handle(request, world.runtime)
    assert known(world).runs == []
    sweep(world)
    assert runs(world) == ["20261123T050000Z"]
    assert [run.request_id for run in known(world).runs] == ["weekly@20261123T050000Z"]
    assert [told["type"] for told in world.received if told["type"] == "request-refused"] == []


def test_a_request_that_is_not_valid_any_more_is_told_and_the_others_go_on(world: World):
    scheduled(world, "broken", request=template(world, queue="removed"))
    scheduled(world)
    world.clock.pass_(days=7)
    sweep(world)
    assert world.job(known(world).runs[0].job_id or "").state is JobState.SUCCEEDED
    rejected = world.job(known(world, "broken").runs[0].job_id or "")
    assert rejected.state is JobState.REJECTED
    assert rejected.error is not None
    assert "no queue is named 'removed'" in rejected.error.errors[0]


def test_a_tick_reads_only_what_is_due(world: World, monkeypatch: pytest.MonkeyPatch):
    for number in range(30):
        scheduled(world, f"s{number}", cron=f"0 {number % 24} 1 1 *")
    sweep(world)
    seen: list[str] = []
    due = world.ports.jobs.due

    def counted(kind: Any, now: datetime, **equals: str) -> list[Any]:
        found = due(kind, now, **equals)
        seen.extend(one.key for one in found if kind is Schedule)
        return found

    monkeypatch.setattr(world.ports.jobs, "due", counted)
    world.clock.pass_(hours=1)
    sweep(world)
    assert seen == []


def test_the_query_of_a_run_gets_the_days_of_the_run_as_parameters(world: World):
    world.clock.time = datetime.fromisoformat("2024-05-06T04:00:00Z")  # a Monday, 6 o'clock in Berlin
    query = "SELECT * FROM demo.main.weekly_sales WHERE date >= :start AND date <= :end"
    source = {"kind": "sql", "connection": "demo", "query": query, "start": "last 110 full weeks"}
    world.clock.pass_(minutes=-1)
    scheduled(world, request=template(world, source=source, window={"end": "last full week"}))
    world.clock.pass_(minutes=1)
    sweep(world)
    job = world.job(known(world).runs[0].job_id or "")
    assert job.state is JobState.SUCCEEDED
    days = pq.read_table(world.embedded.folder / "bucket" / dataset(job.country, job.job_id))[
        "date"
    ].to_pylist()
    assert (f"{min(days):%F}", f"{max(days):%F}", len(days)) == ("2022-03-28", "2024-04-29", 110)


def test_a_batch_comes_again_as_one_batch_with_a_job_for_each_row(world: World):
    rows = [{"country": "DE"}, {"country": "AT", "window.end": "last full month"}]
    base = template(world, window={"end": "last full week"})
    scheduled(world, request=None, batch=BatchTemplate(base=base, rows=rows))
    for _ in range(14 * 24):
        world.clock.pass_(hours=1)
        sweep(world)
    told = known(world).runs
    assert [run.request_id for run in told] == ["weekly@20261130T050000Z", "weekly@20261123T050000Z"]
    for run, ends in zip(told, (("2026-11-29", "2026-10-31"), ("2026-11-22", "2026-10-31")), strict=True):
        batch = world.ports.jobs.get(Batch, run.batch_id or "")
        assert batch is not None
        assert (batch.state, batch.name, batch.jobs) == (BatchState.FINISHED, run.request_id, 2)
        jobs = world.ports.jobs.find(Job, batch_id=batch.batch_id)
        found = {job.country: (job.request["window"]["end"], job.schedule) for job in jobs}
        assert found == {"DE": (ends[0], "weekly"), "AT": (ends[1], "weekly")}
        for page in ("/schedules", "/schedules/weekly"):
            shown = world.web.get(page).text
            assert (f'href="/batches/{batch.batch_id}"' in shown) == (run is told[0] or page != "/schedules")


def refreshed(world: World, job_id: str) -> tuple[str | None, str | None]:
    """The job that a job was accepted to continue, and the one that its training was told to."""
    job = world.job(job_id)
    assert job.state is JobState.RUNNING
    config = TrainingConfig.model_validate_json(world.ports.objects.read(attempt_of(job).config))
    return job.refreshes, config.model.refresh_of and config.model.refresh_of.job


def test_the_first_run_starts_the_series_and_the_next_ones_continue_its_newest_model(world: World):
    by_hand = world.submit("by-hand", revision="series")
    world.run()
    request = template(world, revision="series", window={"start": "2022-01-03"})
    request["validate_only"] = False
    scheduled(world, request={**request, "refresh": "latest-of-schedule"})
    scheduled(world, "other", cron="5 6 * * MON", request={**request, "refresh": "latest"})
    scheduled(world, "check", cron="1 6 * * MON", request={**request, "validate_only": True})
    seen, former = [], []
    for _ in range(3):
        world.clock.pass_(days=7)
        sweep(world)
        weekly, other = (known(world, name).runs[0].job_id or "" for name in ("weekly", "other"))
        seen.append((refreshed(world, weekly), refreshed(world, other)))
        former.append((weekly, other))
        world.run()
    assert seen[0] == ((None, None), (by_hand, by_hand))
    assert [one[0] for one in seen[1:]] == [(job, job) for job, _ in former[:2]]
    assert [one[1][0] in jobs for one, jobs in zip(seen[1:], former, strict=False)] == [True, True]


def test_a_deleted_result_is_not_continued_and_a_retry_continues_what_it_was_accepted_with(world: World):
    first = world.submit("first", revision="series")
    world.run()
    second = world.submit("second", revision="series")
    world.run()
    gone = Deletion(by="somebody", at=world.clock.now())
    job = world.job(second)
    world.ports.jobs.replace(job.model_copy(update={"deletion": gone}), job.version)
    third = world.submit("third", revision="series", refresh="latest")
    world.deliver()
    assert refreshed(world, third) == (first, first)
    assert world.act(third, "cancel") == 200
    world.deliver()
    world.clock.pass_(minutes=20)
    world.sweep()
    world.train()
    world.sweep()
    world.submit("fourth", revision="series")
    world.run()
    assert world.act(third, "retry") == 200
    world.deliver()
    assert refreshed(world, third) == (first, first)
