"""The Snowflake warehouse: Snowflake's own driver against a stand-in for its server.

Known differences of the stand-in: it checks no credentials (`test_preflight` does), it knows no roles and no
warehouses, and it does not really stop a late statement.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
import requests

from functions.adapters.gcp.snowflake import SnowflakeSettings, SnowflakeWarehouse
from functions.adapters.gcp.snowflake_login import connect
from functions.errors import BadSource, Failure, Permanent, Unavailable
from tests.adapters.families import MissingPart
from tests.adapters.snowflake_stand_in import serving
from tests.adapters.test_warehouse import TABLE as EXPECTED
from tests.adapters.test_warehouse import (  # noqa: F401 (what every family does)
    from_table,
    rows,
    test_no_rows_still_say_which_columns,
)

ROOT = Path(__file__).resolve().parents[2]
TABLE = '"shop"."main schema"."ta""ble"'
ROWS = """
    ('2026-01-05', '2026-01-05 12:00:00.123456', '2026-01-05 12:00:00+00:00', 1234567890.12, 0.1,
     9007199254740993, TRUE, 'ü''"'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""
STATEMENTS = (
    'CREATE DATABASE "shop"',
    'CREATE SCHEMA "shop"."main schema"',
    f'CREATE TABLE {TABLE} ("day" DATE, "at" TIMESTAMP_NTZ, "seen" TIMESTAMP_TZ, "spend" NUMBER(18,2),'
    ' "share" FLOAT, "clicks" NUMBER(38,0), "on" BOOLEAN, "na""me" VARCHAR)',
    f"INSERT INTO {TABLE} VALUES {ROWS}",  # noqa: S608 (ours)
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeSettings]:
    password = tmp_path_factory.mktemp("secrets") / "password"
    password.write_text("not checked here\n")
    try:
        with serving() as url:
            found = SnowflakeSettings("org-acc", "svc", "READER", "WH", password_file=password, url=url)
            with connect(found, 60) as connection:
                for statement in STATEMENTS:
                    connection.cursor().execute(statement)
            yield found
    except MissingPart as error:
        pytest.skip(str(error))


@pytest.fixture
def warehouse(settings: SnowflakeSettings) -> SnowflakeWarehouse:
    return SnowflakeWarehouse(settings)


def test_it_is_asked_in_its_own_dialect(warehouse: SnowflakeWarehouse) -> None:
    assert warehouse.dialect == "snowflake"


def test_types_and_missing_values_are_kept(warehouse: SnowflakeWarehouse) -> None:
    with warehouse.query("SELECT *" + from_table(warehouse), 60) as batches:
        answer = pa.Table.from_batches(list(batches))
    assert answer.to_pylist() == EXPECTED.to_pylist()
    kinds = {field.name: field.type for field in answer.schema}
    assert kinds.pop("seen").unit == "us"  # its zone may be spelled in several ways
    assert kinds.pop("spend") == pa.decimal128(38, 2)  # the driver widens every decimal
    assert kinds == {name: EXPECTED.schema.field(name).type for name in kinds}


def test_a_variant_is_its_json(warehouse: SnowflakeWarehouse) -> None:
    answer = rows(warehouse, """SELECT PARSE_JSON('{"a": [1, null]}') AS v""")
    assert [list(row.values()) for row in answer] == [['{"a":[1,null]}']]


def test_no_rows_have_the_types_of_rows(warehouse: SnowflakeWarehouse) -> None:
    schemas = []
    for condition in ("true", "false"):
        with warehouse.query("SELECT *" + from_table(warehouse) + f" WHERE {condition}", 60) as batches:
            schemas.append(next(batches).schema)
    assert schemas[0].names == schemas[1].names
    for some, none in zip(schemas[0], schemas[1], strict=True):
        assert none.type == some.type, some.name


def test_a_quoted_identifier_cannot_end_early(warehouse: SnowflakeWarehouse) -> None:
    nasty = warehouse.quote('x" UNION SELECT 1 --')
    assert nasty == '"x"" UNION SELECT 1 --"'
    with pytest.raises(BadSource, match="does not exist"):
        rows(warehouse, f'SELECT * FROM "shop"."main schema".{nasty}')  # noqa: S608 (the point)


def test_a_wide_table(warehouse: SnowflakeWarehouse) -> None:
    columns = ", ".join(f"{number} AS c{number}" for number in range(500))
    [row] = rows(warehouse, f"SELECT {columns}")
    assert row["C499"] == 499


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "(?i)unexpected token"),
        ('SELECT * FROM "shop"."main schema".nowhere', "(?i)nowhere does not exist"),
        ("SELECT nothing FROM (SELECT 1 AS a)", "(?i)nothing"),
        ("", "no rows"),
    ],
)
def test_a_wrong_query_is_answered_with_the_reason_of_the_server(
    warehouse: SnowflakeWarehouse, sql: str, said: str
) -> None:
    with pytest.raises(BadSource, match=said):
        rows(warehouse, sql)


def test_the_session_is_labelled_and_limited(
    settings: SnowflakeSettings, warehouse: SnowflakeWarehouse
) -> None:
    rows(warehouse, "SELECT 1 AS x", 480.5)
    login = requests.get(f"{settings.url}/test/logins", timeout=10).json()[-1]
    told = login["SESSION_PARAMETERS"]
    assert (told["QUERY_TAG"], told["TIMEZONE"]) == ("mmm-trainer", "UTC")
    assert int(told["STATEMENT_TIMEOUT_IN_SECONDS"]) == 480
    assert (login["query"]["roleName"], login["query"]["warehouse"]) == ("READER", "WH")


def test_a_statement_that_takes_too_long_is_stopped_with_advice(warehouse: SnowflakeWarehouse) -> None:
    with pytest.raises(BadSource, match=r"longer than 1 s.*fewer rows.*Statement reached its"):
        rows(warehouse, "SELECT SYSTEM$WAIT()", 1)


def test_an_answer_that_is_read_too_slowly_is_stopped_too(
    warehouse: SnowflakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("functions.adapters.gcp.snowflake.time", clock)
    with warehouse.query("SELECT SYSTEM$CHUNKS(3)", 60) as batches:
        clock.monotonic = lambda: 59.0
        next(batches)
        clock.monotonic = lambda: 61.0
        with pytest.raises(BadSource, match=r"longer than 60 s"):
            next(batches)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (603, Unavailable, "does not answer"),  # SQL execution internal error
        (604, BadSource, "was stopped"),  # canceled, by a person or a resource monitor
        (606, Permanent, "GRANT USAGE ON WAREHOUSE WH TO ROLE READER"),  # no active warehouse
        (3001, BadSource, "told to refuse"),  # insufficient privileges
        (390112, Unavailable, "does not answer"),  # the session has expired
    ],
)
def test_what_the_server_refuses(
    warehouse: SnowflakeWarehouse, code: int, kind: type[Failure], said: str
) -> None:
    with pytest.raises(kind, match=said) as refusal:
        rows(warehouse, f"SELECT SYSTEM$REFUSE({code})")
    assert type(refusal.value) is kind


def test_an_answer_may_be_left_half_read(warehouse: SnowflakeWarehouse) -> None:
    with warehouse.query("SELECT SYSTEM$CHUNKS(50)", 60) as batches:
        assert next(batches).num_rows > 0
    assert rows(warehouse, "SELECT 1 AS x") == [{"X": 1}]


def test_queries_may_run_side_by_side(warehouse: SnowflakeWarehouse) -> None:
    with warehouse.query("SELECT SYSTEM$CHUNKS(3)", 60) as first:
        next(first)
        assert rows(warehouse, "SELECT 1 AS x") == [{"X": 1}]
        assert sum(batch.num_rows for batch in first) > 0


def test_files_of_an_answer_that_vanish_are_no_end_of_the_answer(warehouse: SnowflakeWarehouse) -> None:
    with pytest.raises(Unavailable), warehouse.query("SELECT SYSTEM$CHUNKS(-1)", 60) as batches:
        assert list(batches) == "never"


def test_a_server_that_does_not_answer_is_unavailable(settings: SnowflakeSettings) -> None:
    away = replace(settings, url="http://127.0.0.1:9", login_timeout_s=1)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        rows(SnowflakeWarehouse(away), "SELECT 1")


def test_memory_stays_flat_however_long_the_answer_is(settings: SnowflakeSettings) -> None:
    program = """
import resource, sys
from pathlib import Path
from types import SimpleNamespace
from functions.adapters.gcp.snowflake import SnowflakeSettings, SnowflakeWarehouse
url, password = sys.argv[1:]
warehouse = SnowflakeWarehouse(
    SnowflakeSettings("org-acc", "svc", "READER", "WH", password_file=Path(password), url=url)
)
def peak_mb(chunks):
    with warehouse.query(f"SELECT SYSTEM$CHUNKS({chunks})", 600) as batches:
        assert sum(batch.num_rows for batch in batches) == chunks * 100_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(-peak_mb(20) + peak_mb(500))
"""
    grown = subprocess.check_output(
        [sys.executable, "-c", program, str(settings.url), str(settings.password_file)], text=True, cwd=ROOT
    )
    assert float(grown) < 100, "50 million rows are 400 MB"


def test_the_whole_answer_arrives_in_order(warehouse: SnowflakeWarehouse) -> None:
    with warehouse.query("SELECT SYSTEM$CHUNKS(7)", 60) as batches:
        table = pa.Table.from_batches(list(batches))
    assert table.schema.names == ["N"]
    assert table.column("N").to_pylist() == list(range(700_000))
