"""The system as a user runs it: real processes on a real port, and the commands that people give it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import requests
import yaml

from contracts.request import job_id_for
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.warehouse import load_table
from infra.local.demo_data import demo_request, generate

ROOT = Path(__file__).resolve().parents[2]
LONG = {"iterations": 50_000, "trials": 3, "stop": {"seconds": 30}}  # long, but not on a busy machine
SHORT = {"iterations": 20, "trials": 1}
PATIENCE_S = 300
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "client")}


class System:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host: subprocess.Popen[str] | None = None
        self.url = ""

    def command(self, *words: str) -> list[str]:
        """What `make` calls: some commands are those of the client."""
        module = "infra.local" if words[0] in ("up", "stop", "demo") else "mmm"
        return [sys.executable, "-m", module, "--folder", str(self.folder), *words]

    def run(self, *words: str, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=ENVIRONMENT,
            **options,
        )

    def up(self) -> None:
        self.host = subprocess.Popen(
            self.command("up", "--port", "0"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.host.stdout.readline()
        self.url = re.search(r"http://\S+", line).group()

    def interrupt(self) -> None:
        self.host.send_signal(signal.SIGINT)
        assert self.host.wait(timeout=30) == 0

    def submit_quietly(self, body: dict[str, Any]) -> str:
        """Publish without following."""
        Embedded(self.folder).bus.publish("train-requests", json.dumps(body).encode())
        return job_id_for(body["request_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/api/v1/jobs/{job_id}", timeout=10)
        return answer.json() if answer.ok else {"state": None, "progress": None}

    def get(self, path: str) -> dict[str, Any]:
        return requests.get(f"{self.url}/api/v1{path}", timeout=10).json()

    def wait(self, job_id: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            view = self.job(job_id)
            if done(view):
                return view
            time.sleep(0.2)
        raise AssertionError(f"waited in vain for {job_id}: {self.job(job_id)}")

    def trainer(self) -> psutil.Process:
        """The training process of this system: one that was forked, and leads no session."""
        for process in psutil.process_iter():
            try:
                words, variables = process.cmdline(), process.environ()
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            forked = words[-1:] == ["trainer.warm"] and os.getsid(process.pid) != process.pid
            if forked and variables.get("MMM_FOLDER") == str(self.folder):
                return process
        raise AssertionError("nothing is training")


def state(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda view: view["state"] == name


def searching(view: dict[str, Any]) -> bool:
    return bool(view["progress"] and view["progress"]["iteration"] > 0)


def opened(folder: Path) -> System:
    """A system that runs, with the demo's table in its warehouse."""
    system = System(folder)
    table = pa.Table.from_pandas(generate().table, preserve_index=False)
    load_table(system.folder / "warehouse", "demo", "main", "weekly_sales", table)
    system.up()
    return system


def closed(system: System) -> None:
    system.run("stop")
    assert system.host
    system.host.wait(timeout=30)


def request(request_id: str, search: dict[str, int]) -> dict[str, Any]:
    return {**demo_request(request_id), "search": search}


def write(path: Path, body: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(body))
    return path
