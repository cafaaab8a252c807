"""Terraform takes the configuration of both environments, makes it, and then has nothing more to do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terraform.cloud import HCL, ROOT, Module, Terraform
from tests.terraform.given import GIVEN
from tests.terraform.rules import Made, problems

Applied = Callable[[str], Module]
BOOTSTRAP = ["-var=project=mmm-test-1", "-var=environment=prod", "-var=repository_id=123"]


@pytest.fixture(scope="session")
def applied(provider: Terraform) -> Applied:
    """One environment, made with a plan; made once."""
    done: dict[str, Module] = {}

    def make(environment: str) -> Module:
        if environment not in done:
            module = provider.module(environment)
            for answer in (module.run("init", "-input=false"), module.run("validate", "-no-color")):
                assert answer.status == 0, answer.said
            planned = module.plan(*module.given(environment))
            assert planned.status == 2, planned.said
            made = module.apply()
            assert made.status == 0, made.said
            done[environment] = module
        return done[environment]

    return make


def test_the_code_is_formatted() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    module = Module(Terraform(Path("/none"), 0, Path("/none")), HCL)
    answer = module.run("fmt", "-check", "-recursive", "-diff")
    assert answer.status == 0, answer.said


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_an_environment_is_made_as_the_contract_says_and_then_stays(
    applied: Applied, environment: str
) -> None:
    module = applied(environment)
    assert problems(module.made()) == []
    again = module.plan(*module.given(environment))
    assert again.status == 0, again.said


def test_a_new_release_changes_services_functions_and_jobs_in_place_and_nothing_else(
    applied: Applied,
) -> None:
    module = applied("prod")
    images = {name: image.replace("0" * 64, "1" * 64) for name, image in GIVEN["images"].items()}
    archive = f"functions-{'b' * 64}.zip"
    planned = module.plan(*module.given("prod", images=images, functions_archive=archive))
    assert planned.status == 2, planned.said
    changes = {
        (one["type"], *one["change"]["actions"])
        for one in module.planned()["resource_changes"]
        if one["change"]["actions"] != ["no-op"]
    }
    kinds = ("google_cloud_run_v2_job", "google_cloud_run_v2_service", "google_cloudfunctions2_function")
    assert changes == {(kind, "update") for kind in kinds}


@pytest.mark.parametrize("name", ["train-requests", "launch-ready"])
def test_a_topic_or_subscription_that_would_be_lost_is_refused(applied: Applied, name: str) -> None:
    module = applied("dev")
    names = module.folder / "names.json"
    text = names.read_text()
    names.write_text(text.replace(f'"{name}"', f'"{name}-2"'))
    try:
        planned = module.plan(*module.given("dev"))
    finally:
        names.write_text(text)
    assert planned.status == 1
    assert "prevent_destroy" in planned.said


def test_every_alert_has_a_section_that_says_what_to_do(applied: Applied) -> None:
    page = ROOT / "docs" / "operate.md"
    if not page.exists():
        pytest.skip("docs/operate.md, the page of operations, is not there yet")
    sections = set(re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE))
    alerts = {
        one["display_name"] for one in Made(applied("prod").made()).of("google_monitoring_alert_policy")
    }
    assert len(alerts) > 6
    assert alerts - sections == set()


def test_bootstrap_is_made_and_then_stays(provider: Terraform) -> None:
    module = provider.module("bootstrap", HCL / "bootstrap")
    assert module.run("init", "-input=false").status == 0
    planned = module.plan(*BOOTSTRAP)
    assert planned.status == 2, planned.said
    assert module.apply().status == 0
    again = module.plan(*BOOTSTRAP)
    assert again.status == 0, again.said
    state = module.made()["values"]["root_module"]["resources"]
    by_name = {(one["type"], one["name"], one.get("index")): one["values"] for one in state}
    trust = by_name["google_iam_workload_identity_pool_provider", "github", None]
    assert trust["attribute_condition"] == "assertion.repository_id == '123'"
    members = {
        name: by_name["google_service_account_iam_member", "github", name]["member"]
        for name in ("plan", "deploy")
    }
    assert members["deploy"].endswith("/attribute.deploys/123:refs/heads/main:prod")
    assert members["plan"].endswith("/attribute.repository_id/123")
    text = json.dumps(state)
    assert not {'"google_service_account_key"', '"roles/owner"', '"roles/editor"', "allUsers"} & set(
        text.split()
    )
    grant = by_name["google_project_iam_member", "grants", None]["condition"][0]["expression"]
    assert set(re.findall(r'"(roles/[^"]+)"', grant.partition(".hasOnly(")[2])) == {
        "roles/bigquery.jobUser",
        "roles/bigquery.readSessionUser",
        "roles/datastore.user",
        "roles/logging.logWriter",
    }


WRONG: dict[str, tuple[object, str]] = {
    "functions_archive": ("functions.zip", "named by its content"),
    "images": ({"web": "page:latest"}, "named by digest"),
    "queues": ({"a": 600, "b": 500}, "at most 1,000 executions"),
    "people": (["allUsers"], "nobody else may be named"),
    "region": ("Frankfurt", "for example europe-west1"),
    "engines": ([], "at least one"),
    "project": ("X", "6 to 30 lower-case letters"),
    "keep_data_days": (1, "At least 30 days"),
    "soft_delete_days": (3, "from 7 to 90 days"),
}


def test_wrong_variables_are_refused_all_at_once_with_what_to_do(applied: Applied) -> None:
    module = applied("dev")
    planned = module.plan(*module.given("dev", **{name: value for name, (value, _) in WRONG.items()}))
    assert planned.status == 1
    text = " ".join(planned.said.replace("│", " ").split())
    assert [name for name, (_, said) in WRONG.items() if said not in text] == []


def test_an_engine_without_an_image_is_refused(applied: Applied) -> None:
    module = applied("dev")
    planned = module.plan("-refresh=false", *module.given("dev", images={"web": GIVEN["images"]["web"]}))
    assert planned.status == 1
    assert "is installed, but images.trainer-native is not given" in " ".join(
        planned.said.replace("│", " ").split()
    )


def test_what_is_optional_can_be_had(provider: Terraform) -> None:
    module = provider.module("optional")
    assert module.run("init", "-input=false").status == 0
    options = {
        "fixed_egress": True,
        "audit_data_access": True,
        "kms_key": "projects/k/locations/europe-west1/keyRings/r/cryptoKeys/mmm",
        "billing_account": "000000-000000-000000",
        "snowflake": {
            "shop": {"account": "a", "user": "u", "role": "r", "warehouse": "w", "passphrase": True}
        },
        "bigquery": {
            "web": {"project": "analytics-1", "location": "EU", "datasets": ["analytics-1.marts"]},
            "shops": {"project": "analytics-1", "datasets": ["analytics-1.marts", "sales-2.weekly"]},
        },
    }
    planned = module.plan(*module.given("prod", **options))
    assert planned.status == 2, planned.said
    kinds = {one["type"] for one in module.planned()["resource_changes"]}
    assert kinds >= {
        "google_compute_router_nat",
        "google_project_iam_audit_config",
        "google_kms_crypto_key_iam_member",
        "google_billing_budget",
        "google_bigquery_dataset_iam_member",
    }
    assert {
        (one["change"]["after"]["project"], one["change"]["after"]["role"])
        for one in module.planned()["resource_changes"]
        if (one["type"], one["name"]) == ("google_project_iam_member", "bigquery")
    } == {("analytics-1", "roles/bigquery.jobUser"), ("analytics-1", "roles/bigquery.readSessionUser")}
