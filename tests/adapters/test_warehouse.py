from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from functions.adapters.embedded import Embedded
from functions.adapters.embedded.warehouse import load_table
from functions.errors import BadSource, Unavailable
from functions.ports import Warehouse

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


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    load_table(tmp_path / "warehouse", "shop", "main schema", 'ta"ble', TABLE)
    return Embedded(tmp_path).ports().warehouses["shop"]


def rows(warehouse: Warehouse, sql: str, timeout_s: float = 60) -> list[dict[str, Any]]:
    with warehouse.query(sql, timeout_s) as batches:
        answer: list[dict[str, Any]] = pa.Table.from_batches(list(batches)).to_pylist()
    return answer


def from_table(warehouse: Warehouse) -> str:
    return " FROM " + ".".join(map(warehouse.quote, ("shop", "main schema", 'ta"ble')))


def test_types_and_missing_values_are_kept(warehouse: Warehouse) -> None:
    with warehouse.query("SELECT *" + from_table(warehouse), 60) as batches:
        answer = pa.Table.from_batches(list(batches))
    assert answer.to_pylist() == TABLE.to_pylist()
    kinds = {field.name: field.type for field in answer.schema}
    assert kinds.pop("seen").unit == "us"  # its zone may be spelled in several ways
    assert kinds == {field.name: field.type for field in TABLE.schema if field.name != "seen"}


def test_no_rows_still_say_which_columns(warehouse: Warehouse) -> None:
    with warehouse.query('SELECT day, "on"' + from_table(warehouse) + " WHERE false", 60) as batches:
        [batch] = batches
    assert batch.num_rows == 0
    assert batch.schema.names == ["day", "on"]


def test_a_quoted_identifier_cannot_end_early(warehouse: Warehouse) -> None:
    assert warehouse.quote('x" UNION SELECT 1 --') == '"x"" UNION SELECT 1 --"'
    with pytest.raises(BadSource, match="does not exist"):
        rows(warehouse, "SELECT * FROM " + warehouse.quote('x" UNION SELECT 1 --'))  # noqa: S608 (the point)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nowhere", "nowhere"),
        ('SELECT nothing FROM shop."main schema"."ta""ble"', "nothing"),
        ("SELECT CAST(v AS INT) FROM (VALUES ('1'), ('x')) AS t(v)", "'x'"),
        ("", "no rows"),
    ],
)
def test_a_wrong_query_is_answered_with_the_reason(warehouse: Warehouse, sql: str, said: str) -> None:
    with pytest.raises(BadSource, match=said):
        rows(warehouse, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('{folder}/*')",
        "COPY (SELECT 1) TO '{folder}/written.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "CREATE TABLE x AS SELECT 1",
        'DROP TABLE shop."main schema"."ta""ble"',
        "SELECT * FROM TABLE_OF_THE_PROGRAM",
    ],
)
def test_a_query_reaches_nothing_but_its_tables(warehouse: Warehouse, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\nsecret\n")
    TABLE_OF_THE_PROGRAM = TABLE  # noqa: F841, N806 (DuckDB would find it if it were let)
    with pytest.raises(BadSource):
        rows(warehouse, sql.format(file=secret, folder=tmp_path))
    assert not (tmp_path / "written.csv").exists()
    assert len(rows(warehouse, "SELECT *" + from_table(warehouse))) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000000) a, range(1000000000) b",  # never answers
        "SELECT a.range FROM range(1000000000) a, range(1000000000) b",  # answers without end
    ],
)
def test_a_query_that_takes_too_long_is_stopped_with_advice(warehouse: Warehouse, sql: str) -> None:
    with (
        warehouse.query(sql, 0.3) as batches,
        pytest.raises(BadSource, match=r"longer than 0\.3 s.*fewer rows"),
    ):
        for _ in batches:
            pass
    assert rows(warehouse, "SELECT 1 AS x") == [{"x": 1}]


def test_an_answer_may_be_left_half_read(warehouse: Warehouse) -> None:
    with warehouse.query("SELECT * FROM range(100000000)", 60) as batches:
        assert next(batches).num_rows > 0
    assert rows(warehouse, "SELECT 1 AS x") == [{"x": 1}]


def test_queries_may_run_side_by_side(warehouse: Warehouse) -> None:
    with warehouse.query("SELECT * FROM range(200000)", 60) as first:
        next(first)
        assert rows(warehouse, "SELECT 1 AS x") == [{"x": 1}]
        assert sum(batch.num_rows for batch in first) > 0


def test_only_files_of_the_folder_are_connections(tmp_path: Path, warehouse: Warehouse) -> None:
    warehouses = Embedded(tmp_path).ports().warehouses
    assert list(warehouses) == ["shop"]
    with pytest.raises(KeyError):
        warehouses["../state"]
    load_table(tmp_path / "warehouse", "later", "main", "t", TABLE)
    assert len(rows(warehouses["later"], "SELECT * FROM later.main.t")) == 2
    with pytest.raises(ValueError, match="name of a connection"):
        load_table(tmp_path / "warehouse", "../shop", "main", "t", TABLE)


def test_loading_again_replaces_the_table(tmp_path: Path, warehouse: Warehouse) -> None:
    load_table(tmp_path / "warehouse", "shop", "main schema", 'ta"ble', TABLE.slice(0, 1))
    assert len(rows(warehouse, "SELECT *" + from_table(warehouse))) == 1


def test_a_file_that_somebody_writes_to_is_unavailable_for_now(tmp_path: Path, warehouse: Warehouse) -> None:
    with duckdb.connect(str(tmp_path / "warehouse" / "shop.duckdb")), pytest.raises(Unavailable):
        rows(warehouse, "SELECT 1")
    assert rows(warehouse, "SELECT 1 AS x") == [{"x": 1}]


def test_memory_stays_flat_however_long_the_answer_is(tmp_path: Path, warehouse: Warehouse) -> None:
    program = """
import resource, sys
from pathlib import Path
from functions.adapters.embedded import Embedded
warehouse = Embedded(Path(sys.argv[1])).warehouses["shop"]
def peak_mb(rows):
    sql = f"SELECT range AS a, range * 2 AS b, range * 3 AS c FROM range({rows})"
    with warehouse.query(sql, 600) as batches:
        assert sum(batch.num_rows for batch in batches) == rows
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(-peak_mb(100_000) + peak_mb(20_000_000))
"""
    grown = subprocess.check_output([sys.executable, "-c", program, str(tmp_path)], text=True)
    assert float(grown) < 150, "20 million rows are 480 MB"
