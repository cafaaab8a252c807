"""The way of a job whose data come from BigQuery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("google.cloud.bigquery", reason="requirements/gcp.txt is not installed")

from contracts import names
from contracts.job import JobState
from functions import runtime
from functions.adapters.embedded.warehouse import load_table
from functions.adapters.gcp.bigquery import BigQueryWarehouse
from functions.runtime import Runtime
from functions.settings import BigQueryConnection
from infra.local.demo_data import generate
from tests.adapters.bigquery_server import BigQuery, serving
from tests.pipeline.world import World

TABLE = {
    "kind": "table",
    "connection": "web",
    "database": "shop-1",
    "schema": "marts",
    "table": "weekly_sales",
}


@dataclass
class OnBigQuery:
    world: World
    service: BigQuery


@pytest.fixture
def on(world: World, tmp_path: Path) -> Iterator[OnBigQuery]:
    """A world whose connection `web` is BigQuery, with the generated data."""
    load_table(tmp_path, "shop-1", "marts", "weekly_sales", pa.Table.from_pandas(generate().table))
    service = BigQuery(tmp_path / "shop-1.duckdb")
    connection = BigQueryConnection(project="shop-1", maximum_bytes_billed=10**9)
    with serving(service) as clients:
        world.ports = replace(world.ports, warehouses={"web": BigQueryWarehouse(connection, *clients)})
        world.runtime = Runtime(world.ports, world.settings, world.runtime.log)
        runtime.use(world.runtime)
        yield OnBigQuery(world, service)


@pytest.mark.parametrize(
    "source",
    [
        TABLE,
        {
            "kind": "sql",
            "connection": "web",
            "query": "SELECT * FROM `shop-1.marts.weekly_sales` ORDER BY date",
        },
    ],
    ids=["table", "sql"],
)
def test_data_of_bigquery_are_trained_on(on: OnBigQuery, source: dict[str, str]) -> None:
    job_id = on.world.submit("r1", source=source)
    on.world.run()
    job = on.world.job(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    with on.world.ports.objects.reader(names.dataset(job.country, job_id)) as stream:
        arrived = pq.read_table(stream)
    table = generate().table
    assert arrived.column_names == list(table.columns)
    assert arrived.column("revenue").to_pylist() == table["revenue"].tolist()


def test_a_query_that_costs_too_much_ends_the_job_with_its_reason(on: OnBigQuery) -> None:
    on.service.bytes_per_query = 10**12
    job_id = on.world.submit("r1", source=TABLE)
    on.world.run()
    job = on.world.job(job_id)
    assert job.state is JobState.REJECTED
    assert job.error is not None
    assert "maximum_bytes_billed" in job.error.detail
