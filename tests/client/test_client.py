"""The Python client and the command `mmm`, against a system that really runs and trains."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result

from contracts.api import JobAnswer
from contracts.request import TrainRequest
from infra.local.demo_data import demo_csv, demo_settings, generate
from mmm import Client, MmmError, NoAnswer, Refused
from mmm.command import main
from mmm.result import Result as JobResult
from tests.local.system import LONG, PATIENCE_S, ROOT, SHORT, System, closed, opened, request, write

T = TypeVar("T")


@dataclass(frozen=True)
class Trained:
    """A system, and a job that it trained for these tests."""

    system: System
    mmm: Client
    job: JobAnswer

    def run(self, *words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(main, ["--url", self.system.url, *words], input=given)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    system = opened(tmp_path_factory.mktemp("client") / "local")
    mmm = Client(system.url)
    seen: list[JobAnswer] = []
    asked = {**request("weekly-46", SHORT), "labels": {"team": "growth"}}
    job = mmm.wait(mmm.submit(TrainRequest.model_validate(asked)), seen.append)
    assert (job.state, seen[-1]) == ("SUCCEEDED", job)
    yield Trained(system, mmm, job)
    closed(system)


def _soon(look: Callable[[], T], enough: Callable[[T], bool]) -> T:
    """What there is to see as soon as it is enough: functions follow what people do within seconds."""
    end = time.monotonic() + PATIENCE_S
    while not enough(seen := look()) and time.monotonic() < end:
        time.sleep(0.2)
    return seen


def test_a_result_is_tables_intervals_figures_and_pictures(trained: Trained, tmp_path: Path) -> None:
    result = trained.mmm.result(trained.job)
    channels = result.channels
    assert {"tv_spend", "search_spend"} <= set(channels.index)
    assert (channels.loc["tv_spend", "roas_low"] < channels.loc["tv_spend", "roas_high"]).all()
    draws = result.table("posterior")["tv_spend_contribution"]
    assert channels.loc["tv_spend", "expected_contribution"] == pytest.approx(draws.mean(), rel=1e-12)
    assert set(result.table("pareto_aggregated").columns) >= {"solID", "nrmse"}
    assert result.figures().sol_id == result.summary.best_model.sol_id
    low, high = result.intervals.loc[("tv_spend", "roas"), ["q05", "q95"]]
    assert low == pytest.approx(channels.loc["tv_spend", "roas_low"])
    assert high > low
    assert result.changes.short() == trained.job.changes
    picture = result.picture("roas")
    assert picture._repr_png_().startswith(b"\x89PNG")
    picture.save(tmp_path / "roas.png")
    assert "tv_spend" in result._repr_html_()
    with pytest.raises(Exception, match=r"has no file nothing.png; there are: .*onepager.png"):
        result.picture("nothing")
    with pytest.raises(MmmError, match=f"no figures of model 9_9_9; there are: {result.figures().sol_id}"):
        result.figures("9_9_9")
    assert len(repr(picture)) < 100
    assert {line.word for line in result.trust} <= {"good", "doubtful", "bad"}
    files = trained.mmm.files(trained.job)
    assert len(result.download(tmp_path / "all")) == len(files)
    hostile = [*files, files[0].model_copy(update={"name": "../outside"})]
    assert len(JobResult(trained.job, hostile, trained.mmm.read).download(tmp_path / "in")) == len(files)
    assert not (tmp_path / "outside").exists()


def test_jobs_are_compared_and_the_best_of_a_country_is_found(trained: Trained) -> None:
    other = {**request("weekly-47", SHORT), "search": {**SHORT, "seed": 7}}
    second = trained.mmm.wait(trained.mmm.submit(other), lambda _: None)
    found = trained.mmm.compare(trained.job, second)
    assert [(one.path, one.values[1]) for one in found.differences] == [("search.seed", "7")]
    assert {one.name for one in found.channels} >= {"tv_spend", "search_spend"}
    assert all(one.change in ("not told apart", "real") for one in found.channels)
    shown = trained.run("compare", trained.job.job_id, second.job_id)
    assert shown.exit_code == 0
    assert re.search(r"tv_spend +│ +[\d.]+ \([\d.]+ – [\d.]+\) │", shown.output), shown.output
    assert trained.run("compare", trained.job.job_id).exit_code == 2
    country = _soon(lambda: trained.mmm.country("DE", r2=0, trust=0), lambda found: len(found.ranked) == 2)
    assert {one.run.job_id for one in country.ranked} == {trained.job.job_id, second.job_id}
    assert country.ranked[0].score >= country.ranked[1].score
    assert trained.mmm.countries() == ["DE"]
    used = trained.mmm.use_model("DE", second)
    assert (used.job_id, trained.mmm.country("DE").in_use) == (second.job_id, used)
    assert trained.mmm.stop_using("DE").ended_by == used.by
    models = trained.mmm.models(second)
    assert models.best in {one.sol_id for one in models.models}


def test_an_uploaded_file_with_its_settings_becomes_a_job(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(demo_csv(generate(country="AT")))
    (tmp_path / "mine.yaml").write_text(demo_settings(5, 1) + "validate_only: true\n")
    words = ("upload", str(tmp_path / "sales.csv"), "--country", "AT")
    answer = trained.run(*words, "--settings", str(tmp_path / "mine.yaml"))
    assert answer.exit_code == 0, answer.output
    assert answer.output.splitlines() == ["drop-zone/AT/sales.request.yaml", "drop-zone/AT/sales.csv"]
    found = _soon(lambda: list(trained.mmm.jobs(country="AT")), bool)
    assert trained.mmm.wait(found[0].job_id, lambda _: None).state == "SUCCEEDED"
    again = trained.run(*words)
    assert (again.exit_code, "uploads replace nothing" in again.stderr) == (2, True)
    source = trained.run(*words, "--source")
    assert source.output == "sources/AT/sales.csv\n"


def test_what_waits_or_comes_to_nothing_in_the_drop_zone_is_listed(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(demo_csv(generate(country="FR")))
    (tmp_path / "request.yaml").write_text("colour: red\n")
    for name in ("sales.csv", "request.yaml"):
        assert trained.run("upload", str(tmp_path / name), "--country", "FR").exit_code == 0
    told = _soon(lambda: trained.run("uploads").output, lambda told: "colour" in told)
    assert "drop-zone/FR/request.yaml: not read in as the mapping FR/default: colour: unknown field" in told
    listed = json.loads(trained.run("uploads", "--json").output)
    assert [one["name"] for one in listed["ignored"]] == ["drop-zone/FR/request.yaml"]


def test_a_budget_is_planned_without_a_new_job(trained: Trained, tmp_path: Path) -> None:
    offered = json.loads(trained.run("plan", trained.job.job_id, "--json").output)
    assert "tv_spend" in {channel["name"] for channel in offered["dates"][0]["channels"]}
    answer = trained.run("plan", trained.job.job_id, "--set", "total=+10 %", "--json")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.output)
    assert told["after"]["spend"] == pytest.approx(1.1 * told["before"]["spend"])
    shown = trained.run("plan", trained.job.job_id).output
    assert re.search(r"tv_spend +[\d,]+ +[\d,]+\n", shown), shown
    assert "last-13 " in shown
    question = write(tmp_path / "q.yaml", {"total": "+10 %"})
    planned = trained.run("plan", trained.job.job_id, str(question)).output
    assert re.search(r"tv_spend +[\d,]+ +[\d,]+ +[+-]\d+ % +[+-][\d,]+ +[+-][\d,]+ – ", planned), planned
    assert re.search(r"budget.*: [\d,]+ → [\d,]+, gain", planned), planned
    assert trained.run("plan", trained.job.job_id, "--set", "total=lots").exit_code == 2


def test_a_source_is_looked_into_before_anything_is_asked(trained: Trained, tmp_path: Path) -> None:
    path = write(tmp_path / "r.yaml", request("r", SHORT))
    shown = trained.run("preview", str(path))
    assert shown.exit_code == 0, shown.output
    assert re.search(r"tv_spend +number", shown.output), shown.output
    nowhere = {**request("r", SHORT)["source"], "table": "no_such_table"}
    refused = trained.run("preview", str(write(tmp_path / "source.yaml", nowhere)))
    assert (refused.exit_code, "no_such_table does not exist" in refused.stderr) == (2, True)


def test_files_are_written_as_they_are(trained: Trained, tmp_path: Path) -> None:
    answer = trained.run("results", trained.job.job_id, "--to", str(tmp_path), "--only", "*.csv")
    assert answer.exit_code == 0, answer.output
    (bucket,) = (trained.system.folder / "bucket" / "robyn").glob(f"*/*/*{trained.job.job_id}/attempt-1")
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(path.name for path in bucket.glob("*.csv"))
    for name in written:
        assert (tmp_path / name).read_bytes() == (bucket / name).read_bytes()
    assert "onepager.png" in trained.run("results", trained.job.job_id).output
    tables = trained.run("results", trained.job.job_id, "--only", "*.csv").output
    assert sorted(line.split()[1] for line in tables.splitlines()) == written
    assert trained.run("results", trained.job.job_id, "--to", str(tmp_path), "--only", "*.xls").exit_code == 1


def test_a_job_is_shown_and_listed_for_people_and_for_machines(trained: Trained) -> None:
    shown = trained.run("show", trained.job.job_id).output
    assert "SUCCEEDED" in shown
    assert "changes: This is the first result of country DE" in shown
    assert re.search(r"│ tv_spend +│ +[\d,]+ │ +[\d,]+ │ +[\d.]+ │ +(! )?[\d.]+ – [\d.]+ │", shown), shown
    assert f"{trained.system.url}/jobs/{trained.job.job_id}" in shown
    assert json.loads(trained.run("show", "--json", trained.job.job_id).output)["done"] is True
    listed = trained.run("jobs", "--state", "failed,succeeded", "--country", "DE", "--since", "1h")
    assert trained.job.job_id in listed.output
    assert "R² " in listed.output
    assert [row.job_id for row in trained.mmm.jobs(label={"team": "growth"})] == [trained.job.job_id]
    assert trained.job.job_id in trained.run("jobs", "--label", "team=growth", "--json").output
    assert json.loads(trained.run("jobs", "--label", "team=other", "--json").output) == []
    assert trained.run("jobs", "--label", "team").exit_code == 2
    none = trained.run("jobs", "--state", "FAILED", "--json")
    assert (none.exit_code, json.loads(none.output)) == (0, [])
    table = trained.run("jobs", "--csv", "--request-id", "weekly-46").output.splitlines()
    assert table[1].startswith("weekly-46")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    rows = list(trained.mmm.jobs(state=["SUCCEEDED"], accepted_after=hour_ago, request_id="weekly-46"))
    assert [row.job_id for row in rows] == [trained.job.job_id]
    assert trained.mmm.count(state="SUCCEEDED", country="DE").count >= 1


def test_the_history_is_saved_as_a_table(trained: Trained, tmp_path: Path) -> None:
    for name in ("jobs.parquet", "jobs.csv"):
        assert trained.run("history", str(tmp_path / name), "--state", "SUCCEEDED").exit_code == 0
    (saved,) = pq.read_table(
        tmp_path / "jobs.parquet", filters=[("request_id", "=", "weekly-46")]
    ).to_pylist()
    assert (saved["job_id"], saved["ended_at"]) == (trained.job.job_id, trained.job.updated_at)
    assert saved["training_s"] > 0
    assert "weekly-46" in (tmp_path / "jobs.csv").read_text()
    assert trained.run("history", str(tmp_path / "jobs.xlsx")).exit_code == 2
    assert {path.name for path in tmp_path.iterdir()} == {"jobs.parquet", "jobs.csv"}


def test_the_log_of_a_training_is_read_and_followed_to_its_end(trained: Trained) -> None:
    log = trained.run("logs", trained.job.job_id, "--follow").output
    assert re.match(r"\d\d:\d\d:\d\dZ ", log)
    assert log == "".join(trained.mmm.log(trained.job))
    (attempt,) = trained.mmm.attempts(trained.job)
    assert (attempt.status, attempt.done) == ("succeeded", True)


def test_a_request_is_submitted_from_a_file_and_changed_on_the_way(trained: Trained, tmp_path: Path) -> None:
    path = write(tmp_path / "monthly.yaml", {**request("x", SHORT), "validate_only": True})
    body = yaml.safe_load(path.read_text())
    del body["request_id"]
    write(path, body)
    words = ("submit", str(path), "--set", "revision=monthly", "--watch", "--json")
    answer = trained.run(*words)
    assert answer.exit_code == 0, answer.output
    (job,) = json.loads(answer.stdout)
    assert (job["state"], job["request"]["revision"]) == ("SUCCEEDED", "monthly")
    assert job["request_id"].startswith("monthly-")
    (again,) = json.loads(trained.run(*words).stdout)
    assert again["job_id"] == job["job_id"]
    piped = trained.run("submit", "-", "--json", given=json.dumps(body))
    assert json.loads(piped.stdout)[0]["job_id"] != job["job_id"]
    assert trained.run("submit", str(path), "--set", "revision").exit_code == 2
    nowhere = trained.run("submit", str(path), "--set", "columns.paid_media.9.spend=x")
    assert (nowhere.exit_code, "does not fit" in nowhere.stderr) == (2, True)


def test_what_is_wrong_is_told_field_by_field_and_nothing_starts(trained: Trained, tmp_path: Path) -> None:
    good, bad = request("v1", SHORT), {**request("v2", SHORT), "queue": "fast"}
    assert trained.run("validate", str(write(tmp_path / "good.yaml", good))).output.endswith(
        "good.yaml: valid\n"
    )
    answer = trained.run("validate", str(write(tmp_path / "bad.yaml", bad)))
    assert answer.exit_code == 2
    assert "- queue: no queue is named 'fast'\n    there are: default" in answer.output
    refused = trained.run("submit", str(tmp_path / "bad.yaml"))
    assert refused.exit_code == 2
    assert "- queue: no queue is named 'fast'" in refused.stderr
    with pytest.raises(Refused) as told:
        trained.mmm.submit(bad)
    assert told.value.problem.violations[0].path == "queue"
    wrong = {**good, "columns": {**good["columns"], "paid_media": ["no_such_column"]}}
    checked = trained.run("validate", "--data", "--json", str(write(tmp_path / "data.yaml", wrong)))
    assert checked.exit_code == 1
    (job,) = json.loads(checked.stdout)
    assert (job["state"], "no_such_column" in json.dumps(job["error"])) == ("REJECTED", True)
    assert [row.request_id for row in trained.mmm.jobs(request_id="v")] == [job["request_id"]]


def test_jobs_are_cancelled_and_retried_and_refusals_are_told(trained: Trained) -> None:
    job = trained.mmm.submit(request("to-cancel", LONG))
    assert trained.run("cancel", job.job_id).output == f"{job.job_id}: CANCELLING\n"
    assert trained.mmm.wait(job, lambda _: None).state == "CANCELLED"
    with pytest.raises(MmmError, match="has no result: it is CANCELLED"):
        trained.mmm.result(job)
    again = trained.run("cancel", job.job_id, trained.job.job_id)
    assert again.exit_code == 1
    assert again.stderr.count("has ended") == 2
    assert trained.run("retry", job.job_id).exit_code == 0
    assert trained.run("cancel", job.job_id).exit_code == 0


def test_queues_are_paused_and_resumed(trained: Trained) -> None:
    while trained.mmm.queues()[0].running:  # a job of another test is still being cancelled
        time.sleep(0.1)
    assert json.loads(trained.run("queues", "pause", "default", "--json").output)["paused"] is True
    assert "default: 0 of 2 in use, paused" in trained.run("queues").output
    assert json.loads(trained.run("queues", "--json").output)[0]["paused"] is True
    trained.run("queues", "resume", "default")
    assert trained.mmm.queues()[0].paused is False
    assert trained.mmm.queue("default").waiting == []
    assert trained.mmm.selftest().wrong == 0
    assert trained.run("queues", "pause", "nope").exit_code == 2


def test_each_kind_of_failure_has_its_exit_status(trained: Trained, tmp_path: Path) -> None:
    assert trained.run("show", "no-such-job").exit_code == 2
    assert trained.run("show").exit_code == 2
    assert trained.run("jobs", "--since", "yesterday").exit_code == 2
    nobody = CliRunner().invoke(main, ["--folder", str(tmp_path), "jobs"], env={"MMM_URL": None})
    assert (nobody.exit_code, "make up" in nobody.stderr) == (3, True)
    vague = CliRunner().invoke(main, ["--url", "127.0.0.1:8080", "jobs"])
    assert (vague.exit_code, "write it as https://" in vague.stderr) == (2, True)
    elsewhere = CliRunner().invoke(main, ["--url", f"{trained.system.url}/elsewhere", "jobs"])
    assert (elsewhere.exit_code, "answered 404 with a web page" in elsewhere.stderr) == (3, True)
    unwritable = trained.run("history", str(tmp_path / "none" / "jobs.csv"))
    assert (unwritable.exit_code, "No such file or directory" in unwritable.stderr) == (2, True)
    closed_port = CliRunner().invoke(main, ["--url", "http://127.0.0.1:9", "jobs"])
    assert closed_port.exit_code == 3
    assert "nothing answers at http://127.0.0.1:9" in closed_port.stderr
    with pytest.raises(NoAnswer):
        Client("http://127.0.0.1:9").version()
    found = CliRunner().invoke(main, ["--folder", str(trained.system.folder), "version"])
    assert "engines:\n- native" in found.output


def test_setup_puts_the_command_into_the_environment(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    command = python.with_name("mmm")
    subprocess.run(["make", "-s", f"VENV={tmp_path}/venv", str(command)], cwd=ROOT, check=True)
    told = subprocess.run([command, "jobs", "-h"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.startswith("Usage: mmm jobs [OPTIONS]")


def test_the_client_can_be_installed_without_the_rest(tmp_path: Path) -> None:
    for part in ("client", "contracts"):
        shutil.copytree(ROOT / part, tmp_path / part)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "./client"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    code = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import mmm.command; "
        "print(mmm.__file__); "
        "print([name for name in ('functions', 'pandas', 'flask', 'google.auth') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, cwd=wheel.parent / "client", capture_output=True, text=True, check=False)
    assert loaded.stdout.splitlines() == [f"{wheel}/mmm/__init__.py", "[]"], loaded.stderr


def test_a_mapping_is_written_checked_and_told_by_commands(trained: Trained, tmp_path: Path) -> None:
    body = request("any", SHORT)
    own = ("request_id", "country", "source", "requested_by")
    shared = {name: value for name, value in body.items() if name not in own}
    path = tmp_path / "weekly.yaml"
    path.write_text(yaml.safe_dump(shared))
    words = ("DE", "weekly")
    assert trained.run("mapping", "put", *words, str(path), "--note", "first").exit_code == 0
    assert trained.run("mapping", "put", *words, str(path)).exit_code == 2
    renamed = shared["columns"] | {"date": "Date", "paid_media": ["spend_tv"], "context": ["weather"]}
    changed = yaml.safe_dump(shared | {"columns": renamed})
    assert trained.run("mapping", "put", *words, "-", "--version", "1", given=changed).exit_code == 0
    assert "weekly: version 2" in trained.run("mapping", "list").output
    history = trained.run("mapping", "history", *words).output
    assert re.search(r'version 2.*\n(.*\n)*  columns.date: "date" -> "Date"', history)
    source = tmp_path / "request.yaml"
    source.write_text(yaml.safe_dump(body))
    checked = trained.run("mapping", "check", *words, str(source))
    assert checked.exit_code == 1
    assert "spend_tv is missing; 'tv_spend' is probably meant (columns.paid_media[0].spend)" in checked.output
    assert "weather is missing (columns.context[0].name)" in checked.output
    assert "new: " in checked.output
    assert trained.run("mapping", "check", *words, str(source), "--version", "1").exit_code == 0
    assert yaml.safe_load(trained.run("mapping", "get", *words, "--version", "1").output) == shared
    asked = {name: body[name] for name in ("country", "source")} | {"request_id": "with-mapping"}
    known = {"name": "weekly", "version": 1}
    answer = trained.mmm.validate(asked | {"settings": known, "window": {"start": "2023-01-02"}})
    assert (answer.valid, answer.normalized["columns"]["date"]) == (True, "date")
    assert trained.run("mapping", "delete", *words).exit_code == 0
    assert trained.run("mapping", "list").output == ""


def test_a_schedule_is_previewed_written_run_and_ended_by_commands(trained: Trained, tmp_path: Path) -> None:
    body = {name: value for name, value in request("any", SHORT).items() if name != "request_id"}
    said = {"cron": "0 6 * * MON", "time_zone": "Europe/Berlin", "request": body | {"validate_only": True}}
    path = str(write(tmp_path / "monday.yaml", said))
    assert trained.run("schedule", "preview", path).output.count("UTC") > 1
    wrong = str(write(tmp_path / "wrong.yaml", said | {"request": body | {"queue": "fast"}}))
    refused = trained.run("schedule", "preview", wrong)
    assert (refused.exit_code, "no queue is named 'fast'" in refused.output) == (2, True)
    assert "monday: enabled, version 1" in trained.run("schedule", "put", "monday", path).output
    assert trained.run("schedule", "put", "monday", path, "--version", "7").exit_code == 2
    name, job_id = trained.run("schedule", "run", "monday").output.split()
    _soon(lambda: list(trained.mmm.jobs(schedule="monday")), bool)
    assert (name, trained.mmm.wait(job_id, lambda _: None).state) == ("monday:", "SUCCEEDED")
    assert f"SUCCEEDED  {job_id}" in trained.run("schedule", "show", "monday").output
    assert job_id in trained.run("jobs", "--schedule", "monday").output
    assert trained.run("jobs", "--schedule", "monday", "--older-than", "1d", "--json").output == "[]\n"
    assert yaml.safe_load(trained.run("schedule", "text", "monday").output)["cron"] == "0 6 * * MON"
    assert trained.run("schedule", "disable", "monday").exit_code == 0
    assert "monday: 0 6 * * MON Europe/Berlin, disabled" in trained.run("schedule", "list").output
    assert "enabled" in trained.run("schedule", "enable", "monday").output
    assert trained.run("schedule", "delete", "monday").exit_code == 0
    assert trained.run("schedule", "list").output == ""


def test_old_results_are_listed_before_they_are_deleted(trained: Trained) -> None:
    assert trained.run("delete-results").exit_code == 2
    assert trained.run("delete-results", trained.job.job_id, "--older-than", "1d").exit_code == 2
    none = trained.run("delete-results", "--older-than", "1d", "--country", "DE")
    assert (none.exit_code, none.output.startswith("0 results to delete")) == (0, True)
    listed = trained.run("delete-results", "--older-than", "0m", "--revision", "demo", given="n\n")
    assert re.search(r"kept: it is the newest model of DE demo", listed.output), listed.output
    assert trained.run("deletions").output == ""
