"""The system as a user runs it: real processes on a real port, the commands behind the Makefile's targets."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import requests

from contracts.request import job_id_for
from functions.adapters.embedded import Embedded
from infra.local.demo_data import generate
from tests.local.system import (
    ENVIRONMENT,
    LONG,
    ROOT,
    SHORT,
    System,
    request,
    searching,
    state,
    write,
)


def test_submit_follows_a_request_to_its_end(shared: System, tmp_path: Path):
    good = shared.run("submit", "--watch", str(write(tmp_path / "r.yaml", request("r1", SHORT))))
    assert good.returncode == 0, good
    assert "SUCCEEDED" in good.stdout
    assert re.search(r"│ tv_spend +│( +[\d,.]+ │){3} +(! )?[\d.]+ – [\d.]+ │", good.stdout), good
    assert "! the search has not converged" in good.stdout
    [folder] = re.findall(rf"  ({re.escape(str(shared.folder))}\S+)", good.stdout)
    assert (Path(folder) / "onepager.png").is_file()
    bad = shared.run(
        "submit", "--watch", str(write(tmp_path / "b.yaml", {**request("r2", SHORT), "colour": "red"}))
    )
    assert bad.returncode == 2
    assert "colour: unknown field" in bad.stderr
    nowhere = request("r3", SHORT)
    nowhere["source"]["table"] = "no_such_table"
    refused = shared.run("submit", "--watch", str(write(tmp_path / "n.yaml", nowhere)))
    assert "no_such_table does not exist" in refused.stdout
    conflict = shared.run("submit", "--watch", str(write(tmp_path / "c.yaml", request("r1", LONG))))
    assert conflict.returncode == 2
    assert "used before" in conflict.stderr


def test_a_database_that_is_lost_stops_the_system_which_says_what_to_do(tmp_path: Path):
    system = System(tmp_path)
    host = subprocess.Popen(
        system.command("up", "--port", "0"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "runs at" in host.stdout.readline()
    (tmp_path / "state.db").unlink()
    _, told = host.communicate(timeout=60)
    assert host.returncode == 1
    assert "Traceback" not in told
    assert "put a backup of state.db in its place" in told.splitlines()[-1]
    again = system.run("up", "--port", "0")
    assert again.returncode == 1
    assert "state.db is missing or empty" in again.stderr


def test_cancel_stops_the_training_and_retry_starts_it_again(shared: System, tmp_path: Path):
    """Ctrl-C, before it, stops only who follows."""
    path, job_id = write(tmp_path / "r.yaml", request("stopped", LONG)), job_id_for("stopped")
    follower = subprocess.Popen(
        shared.command("submit", "--watch", str(path)),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    shared.wait(job_id, searching)
    follower.send_signal(signal.SIGINT)
    _, said = follower.communicate(timeout=60)
    assert (follower.returncode, said.strip()) == (130, "interrupted; what was submitted goes on")
    assert shared.job(job_id)["state"] == "RUNNING"
    trainer = shared.trainer()
    assert "CANCELLING" in shared.run("cancel", job_id).stdout
    shared.wait(job_id, state("CANCELLED"))
    assert not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE
    assert shared.run("cancel", job_id).returncode == 1
    assert shared.run("retry", job_id).returncode == 0
    assert shared.wait(job_id, state("SUCCEEDED"))["attempt"] == 2


def test_a_batch_submitted_twice_starts_nothing_twice(shared: System, tmp_path: Path):
    base = {k: v for k, v in request("x", SHORT).items() if k != "request_id"} | {"country": "CH"}
    write(tmp_path / "batch.base.yaml", base)
    table = tmp_path / "batch.csv"
    table.write_text("revision,search.seed,columns.context.0.sign\na,1,\nb,2,default\n")
    first = shared.run("submit", "--watch", str(table))
    assert first.returncode == 0, first
    assert shared.run("submit", "--watch", str(table)).returncode == 0
    jobs = shared.get("/jobs?view=full&country=CH")["jobs"]
    assert sorted((job["revision"], job["request"]["search"]["seed"]) for job in jobs) == [("a", 1), ("b", 2)]
    assert {job["request"]["columns"]["context"][0]["sign"] for job in jobs} == {"negative", "default"}
    table.write_text("revision;search.seed\na;1\nb;3\n")  # as a spreadsheet with a German locale saves it
    assert shared.run("submit", "--watch", str(table)).returncode == 0
    assert len(shared.get("/jobs?country=CH")["jobs"]) == 3


def test_unreadable_requests_submit_nothing_and_say_all_that_is_wrong(shared: System, tmp_path: Path):
    folder = tmp_path / "requests"
    write(folder / "good.yaml", request("unsent", SHORT))
    (folder / "bad.yaml").write_text("a: [")
    (folder / "worse.json").write_text("[]")
    answer = shared.run("submit", "--watch", str(folder))
    assert answer.returncode == 2
    assert "bad.yaml is not valid YAML" in answer.stderr
    assert "worse.json must be a mapping" in answer.stderr
    (tmp_path / "batch.csv").write_bytes(b"revision\nM\x81rz\n")  # no text in any encoding of ours
    answer = shared.run("submit", "--watch", str(tmp_path / "batch.csv"), "--base", str(folder / "good.yaml"))
    assert (answer.returncode, answer.stderr.splitlines()[1:]) == (
        2,
        [f"{tmp_path / 'batch.csv'} is neither UTF-8 nor cp1252; save it as UTF-8"],
    )
    assert shared.job(job_id_for("unsent"))["state"] is None


def test_a_training_outlives_ctrl_c_and_its_job_ends_after_the_next_start(system: System):
    job_id = system.submit_quietly(request("r1", LONG))
    system.wait(job_id, searching)
    system.interrupt()
    assert system.trainer().is_running()
    system.up()
    view = system.wait(job_id, state("SUCCEEDED"))
    assert view["attempt"] == 1


def test_stop_ends_the_training_and_the_next_start_begins_it_again_at_no_cost(system: System):
    job_id = system.submit_quietly(request("r1", LONG))
    system.wait(job_id, searching)
    trainer = system.trainer()
    assert system.run("stop").returncode == 0
    assert not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE
    system.up()
    assert system.wait(job_id, state("SUCCEEDED"))["attempt"] == 1


def test_a_killed_training_is_retried_by_the_platform(shared: System):
    job_id = shared.submit_quietly(request("killed", LONG))
    shared.wait(job_id, searching)
    shared.trainer().kill()
    assert shared.wait(job_id, state("SUCCEEDED"))["attempt"] == 1


def test_dead_letters_are_replayed_by_one_command(shared: System):
    Embedded(shared.folder).bus.publish("train-requests", b"nonsense")
    letters: list[Any] = []
    while not letters:
        letters = shared.get("/dead-letters")["dead_letters"]
    answer = shared.run("replay")
    assert answer.returncode == 0
    assert "replayed" in answer.stdout


def test_a_file_copied_into_the_drop_zone_is_trained(shared: System):
    from infra.local.demo_data import demo_csv, demo_settings

    folder = shared.folder / "bucket" / "drop-zone" / "AT"
    folder.mkdir(parents=True)
    (folder / "sales.csv").write_bytes(demo_csv(generate(country="AT")))
    (folder / "sales.request.yaml").write_text(demo_settings(20, 1))
    jobs: list[Any] = []
    while not jobs:
        time.sleep(0.5)
        jobs = shared.get("/jobs?country=AT")["jobs"]
    shared.wait(jobs[0]["job_id"], state("SUCCEEDED"))


def test_a_port_that_is_taken_and_a_folder_in_use_are_said_plainly(shared: System, tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        command = [
            sys.executable,
            "-m",
            "infra.local",
            "--folder",
            str(tmp_path / "other"),
            "up",
            "--port",
            port,
        ]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in answer.stderr
    again = shared.run("up", "--port", "0")
    assert again.returncode == 1
    assert "another host" in again.stderr
    assert requests.get(f"{shared.url}/health", timeout=10).ok


def test_too_few_open_files_are_said_at_once(tmp_path: Path):
    command = f"ulimit -n 64; exec {sys.executable} -m infra.local --folder {tmp_path} up --port 0"
    told = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=120
    )
    assert (told.returncode, told.stdout) == (1, "")
    assert "ulimit -n 512" in told.stderr


def test_commands_without_a_running_system_say_what_to_do(tmp_path: Path):
    system = System(tmp_path)
    path = write(tmp_path / "x.yaml", request("r1", SHORT))
    answer = system.run("submit", str(path))
    assert answer.returncode == 3
    assert "make up" in answer.stderr
    assert "nothing runs" in system.run("stop").stdout


def test_a_new_folder_has_every_place_that_people_put_files_in(tmp_path: Path):
    system = System(tmp_path / "new")
    system.up()
    system.interrupt()
    for place in ("bucket/drop-zone", "bucket/sources", "warehouse"):
        assert (system.folder / place).is_dir()


def test_other_host_names_are_refused_so_that_no_web_site_reaches_the_system(shared: System):
    assert requests.get(shared.url, headers={"Host": "evil.example"}, timeout=10).status_code == 421
    assert requests.get(f"{shared.url}/health", timeout=10).headers["Server"] == "mmm-trainer"
    assert requests.post(f"{shared.url}/functions/sweep", data="{}", timeout=10).status_code == 404


def test_the_demo_shows_all_that_it_promises(tmp_path: Path):
    command = [sys.executable, "-m", "infra.local", "--folder", str(tmp_path / "demo"), "demo"]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False, env=ENVIRONMENT
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "All as it must be" in answer.stdout
    assert answer.stdout.count("onepager.png") == 2
    system = System(tmp_path / "demo")
    system.up()  # the folder goes on as any other
    try:
        path = write(tmp_path / "r.yaml", request("r1", SHORT))
        assert system.run("submit", "--watch", str(path)).returncode == 0
        assert list(Embedded(system.folder).bus.pending()) == []
        again = system.run("demo")
        assert (again.returncode, "make stop" in again.stdout) == (1, True)
        assert requests.get(f"{system.url}/health", timeout=10).ok
    finally:
        system.run("stop")
