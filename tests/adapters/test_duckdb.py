"""What only the embedded warehouse does."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from functions.adapters.embedded import Embedded
from functions.adapters.embedded.warehouse import MAX_QUERIES, load_table
from functions.errors import BadSource, Busy, Unavailable
from functions.ports import Warehouse
from tests.adapters.warehouses import TABLE, duckdb_warehouse, rows

EVERYTHING = 'SELECT * FROM shop."main schema"."ta""ble"'


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    with duckdb_warehouse(tmp_path) as told:
        return told.warehouse


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
    assert len(rows(warehouse, EVERYTHING)) == 2


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
    assert len(rows(warehouse, EVERYTHING)) == 1


def test_a_file_that_somebody_writes_to_is_unavailable_for_now(tmp_path: Path, warehouse: Warehouse) -> None:
    with duckdb.connect(str(tmp_path / "warehouse" / "shop.duckdb")), pytest.raises(Unavailable):
        rows(warehouse, "SELECT 1")
    assert rows(warehouse, "SELECT 1 AS x") == [{"x": 1}]


def test_a_file_that_takes_the_place_of_another_is_read_at_once(tmp_path: Path, warehouse: Warehouse) -> None:
    assert len(rows(warehouse, EVERYTHING)) == 2
    load_table(tmp_path / "new", "shop", "main schema", 'ta"ble', TABLE.slice(0, 1))
    (tmp_path / "new" / "shop.duckdb").replace(tmp_path / "warehouse" / "shop.duckdb")
    assert len(rows(warehouse, EVERYTHING)) == 1


def test_another_program_can_write_to_the_file_soon_after_a_query(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    assert len(rows(warehouse, EVERYTHING)) == 2
    file = str(tmp_path / "warehouse" / "shop.duckdb")
    write = f"import duckdb; duckdb.connect({file!r}).execute('CREATE TABLE x (y INT)')"
    for _ in range(20):
        if subprocess.run([sys.executable, "-c", write], capture_output=True, check=False).returncode == 0:
            break
        time.sleep(0.5)
    assert rows(warehouse, "SELECT count(*) AS many FROM shop.x") == [{"many": 0}]


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
    last = grown.split()[-1]  # on a slow machine DuckDB draws its progress before it
    assert float(last) < 150, "20 million rows are 480 MB"


def test_queries_beyond_the_limit_wait_for_their_turn_and_none_is_lost(tmp_path: Path) -> None:
    load_table(tmp_path / "warehouse", "demo", "main", "t", pa.table({"x": [1]}))
    warehouses = Embedded(tmp_path).warehouses
    with ExitStack() as stack:
        for _ in range(MAX_QUERIES):
            stack.enter_context(warehouses["demo"].query("SELECT * FROM t", 10))
        with pytest.raises(Busy), warehouses["demo"].query("SELECT * FROM t", 10):
            pass
    with pytest.raises(BadSource), warehouses["demo"].query("SELECT * FROM nothing", 10) as batches:
        list(batches)
    for _ in range(MAX_QUERIES + 1):
        with warehouses["demo"].query("SELECT * FROM t", 10) as batches:
            assert [batch.num_rows for batch in batches] == [1]


def test_a_program_may_end_while_the_file_of_its_last_query_is_being_closed(tmp_path: Path) -> None:
    load_table(tmp_path, "demo", "main", "sales", TABLE)
    program = """
import sys, time
from pathlib import Path
from functions.adapters.embedded import warehouse
warehouse._KEPT_S = 0.05
with warehouse.DuckDbWarehouses(Path(sys.argv[1]))["demo"].query("SELECT * FROM sales", 60) as batches:
    list(batches)
while warehouse._kept:
    time.sleep(0.0005)
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program, tmp_path], check=True, stderr=subprocess.DEVNULL)
