"""The way of a job whose data come from Snowflake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from contracts import names
from contracts.job import JobState
from functions import runtime
from functions.adapters.gcp.snowflake import SnowflakeSettings, SnowflakeWarehouse
from functions.adapters.gcp.snowflake_login import connect
from functions.runtime import Runtime
from infra.local.demo_data import generate
from tests.adapters.families import skipped_if_missing
from tests.adapters.snowflake_stand_in import serving
from tests.pipeline.world import World


def literal(value: float | str | None) -> str:
    if value is None:
        return "NULL"
    return "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else repr(value)


def fill(settings: SnowflakeSettings, table: pd.DataFrame) -> None:
    kinds = {"f": "FLOAT", "i": "NUMBER(38,0)"}
    types = {name: kinds.get(kind.kind, "VARCHAR") for name, kind in table.dtypes.items()} | {"date": "DATE"}
    columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    values = json.loads(table.to_json(orient="values", double_precision=15))
    rows = ", ".join(f"({', '.join(map(literal, row))})" for row in values)
    with connect(settings, 60) as connection:
        for statement in (
            'CREATE DATABASE "demo"',
            'CREATE SCHEMA IF NOT EXISTS "demo"."main"',
            f'CREATE TABLE "demo"."main"."weekly_sales" ({columns})',
            f'INSERT INTO "demo"."main"."weekly_sales" VALUES {rows}',  # noqa: S608 (ours)
        ):
            connection.cursor().execute(statement)


@pytest.fixture
def on_snowflake(world: World, tmp_path: Path) -> Iterator[World]:
    """A world whose connection `demo` is Snowflake, with the generated data."""
    password = tmp_path / "password"
    password.write_text("not checked here")
    with skipped_if_missing(), serving() as url:
        settings = SnowflakeSettings("org-acc", "svc", "READER", "WH", password_file=password, url=url)
        table = generate().table
        fill(settings, table.assign(date=table["date"].astype(str)))
        world.ports = replace(world.ports, warehouses={"demo": SnowflakeWarehouse(settings)})
        world.runtime = Runtime(world.ports, world.settings, world.runtime.log)
        runtime.use(world.runtime)
        yield world


def test_a_table_of_snowflake_is_trained_on_as_one_of_duckdb_is(on_snowflake: World) -> None:
    job_id = on_snowflake.submit("r1")
    on_snowflake.run()
    job = on_snowflake.job(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    with on_snowflake.ports.objects.reader(names.dataset(job.country, job_id)) as stream:
        arrived = pq.read_table(stream)
    table = generate().table
    assert arrived.column_names == list(table.columns)
    assert arrived.column("revenue").to_pylist() == table["revenue"].tolist()


def test_a_query_that_snowflake_refuses_ends_the_job_with_its_reason(on_snowflake: World) -> None:
    source = {"kind": "table", "connection": "demo", "database": "demo", "schema": "main", "table": "nowhere"}
    job_id = on_snowflake.submit("r1", source=source)
    on_snowflake.run()
    job = on_snowflake.job(job_id)
    assert job.state is JobState.REJECTED
    assert job.error is not None
    assert "does not exist" in job.error.detail
