"""Weeks of batches that come by themselves, in short; the whole year is a part of `make bench`."""

from __future__ import annotations

from pathlib import Path

from contracts.job import JobState
from infra.local.bench.weeks import COUNTRIES, simulate


def test_every_occurrence_becomes_one_job_of_each_country_whatever_is_lost(tmp_path: Path):
    year = simulate(tmp_path / "weeks", weeks=4, faults=0.06)
    assert (year.missing, year.twice, year.letters) == (0, 0, 0)
    assert year.faults > 10
    assert year.states == {JobState.SUCCEEDED: 4 * len(COUNTRIES)}
    assert max(year.reads[1:]) < 1.5 * year.reads[0]
