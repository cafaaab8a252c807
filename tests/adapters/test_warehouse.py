"""What every warehouse does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from functions.errors import BadSource
from functions.ports import Warehouse
from tests.adapters.families import skipped_if_missing
from tests.adapters.warehouses import WAREHOUSES, Told, rows


@pytest.fixture(params=WAREHOUSES)
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    with skipped_if_missing(), WAREHOUSES[request.param](tmp_path) as told:
        yield told


@pytest.fixture
def warehouse(told: Told) -> Warehouse:
    return told.warehouse


def schema_of(warehouse: Warehouse, sql: str) -> pa.Schema:
    with warehouse.query(sql, 60) as batches:
        return next(batches).schema


def test_types_and_missing_values_are_kept(told: Told) -> None:
    with told.warehouse.query(told.everything, 60) as batches:
        answer = pa.Table.from_batches(list(batches))
    assert answer.to_pylist() == told.table.to_pylist()
    kinds = {field.name: field.type for field in answer.schema}
    assert kinds.pop("seen").unit == "us"  # its zone may be spelled in several ways
    assert kinds.pop("spend") == told.decimal
    assert kinds == {name: told.table.schema.field(name).type for name in kinds}


def test_a_time_with_another_zone_is_the_same_moment(told: Told) -> None:
    query = f"SELECT CAST('2026-01-05 13:00:00+01:00' AS {told.instant}) AS moment"
    [row] = rows(told.warehouse, query)
    assert [moment.astimezone(UTC) for moment in row.values()] == [datetime(2026, 1, 5, 12, tzinfo=UTC)]


def test_parameters_are_values_and_never_sql(told: Told) -> None:
    day = told.warehouse.quote("day")
    query = f"{told.everything} WHERE {day} = ? OR {day} BETWEEN ? AND ?"
    first, later = date(2026, 1, 5), date(2026, 2, 1)
    for given, count in (((first, later, later), 1), ((later, first, later), 1), ((later, later, later), 0)):
        with told.warehouse.query(query, 60, given) as batches:
            assert sum(batch.num_rows for batch in batches) == count
    [row] = rows(told.warehouse, "SELECT '?' AS mark")
    assert list(row.values()) == ["?"]


def test_a_document_is_its_json(told: Told) -> None:
    [row] = rows(told.warehouse, f"SELECT {told.document} AS v")
    [text] = row.values()
    assert json.loads(text) == {"a": [1, None]}


def test_no_rows_have_the_names_and_types_of_rows(told: Told) -> None:
    with told.warehouse.query(f"{told.everything} WHERE false", 60) as batches:
        [batch] = batches
    assert batch.num_rows == 0
    assert batch.schema.names == told.table.schema.names
    assert batch.schema.types == schema_of(told.warehouse, told.everything).types


def test_a_wide_table(warehouse: Warehouse) -> None:
    columns = ", ".join(f"{number} AS c{number}" for number in range(500))
    [row] = rows(warehouse, f"SELECT {columns}")
    assert list(row.values()) == list(range(500))


@pytest.mark.parametrize("end", ['"', "`", "\\`", "\\"])
def test_a_quoted_identifier_cannot_end_early(told: Told, end: str) -> None:
    with pytest.raises(BadSource, match=r"(?i)does not exist|not found"):
        rows(told.warehouse, f"SELECT * FROM {told.of(f'x{end} UNION SELECT 1 --')}")  # noqa: S608 (the point)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "(?i)syntax error|unexpected token"),
        ("SELECT * FROM {nowhere}", "(?i)nowhere"),
        ("SELECT nothing FROM (SELECT 1 AS a)", "(?i)nothing"),
        ("", "no rows"),
    ],
)
def test_a_wrong_query_is_answered_with_the_reason(told: Told, sql: str, said: str) -> None:
    with pytest.raises(BadSource, match=said):
        rows(told.warehouse, sql.format(nowhere=told.of("nowhere")))


def test_a_query_that_takes_too_long_is_stopped_with_advice(told: Told) -> None:
    with pytest.raises(BadSource, match=r"longer than 1 s.*fewer rows"):
        rows(told.warehouse, told.endless, 1)
    assert [list(row.values()) for row in rows(told.warehouse, "SELECT 1 AS x")] == [[1]]


def test_an_answer_that_is_left_half_read_ends_there(told: Told) -> None:
    with told.warehouse.query(told.long, 60) as batches:
        assert next(batches).num_rows > 0
    assert list(batches) == []
    assert [list(row.values()) for row in rows(told.warehouse, "SELECT 1 AS x")] == [[1]]


def test_a_reader_that_fails_leaves_nothing_open(told: Told) -> None:
    def read_and_fail() -> None:
        with told.warehouse.query(told.long, 60) as batches:
            next(batches)
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            read_and_fail()
    assert [list(row.values()) for row in rows(told.warehouse, "SELECT 1 AS x")] == [[1]]


def test_queries_may_run_side_by_side(told: Told) -> None:
    with told.warehouse.query(told.long, 60) as first:
        next(first)
        assert [list(row.values()) for row in rows(told.warehouse, "SELECT 1 AS x")] == [[1]]
        assert sum(batch.num_rows for batch in first) > 0


def test_a_long_answer_arrives_whole_and_in_order(told: Told) -> None:
    with told.warehouse.query(told.long, 60) as batches:
        column = pa.Table.from_batches(list(batches)).column(0)
    assert column.to_pylist() == list(range(len(column)))
    assert len(column) >= 500_000
