"""The history of all jobs: stable columns, CSV and Parquet, streamed."""

from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.attempt import Progress
from contracts.history import HistoryRow
from contracts.job import JobResult, JobState, TimelineEntry
from contracts.problem import Problem
from tests.web.harness import Site

S = JobState
V1 = "/api/v1"
START = datetime(2026, 11, 20, 6, tzinfo=UTC)
COLUMNS_SO_FAR = [
    "job_id", "request_id", "country", "revision", "queue", "priority", "requested_by", "labels", "batch_id",
    "schedule", "mapping", "state", "attempt", "accepted_at", "started_at", "trained_at", "ended_at",
    "updated_at", "engine", "size", "rows", "wait_s", "training_s", "cpu_s", "memory_mb", "reason",
    "findings", "sol_id", "r2", "nrmse", "rssd", "worst", "results", "results_deleted_at",
]  # fmt: skip
"""What users have built on; new ones may follow."""


def _trained(site: Site) -> None:
    steps = [(S.ACCEPTED, 0), (S.RUNNING, 60), (S.TRAINED, 90), (S.SUCCEEDED, 92)]
    site.job(
        S.SUCCEEDED,
        "good",
        accepted_at=START,
        updated_at=START + timedelta(seconds=92),
        timeline=[
            TimelineEntry(at=START + timedelta(seconds=s), state=state, attempt=1) for state, s in steps
        ],
        progress=Progress(cpu_s=12.5, memory_mb=300),
        result=JobResult(sol_id="1_2_3", r2=0.9, nrmse=0.07, rssd=-0.1, worst="good"),
    )


def test_the_columns_stay_and_a_cell_is_never_a_formula(site: Site) -> None:
    site.job(S.FAILED, "bad", error=Problem(type="x", title="=HYPERLINK(1)"), requested_by="+ann")
    _trained(site)
    answer = site.client.get(f"{V1}/jobs.csv?state=FAILED&state=SUCCEEDED")
    assert answer.mimetype == "text/csv"
    assert 'filename="jobs.csv"' in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0])[: len(COLUMNS_SO_FAR)] == COLUMNS_SO_FAR
    good, bad = (next(row for row in rows if row["job_id"] == name) for name in ("good", "bad"))
    assert (good["sol_id"], good["nrmse"], good["rssd"], good["worst"]) == ("1_2_3", "0.07", "-0.1", "good")
    assert (good["wait_s"], good["training_s"], good["cpu_s"]) == ("60.0", "30.0", "12.5")
    assert good["results"].startswith("robyn/q4/DE/20261120T060000Z-good/attempt-1/")
    assert (bad["reason"], bad["requested_by"], bad["r2"]) == ("'=HYPERLINK(1)", "'+ann", "")


def test_parquet_holds_the_same_rows_with_their_types(site: Site) -> None:
    _trained(site)
    site.job(S.RUNNING, "now")
    answer = site.client.get(f"{V1}/jobs.parquet?country=DE")
    table = pq.read_table(io.BytesIO(answer.data))
    rows = {row["job_id"]: row for row in table.to_pylist()}
    assert set(rows) == {"good", "now"}
    assert table.column_names == list(HistoryRow.model_fields)
    assert table.schema.field("accepted_at").type == pa.timestamp("us", "UTC")
    assert rows["good"]["ended_at"] == START + timedelta(seconds=92)
    assert (rows["good"]["nrmse"], rows["now"]["sol_id"]) == (0.07, None)
    text = site.client.get(f"{V1}/jobs.csv?country=DE").text
    assert [row["job_id"] for row in csv.DictReader(io.StringIO(text))] == table["job_id"].to_pylist()


def test_nothing_is_cut_and_an_empty_history_is_a_table_too(site: Site) -> None:
    for kind in ("csv", "parquet"):
        assert site.client.get(f"{V1}/jobs.{kind}").status_code == 200
        assert site.client.get(f"{V1}/jobs.{kind}?page_size=3").status_code == 400
    assert pq.read_table(io.BytesIO(site.client.get(f"{V1}/jobs.parquet").data)).num_rows == 0
    assert site.client.get(f"{V1}/jobs.csv").text.strip() == ",".join(HistoryRow.model_fields)
    for number in range(230):
        site.job(S.SUCCEEDED, f"job-{number}")
    lines = list(csv.DictReader(io.StringIO(site.client.get(f"{V1}/jobs.csv").text)))
    assert [line["job_id"] for line in lines] == [f"job-{number}" for number in reversed(range(230))]


def test_memory_does_not_grow_with_the_history(site: Site) -> None:
    """What is in memory at the most while the table of 300 and of 2,400 jobs is sent."""

    def peak() -> int:
        tracemalloc.start()
        answer = site.client.get(f"{V1}/jobs.csv", buffered=False)
        for _ in answer.response:
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    for number in range(300):
        site.job(S.SUCCEEDED, f"job-{number}")
    peak()
    before = peak()
    for number in range(300, 2_400):
        site.job(S.SUCCEEDED, f"job-{number}")
    assert peak() < 1.5 * before
