"""What only a cloud can show: whether an installation is whole, and each identity has its rights.

Nothing is changed, except for one object under `scratch/`, which the bucket removes by itself. What only the
identity itself could try (to sign links, to sign in) is read from the policies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from contracts.cloud import ALL_SUBSCRIPTIONS, ALL_TOPICS, DATABASE, FUNCTIONS, INDEXES, JOBS, RIGHTS
from contracts.events import DEAD_LETTERS
from contracts.job import Job
from functions.errors import Failure
from functions.ports import AlreadyExists
from functions.settings import GcpSettings
from infra.ops.gcloud import CloudRefused, gcloud
from infra.ops.keys import connections, key_test
from infra.ops.place import WEB, Place, described, environment
from infra.ops.report import Report, Row, Usage
from infra.ops.smoke import page_check

APIS = Path(__file__).resolve().parents[1] / "terraform" / "apis.tf"
MAX_EXECUTIONS = 1000
"""That Cloud Run lets run at once, in a project and region."""
Found = Iterator[tuple[str, str]]
"""Level and text of each thing that was found."""
Policy = set[tuple[str, str]]
"""Pairs of role (its last part) and member."""
APPLY = "apply the Terraform code again (docs/deploy.md)"


def doctor(place: Place) -> Report:
    """A row per thing that was looked at: ok, warning or problem, and what to do.

    Raises:
        Usage: the installation is on one machine, where nothing of this exists.
    """
    settings = place.runtime.settings
    if not isinstance(settings, GcpSettings):
        raise Usage("doctor looks at an installation on Google Cloud; on one machine, `smoke` says it all")
    checks: dict[str, Callable[[Place, GcpSettings], Found]] = {
        "APIs": _apis,
        "functions": _functions,
        "schedule": _schedule,
        "subscriptions": _subscriptions,
        "rights on topics": _topics,
        "rights on the bucket": _bucket,
        "rights on the database": _documents,
        "rights on trainings": _jobs,
        "signed links": _signing,
        "bucket": _probe,
        "database": _database,
        "page": _page,
        "queues": _queues,
        "Snowflake": _snowflake,
    }
    rows = [row for part, check in checks.items() for row in _looked(part, partial(check, place, settings))]
    return Report(rows, good=all(row["level"] != "problem" for row in rows))


def _looked(part: str, check: Callable[[], Found]) -> list[Row]:
    try:
        found = list(check())
    except (CloudRefused, Usage) as error:
        found = [("problem", f"could not be looked at: {error}")]
    except Failure as error:
        found = [("problem", f"could not be looked at: {error.problem.detail}")]
    return [{"level": level, "part": part, "text": text} for level, text in found or [("ok", "")]]


def _apis(_: Place, settings: GcpSettings) -> Found:
    needed = set(re.findall(r'"([a-z]+\.googleapis\.com)"', APIS.read_text(encoding="utf-8")))
    enabled = {one["config"]["name"] for one in gcloud(settings.project, "services", "list", "--enabled")}
    if missing := sorted(needed - enabled):
        yield "problem", f"not enabled: {', '.join(missing)}; {APPLY}"


def _functions(_: Place, settings: GcpSettings) -> Found:
    services = {one["metadata"]["name"]: one for one in gcloud(settings.project, "run", "services", "list")}
    for name in (*(f"mmm-{function}" for function in FUNCTIONS), WEB):
        if name not in services:
            yield "problem", f"there is no {name}; {APPLY}"
        elif reason := _not_ready(services[name]):
            yield "problem", f"{name} does not serve its newest revision: {reason}"


def _not_ready(service: dict[str, Any]) -> str:
    conditions = service["status"].get("conditions", [])
    ready = next((one for one in conditions if one["type"] == "Ready"), {"status": "Unknown"})
    return "" if ready["status"] == "True" else str(ready.get("message", "no reason is given"))


def _schedule(_: Place, settings: GcpSettings) -> Found:
    words = ("scheduler", "jobs", "describe", "mmm-sweep", f"--location={settings.region}")
    state = gcloud(settings.project, *words)["state"]
    if state != "ENABLED":
        yield "problem", f"mmm-sweep is {state}: `resume --schedule mmm-sweep`"


def _subscriptions(_: Place, settings: GcpSettings) -> Found:
    listed = gcloud(settings.project, "pubsub", "subscriptions", "list")
    known = {one["name"].rsplit("/", 1)[1]: one for one in listed}
    push = _account("push", settings).removeprefix("serviceAccount:")
    for name, wanted in ALL_SUBSCRIPTIONS.items():
        if name not in known:
            yield "problem", f"there is no {name}; {APPLY}"
            continue
        made = known[name]
        pushes_as = made.get("pushConfig", {}).get("oidcToken", {}).get("serviceAccountEmail")
        if pushes_as != push:
            yield "problem", f"{name} pushes as {pushes_as or 'nobody'}, not as {push}; {APPLY}"
        if wanted.dead_letters and "deadLetterPolicy" not in made:
            yield "problem", f"{name} has no dead letters; {APPLY}"
        if made.get("expirationPolicy", {}).get("ttl"):
            yield "problem", f"{name} expires when it is idle; {APPLY}"


def _topics(_: Place, settings: GcpSettings) -> Found:
    for topic in ALL_TOPICS:
        granted = _policy(gcloud(settings.project, "pubsub", "topics", "get-iam-policy", topic))
        for identity, rights in RIGHTS.items():
            if (
                topic in rights.publishes
                and ("pubsub.publisher", _account(identity, settings)) not in granted
            ):
                yield "problem", f"mmm-{identity} may not publish on {topic}; {APPLY}"
        if topic == DEAD_LETTERS and not any("@gcp-sa-pubsub." in member for _role, member in granted):
            yield (
                "problem",
                f"Pub/Sub's own agent may not publish on {topic}; {APPLY}",
            )


def _bucket(_: Place, settings: GcpSettings) -> Found:
    words = ("storage", "buckets", "get-iam-policy", f"gs://{settings.bucket}")
    granted = _policy(gcloud(settings.project, *words))
    for identity, rights in RIGHTS.items():
        roles = {"Reader": rights.reads, "Writer": rights.creates, "Lister": rights.lists}
        for role, prefixes in roles.items():
            if prefixes and (f"mmmObject{role}", _account(identity, settings)) not in granted:
                yield (
                    "problem",
                    f"mmm-{identity} does not have mmmObject{role} on {', '.join(prefixes)}; {APPLY}",
                )
    if any(member in ("allUsers", "allAuthenticatedUsers") for _role, member in granted):
        yield "problem", "the bucket is open to everybody: remove that grant"


def _documents(_: Place, settings: GcpSettings) -> Found:
    granted = _policy(gcloud(settings.project, "projects", "get-iam-policy", settings.project, scoped=False))
    for identity, rights in RIGHTS.items():
        if rights.documents and ("datastore.user", _account(identity, settings)) not in granted:
            yield "problem", f"mmm-{identity} may not use the database; {APPLY}"


def _jobs(_: Place, settings: GcpSettings) -> Found:
    for size, name in settings.trainer_jobs.model_dump(exclude_none=True).items():
        words = ("run", "jobs", "get-iam-policy", name, f"--region={settings.region}")
        granted = _policy(gcloud(settings.project, *words))
        for identity, rights in RIGHTS.items():
            role = {"starts": "mmmLauncher", "stops": "mmmStopper"}.get(rights.runs)
            if role and (role, _account(identity, settings)) not in granted:
                yield "problem", f"mmm-{identity} does not have {role} on {name} ({size}); {APPLY}"


def _signing(_: Place, settings: GcpSettings) -> Found:
    for identity in (name for name, rights in RIGHTS.items() if rights.signs):
        account = _account(identity, settings)
        words = ("iam", "service-accounts", "get-iam-policy", account.removeprefix("serviceAccount:"))
        if ("mmmSigner", account) not in _policy(gcloud(settings.project, *words)):
            yield "problem", f"mmm-{identity} may not sign, so that links to files do not work; {APPLY}"


def _probe(place: Place, _: GcpSettings) -> Found:
    """A name that exists must be refused as such, because all that happens once depends on it."""
    try:
        for _time in range(2):
            place.ports.objects.create("scratch/doctor/probe", b"")
    except AlreadyExists:
        return
    yield "problem", "the bucket let an object be created twice under one name"


def _database(place: Place, settings: GcpSettings) -> Found:
    place.ports.jobs.find(Job, limit=1)
    words = ("firestore", "indexes", "composite", "list", f"--database={DATABASE}")
    ready = [one for one in gcloud(settings.project, *words) or [] if one.get("state") == "READY"]
    if len(ready) < len(INDEXES):
        yield "problem", f"{len(ready)} of {len(INDEXES)} indexes are ready: wait, or {APPLY}"


def _page(place: Place, settings: GcpSettings) -> Found:
    row = page_check(place)
    if not row["good"]:
        yield "problem", f"{row['step']}: not so: {row['note']}"
    number = gcloud(settings.project, "projects", "describe", settings.project, scoped=False)["projectNumber"]
    wanted = f"/projects/{number}/locations/{settings.region}/services/{WEB}"
    given = environment(described(settings.project, WEB)).get("iap_audience")
    if given != wanted:
        yield "problem", f"the page expects assertions for {given}, and gets them for {wanted}; {APPLY}"


def _queues(_: Place, settings: GcpSettings) -> Found:
    slots = sum(settings.queues.values())
    if slots > MAX_EXECUTIONS:
        yield "problem", f"queues allow {slots} trainings at once, Cloud Run {MAX_EXECUTIONS}: lower `queues`"
    cpu = slots * max(job.cpu for job in JOBS.values() if job.engine in settings.engines)
    yield "warning", f"full queues use up to {cpu} vCPU a task: compare with the region's quota of Cloud Run"


def _snowflake(_: Place, settings: GcpSettings) -> Found:
    for name in connections(settings.project):
        for row in key_test(settings.project, name, None).rows:
            yield row["level"], f"{name}: {row['text']}"


def _account(identity: str, settings: GcpSettings) -> str:
    return f"serviceAccount:mmm-{identity}@{settings.project}.iam.gserviceaccount.com"


def _policy(answer: dict[str, Any]) -> Policy:
    return {
        (re.sub(r".*roles/", "", binding["role"]), member)
        for binding in answer.get("bindings", [])
        for member in binding.get("members", [])
    }
