from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest

from contracts.job import DeadLetter, Job, JobState, Queue, Upload, Waiting
from functions.ports import Conflict, JobStore, Ports
from tests.adapters.families import Family, race

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def a_job(job_id: str, **fields: object) -> Job:
    known = {"job_id": job_id, "request_id": job_id, "request": {"x": [1.5, "ü"]}}
    return Job.model_validate({**known, "accepted_at": NOW, "updated_at": NOW, **fields})


def test_a_created_document_is_read_back_as_version_1(job_store: JobStore) -> None:
    created = job_store.create(a_job("a", country="DE"))
    assert created is not None
    assert created.version == 1
    assert job_store.get(Job, "a") == created
    assert created.model_copy(update={"version": 0}) == a_job("a", country="DE")


def test_a_second_creation_changes_nothing(job_store: JobStore) -> None:
    job_store.create(a_job("a", country="DE"))
    assert job_store.create(a_job("a", country="FR")) is None
    found = job_store.get(Job, "a")
    assert found
    assert found.country == "DE"


def test_kinds_do_not_share_keys(job_store: JobStore) -> None:
    job_store.create(a_job("default"))
    assert job_store.get(Queue, "default") is None
    assert job_store.create(Queue(name="default")) is not None


def test_replace_writes_only_over_the_expected_version(job_store: JobStore) -> None:
    created = job_store.create(a_job("a"))
    assert created
    second = job_store.replace(created.moved(JobState.EXTRACTED, NOW, NOW), 1)
    assert second.version == 2
    with pytest.raises(Conflict):
        job_store.replace(created.moved(JobState.FAILED, NOW, NOW), 1)
    assert job_store.get(Job, "a") == second


def test_a_list_can_end_before_a_time(job_store: JobStore) -> None:
    now, hour = datetime.now(UTC), timedelta(hours=1)
    for name in ("a", "b"):
        job_store.create(a_job(name, accepted_at=now, country="FR"))
    assert [job.job_id for job in job_store.find(Job, until=now)] == ["b", "a"], "about a minute is given"
    assert [job.job_id for job in job_store.find(Job, until=now, limit=1, country="FR")] == ["b"]
    assert job_store.find(Job, until=now - hour) == []


def test_replace_of_what_does_not_exist_is_a_conflict(job_store: JobStore) -> None:
    with pytest.raises(Conflict):
        job_store.replace(a_job("a"), 0)
    assert job_store.get(Job, "a") is None


def test_fields_of_a_newer_version_survive_a_rewrite(job_store: JobStore) -> None:
    job_store.create(a_job("a", colour={"from": "the future"}))
    read = job_store.get(Job, "a")
    assert read
    job_store.replace(read.moved(JobState.FAILED, NOW, None), 1)
    again = job_store.get(Job, "a")
    assert again
    assert again.model_extra == {"colour": {"from": "the future"}}


def test_any_json_that_a_request_may_hold_is_read_back(job_store: JobStore) -> None:
    odd = {
        "lists": [[1, [2.5, []]], []],
        "big": 10**30,
        "": None,
        "__x__": {"a.b": True, "ü/`": -0.1},
        "e": {},
    }
    job_store.create(a_job("a", request=odd, requested_by="x" * 5000))
    found = job_store.get(Job, "a")
    assert found
    assert (found.request, found.requested_by) == (odd, "x" * 5000)


@pytest.mark.parametrize("name", ["drop-zone/DE/Ünï 1.csv", "a//b", "%2F", "a/%2Fb#c", "x" * 1000])
def test_any_name_of_an_object_can_be_part_of_a_key(job_store: JobStore, name: str) -> None:
    upload = Upload(name=name, generation=2**64, country="DE", since=NOW)  # more than a column or field holds
    assert job_store.create(upload)
    assert job_store.create(upload.model_copy(update={"name": name.replace("/", "%2F", 1) + " "}))
    found = job_store.get(Upload, upload.key)
    assert found
    assert (found.name, found.generation) == (name, 2**64)


def test_any_text_can_be_a_key_and_is_no_other_s(job_store: JobStore) -> None:
    """Keys come from addresses of the page and from messages."""
    keys = ["", ".", "..", "__x__", "_", "%", "%.", "%__x__", "%25", "/", "%2F", "a\nb"]
    keys += ["x" * 3000, "ü" * 800]
    keys += [*(key + "y" for key in keys[-2:]), "%" + hashlib.sha256(b"x" * 3000).hexdigest()]
    for key in keys:
        assert job_store.get(DeadLetter, key) is None
        assert job_store.find(DeadLetter, before=key) == []
        assert job_store.create(DeadLetter(letter_id=key, subscription=key[:20], reason="", at=NOW, data=""))
    for key in keys:
        found = job_store.get(DeadLetter, key)
        assert found
        assert (found.letter_id, found.subscription) == (key, key[:20])
        assert job_store.replace(found, found.version).version == 2
    assert [letter.letter_id for letter in job_store.find(DeadLetter)] == keys[::-1]
    assert [letter.letter_id for letter in job_store.find(DeadLetter, before=keys[2])] == keys[1::-1]


def test_what_is_too_long_to_be_looked_for_is_not_found(job_store: JobStore) -> None:
    longest = "ü" * 500
    job_store.create(a_job("a", country=longest))
    assert [job.job_id for job in job_store.find(Job, country=longest)] == ["a"]
    assert job_store.find(Job, country="x" * 5000) == job_store.find(Job, country="ü" * 800) == []


def test_a_part_of_a_document_is_found_like_the_whole(job_store: JobStore) -> None:
    for number in range(3):
        job_store.create(a_job(f"j{number}", country="DE", priority=number, queue="bulk"))
    waiting = job_store.find(Waiting, state=JobState.ACCEPTED, queue="bulk")
    assert [(part.job_id, part.priority) for part in waiting] == [("j2", 2), ("j1", 1), ("j0", 0)]
    assert waiting[0].accepted_at == NOW


def test_find_gives_the_newest_creation_first_even_after_rewrites(job_store: JobStore) -> None:
    for number in range(5):
        job_store.create(a_job(f"j{number}", country="DE" if number % 2 else "FR", priority=number))
    first = job_store.get(Job, "j0")
    assert first
    job_store.replace(first.moved(JobState.FAILED, NOW, None), 1)
    assert [job.job_id for job in job_store.find(Job)] == ["j4", "j3", "j2", "j1", "j0"]
    assert [job.job_id for job in job_store.find(Job, country="FR")] == ["j4", "j2", "j0"]
    assert [job.job_id for job in job_store.find(Job, state=JobState.FAILED)] == ["j0"]
    assert [job.job_id for job in job_store.find(Job, state="ACCEPTED", country="FR")] == ["j4", "j2"]
    assert job_store.find(Queue) == []


def test_find_pages_without_gap_or_repeat(job_store: JobStore) -> None:
    for number in range(7):
        job_store.create(a_job(f"j{number}"))
    pages, before = [], None
    while page := job_store.find(Job, limit=3, before=before):
        pages.append([job.job_id for job in page])
        before = page[-1].job_id
        job_store.create(a_job(f"new{len(pages)}"))  # meanwhile
    assert pages == [["j6", "j5", "j4"], ["j3", "j2", "j1"], ["j0"]]


def test_find_pages_through_what_meets_a_condition(job_store: JobStore) -> None:
    for number in range(6):
        job_store.create(a_job(f"j{number}", country="DE" if number % 2 else "FR"))
    first = job_store.find(Job, limit=2, country="FR")
    assert [job.job_id for job in first] == ["j4", "j2"]
    second = job_store.find(Job, limit=2, before="j2", country="FR")
    assert [job.job_id for job in second] == ["j0"]
    assert [job.job_id for job in job_store.find(Job, before="j3", country="FR")] == ["j2", "j0"]
    assert job_store.find(Job, before="unknown") == job_store.find(Job, before="unknown", country="FR") == []


def test_what_is_due_is_found_whatever_the_fraction_of_its_second(job_store: JobStore) -> None:
    for number, ms in enumerate([0, 400, 500, 900, 1000, 1001]):
        job_store.create(a_job(f"j{number}", deadline=NOW + timedelta(milliseconds=ms)))
    job_store.create(a_job("ended", deadline=None))
    job_store.create(a_job("elsewhere", deadline=NOW, state=JobState.QUEUED))

    def due(ms: int) -> set[str]:
        found = job_store.due(Job, NOW + timedelta(milliseconds=ms), state=JobState.ACCEPTED)
        return {job.job_id for job in found}

    assert due(-1) == set()
    assert due(0) == {"j0"}
    assert due(500) == {"j0", "j1", "j2"}
    assert due(1000) == {f"j{number}" for number in range(5)}


def test_turns_come_by_country_and_batch_then_priority_then_age(job_store: JobStore) -> None:
    waiting = [("FR", 0), ("DE", 0), ("DE", -1), ("DE", 9), ("DE", 9), ("DE", 5)]
    for number, (country, priority) in enumerate(waiting):
        batch = "monday" if number == 5 else None
        job = a_job(f"j{number}", country=country, batch_id=batch, priority=priority, state=JobState.QUEUED)
        job_store.create(job)
    job_store.create(a_job("other", country="AT", queue="bulk", state=JobState.QUEUED))

    def turns(beyond: str, limit: int) -> list[str]:
        found = job_store.in_turn(Waiting, beyond, limit, state=JobState.QUEUED, queue="default")
        return [waiting.job_id for waiting in found]

    assert turns("", 9) == ["j3", "j4", "j1", "j2", "j5", "j0"]
    assert (turns("", 2), turns("DE/", 1), turns("DE/monday", 1), turns("FR/", 1)) == (
        ["j3", "j4"],
        ["j5"],
        ["j0"],
        [],
    )


def test_jobs_are_looked_for_by_any_filters_together(job_store: JobStore) -> None:
    """Every combination, in pages, with and without the beginning of an id; Python knows the answer."""
    choices = {
        "state": ("ACCEPTED", "FAILED"),
        "country": ("DE", "FR"),
        "revision": ("r1", "r2"),
        "queue": ("default", "bulk"),
        "requested_by": ("ann", None),
    }
    made: list[Job] = []
    for number, values in enumerate(product(*choices.values())):
        for name in (f"weekly-{number:02}", f"other-{number:02}"):
            made.append(a_job(name, **dict(zip(choices, values, strict=True))))
            job_store.create(made[-1])
    made.reverse()
    for wanted in product(*((None, *values[:1]) for values in choices.values())):
        equals = {name: value for name, value in zip(choices, wanted, strict=True) if value}
        matching = [job for job in made if all(getattr(job, name) == equals[name] for name in equals)]
        assert _paged(job_store, **equals) == [job.job_id for job in matching]
        for starting in ("weekly-", "weekly-1", "w' OR 1=1 --"):
            ids = sorted((job.job_id for job in matching if job.job_id.startswith(starting)), reverse=True)
            assert _paged(job_store, starting=starting, **equals) == ids
        assert job_store.count(Job, **equals) == len(matching)


def test_jobs_are_looked_for_by_a_label_and_other_filters(job_store: JobStore) -> None:
    """As by any other filter; a job is found by each of its labels, and by what they are now."""
    for number in range(24):
        labels = ["team=growth", f"tier={number % 3}"] if number % 2 else [f"tier={number % 3}"]
        name = f"{'weekly' if number % 4 else 'other'}-{number:02}"
        job_store.create(a_job(name, labels=labels, country="DE" if number % 5 else "FR"))
    every = job_store.find(Job)
    for country, label, starting in product((None, "DE"), ("team=growth", "tier=0", "tier="), ("", "week")):
        equals = {"labels": label, **({"country": country} if country else {})}
        matching = [
            job.job_id
            for job in every
            if label in job.labels and country in (None, job.country) and job.job_id.startswith(starting)
        ]
        assert _paged(job_store, starting=starting, **equals) == (
            sorted(matching, reverse=True) if starting else matching
        )
        if not starting:
            assert job_store.count(Job, **equals) == len(matching)
            assert job_store.count(Job, most=2, **equals) == min(2, len(matching))
    newest = every[0]
    job_store.replace(newest.model_copy(update={"labels": ["team=brand"], "state": JobState.FAILED}), 1)
    assert [job.job_id for job in job_store.find(Job, labels="team=brand", state="FAILED")] == [newest.job_id]
    assert newest.job_id not in _paged(job_store, labels=newest.labels[0])
    with pytest.raises(ValueError, match="no index"):
        job_store.find(Queue, labels="team=brand")


def _paged(job_store: JobStore, **how: Any) -> list[str]:
    found, before = [], None
    while page := job_store.find(Job, limit=11, before=before, **how):
        found += [job.job_id for job in page]
        before = page[-1].job_id
    return found


def test_of_several_values_any_will_do(job_store: JobStore) -> None:
    for number, state in enumerate(("FAILED", "QUEUED", "RUNNING", "FAILED", "QUEUED")):
        job_store.create(a_job(f"j{number}", country="DE", state=state))
    some = {"state": (JobState.QUEUED, JobState.FAILED), "country": "DE"}
    assert _paged(job_store, **some) == ["j4", "j3", "j1", "j0"]
    assert [job.job_id for job in job_store.find(Job, limit=2, **some)] == ["j4", "j3"]
    assert [job.job_id for job in job_store.find(Job, before="j3", starting="j", **some)] == ["j1", "j0"]
    assert job_store.count(Job, **some) == 4
    assert job_store.count(Job, most=3, **some) == 3


def test_counting_stops_where_it_is_told_and_begins_at_a_time(job_store: JobStore) -> None:
    for number in range(7):
        job_store.create(a_job(f"j{number}", accepted_at=NOW + timedelta(seconds=number)))
    failed = a_job("failed", accepted_at=NOW, state=JobState.FAILED)
    job_store.create(failed)
    assert job_store.count(Job, state="ACCEPTED") == 7
    assert job_store.count(Job, state="ACCEPTED", most=5) == 5
    assert job_store.count(Job, state="ACCEPTED", since=NOW + timedelta(seconds=4)) == 3
    assert job_store.count(Job, state="ACCEPTED", since=NOW + timedelta(seconds=4), most=2) == 2
    assert job_store.count(Job, state=("ACCEPTED", "FAILED"), since=NOW) == 8
    job_store.replace(failed.moved(JobState.ACCEPTED, NOW, NOW), 1)
    assert (job_store.count(Job, state="ACCEPTED"), job_store.count(Job, state="FAILED")) == (8, 0)
    with pytest.raises(ValueError, match="no index"):
        job_store.count(Job, since=NOW, country="DE")


def test_no_query_reads_what_it_does_not_give(family: Family) -> None:
    """Ten times as many documents, of which as many are asked for, cost the store no more."""
    jobs = family.ports.jobs
    queries: list[Callable[[], list[Any]]] = [
        lambda: jobs.find(Job, limit=5),
        lambda: jobs.find(Job, limit=5, before="j10"),
        *(
            partial(jobs.find, Job, limit=5, **some)
            for some in ({"state": "QUEUED"}, {"country": "DE"}, {"country": "FR", "state": "QUEUED"})
        ),
        lambda: jobs.find(Job, limit=5, before="j10", country="FR", state="QUEUED"),
        lambda: jobs.find(Job, limit=1, state="QUEUED", queue="default"),
        lambda: jobs.due(Job, NOW, state="QUEUED"),
        lambda: jobs.due(Job, NOW, state="QUEUED", limit=2),
        lambda: jobs.due(Upload, NOW, by="since", state="WAITING"),
        lambda: jobs.in_turn(Waiting, "", 1, state="QUEUED", queue="default"),
        lambda: jobs.in_turn(Waiting, "DE/", 1, state="QUEUED", queue="default"),
        lambda: jobs.find(Job, limit=5, starting="j1"),
        lambda: jobs.find(Job, limit=5, state=("QUEUED", "FAILED")),
    ]

    def add(numbers: range) -> None:
        for number in numbers:
            country = "FR" if number % 2 else "DE"
            late = NOW + timedelta(days=-1 if number < 5 else 1)
            jobs.create(a_job(f"j{number}", country=country, state=JobState.QUEUED, deadline=late))
            jobs.create(Upload(name=f"u{number}", generation=1, country=country, since=late))

    add(range(30))
    few = [family.reads(query) for query in queries]
    add(range(30, 300))
    assert [len(query()) for query in queries] == [5, 5, 5, 5, 5, 5, 1, 5, 2, 5, 1, 1, 5, 5]
    for cost, query in zip(few, queries, strict=True):
        assert family.reads(query) <= 1.2 * cost


@pytest.mark.parametrize("field", ["stat", "state') OR 1=1 --", "version') = 1 OR ('x"])
def test_an_unknown_field_is_an_error_and_never_sql(job_store: JobStore, field: str) -> None:
    job_store.create(a_job("a"))
    with pytest.raises(ValueError, match="no index"):
        job_store.find(Job, **{field: "x"})  # type: ignore[arg-type]


def _count_up(ports: Ports, number: int) -> int:
    wins = 0
    while wins < 20:
        job = ports.jobs.get(Job, "a")
        assert job
        try:
            ports.jobs.replace(job.model_copy(update={"wakeups": job.wakeups + 1}), job.version)
            wins += 1
        except Conflict:
            continue
    return wins


def test_no_update_of_racing_processes_is_lost(family: Family) -> None:
    family.ports.jobs.create(a_job("a"))
    race(4, _count_up, family.reopen)
    job = family.ports.jobs.get(Job, "a")
    assert job
    assert (job.wakeups, job.version) == (80, 81)


def _create(ports: Ports, number: int) -> bool:
    return ports.jobs.create(a_job("a", priority=number)) is not None


def test_one_of_racing_creators_wins(family: Family) -> None:
    assert sum(race(6, _create, family.reopen)) == 1
