"""The BigQuery warehouse: Google's own clients against a stand-in for the service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("google.cloud.bigquery", reason="requirements/gcp.txt is not installed")

import grpc

from functions.adapters.embedded.warehouse import load_table
from functions.adapters.gcp.bigquery import BigQueryWarehouse
from functions.adapters.gcp.errors import RETRY
from functions.errors import BadSource, Failure, Unavailable
from functions.settings import BigQueryConnection
from tests.adapters.bigquery_server import BigQuery, Refusal, serving
from tests.adapters.warehouses import TABLE, rows

LONG = "SELECT n FROM UNNEST(GENERATE_ARRAY(0, 299999)) AS n"
CONNECTION = BigQueryConnection(project="shop-1", location="EU", maximum_bytes_billed=10**9)


@dataclass
class Shop:
    service: BigQuery
    warehouse: BigQueryWarehouse


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    load_table(tmp_path, "shop-1", "main", "sales", TABLE.rename_columns({'na"me': "name"}))
    service = BigQuery(tmp_path / "shop-1.duckdb")
    with serving(service) as clients:
        yield Shop(service, BigQueryWarehouse(CONNECTION, *clients))


def test_a_job_is_labelled_and_limited(shop: Shop) -> None:
    assert rows(shop.warehouse, "SELECT 1 AS x", 480.5) == [{"x": 1}]
    [configuration] = shop.service.configurations
    assert configuration["labels"] == {"system": "mmm-trainer"}
    assert configuration["jobTimeoutMs"] == "480500"
    assert configuration["query"]["maximumBytesBilled"] == "1000000000"
    assert configuration["query"]["useLegacySql"] is False


def test_a_table_is_named_by_project_dataset_and_table(shop: Shop) -> None:
    names = ".".join(map(shop.warehouse.quote, ("shop-1", "main", "sales")))
    assert names == "`shop-1`.`main`.`sales`"
    assert len(rows(shop.warehouse, f"SELECT * FROM {names}")) == 2  # noqa: S608 (quoted)


def test_a_query_that_would_read_too_much_is_refused_with_advice(shop: Shop) -> None:
    shop.service.bytes_per_query = 10**12
    with pytest.raises(BadSource, match=r"reads more.*fewer columns.*now 1,000,000,000"):
        rows(shop.warehouse, "SELECT 1 AS x")


def test_a_job_whose_time_is_over_is_cancelled(shop: Shop) -> None:
    with pytest.raises(BadSource, match=r"longer than 1 s.*fewer rows"):
        rows(shop.warehouse, "SELECT * FROM endless", 1)
    assert len(shop.service.cancelled) == 1


def test_a_job_that_bigquery_stopped_is_told_like_it(shop: Shop) -> None:
    shop.service.job_refusals = [Refusal("stopped", "Job timed out after 1 sec")]
    with pytest.raises(BadSource, match=r"longer than 60 s"):
        rows(shop.warehouse, "SELECT 1 AS x")


def test_an_answer_that_is_read_too_slowly_is_stopped_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("functions.adapters.gcp.bigquery.time", clock)
    with shop.warehouse.query(LONG, 60) as batches:
        next(batches)
        clock.monotonic = lambda: 61.0
        with pytest.raises(BadSource, match=r"longer than 60 s"):
            next(batches)


def test_a_stream_that_breaks_off_goes_on_where_it_was(shop: Shop) -> None:
    shop.service.stream_faults = [grpc.StatusCode.UNAVAILABLE]
    assert [row["n"] for row in rows(shop.warehouse, LONG)] == list(range(300_000))


def test_a_stream_that_is_refused_is_no_answer(shop: Shop) -> None:
    shop.service.stream_faults = [grpc.StatusCode.PERMISSION_DENIED]
    with pytest.raises(Unavailable, match="role"):
        rows(shop.warehouse, LONG)


def test_fewer_rows_than_there_are_is_no_answer(shop: Shop) -> None:
    shop.service.lost_rows = 7
    with pytest.raises(Unavailable, match="broke off: 299,993 of 300,000 rows"):
        rows(shop.warehouse, LONG)


@pytest.mark.parametrize(
    ("refusal", "kind", "said"),
    [
        (Refusal("accessDenied", "Access Denied: Project shop-1", 403), Unavailable, "give.*the role"),
        (Refusal("quotaExceeded", "Quota exceeded: project", 403), Unavailable, "Quota exceeded"),
        (Refusal("notFound", "Not found: Dataset shop-1:x in location EU", 404), BadSource, "in location EU"),
        (Refusal("invalidQuery", "Syntax error at [1:1]", 400), BadSource, r"refuses.*at \[1:1\]"),
    ],
    ids=lambda value: value.reason if isinstance(value, Refusal) else "",
)
@pytest.mark.parametrize("when", ["refusals", "job_refusals"])
def test_a_refusal_says_whether_trying_again_may_help(
    shop: Shop, refusal: Refusal, kind: type[Failure], said: str, when: str
) -> None:
    setattr(shop.service, when, [refusal])
    with pytest.raises(kind, match=said) as found:
        rows(shop.warehouse, "SELECT 1 AS x")
    assert found.type is kind


def test_a_service_that_is_away_is_unavailable(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.adapters.gcp.bigquery.RETRY", RETRY.with_timeout(0.5))
    with serving(BigQuery(shop.service.path)) as clients:
        gone = BigQueryWarehouse(CONNECTION, *clients)
    with pytest.raises(Unavailable):
        rows(gone, "SELECT 1 AS x")
