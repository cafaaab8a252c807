"""`mmm import`: what the old system left, read from a folder into a system that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mmm import Client
from mmm.command import main
from tests.local.system import System, closed, opened


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = opened(tmp_path_factory.mktemp("import") / "local")
    yield system
    closed(system)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder as the old system left it."""
    folder = tmp_path / "bucket"
    flat = {
        "paid_media_spends": ["tv_spend", "search_spend"],
        "paid_media_vars": ["tv_spend", "search_clicks"],
        "organic_vars": ["newsletter_sends"],
        "context_vars": ["competitor_sales", "promotion"],
        "factor_vars": ["promotion"],
        "dep_var": "revenue",
        "dep_var_type": "revenue",
        "date_var": "date",
        "adstock": "geometric",
        "hyperparameters": {
            "search_spend_thetas": [0, 0.3],
            "tv_spend_alphas": [0.5, 3],
            "train_size": [0.5, 0.8],
        },
        "ts_validation": True,
        "iterations": 20,
        "trials": 1,
        "window_start": "2023-01-02",
        "country": "DE",
        "revision": "r100",
        "cores": 8,
        "colour": "red",
    }
    put(folder, "metadata/DE/20240105_120000/mapping.json", flat)
    put(folder, "metadata/DE/20240301_080000/mapping.json", flat | {"trials": 2, "colour": ""})
    rows = [
        {"column": "date", "role": "date_var"},
        {"column": "sales", "role": "dep_var"},
        {"column": "tv", "role": "paid_media_spends", "channel": "TV"},
        {"column": "grp", "role": "paid_media_vars", "channel": "TV"},
        {"column": "mood", "role": "feeling"},
        {"column": "unused", "role": ""},
    ]
    put(folder, "metadata/FR/20240105_120000/mapping.json", {"columns": rows, "depVarType": "conversion"})
    put(folder, "metadata/AT/20240105_120000/mapping.json", {"hyperparameters": {"tv_thetas": [0.9, 0.1]}})
    put(folder, "metadata/AT/somewhen/mapping.json", flat)
    put(folder, "queue.csv", QUEUE)
    put(folder, "job_history.csv", HISTORY)
    for name in ("best_model.rds", "onepager/1_2_3.png"):
        put(folder, f"robyn/r100/DE/20240108_063000/{name}", "12345")
    put(folder, "notes/readme.txt", "hello")
    return folder


QUEUE = """country,revision,table,iterations,colour,status
DE,r101,demo.main.weekly_sales,25,,PENDING
DE,r101,demo.main.weekly_sales,,,DONE
DE,r101,weekly_sales,,blue,waiting
DE,r101,demo.main.weekly_sales,,,paused
"""
HISTORY = """job_id,country,revision,start_time,end_time,status,gcs_prefix
1,DE,r100,2024-01-08 06:30:00,2024-01-08 07:41:10,SUCCEEDED,gs://old/robyn/r100/DE/20240108_063000
2,DE,r100,2024-01-15 06:30:00,soon,FAILED,
3,,r100,2024-01-15 06:30:00,,FAILED,
"""


def put(folder: Path, name: str, content: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def run(system: System, *words: str) -> Result:
    return CliRunner().invoke(main, ["--url", system.url, *words])


def test_the_old_system_is_looked_at_imported_once_and_shown(
    system: System, old: Path, tmp_path: Path
) -> None:
    mmm, table = Client(system.url), tmp_path / "queue.jsonl"
    words = ("import", str(old), "--connection", "demo", "--table", str(table))
    looked = run(system, *words)
    assert looked.exit_code == 1, looked.output
    assert "nothing was written" in looked.output
    assert (list(mmm.mappings()), list(mmm.old_runs()), table.exists()) == ([], [], False)
    told = json.loads(run(system, *words, "--apply", "--json").stdout)

    kept = mmm.mapping("DE", "imported")
    assert (kept.version, kept.settings["search"]["trials"]) == (2, 2)
    first = mmm.mapping("DE", "imported", 1)
    assert first.settings["columns"] == {
        "date": "date",
        "dependent": "revenue",
        "dependent_type": "revenue",
        "paid_media": ["tv_spend", {"spend": "search_spend", "exposure": "search_clicks"}],
        "organic": ["newsletter_sends"],
        "context": ["competitor_sales"],
        "factors": ["promotion"],
    }
    assert first.settings["hyperparameters"]["ranges"] == {
        "search_clicks_thetas": [0, 0.3],
        "tv_spend_alphas": [0.5, 3],
    }
    assert first.settings["search"]["train_size"] == [0.5, 0.8]
    assert first.note == "imported from metadata/DE/20240105_120000/mapping.json; not understood: colour"
    of_france = mmm.mapping("FR", "imported").settings["columns"]
    assert of_france["paid_media"] == [{"spend": "tv", "exposure": "grp"}]

    unread = {(one["path"].split("/", 1)[-1], one["place"]): one["reason"] for one in told["unread"]}
    assert unread[("DE/20240105_120000/mapping.json", "colour")] == "is not understood: red"
    assert "feeling" in unread[("FR/20240105_120000/mapping.json", "columns[4].role")]
    assert "is no time" in unread[("AT/somewhen/mapping.json", "")]
    assert "notes/readme.txt" in [one["path"] for one in told["unread"]]
    assert "'paused' is not known" in unread[("queue.csv", "row 4, status")]
    assert unread[("queue.csv", "row 3, colour")] == "is not understood: blue"
    assert unread[("job_history.csv", "row 3")] == "says no country"
    assert "'soon' is no time" in unread[("job_history.csv", "row 2, ended_at")]
    assert [(one["place"], one["path"][:11]) for one in told["aside"]] == [("cores", "metadata/DE")] * 2
    (austria,) = [one for one in told["mappings"] if one["country"] == "AT"]
    assert austria["becomes"] == "invalid"
    assert "low 0.9 is above high 0.1" in austria["problems"][0]

    again = json.loads(run(system, *words, "--apply", "--json").stdout)
    assert [one["becomes"] for one in again["mappings"] if one["country"] != "AT"] == ["known"] * 3
    assert (mmm.mapping("DE", "imported").version, again["kept"]) == (2, {"new": 0, "changed": 0, "known": 2})
    changed = kept.settings | {"adstock": "weibull_cdf", "hyperparameters": {}}
    mmm.put_mapping("DE", "imported", changed, "by hand", 2)
    put(old, "metadata/DE/20240601_080000/mapping.json", {"dep_var": "revenue"})
    held = json.loads(run(system, *words, "--apply", "--json").stdout)
    assert [one["becomes"] for one in held["mappings"] if one["country"] == "DE"][-1] == "held back"
    assert mmm.mapping("DE", "imported").note == "by hand"

    ended, failed = sorted(mmm.old_runs("DE"), key=lambda one: str(one.state), reverse=True)
    assert (ended.state, ended.files, ended.bytes) == ("SUCCEEDED", 2, 10)
    assert (failed.state, failed.results, failed.said["end_time"]) == ("FAILED", None, "soon")
    assert "robyn/r100/DE/20240108_063000/" in run(system, "old-runs", "--country", "DE").output


def test_waiting_rows_of_the_queue_become_a_table_and_are_sent_once(
    system: System, old: Path, tmp_path: Path
) -> None:
    mmm, table = Client(system.url), tmp_path / "queue.jsonl"
    run(system, "import", str(old), "--apply", "--connection", "demo", "--table", str(table), "--name", "b")
    assert yaml.safe_load(table.with_suffix(".base.yaml").read_text())["settings"] == "b"
    good, bad = (json.loads(line) for line in table.read_text().splitlines())
    assert (good["search"], good["source"]["table"]) == ({"iterations": 25}, "weekly_sales")
    assert "source" not in bad
    checked = json.loads(run(system, "validate", str(table), "--json").stdout)
    assert [one["valid"] for one in checked] == [True, False]
    table.write_text("{}\n")
    refused = run(system, "import", str(old), "--apply", "--connection", "demo", "--table", str(table))
    assert (refused.exit_code, "says something else" in refused.stderr) == (2, True)
    sending = ("import", str(old), "--send", "--connection", "demo", "--name", "b", "--json")
    sent = json.loads(run(system, *sending).stdout)
    assert "is not DATABASE.SCHEMA.TABLE" in sent["waiting"][1]["problems"][0]
    batch = mmm.batch(sent["batch_id"])
    assert (batch.rows, batch.name) == (1, "old-queue")
    assert json.loads(run(system, *sending).stdout)["batch_id"] == batch.batch_id
    mmm.cancel_batch(batch.batch_id)
    assert run(system, "import", "gs://old-bucket").exit_code == 2
    assert run(system, "import", str(old), "--connection", "nowhere").exit_code == 2
