from __future__ import annotations

import json
import os

import pytest

from functions import runtime
from functions.settings import EmbeddedSettings, GcpSettings, MissingSettings, read_settings

COMMON = {"ENGINES": '["native"]', "QUEUES": '{"default": 2}'}
JOBS = {"native": "trainer-native"}
LOGIN = {"account": "o-a", "user": "u", "role": "r", "warehouse": "w", "private_key_file": "/secrets/key.p8"}
GCP = {
    **COMMON,
    "FAMILY": "gcp",
    "PROJECT": "p",
    "REGION": "europe-west3",
    "BUCKET": "b",
    "TRAINER_JOBS": json.dumps(JOBS),
    "SNOWFLAKE": json.dumps({"shop": LOGIN}),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MMM_")]:
        monkeypatch.delenv(name)


def say(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"MMM_{name}", value)


def named(error: pytest.ExceptionInfo[MissingSettings]) -> set[str]:
    return {line.split(":")[0].strip() for line in str(error.value).splitlines()[1:]}


def test_without_a_family_its_name_and_what_every_family_needs_are_missing() -> None:
    with pytest.raises(MissingSettings) as error:
        read_settings()
    assert named(error) == {"MMM_FAMILY", "MMM_ENGINES", "MMM_QUEUES"}


@pytest.mark.parametrize(
    ("family", "missing"),
    [
        ("embedded", {"MMM_FOLDER"}),
        ("gcp", {"MMM_PROJECT", "MMM_REGION", "MMM_BUCKET", "MMM_TRAINER_JOBS"}),
    ],
)
def test_every_missing_name_of_the_chosen_family_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, family: str, missing: set[str]
) -> None:
    say(monkeypatch, {"FAMILY": family})
    with pytest.raises(MissingSettings) as error:
        read_settings()
    assert named(error) == {"MMM_ENGINES", "MMM_QUEUES"} | missing


def test_an_unknown_family_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, {**GCP, "FAMILY": "azure"})
    with pytest.raises(MissingSettings, match=r"MMM_FAMILY: must be 'embedded'"):
        read_settings()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TRAINER_JOBS": '{"small": "x"}'}, "MMM_TRAINER_JOBS: .*no job for native"),
        ({"ENGINES": '["robyn", "native"]'}, "MMM_TRAINER_JOBS: .*no job for small, medium, large"),
        (
            {"SNOWFLAKE": json.dumps({"shop": {**LOGIN, "passwort": "x"}})},
            r"MMM_SNOWFLAKE\.shop\.passwort: unknown field",
        ),
        ({"SNOWFLAKE": json.dumps({"shop": {**LOGIN, "private_key_file": None}})}, "needs private_key_file"),
        (
            {"BIGQUERY": json.dumps({"shop": {"project": "p", "maximum_bytes_billed": 1}})},
            "MMM_BIGQUERY: .*shop: connections of Snowflake have these names",
        ),
        ({"BIGQUERY": json.dumps({"web": {"project": "p"}})}, r"MMM_BIGQUERY\.web\.maximum_bytes_billed"),
        ({"BUCKET": ""}, "MMM_BUCKET"),
    ],
)
def test_a_wrong_value_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    say(monkeypatch, {**GCP, **change})
    with pytest.raises(MissingSettings, match=said):
        read_settings()


def test_the_family_decides_which_ports_a_process_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    say(monkeypatch, {**COMMON, "FAMILY": "embedded", "FOLDER": str(tmp_path)})
    assert isinstance(read_settings(), EmbeddedSettings)
    monkeypatch.setattr(runtime, "_current", None)
    assert type(runtime.current().ports.jobs).__name__ == "SqliteJobStore"


def test_the_cloud_family_starts_without_a_connection_or_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("google.cloud.firestore", reason="requirements/gcp.txt is not installed")
    bigquery = {"web": {"project": "analytics-1", "maximum_bytes_billed": 10**11}}
    say(monkeypatch, {**GCP, "BIGQUERY": json.dumps(bigquery)})
    settings = read_settings()
    assert isinstance(settings, GcpSettings)
    monkeypatch.setattr(runtime, "_current", None)
    ports = runtime.current().ports
    assert type(ports.jobs).__name__ == "FirestoreJobStore"
    assert {name: one.dialect for name, one in ports.warehouses.items()} == {
        "shop": "snowflake",
        "web": "bigquery",
    }
