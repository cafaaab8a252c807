"""Results of old jobs: what would go is listed, a few go at a time, and what is needed stays."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest

from contracts import names
from contracts.deletion import ResultsDeletion
from contracts.job import Job, JobResult
from functions.adapters.embedded.jobs import SqliteJobStore
from functions.entry import deliver
from functions.message import Message
from functions.sweep import deletions
from tests.web.harness import S, Site

V1 = "/api/v1"
LINE = JobResult(sol_id="1_2_3", r2=0.9, nrmse=0.06, rssd=0.1, worst="good")


def old_job(site: Site, number: int, **changes: Any) -> Job:
    """A succeeded job with a file of its result, a day younger than the one before it."""
    at = site.clock.now() - timedelta(days=500 - number)
    job = site.job(S.SUCCEEDED, f"old-{number}", accepted_at=at, result=LINE, deadline=None, **changes)
    site.ports.objects.create(f"{names.results(job)}best_model.json", b"{}")
    return job


def tick(site: Site) -> None:
    deliver("sweep", Message(b"{}", {}, "1", "sweep-ticks", 1), site.runtime)


def asked(site: Site, **more: Any) -> dict[str, Any]:
    before = site.clock.now() - timedelta(days=400)
    return {"accepted_before": before.isoformat(), **more}


def gone(site: Site) -> set[str]:
    """The jobs whose results are deleted, files and all."""
    jobs = site.ports.jobs.find(Job)
    return {
        job.job_id
        for job in jobs
        if job.deletion and job.deletion.done_at and not list(site.ports.objects.list(names.all_results(job)))
    }


def test_old_results_go_a_few_at_a_time_and_what_is_needed_is_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "AT_ONCE", 3)
    for number in range(8):
        old_job(site, number)
    old_job(site, 20, schedule="weekly")
    old_job(site, 21)
    old_job(site, 22, request={"country": "DE", "validate_only": True})
    old_job(site, 23, country="FR")
    old_job(site, 450)
    waiting = {"country": "DE", "refresh_of": {"job": "old-2"}}
    site.job(S.QUEUED, "waits", request=waiting, deadline=site.clock.now() + timedelta(days=9))
    used = site.client.post(f"{V1}/countries/DE:use", json={"job_id": "old-1"})
    assert used.status_code == 200

    looked = site.client.post(f"{V1}/deletions:preview", json=asked(site)).json
    kept = {one["job_id"]: one["kept"] for one in looked["results"] if one["kept"]}
    assert set(kept) == {"old-1", "old-2", "old-20", "old-23"}
    assert "uses its model" in kept["old-1"]
    assert "continues it" in kept["old-2"]
    assert "of the schedule weekly" in kept["old-20"]
    assert {one["job_id"] for one in looked["results"]} - set(kept) == {
        *(f"old-{number}" for number in (0, 3, 4, 5, 6, 7)),
        "old-21",
    }
    assert gone(site) == set()

    first = site.client.post(f"{V1}/deletions", json=asked(site))
    again = site.client.post(f"{V1}/deletions", json=asked(site))
    assert (first.status_code, again.status_code) == (201, 200)
    path = f"{V1}/deletions/{first.json['deletion_id']}"
    seen = 0
    for _ in range(8):
        tick(site)
        assert len(gone(site)) - seen <= 3
        seen = len(gone(site))
    done = site.client.get(path).json
    assert gone(site) == {f"old-{number}" for number in (0, 3, 4, 5, 6, 7, 21)}
    assert (done["state"], done["deleted"], {one["job_id"] for one in done["kept"]}) == ("DONE", 7, set(kept))
    assert "were deleted by" in site.client.get("/jobs/old-0").text
    refused = site.client.post(f"{V1}/countries/DE:use", json={"job_id": "old-0"})
    assert (refused.status_code, "no model any more" in refused.json["detail"]) == (409, True)
    assert site.client.post(f"{path}:stop").status_code == 409


def test_a_crash_at_any_write_deletes_and_counts_each_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        old_job(site, number)
    site.client.post(f"{V1}/deletions", json=asked(site, country="DE"))
    replace, writes = SqliteJobStore.replace, iter(range(1000))

    def dying(store: SqliteJobStore, *arguments: Any) -> Any:
        """Every other write is the last one of its process."""
        written = replace(store, *arguments)
        if next(writes) % 2:
            raise KeyboardInterrupt
        return written

    monkeypatch.setattr(SqliteJobStore, "replace", dying)
    for _ in range(12):
        with contextlib.suppress(KeyboardInterrupt):
            tick(site)
    (deletion,) = site.ports.jobs.find(ResultsDeletion)
    assert (deletion.state, deletion.deleted) == ("DONE", 3)
    assert gone(site) == {"old-0", "old-1", "old-2"}


def test_while_too_many_jobs_wait_nothing_goes_and_a_person_can_stop_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        old_job(site, number)
    later = site.clock.now() + timedelta(days=9)
    for number in range(2):
        site.job(S.QUEUED, f"waits-{number}", deadline=later)
    monkeypatch.setattr("functions.deletions.MOST_OPEN", 1)
    assert site.client.post(f"{V1}/deletions:preview", json=asked(site)).status_code == 503
    monkeypatch.undo()
    html = site.client.get("/deletions?days=400").text
    assert "1 to delete, 1 to keep" in html
    assert site.client.post("/deletions", data={**asked(site), "country": "DE"}).status_code == 303
    monkeypatch.setattr("functions.deletions.MOST_OPEN", 1)
    tick(site)
    (waits,) = site.client.get(f"{V1}/deletions").json["deletions"]
    assert "more than 1 jobs have not ended" in waits["waits_for"]
    assert "Stop" in site.client.get("/deletions").text
    assert site.client.post(f"/deletions/{waits['deletion_id']}/stop").status_code == 303
    monkeypatch.undo()
    tick(site)
    assert gone(site) == set()
    ended = site.client.get(f"{V1}/deletions/{waits['deletion_id']}").json
    assert (ended["state"], ended["stopped_by"]) == ("STOPPED", ended["by"])
