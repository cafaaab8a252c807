"""The warehouses under test, each with the same table, and what their tests share.

Every test that takes `told` runs once for each entry of `WAREHOUSES`. Another kind joins by an entry: a
context manager that takes an empty folder and gives a `Told` (`MissingPart` if it needs what is not here).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from functions.adapters.embedded import Embedded
from functions.adapters.embedded.warehouse import load_table
from functions.ports import Warehouse
from tests.adapters.families import MissingPart
from tests.adapters.snowflake_stand_in import server

if TYPE_CHECKING:
    from functions.adapters.gcp.snowflake import SnowflakeSettings

TABLE = pa.table(
    {
        "day": pa.array([date(2026, 1, 5), None], pa.date32()),
        "at": pa.array([datetime(2026, 1, 5, 12, 0, 0, 123456), None], pa.timestamp("us")),
        "seen": pa.array([datetime(2026, 1, 5, 12, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "spend": pa.array([Decimal("1234567890.12"), None], pa.decimal128(18, 2)),
        "share": pa.array([0.1, None], pa.float64()),
        "clicks": pa.array([2**53 + 1, None], pa.int64()),
        "on": pa.array([True, None], pa.bool_()),
        'na"me': pa.array(["ü'\"", None], pa.string()),
    }
)
_STATEMENTS = (
    'CREATE DATABASE "shop"',
    'CREATE SCHEMA "shop"."main schema"',
    'CREATE TABLE "shop"."main schema"."ta""ble" ("day" DATE, "at" TIMESTAMP_NTZ, "seen" TIMESTAMP_TZ,'
    ' "spend" NUMBER(18,2), "share" FLOAT, "clicks" NUMBER(38,0), "on" BOOLEAN, "na""me" VARCHAR)',
    """INSERT INTO "shop"."main schema"."ta""ble" VALUES
    ('2026-01-05', '2026-01-05 12:00:00.123456', '2026-01-05 12:00:00+00:00', 1234567890.12, 0.1,
     9007199254740993, TRUE, 'ü''"'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)""",
)


@dataclass(frozen=True)
class Told:
    """A warehouse that holds `TABLE`, and what its dialect calls things."""

    warehouse: Warehouse
    decimal: pa.DataType  # what a decimal of 18 digits comes as
    document: str  # a value that is a JSON document
    long: str  # a query with an answer of several batches
    endless: str  # a query that does not answer
    names: tuple[str, str, str] = ("shop", "main schema", 'ta"ble')  # of the table
    table: pa.Table = field(default_factory=lambda: TABLE)  # as it is there
    instant: str = "TIMESTAMPTZ"  # the type of a moment

    def of(self, table: str) -> str:
        """A table beside it, quoted."""
        return ".".join(map(self.warehouse.quote, (*self.names[:2], table)))

    @property
    def everything(self) -> str:
        """A query for the whole table."""
        return f"SELECT * FROM {self.of(self.names[2])}"  # noqa: S608 (quoted)


@contextmanager
def duckdb_warehouse(folder: Path) -> Iterator[Told]:
    load_table(folder / "warehouse", "shop", "main schema", 'ta"ble', TABLE)
    yield Told(
        Embedded(folder).ports().warehouses["shop"],
        decimal=pa.decimal128(18, 2),
        document="""'{"a": [1, null]}'::JSON""",
        long="SELECT range AS n FROM range(1000000)",
        endless="SELECT count(*) FROM range(1000000000) a, range(1000000000) b",
    )


@contextmanager
def snowflake_warehouse(_: Path) -> Iterator[Told]:
    try:
        from functions.adapters.gcp.snowflake import SnowflakeWarehouse
    except ModuleNotFoundError as error:
        raise MissingPart(f"requirements/gcp.txt is not installed ({error})") from error
    yield Told(
        SnowflakeWarehouse(snowflake_settings()),
        decimal=pa.decimal128(38, 2),  # the driver widens every decimal
        document="""PARSE_JSON('{"a": [1, null]}')""",
        long="SELECT SYSTEM$CHUNKS(5)",
        endless="SELECT SYSTEM$WAIT()",
    )


@contextmanager
def bigquery_warehouse(folder: Path) -> Iterator[Told]:
    """Names there have no quotes, and those of datasets no spaces."""
    try:
        from functions.adapters.gcp.bigquery import BigQueryWarehouse
        from functions.settings import BigQueryConnection
        from tests.adapters.bigquery_server import BigQuery, serving
    except ModuleNotFoundError as error:
        raise MissingPart(f"requirements/gcp.txt is not installed ({error})") from error
    table = TABLE.rename_columns({'na"me': "na me"})
    load_table(folder / "warehouse", "shop-1", "main", "ta ble", table)
    connection = BigQueryConnection(project="shop-1", maximum_bytes_billed=10**9)
    with serving(BigQuery(folder / "warehouse" / "shop-1.duckdb")) as clients:
        yield Told(
            BigQueryWarehouse(connection, *clients),
            decimal=pa.decimal128(38, 9),
            document="""TO_JSON_STRING(JSON '{"a": [1, null]}')""",
            long="SELECT n FROM UNNEST(GENERATE_ARRAY(0, 999999)) AS n",
            endless="SELECT * FROM endless",
            names=("shop-1", "main", "ta ble"),
            table=table,
            instant="TIMESTAMP",
        )


@cache
def snowflake_settings() -> SnowflakeSettings:
    """How to log in to the stand-in; it holds the table.

    Raises:
        MissingPart: there is no environment to run it in.
    """
    from functions.adapters.gcp.snowflake import SnowflakeSettings
    from functions.adapters.gcp.snowflake_login import connect

    password = Path(mkdtemp()) / "password"
    password.write_text("not checked here\n")
    found = SnowflakeSettings("org-acc", "svc", "READER", "WH", password_file=password, url=server())
    with connect(found, 60) as connection:
        for statement in _STATEMENTS:
            connection.cursor().execute(statement)
    return found


WAREHOUSES: dict[str, Callable[[Path], AbstractContextManager[Told]]] = {
    "duckdb": duckdb_warehouse,
    "snowflake": snowflake_warehouse,
    "bigquery": bigquery_warehouse,
}


def rows(warehouse: Warehouse, sql: str, timeout_s: float = 60) -> list[dict[str, Any]]:
    with warehouse.query(sql, timeout_s) as batches:
        answer: list[dict[str, Any]] = pa.Table.from_batches(list(batches)).to_pylist()
    return answer
