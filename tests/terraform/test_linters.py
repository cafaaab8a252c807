"""Linters have nothing to say of workflows, Terraform code, Dockerfiles and scripts that is not justified."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.adapters.families import skipped_if_missing
from tests.environments import environment

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


@pytest.fixture(scope="session")
def linters() -> Path:
    """The folder of their programs."""
    with skipped_if_missing():
        return environment(ROOT / "requirements" / "terraform-lint.txt").parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_workflows_are_valid(linters: Path) -> None:
    shellcheck = f"-shellcheck={linters / 'shellcheck'}"
    done = run(str(linters / "actionlint"), "-no-color", shellcheck, *map(str, WORKFLOWS))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_workflows_are_safe(linters: Path) -> None:
    done = run(
        str(linters / "zizmor"), "--offline", "--no-progress", "--persona=regular", *map(str, WORKFLOWS)
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_terraform_code_is_safe(linters: Path) -> None:
    folder = ROOT / "infra" / "terraform"
    files = ["--var-file", str(folder / "envs" / "prod.tfvars")]
    options = ["--framework", "terraform", "--skip-download", "--quiet", "--compact", "--output", "json"]
    done = run(str(linters / "python"), "-m", "checkov.main", "-d", str(folder), *files, *options)
    told = json.loads(done.stdout)
    failed = [(one["check_id"], one["resource"]) for one in told["results"]["failed_checks"]]
    assert failed == []
    assert told["summary"]["passed"] > 100


def test_scripts_are_clean(linters: Path) -> None:
    scripts = [*map(str, sorted((ROOT / "docker").glob("*.sh"))), str(ROOT / ".ci" / "run")]
    done = run(str(linters / "shellcheck"), "--severity=warning", *scripts)
    assert done.returncode == 0, done.stdout


def test_dockerfiles_are_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not installed")
    done = run(str(hadolint), *map(str, sorted((ROOT / "docker").glob("*.Dockerfile"))))
    assert done.returncode == 0, done.stdout


def steps() -> list[tuple[str, dict[str, str]]]:
    """Every step of every workflow, with the name of its file."""
    return [
        (path.name, step)
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
    ]


def test_what_a_workflow_runs_is_one_make_target() -> None:
    """So that people can run it too, and tests do."""
    commands = [(file, step["run"]) for file, step in steps() if "run" in step]
    assert len(commands) > 8
    for file, command in commands:
        target = re.fullmatch(r"make ([a-z-]+)(?: [A-Z]+=(?:[\w.-]+|\"\$[A-Z_]+\"))*", command)
        assert command == ".ci/run" or (target and target[1] in TARGETS), f"{file}: {command}"


def test_actions_are_pinned_and_leave_no_token() -> None:
    for file, step in steps():
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]), f"{file}: {step['uses']}"
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False, file


def test_no_workflow_knows_a_key_or_runs_the_code_of_a_stranger_with_rights() -> None:
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        assert "secrets." not in text, path.name
        assert "credentials_json" not in text, path.name
        assert "pull_request_target" not in text, path.name


@pytest.mark.parametrize("name", ["deploy.yml", "cleanup.yml"])
def test_what_deploys_begins_without_rights_and_never_overtakes_itself(name: str) -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        assert job["timeout-minutes"] <= 60


def test_what_the_docs_name_exists() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    security = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", page, re.MULTILINE))
    assert {either or other for either, other in named} - TARGETS == set()
    hcl = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "infra" / "terraform").rglob("*.tf"))
    variables = set(re.findall(r'^variable "(\w+)"', hcl, re.MULTILINE))
    table = page.partition("## Variables")[2].partition("## ")[0]
    listed = {
        name
        for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert len(listed) > 10
    assert listed - variables == set()
    files = set(re.findall(r"`([\w/-]+\.(?:tf|py|yml))`", security))
    everywhere = {path.name for path in (ROOT / "infra" / "terraform").rglob("*.tf")} | {
        one.name for one in WORKFLOWS
    }
    assert len(files) > 6
    assert [name for name in files if name not in everywhere and not (ROOT / name).exists()] == []


def test_every_variable_says_what_it_is_for() -> None:
    text = (ROOT / "infra" / "terraform" / "variables.tf").read_text(encoding="utf-8")
    blocks = re.findall(r'^variable "(\w+)" \{(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 20
    assert [name for name, block in blocks if "description" not in block or "type" not in block] == []
