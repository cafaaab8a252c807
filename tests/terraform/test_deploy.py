"""The steps of a deployment refuse what would lose data, and what was not shown before."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from infra import archive, deploy
from tests.terraform.cloud import Module, Terraform
from tests.terraform.given import GIVEN

PLAN = {
    "variables": {"project": {"value": "p"}},
    "resource_changes": [
        {"address": "a.b", "type": "google_storage_bucket", "change": {"actions": ["no-op"]}},
        {"address": "c.d", "type": "google_cloudfunctions2_function", "change": {"actions": ["update"]}},
    ],
}


def changed(plan: deploy.Json, kind: str, *actions: str) -> deploy.Json:
    change = {"address": f"{kind}.x", "type": kind, "change": {"actions": list(actions)}}
    return {**plan, "resource_changes": [*plan["resource_changes"], change]}


@pytest.fixture(scope="module")
def made(provider: Terraform) -> Module:
    module = provider.module("deployed")
    assert module.run("init", "-input=false").status == 0
    assert module.plan(*module.given("dev")).status == 2
    deploy.check(module.planned())
    assert module.apply().status == 0
    return module


def test_a_release_may_be_deployed_and_only_as_it_was_shown(made: Module) -> None:
    other = {name: image.replace("0" * 64, "1" * 64) for name, image in GIVEN["images"].items()}
    assert made.plan(*made.given("dev", images=other)).status == 2
    shown = made.planned()
    assert [line.split()[0] for line in deploy.changes(shown)] == ["update", "update"]
    deploy.check(shown, deploy.digest(shown))
    newer = {name: image.replace("0" * 64, "2" * 64) for name, image in GIVEN["images"].items()}
    made.plan(*made.given("dev", images=newer))
    with pytest.raises(deploy.Refused, match="another one than was shown"):
        deploy.check(made.planned(), deploy.digest(shown))


def test_a_plan_that_replaces_a_job_is_refused_by_name(made: Module) -> None:
    path = made.folder / "locals.tf"
    text = path.read_text()
    path.write_text(text.replace('"trainer-${size}"', '"training-${size}"'))
    try:
        assert made.plan(*made.given("dev")).status == 2
    finally:
        path.write_text(text)
    with pytest.raises(deploy.Refused, match=r'google_cloud_run_v2_job\.trainer\["native"\]'):
        deploy.check(made.planned())


@pytest.mark.parametrize("kind", sorted(deploy.STATEFUL))
@pytest.mark.parametrize("actions", [("delete",), ("delete", "create"), ("create", "delete")])
def test_nothing_that_holds_something_is_deleted_or_replaced(kind: str, actions: tuple[str, ...]) -> None:
    with pytest.raises(deploy.Refused, match=kind):
        deploy.check(changed(PLAN, kind, *actions))


def test_what_holds_nothing_may_go() -> None:
    deploy.check(changed(PLAN, "google_monitoring_alert_policy", "delete"))
    deploy.check(changed(PLAN, "google_storage_bucket", "update"))


def test_an_archive_is_named_by_its_content(tmp_path: Path) -> None:
    archive.write(tmp_path / "one.zip")
    name = deploy.archive_name(tmp_path / "one.zip")
    assert re.fullmatch(r"functions-[0-9a-f]{64}\.zip", name)
    (tmp_path / "two.zip").write_bytes((tmp_path / "one.zip").read_bytes() + b"x")
    assert deploy.archive_name(tmp_path / "two.zip") != name


@pytest.mark.parametrize(
    ("environment", "images"),
    [("dev", ["web", "trainer-native"]), ("prod", ["web", "trainer-native", "trainer"])],
)
def test_images_are_those_of_the_environments_engines(environment: str, images: list[str]) -> None:
    assert deploy.images_of(deploy.setting(environment, "engines")) == images
    assert all((deploy.ROOT / "docker" / f"{image}.Dockerfile").exists() for image in images)


def test_only_critical_vulnerabilities_that_have_a_fix_stop_a_release() -> None:
    def found(severity: str, fix: bool) -> deploy.Json:
        issue = {"affectedPackage": "openssl", "fixAvailable": fix}
        vulnerability = {"shortDescription": f"CVE-{severity}", "effectiveSeverity": severity}
        return {"vulnerability": {**vulnerability, "packageIssue": [issue]}}

    occurrences = [found("CRITICAL", True), found("CRITICAL", False), found("HIGH", True), {"discovery": {}}]
    assert deploy.fixable(occurrences) == ["CVE-CRITICAL in openssl"]


def test_the_command_says_why_it_refuses_and_what_terraform_ended_with(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terraform that cannot reach its state stops the deployment, with its own words above."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    monkeypatch.setattr(deploy, "BUILD", tmp_path)
    monkeypatch.setattr(deploy, "RELEASE", tmp_path / "release.json")
    monkeypatch.setattr(deploy, "HCL", tmp_path / "nowhere")
    command = [
        "plan",
        "--environment",
        "dev",
        "--given",
        json.dumps(GIVEN),
        "--release",
        str(tmp_path / "release.json"),
    ]
    assert deploy.main(command) == 1
    assert "terraform ended with status 1" in capfd.readouterr().err


def test_the_placeholders_for_the_first_stores_pass_as_variables(provider: Terraform) -> None:
    module = provider.module("stores")
    assert module.run("init", "-input=false").status == 0
    planned = module.plan(
        f"-var-file={module.folder}/envs/prod.tfvars",
        f"-var-file={module.folder}/stores.tfvars.json",
        "-var=project=mmm-test-1",
        "-target=google_artifact_registry_repository.images",
        "-target=google_storage_bucket.code",
        "-target=google_secret_manager_secret.this",
    )
    assert planned.status == 2, planned.said
    created = {line.split()[1] for line in deploy.changes(module.planned())}
    assert created >= {
        "google_artifact_registry_repository.images",
        "google_storage_bucket.code",
        'google_secret_manager_secret.this["snowflake-warehouse-key"]',
    }
    assert not any("run_v2" in name or "functions2" in name for name in created)
