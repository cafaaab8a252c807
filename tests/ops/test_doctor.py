"""Doctor and keys against a stand-in for gcloud; what the commands are, the real gcloud has to know."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contracts.cloud import ALL_SUBSCRIPTIONS, ALL_TOPICS, FUNCTIONS, INDEXES, RIGHTS
from functions.adapters.embedded import Embedded
from functions.log import Log
from functions.runtime import Runtime
from functions.settings import GcpSettings, TrainerJobs
from infra.ops.doctor import APIS, doctor
from infra.ops.place import Place
from infra.ops.report import Row
from tests.ops.cloud import Cloud
from tests.ops.conftest import Run

PROJECT, REGION = "acme-dev", "europe-west1"
SETTINGS = GcpSettings(
    family="gcp",
    engines=["native"],
    queues={"default": 2},
    project=PROJECT,
    region=REGION,
    bucket="acme-dev-mmm",
    database="mmm",
    trainer_jobs=TrainerJobs(native="trainer-native"),
)
SNOWFLAKE = {"w": {"account": "acme-eu", "user": "U", "role": "R", "warehouse": "bad name'"}}


def account(name: str) -> str:
    return f"serviceAccount:mmm-{name}@{PROJECT}.iam.gserviceaccount.com"


def policy(**roles: list[str]) -> dict[str, Any]:
    return {"bindings": [{"role": f"projects/p/roles/{role}", "members": who} for role, who in roles.items()]}


def service(name: str, **variables: str) -> dict[str, Any]:
    env = [{"name": f"MMM_{key.upper()}", "value": value} for key, value in variables.items()]
    status = {"conditions": [{"type": "Ready", "status": "True"}], "url": "http://127.0.0.1:9"}
    spec = {"template": {"spec": {"containers": [{"env": env}]}}}
    return {"metadata": {"name": name}, "spec": spec, "status": status}


def who(has: str) -> list[str]:
    return [account(name) for name, rights in RIGHTS.items() if getattr(rights, has)]


def on_prefixes(role: str, has: str, condition: str) -> list[dict[str, Any]]:
    """A grant for each identity, bound to the prefixes that it needs."""
    return [
        {
            "role": f"projects/p/roles/{role}",
            "members": [account(name)],
            "condition": {"expression": " || ".join(condition % prefix for prefix in getattr(rights, has))},
        }
        for name, rights in RIGHTS.items()
        if getattr(rights, has)
    ]


def quota(value: str | None) -> dict[str, Any]:
    details = {} if value is None else {"value": value}
    return {"dimensionsInfos": [{"applicableLocations": [REGION], "details": details}]}


def whole() -> dict[str, Any]:
    """What gcloud answers of an installation without connections, of which nothing is missing."""
    page = service("mmm-web", iap_audience=f"/projects/7/locations/{REGION}/services/mmm-web")
    subscriptions = [
        {"name": f"projects/p/subscriptions/{name}", "pushConfig": push(one.function), "deadLetterPolicy": {}}
        for name, one in ALL_SUBSCRIPTIONS.items()
    ]
    agent, bucket = agents("gcp-sa-pubsub"), agents("gs-project-accounts")
    topics = {
        f"gcloud pubsub topics get-iam-policy {topic}": {
            "bindings": [{"role": "roles/pubsub.publisher", "members": [*publishers(topic), agent, bucket]}]
        }
        for topic in ALL_TOPICS
    }
    objects = 'resource.name.startsWith("projects/_/buckets/b/objects/%s")'
    lists = 'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("%s")'
    database = f'resource.name == "projects/{PROJECT}/databases/mmm"'
    starts = [account(name) for name, rights in RIGHTS.items() if rights.runs == "starts"]
    stops = [account(name) for name, rights in RIGHTS.items() if rights.runs == "stops"]
    apis = APIS.read_text().split('"')[1::2]
    return topics | {
        "gcloud services list": [{"config": {"name": api}} for api in apis],
        "gcloud run services list": [service(f"mmm-{name}") for name in FUNCTIONS] + [page],
        "gcloud run services list --filter=metadata.name=mmm-web": [page],
        "gcloud run services list --filter=metadata.name=mmm-extract": [service("mmm-extract")],
        "gcloud scheduler jobs describe": {"state": "ENABLED"},
        "gcloud pubsub subscriptions list": subscriptions,
        "gcloud storage buckets get-iam-policy": {
            "bindings": [
                *on_prefixes("mmmObjectReader", "reads", objects),
                *on_prefixes("mmmObjectWriter", "creates", objects),
                *on_prefixes("mmmObjectLister", "lists", lists),
            ]
        },
        "gcloud projects get-iam-policy": {
            "bindings": [
                {
                    "role": "roles/datastore.user",
                    "members": who("documents"),
                    "condition": {"expression": database},
                }
            ]
        },
        "gcloud run services get-iam-policy": {
            "bindings": [{"role": "roles/run.invoker", "members": [account("push")]}]
        },
        "gcloud run services get-iam-policy mmm-web": {
            "bindings": [{"role": "roles/run.invoker", "members": [agents("gcp-sa-iap")]}]
        },
        "gcloud pubsub subscriptions get-iam-policy": {
            "bindings": [{"role": "roles/pubsub.subscriber", "members": [agent]}]
        },
        f"gcloud iam service-accounts get-iam-policy mmm-push@{PROJECT}.iam.gserviceaccount.com": {
            "bindings": [{"role": "roles/iam.serviceAccountTokenCreator", "members": [agent]}]
        },
        "gcloud beta quotas info describe CpuAllocPerProjectRegion": quota("20000"),
        "gcloud beta quotas info describe MemAllocPerProjectRegion": quota(str(40 * 2**30)),
        "gcloud run jobs get-iam-policy": policy(mmmLauncher=starts, mmmStopper=stops),
        "gcloud iam service-accounts get-iam-policy": policy(mmmSigner=[account("web")]),
        "gcloud firestore indexes composite list": [{"state": "READY"} for _ in INDEXES],
        "gcloud projects describe": {"projectNumber": "7"},
    }


def agents(domain: str) -> str:
    """Google's own account of a service, for the project of number 7."""
    return f"serviceAccount:service-7@{domain}.iam.gserviceaccount.com"


def push(function: str) -> dict[str, Any]:
    address = f"https://mmm-{function}-abc-ew.a.run.app"
    email = f"mmm-push@{PROJECT}.iam.gserviceaccount.com"
    return {"pushEndpoint": address, "oidcToken": {"serviceAccountEmail": email, "audience": address}}


def publishers(topic: str) -> list[str]:
    return [account(name) for name, rights in RIGHTS.items() if topic in rights.publishes]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The ports of one machine with the settings of a project: doctor's own calls go to gcloud."""
    runtime = Runtime(Embedded(tmp_path / "folder").ports(), SETTINGS, Log("text"))
    return Place(runtime, "http://127.0.0.1:9", project=PROJECT)


def problems(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row["part"], row["text"]) for row in rows if row["level"] == "problem"]


def test_of_a_whole_installation_only_a_silent_page_is_told(place: Place, cloud: Cloud) -> None:
    cloud.answer(whole())
    report = doctor(place)
    [(part, text)] = problems(report.rows)  # nothing listens at the page's address
    assert (part, "no answer" in text, report.good) == ("page", True, False)
    assert len({row["part"] for row in report.rows}) == 17


def test_a_connection_to_bigquery_that_may_not_query_is_named(place: Place, cloud: Cloud) -> None:
    answers = whole()
    connection = json.dumps({"web": {"project": "analytics-1", "maximum_bytes_billed": 1}})
    answers["gcloud run services list --filter=metadata.name=mmm-extract"] = [
        service("mmm-extract", bigquery=connection)
    ]
    may = {"role": "roles/bigquery.jobUser", "members": [account("extract")]}
    answers["gcloud projects get-iam-policy"]["bindings"].append(may)
    cloud.answer(answers)
    told = dict(problems(doctor(place).rows))
    assert "extract lacks bigquery.readSessionUser in the project analytics-1" in told["BigQuery"]


def test_everything_that_is_missing_is_named_with_what_to_do(place: Place, cloud: Cloud) -> None:
    broken = whole()
    broken["gcloud services list"].remove({"config": {"name": "storage.googleapis.com"}})
    broken["gcloud run services list"].pop(0)
    broken["gcloud scheduler jobs describe"]["state"] = "PAUSED"
    broken["gcloud pubsub subscriptions list"][0]["pushConfig"] = {}
    broken["gcloud pubsub topics get-iam-policy dead-letters"] = {}
    broken["gcloud pubsub subscriptions list"][1]["pushConfig"]["pushEndpoint"] = "https://elsewhere.example"
    broken["gcloud pubsub subscriptions list"][2]["pushConfig"]["oidcToken"]["audience"] = "https://other"
    trainers = [
        one
        for one in broken["gcloud storage buckets get-iam-policy"]["bindings"]
        if one["members"] == [account("trainer")] and one["role"].endswith("Reader")
    ]
    condition = trainers[0]["condition"]
    condition["expression"] = condition["expression"].replace("/objects/prepared/", "/objects/other/")
    broken["gcloud run services get-iam-policy"] = {}
    broken["gcloud run services get-iam-policy mmm-sweep"] = {
        "bindings": [{"role": "roles/run.invoker", "members": [account("push"), "allUsers"]}]
    }
    broken["gcloud run services get-iam-policy mmm-web"] = {}
    broken["gcloud pubsub subscriptions get-iam-policy"] = {}
    broken["gcloud pubsub topics get-iam-policy objects-datasets"] = {}
    broken["gcloud beta quotas info describe CpuAllocPerProjectRegion"] = quota("4000")
    broken["gcloud beta quotas info describe MemAllocPerProjectRegion"] = quota(None)
    broken["gcloud projects get-iam-policy"] = "ERROR: (gcloud) PERMISSION_DENIED"
    broken["gcloud run jobs get-iam-policy"]["bindings"].pop(0)
    for command in [name for name in broken if name.startswith("gcloud iam service-accounts")]:
        broken[command] = {}
    broken["gcloud firestore indexes composite list"].pop()
    broken["gcloud projects describe"]["projectNumber"] = "8"
    cloud.answer(broken)
    rows = doctor(place).rows
    assert any(row["level"] == "warning" and "MemAllocPerProjectRegion" in row["text"] for row in rows)
    found = problems(rows)
    texts = "\n".join(f"{part}: {text}" for part, text in found)
    for line in (
        "APIs: not enabled: storage.googleapis.com",
        "functions: there is no mmm-extract",
        "schedule: mmm-sweep is PAUSED: `resume --schedule mmm-sweep`",
        "subscriptions: extract-requests pushes as nobody",
        "rights on topics: mmm-extract may not publish on dead-letters",
        "subscriptions: extract-uploads pushes to https://elsewhere.example, not to mmm-extract",
        "with a token for https://other",
        "rights on the bucket: mmm-trainer does not have mmmObjectReader on prepared/;",
        "rights of push: mmm-push may not call mmm-extract",
        "rights of push: everybody may call mmm-sweep",
        "rights of Google's agents: Pub/Sub's agent may not make tokens of mmm-push",
        "rights of Google's agents: Pub/Sub's agent may not publish on dead-letters",
        "rights of Google's agents: Pub/Sub's agent may not take dead letters from validate-datasets",
        "rights of Google's agents: the bucket's agent may not publish on objects-datasets",
        "rights of Google's agents: Identity-Aware Proxy's agent may not call mmm-web",
        "queues: full queues use 8 vCPU with a task each",
        "rights on the database: could not be looked at",
        "rights on trainings: mmm-launch does not have mmmLauncher on trainer-native",
        "signed links: mmm-web may not sign",
        f"database: {len(INDEXES) - 1} of {len(INDEXES)} indexes are ready",
        "page: the page expects assertions for /projects/7/",
    ):
        assert line in texts


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key.p8"
    pem = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(pem)
    return file


def stored(key: Path, **changes: Any) -> dict[str, Any]:
    """A connection whose secret has two versions, and no passphrase."""
    made = (datetime.now(UTC) - timedelta(days=10)).isoformat()
    versions = [{"name": f"projects/7/secrets/s/versions/{number}", "createTime": made} for number in (1, 2)]
    data = base64.urlsafe_b64encode(key.read_bytes()).decode()
    words = "gcloud secrets versions"
    return {
        "gcloud run services list": [service("mmm-extract", snowflake=json.dumps(SNOWFLAKE))],
        f"{words} add": versions[1],
        f"{words} list": versions,
        f"{words} access latest --secret=snowflake-w-key": {"payload": {"data": data}},
        f"{words} access latest --secret=snowflake-w-passphrase": "ERROR: NOT_FOUND: no such secret",
        f"{words} disable": {},
        **changes,
    }


def test_a_key_is_set_and_told_by_its_fingerprint_only(cloud: Cloud, ops: Run, key: Path) -> None:
    cloud.answer(stored(key))
    status, rows = ops("key", "set", "w", str(key), "--project", PROJECT)
    assert (status, rows[0]["version"], rows[0]["fingerprint"][:7]) == (0, "2", "SHA256:")
    assert ops("key", "check", "--project", PROJECT)[1][0]["fingerprint"] == rows[0]["fingerprint"]
    assert "PRIVATE" not in json.dumps([rows, cloud.asked()])


def test_what_is_no_key_or_no_connection_is_not_set(cloud: Cloud, ops: Run, key: Path) -> None:
    cloud.answer(stored(key))
    assert ops("key", "set", "nobody", str(key), "--project", PROJECT)[0] == 2
    key.write_text("no key")
    assert ops("key", "set", "w", str(key), "--project", PROJECT)[0] == 2
    assert not any("add" in words for words, _ in cloud.asked())


def test_former_keys_are_disabled_only_if_the_newest_can_log_in(cloud: Cloud, ops: Run, key: Path) -> None:
    cloud.answer(stored(key))
    words = ("key", "retire", "w", "--project", PROJECT)
    assert ops(*words)[1] == [{"connection": "w", "version": "1", "done": "would be disabled"}]
    status, rows = ops(*words, "--disable")  # the name of its warehouse cannot be one
    assert (status, [row["part"] for row in rows if row["level"] == "problem"]) == (1, ["warehouse"])
    assert not any("disable" in words for words, _ in cloud.asked())


def test_an_old_key_or_none_is_a_finding(cloud: Cloud, ops: Run, key: Path) -> None:
    made = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    old = [{"name": "projects/7/secrets/s/versions/1", "createTime": made}]
    cloud.answer(stored(key, **{"gcloud secrets versions list": old}))
    status, [row] = ops("key", "check", "--project", PROJECT)
    assert (status, row["age_days"], row["note"]) == (1, 400, "older than 365 days: set a new one")
    cloud.answer({"gcloud secrets versions list": []})
    assert ops("key", "check", "--project", PROJECT)[0] == 1
