"""`mmm import`: what the old system left, read from a folder or a bucket into a system that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mmm import Client
from mmm.command import main
from tests.local.system import System, closed, opened

if TYPE_CHECKING:
    from tests.adapters.gcp_servers.storage import Bucket


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
    put(folder, "no\x1b[2Jtes/hostile.txt", {})
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
    for name in ("manifest.json", "models.parquet"):
        put(folder, f"robyn/r100/DE/20260105T063000Z-weekly/attempt-1/{name}", "ours")
    return folder


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, `gs://mmm-test`, where Google's clients look for an emulator."""
    pytest.importorskip("cryptography", reason="requirements/gcp.txt is not installed")
    from tests.adapters.gcp_servers.storage import storage

    with storage(lambda *_: None) as (bucket, address):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        yield bucket


QUEUE = """country,revision,table,iterations,colour,status
DE,r101,demo.main.weekly_sales,25,,PENDING
DE,r101,demo.main.weekly_sales,,,DONE
DE,r101,weekly_sales,,blue,waiting
DE,r101,demo.main.weekly_sales,,,paused
"""
HISTORY = """job_id,country,revision,start_time,end_time,status,gcs_prefix
1,DE,r100,2024-01-08 06:30:00,2024-01-08 07:41:10,SUCCEEDED,gs://old/robyn/r100/DE/20240108_063000
2,DE,r100,2024-01-15 06:30:00,soon,FAILED [/1],
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
    assert ("no�[2Jtes/hostile.txt" in looked.output, "\x1b" in looked.output) == (True, False)
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
    ours, *cores = told["aside"]
    assert ours["path"] == "robyn/r100/DE/20260105T063000Z-weekly/attempt-1/"
    assert [(one["place"], one["path"][:11]) for one in cores] == [("cores", "metadata/DE")] * 2
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
    assert (failed.state, failed.results, failed.said["end_time"]) == ("FAILED [/1]", None, "soon")
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
    assert run(system, "import", str(old), "--connection", "nowhere").exit_code == 2


def fill(bucket: Bucket, prefix: str, folder: Path) -> None:
    """Copy a folder into a bucket, with the empty objects that the console makes for folders."""
    for path in folder.rglob("*"):
        name = prefix + path.relative_to(folder).as_posix()
        if path.is_file():
            bucket.commit({"name": name}, {}, path.read_bytes())
        else:
            bucket.commit({"name": f"{name}/"}, {}, b"")


def test_a_bucket_is_read_as_a_folder_with_the_same_files_and_stays_as_it_is(
    system: System, old: Path, bucket: Bucket
) -> None:
    put(old, "metadata/FR/20240601_080000/mapping.json", " " * (4 << 20) + "{}")
    put(old, "metadata/FR/20240701_080000/mapping.json", "{")
    fill(bucket, "kept/old ü/", old)
    bucket.commit({"name": "kept/old ü/"}, {}, b"")
    bucket.commit({"name": "kept/old ü 2/queue.csv"}, {}, b"of somebody else")
    objects = dict(bucket.objects)
    words = ("--connection", "demo", "--json")
    of_folder = json.loads(run(system, "import", str(old), *words).stdout)
    bucket.faults = [503]
    of_bucket = json.loads(run(system, "import", "gs://mmm-test/kept/old ü", *words).stdout)
    assert of_bucket.pop("folder") == "gs://mmm-test/kept/old ü"
    for found in (of_bucket, of_folder):
        found["unread"].sort(key=lambda one: (one["path"], one["place"]))
    assert of_bucket == {key: value for key, value in of_folder.items() if key != "folder"}
    assert [len(of_bucket[key]) for key in ("mappings", "waiting", "runs")] == [4, 2, 2]
    reasons = {one["path"]: one["reason"] for one in of_bucket["unread"]}
    assert "larger than 4 MiB" in reasons["metadata/FR/20240601_080000/mapping.json"]
    assert bucket.objects == objects
    assert {one.split()[0] for one in bucket.requests} == {"GET"}
    read = sorted(one.rsplit("%2F")[-1] for one in bucket.requests if "/download/" in one)
    assert read == ["job_history.csv", *["mapping.json"] * 5, "queue.csv"]


def test_a_bucket_that_cannot_be_read_is_told_with_what_to_do(
    system: System, old: Path, bucket: Bucket
) -> None:
    fill(bucket, "", old)

    def told(address: str) -> str:
        answer = run(system, "import", address, "--apply")
        assert (answer.exit_code, answer.stdout) == (2, "")
        return answer.stderr

    assert "such as gs://BUCKET/PREFIX" in told("gs://")
    assert "there is no bucket another" in told("gs://another")
    assert "nothing lies below gs://mmm-test/none" in told("gs://mmm-test/none")
    bucket.faults = [403]
    assert "the role Storage Object Viewer on gs://mmm-test" in told("gs://mmm-test")
    bucket.break_off = 1
    assert "run it again" in told("gs://mmm-test")
