"""What things cost: the billing export as a table of DuckDB, jobs of a real system, list prices."""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path

import duckdb
import pytest

from infra.ops.__main__ import main
from infra.ops.billing import category
from infra.ops.month import TRAININGS
from infra.ops.prices import prices, training_usd
from tests.ops.conftest import Run
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import World

ROOT = Path(__file__).resolve().parents[2]
TABLE = "acme.billing.gcp_billing_export_v1_X"
_BQ = """#!{python}
import json, sys
import duckdb, sqlglot
sql = sqlglot.transpile(sys.stdin.read(), read="bigquery", write="duckdb")[0]
with duckdb.connect() as database:
    database.execute("ATTACH '{file}' AS acme")
    found = database.execute(sql)
    names = [column[0] for column in found.description]
    texts = [[None if value is None else str(value) for value in row] for row in found.fetchall()]
    rows = [dict(zip(names, row)) for row in texts]
print(json.dumps(rows))
"""
LINES = [  # service, sku, part, days ago, cost, credit
    ("Cloud Run", "Services CPU (Request-based billing)", "web", 1, 2.0, -0.5),
    ("Cloud Run", "Jobs Memory", "trainer", 1, 1.0, 0),
    ("Cloud Run", "Requests", "web", 2, 0.25, 0),
    ("Cloud Run", "Requests", "functions", 2, 0.5, 0),
    ("Cloud Storage", "Standard Storage Belgium", "data", 2, 0.125, 0),
    ("Cloud Storage", "Standard Storage Belgium", "data", 60, 100.0, 0),
]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `bq` on the path that runs the query, translated, on a table with the export's columns."""
    file = tmp_path / "export.duckdb"
    with duckdb.connect(str(file)) as database:
        database.execute("CREATE SCHEMA billing")
        database.execute(
            "CREATE TABLE billing.gcp_billing_export_v1_X (project STRUCT(id TEXT),"
            " usage_start_time TIMESTAMPTZ, service STRUCT(description TEXT), sku STRUCT(description TEXT),"
            " labels STRUCT(key TEXT, value TEXT)[], cost DOUBLE, credits STRUCT(amount DOUBLE)[],"
            " currency TEXT)"
        )
        for owner in ("acme-dev", "another-1"):
            for service, sku, part, age, cost, credit in LINES:
                amounts = [{"amount": credit}] if credit else []
                database.execute(
                    "INSERT INTO billing.gcp_billing_export_v1_X VALUES ({'id': ?}, now() - to_days(?),"
                    " {'description': ?}, {'description': ?}, [{'key': 'app', 'value': 'mmm'},"
                    " {'key': 'part', 'value': ?}], ?, ?, 'EUR')",
                    [owner, age, service, sku, part, cost, amounts],
                )
    program = tmp_path / "bq"
    program.write_text(_BQ.format(python=sys.executable, file=file))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


WORDS = ("cost", "--project", "acme-dev", "--table", TABLE)


@pytest.mark.usefixtures("export")
def test_what_was_billed_is_told_by_service_and_by_the_old_headings(ops: Run) -> None:
    status, rows = ops(*WORDS, "--by", "service")
    assert (status, rows) == (
        0,
        [{"service": "Cloud Run", "cost": 3.25}, {"service": "Cloud Storage", "cost": 0.125}],
    )
    assert ops(*WORDS, "--by", "category")[1] == [
        {"category": "compute CPU", "cost": 1.5},
        {"category": "compute memory", "cost": 1.0},
        {"category": "scheduler requests", "cost": 0.5},
        {"category": "user requests", "cost": 0.25},
        {"category": "storage", "cost": 0.125},
    ]
    assert ops(*WORDS, "--by", "service", "--days", "90")[1][0] == {
        "service": "Cloud Storage",
        "cost": 100.125,
    }


@pytest.mark.usefixtures("export")
def test_days_are_rows_of_a_spreadsheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--by", "day,category", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["cost"] for row in rows] == ["0.5", "0.25", "0.125", "1.5", "1.0"]
    assert [row["day"] for row in rows] == sorted(row["day"] for row in rows)
    assert main(list(WORDS)) == 0
    assert "3.38 EUR in 30 days" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [("--table", "x` UNION SELECT"), ("--by", "weather"), ("--by", ""), ("--project", "x' OR '1'='1")],
)
def test_what_is_no_name_never_gets_into_a_query(ops: Run, words: tuple[str, str]) -> None:
    assert ops(*WORDS, *words)[0] == 2


def test_what_has_no_heading_is_other() -> None:
    assert category("Compute Engine", "Cloud NAT", None) == "other"
    assert category("Cloud Build", "Build time", None) == "CI"
    assert category("Cloud Run Functions", "Invocations", "functions") == "scheduler requests"


def test_jobs_cost_what_their_attempts_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ops: Run
) -> None:
    monkeypatch.setattr("trainer.life.load", lambda _: QuickEngine)
    world = World(tmp_path / "folder")
    world.fill_warehouse()
    job_id = world.submit("paid")
    world.deliver()
    world.clock.pass_(seconds=600)
    world.run()
    status, rows = ops("cost-job", job_id, "--folder", str(world.embedded.folder))
    assert status == 0
    [attempt, total] = rows
    assert (attempt["size"], attempt["tasks"], attempt["seconds"]) == ("native", 1, 600)
    assert attempt["usd"] == total["usd"] == round(600 * (4 * 0.000018 + 4 * 0.000002), 4) == 0.048
    assert ops("cost-job", "nobody", "--folder", str(world.embedded.folder))[0] == 2


def test_a_short_training_is_billed_a_minute() -> None:
    assert training_usd("native", 1, 5) == training_usd("native", 1, 60)
    assert training_usd("large", 5, 260) == pytest.approx(0.27, abs=0.005)


def test_an_idle_month_stays_below_what_the_old_system_cost(ops: Run) -> None:
    rows = ops("idle-cost", "--environment", "prod")[1]
    total = rows[-1]
    assert total["item"] == "sum"
    assert total["usd"] <= total["usd_without_free"] <= total["usd_at_most"] < 5 < 8.87


BUSY = ("month-cost", "--environment", "prod", "--trainings", "native=1000", "small=1000", "large=100")


@pytest.mark.parametrize("words", [("idle-cost", "--environment", "prod"), BUSY], ids=["idle", "busy"])
def test_the_page_on_costs_says_what_the_command_says(ops: Run, words: tuple[str, ...]) -> None:
    text = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    _, _, section = text.partition(f"`python -m infra.ops {' '.join(words)}`")
    for row in ops(*words)[1]:
        figures = " | ".join(f"{row[name]:.2f}" for name in ("usd", "usd_without_free", "usd_at_most"))
        assert re.search(rf"^\| {row['item']} \|.*\| {re.escape(figures)} \|$", section, re.MULTILINE), row
    for size, usual in TRAININGS.items():
        assert f"| {usual.seconds} s | {training_usd(size, usual.tasks, usual.seconds):.3f} |" in text


def test_free_units_of_a_month_are_used_once(ops: Run) -> None:
    rows = {row["item"]: row for row in ops(*BUSY)[1]}
    cpu = 1000 * 4 * 60 + 1000 * 4 * 150 + 100 * 5 * 8 * 260
    assert rows["trainings: CPU"]["amount"] == cpu
    assert rows["trainings: CPU"]["usd"] == round((cpu - 240_000) * 0.000018, 2)
    idle = ops("idle-cost", "--environment", "prod")[1][-1]
    more = rows["sum"]["usd_without_free"] - idle["usd_without_free"]
    each = sum(
        number * training_usd(size, TRAININGS[size].tasks, TRAININGS[size].seconds)
        for size, number in (("native", 1000), ("small", 1000), ("large", 100))
    )
    assert each < more < 1.05 * each


def test_a_size_that_is_not_there_has_no_price(ops: Run) -> None:
    status, said = ops("month-cost", "--environment", "prod", "--trainings", "huge=1")
    assert (status, "there is no size huge; there are: native, small" in said) == (2, True)
    with pytest.raises(SystemExit, match="2"):
        ops("month-cost", "--environment", "prod", "--trainings", "small")


def test_every_price_says_whether_it_is_sure() -> None:
    text = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    assert {name for name, price in prices().items() if not price.sure} == set(
        re.findall(r"^- `(\w+)`", text, re.M)
    )
