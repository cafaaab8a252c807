"""The aggregate of a country: every run once, bounded, and few writes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts import names
from contracts.events import TrainingFinished
from contracts.job import DeadLetter, JobState
from contracts.summary import CountryRun, CountrySummary
from functions.errors import Unavailable
from functions.months import runs_of_month
from functions.summarize.country import rebuild, with_runs
from tests.pipeline.world import World


def summary_of(world: World) -> CountrySummary:
    return CountrySummary.model_validate_json(world.ports.objects.read(names.summary("DE")))


def singles(world: World, month: str) -> set[str]:
    prefix = names.country_runs("DE", month)
    found = [
        info.name.removeprefix(prefix).removesuffix(".json") for info in world.ports.objects.list(prefix)
    ]
    return set(found)


def settled(world: World) -> None:
    world.run()
    world.clock.pass_(minutes=2)
    world.run()


def test_every_run_is_an_object_and_the_summary_lists_the_best_and_the_latest(world: World):
    jobs = {world.submit("r1"), world.submit("r2")}
    settled(world)
    summary = summary_of(world)
    assert {run.job_id for run in summary.best} == {run.job_id for run in summary.latest} == jobs
    assert singles(world, "2026-11") == jobs
    template = summary.best[0]
    many = [
        template.model_copy(
            update={
                "job_id": f"j{number}",
                "nrmse": 1 + number % 7,
                "succeeded_at": template.succeeded_at + timedelta(hours=number),
            }
        )
        for number in range(200)
    ]
    grown: CountrySummary = summary
    for run in (*many, *many):  # each told twice
        grown = with_runs(grown, [run])
    assert [run.job_id for run in grown.latest] == [f"j{number}" for number in range(199, 149, -1)]
    assert {run.job_id for run in grown.best[:2]} == jobs
    assert [run.nrmse for run in grown.best[2:]] == [1.0] * 18


def test_a_burst_of_runs_is_few_writes_and_misses_none(world: World, monkeypatch: pytest.MonkeyPatch):
    replace, written = world.ports.objects.replace, []

    def noted(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == names.summary("DE"):
            written.append(world.clock.now())
        return replace(name, *args, **kwargs)

    monkeypatch.setattr(world.ports.objects, "replace", noted)
    jobs = {world.submit(f"r{number}") for number in range(5)}
    world.run()
    assert {world.job(job).state for job in jobs} == {JobState.SUCCEEDED}
    assert len(written) == 1
    settled(world)
    assert len(written) == 2
    assert {run.job_id for run in summary_of(world).latest} == jobs
    assert all(len(world.finished(job)) == 1 for job in jobs), "waiting for the summary repeats no message"
    assert world.ports.jobs.find(DeadLetter) == []


def test_a_month_that_is_closed_becomes_one_object_and_is_counted(world: World):
    jobs = {world.submit("r1"), world.submit("r2")}
    settled(world)
    world.sweep()
    assert (summary_of(world).counts, summary_of(world).uncounted) == ({}, "2026-11")
    assert singles(world, "2026-11") == jobs
    world.clock.pass_(days=70)
    world.sweep()
    assert (summary_of(world).counts, summary_of(world).uncounted) == (
        {"2026-11": 2, "2026-12": 0},
        "2027-01",
    )
    assert singles(world, "2026-11") == set()
    assert {run.job_id for run in runs_of_month(world.ports, "DE", "2026-11")} == jobs
    last = world.submit("r3")
    settled(world)
    assert singles(world, "2027-01") == {last}
    assert summary_of(world).counts == {"2026-11": 2, "2026-12": 0}


def test_a_month_is_closed_in_parts_and_whatever_breaks_off(world: World, monkeypatch: pytest.MonkeyPatch):
    jobs = {world.submit(f"r{number}") for number in range(5)}
    settled(world)
    monkeypatch.setattr("functions.sweep.months._MOVED_AT_ONCE", 2)
    delete, left = world.ports.objects.delete, [3]

    def breaks_off(name: str, generation: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise Unavailable("no answer")
        delete(name, generation)

    monkeypatch.setattr(world.ports.objects, "delete", breaks_off)
    world.clock.pass_(days=70)
    for _ in range(5):
        world.sweep()
        world.clock.pass_(minutes=2)
        assert {run.job_id for run in runs_of_month(world.ports, "DE", "2026-11")} == jobs
    assert singles(world, "2026-11") == set()
    assert summary_of(world).counts == {"2026-11": 5, "2026-12": 0}
    monkeypatch.setattr(world.ports.objects, "stat", lambda _: pytest.fail("nothing is left to do"))
    world.sweep()


def test_a_message_that_is_replayed_after_its_month_was_closed_adds_a_run_only_if_it_is_missing(world: World):
    first, second = world.submit("r1"), world.submit("r2")
    settled(world)
    lost = world.ports.objects.stat(names.country_run(world.job(second)))
    assert lost is not None
    world.ports.objects.delete(lost.name, lost.generation)
    world.clock.pass_(days=70)
    world.sweep()
    assert summary_of(world).counts["2026-11"] == 1
    for job in (first, second, second):
        event = TrainingFinished(job_id=job, attempt=1, state=JobState.TRAINED)
        world.publish(event.model_dump_json().encode(), "training-finished")
        settled(world)
    assert singles(world, "2026-11") == set()
    assert {run.job_id for run in runs_of_month(world.ports, "DE", "2026-11")} == {first, second}
    assert summary_of(world).counts["2026-11"] == 2
    assert len(world.finished(first)) == 1


def test_a_summary_that_is_lost_is_made_anew_from_the_jobs(world: World):
    first = world.submit("r1")
    settled(world)
    before: list[CountryRun] = summary_of(world).latest
    former = b'{"country": "DE", "runs": []}'  # as former versions wrote it
    world.ports.objects.replace(names.summary("DE"), former, if_generation=None)
    rebuild(world.ports, "DE")
    assert summary_of(world).latest == before
    world.ports.objects.replace(names.summary("DE"), former, if_generation=None)
    second = world.submit("r2")
    settled(world)
    assert [run.job_id for run in summary_of(world).latest] == [second, first]
