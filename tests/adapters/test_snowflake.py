"""The Snowflake warehouse: Snowflake's own driver against a stand-in for its server.

Known differences of the stand-in: it checks no credentials (`test_preflight` does), it knows no roles and no
warehouses, and it does not really stop a late statement.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from functions.adapters.gcp.snowflake import SnowflakeSettings, SnowflakeWarehouse
from functions.errors import BadSource, Failure, Permanent, Unavailable
from tests.adapters.families import skipped_if_missing
from tests.adapters.warehouses import rows, snowflake_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings() -> SnowflakeSettings:
    with skipped_if_missing():
        return snowflake_settings()


@pytest.fixture
def warehouse(settings: SnowflakeSettings) -> SnowflakeWarehouse:
    return SnowflakeWarehouse(settings)


def test_it_is_asked_in_its_own_dialect(warehouse: SnowflakeWarehouse) -> None:
    assert warehouse.dialect == "snowflake"


def test_the_session_is_labelled_and_limited(
    settings: SnowflakeSettings, warehouse: SnowflakeWarehouse
) -> None:
    rows(warehouse, "SELECT 1 AS x", 480.5)
    login = requests.get(f"{settings.url}/test/logins", timeout=10).json()[-1]
    told = login["SESSION_PARAMETERS"]
    assert (told["QUERY_TAG"], told["TIMEZONE"]) == ("mmm-trainer", "UTC")
    assert int(told["STATEMENT_TIMEOUT_IN_SECONDS"]) == 480
    in_memory_mb = int(told["CLIENT_RESULT_CHUNK_SIZE"]) * int(told["CLIENT_PREFETCH_THREADS"])
    assert in_memory_mb == 96, "whatever the account has set; with one thread the driver loses rows"
    assert (login["query"]["roleName"], login["query"]["warehouse"]) == ("READER", "WH")


def test_a_statement_that_takes_too_long_is_stopped_with_advice(warehouse: SnowflakeWarehouse) -> None:
    with pytest.raises(BadSource, match=r"longer than 1 s.*fewer rows.*Statement reached its"):
        rows(warehouse, "SELECT SYSTEM$WAIT()", 1)


def test_a_server_that_never_ends_a_statement_is_not_waited_for(
    warehouse: SnowflakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.adapters.gcp.snowflake_login._GRACE_S", 1)
    with pytest.raises(Failure):
        rows(warehouse, "SELECT SYSTEM$HANGS()", 1)


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


def test_files_of_an_answer_that_vanish_are_no_end_of_the_answer(warehouse: SnowflakeWarehouse) -> None:
    with pytest.raises(Unavailable), warehouse.query("SELECT SYSTEM$CHUNKS(-1)", 60) as batches:
        assert list(batches) == "never"


def test_no_session_is_left_open(settings: SnowflakeSettings, warehouse: SnowflakeWarehouse) -> None:
    def opened() -> int:
        return int(requests.get(f"{settings.url}/test/open", timeout=10).json())

    before = opened()
    rows(warehouse, "SELECT 1 AS x")
    with pytest.raises(BadSource):
        rows(warehouse, "SELEC 1")
    with warehouse.query("SELECT SYSTEM$CHUNKS(50)", 60) as batches:
        next(batches)
        assert opened() == before + 1
    assert opened() == before


def test_fewer_rows_than_there_are_is_no_answer(warehouse: SnowflakeWarehouse) -> None:
    with pytest.raises(Unavailable, match="broke off: 300,000 of 400,000 rows"):
        rows(warehouse, "SELECT SYSTEM$LOSES(3)")


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
