"""What only a cloud can show: whether an installation is whole, and each identity has its rights.

Nothing is changed, except for one object under `scratch/`, which the bucket removes by itself. What an
identity may do is read from the policies, conditions included. testIamPermissions would have to be asked as
that identity, and knows the bucket as a whole only, for which no condition on a prefix holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from contracts.cloud import ALL_SUBSCRIPTIONS, ALL_TOPICS, DATABASE, FUNCTIONS, INDEXES, JOBS, RIGHTS
from contracts.events import DEAD_LETTERS, NOTIFIED_PREFIXES
from contracts.job import Job
from functions.errors import Failure
from functions.launch.sizes import MAX_TASKS
from functions.ports import AlreadyExists
from functions.settings import GcpSettings
from infra.ops.gcloud import CloudRefused, gcloud
from infra.ops.keys import connections, key_test
from infra.ops.place import EXTRACT, WEB, Place, described, environment
from infra.ops.report import Report, Row, Usage
from infra.ops.smoke import page_check

APIS = Path(__file__).resolve().parents[1] / "terraform" / "apis.tf"
MAX_EXECUTIONS = 1000
"""That Cloud Run lets run at once, in a project and region."""
Found = Iterator[tuple[str, str]]
"""Level and text of each thing that was found."""
Policy = dict[tuple[str, str], list[str]]
"""Role (its last part) and member → the conditions of each grant; an empty one is none."""
PUBLIC = ("allUsers", "allAuthenticatedUsers")
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
        "rights of push": _push,
        "rights of Google's agents": _agents,
        "signed links": _signing,
        "bucket": _probe,
        "database": _database,
        "page": _page,
        "queues": _queues,
        "Snowflake": _snowflake,
        "BigQuery": _bigquery,
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
        yield from _pushes_to(name, wanted.function, made.get("pushConfig", {}))


def _pushes_to(subscription: str, function: str, config: dict[str, Any]) -> Found:
    """A token is for one address: where it is sent, and whom it is made for, must be the function's."""
    address = config.get("pushEndpoint", "")
    audience = config.get("oidcToken", {}).get("audience", address)
    if not address.startswith(f"https://mmm-{function}-"):
        yield "problem", f"{subscription} pushes to {address or 'nowhere'}, not to mmm-{function}; {APPLY}"
    elif audience != address:
        yield "problem", f"{subscription} pushes to {address} with a token for {audience}; {APPLY}"


def _topics(_: Place, settings: GcpSettings) -> Found:
    for topic in ALL_TOPICS:
        granted = _policy(gcloud(settings.project, "pubsub", "topics", "get-iam-policy", topic))
        for identity, rights in RIGHTS.items():
            if (
                topic in rights.publishes
                and ("pubsub.publisher", _account(identity, settings)) not in granted
            ):
                yield "problem", f"mmm-{identity} may not publish on {topic}; {APPLY}"


def _bucket(_: Place, settings: GcpSettings) -> Found:
    words = ("storage", "buckets", "get-iam-policy", f"gs://{settings.bucket}")
    granted = _policy(gcloud(settings.project, *words))
    for identity, rights in RIGHTS.items():
        roles = {"Reader": rights.reads, "Writer": rights.creates, "Lister": rights.lists}
        for role, prefixes in roles.items():
            conditions = granted.get((f"mmmObject{role}", _account(identity, settings)), [])
            missing = [prefix for prefix in prefixes if not _allowed(conditions, f'{prefix}"')]
            if missing:
                where = ", ".join(missing)
                yield "problem", f"mmm-{identity} does not have mmmObject{role} on {where}; {APPLY}"
    if any(member in PUBLIC for _role, member in granted):
        yield "problem", "the bucket is open to everybody: remove that grant"


def _documents(_: Place, settings: GcpSettings) -> Found:
    granted = _policy(gcloud(settings.project, "projects", "get-iam-policy", settings.project, scoped=False))
    for identity, rights in RIGHTS.items():
        conditions = granted.get(("datastore.user", _account(identity, settings)), [])
        if rights.documents and not _allowed(conditions, f'/databases/{settings.database}"'):
            yield "problem", f"mmm-{identity} may not use the database {settings.database}; {APPLY}"


def _jobs(_: Place, settings: GcpSettings) -> Found:
    for size, name in settings.trainer_jobs.model_dump(exclude_none=True).items():
        words = ("run", "jobs", "get-iam-policy", name, f"--region={settings.region}")
        granted = _policy(gcloud(settings.project, *words))
        for identity, rights in RIGHTS.items():
            role = {"starts": "mmmLauncher", "stops": "mmmStopper"}.get(rights.runs)
            if role and (role, _account(identity, settings)) not in granted:
                yield "problem", f"mmm-{identity} does not have {role} on {name} ({size}); {APPLY}"


def _push(_: Place, settings: GcpSettings) -> Found:
    """Only Pub/Sub's deliveries may call the functions."""
    for name in FUNCTIONS:
        granted = _invokers(f"mmm-{name}", settings)
        if ("run.invoker", _account("push", settings)) not in granted:
            yield "problem", f"mmm-push may not call mmm-{name}; {APPLY}"
        if any(member in PUBLIC for _role, member in granted):
            yield "problem", f"everybody may call mmm-{name}: remove that grant"


def _agents(_: Place, settings: GcpSettings) -> Found:
    """Without these rights messages, dead letters and notifications are never sent, and nobody says so."""
    number = _number(settings)
    pubsub = f"serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    bucket = f"serviceAccount:service-{number}@gs-project-accounts.iam.gserviceaccount.com"
    iap = f"serviceAccount:service-{number}@gcp-sa-iap.iam.gserviceaccount.com"
    project, topics = settings.project, ("pubsub", "topics", "get-iam-policy")
    account = _account("push", settings).removeprefix("serviceAccount:")
    tokens = _policy(gcloud(project, "iam", "service-accounts", "get-iam-policy", account))
    if ("iam.serviceAccountTokenCreator", pubsub) not in tokens:
        yield "problem", f"Pub/Sub's agent may not make tokens of mmm-push: nothing is delivered; {APPLY}"
    if ("pubsub.publisher", pubsub) not in _policy(gcloud(project, *topics, DEAD_LETTERS)):
        yield "problem", f"Pub/Sub's agent may not publish on {DEAD_LETTERS}; {APPLY}"
    for name in (name for name, one in ALL_SUBSCRIPTIONS.items() if one.dead_letters):
        granted = _policy(gcloud(project, "pubsub", "subscriptions", "get-iam-policy", name))
        if ("pubsub.subscriber", pubsub) not in granted:
            yield "problem", f"Pub/Sub's agent may not take dead letters from {name}; {APPLY}"
    for topic in NOTIFIED_PREFIXES.values():
        if ("pubsub.publisher", bucket) not in _policy(gcloud(project, *topics, topic)):
            yield "problem", f"the bucket's agent may not publish on {topic}: uploads go unnoticed; {APPLY}"
    if ("run.invoker", iap) not in _invokers(WEB, settings):
        yield "problem", f"Identity-Aware Proxy's agent may not call {WEB}: nobody sees the page; {APPLY}"


def _invokers(service: str, settings: GcpSettings) -> Policy:
    words = ("run", "services", "get-iam-policy", service, f"--region={settings.region}")
    return _policy(gcloud(settings.project, *words))


def _number(settings: GcpSettings) -> str:
    words = ("projects", "describe", settings.project)
    return str(gcloud(settings.project, *words, scoped=False)["projectNumber"])


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
    wanted = f"/projects/{_number(settings)}/locations/{settings.region}/services/{WEB}"
    given = environment(described(settings.project, WEB)).get("iap_audience")
    if given != wanted:
        yield "problem", f"the page expects assertions for {given}, and gets them for {wanted}; {APPLY}"


def _queues(_: Place, settings: GcpSettings) -> Found:
    slots = sum(settings.queues.values())
    if slots > MAX_EXECUTIONS:
        yield "problem", f"queues allow {slots} trainings at once, Cloud Run {MAX_EXECUTIONS}: lower `queues`"
    jobs = [job for job in JOBS.values() if job.engine in settings.engines]
    most = {
        "CpuAllocPerProjectRegion": ("vCPU", max(job.cpu for job in jobs), 1000),
        "MemAllocPerProjectRegion": ("GiB", max(int(job.memory.removesuffix("Gi")) for job in jobs), 2**30),
    }
    for quota, (unit, each, scale) in most.items():
        allowed = _quota(quota, settings)
        if allowed is None:
            yield "warning", f"the quota {quota} of {settings.region} is not told: look at it in the console"
        elif allowed < slots * each * scale:
            yield (
                "problem",
                f"full queues use {slots * each:,} {unit} with a task each, up to {MAX_TASKS} times as much, "
                f"and {settings.region} allows {allowed / scale:,.0f}: ask for more, or lower `queues`",
            )


def _quota(name: str, settings: GcpSettings) -> float | None:
    """A quota of Cloud Run in the installation's region; None if there is none, or it is unlimited."""
    words = ("beta", "quotas", "info", "describe", name, "--service=run.googleapis.com")
    for one in gcloud(settings.project, *words).get("dimensionsInfos", []):
        value = one.get("details", {}).get("value")
        if settings.region in one.get("applicableLocations", []) and value is not None and int(value) >= 0:
            return float(value)
    return None


def _snowflake(_: Place, settings: GcpSettings) -> Found:
    for name in connections(settings.project):
        for row in key_test(settings.project, name, None).rows:
            yield row["level"], f"{name}: {row['text']}"


def _bigquery(_: Place, settings: GcpSettings) -> Found:
    member = _account("extract", settings)
    for name, one in environment(described(settings.project, EXTRACT)).get("bigquery", {}).items():
        policy = _policy(gcloud(one["project"], "projects", "get-iam-policy", one["project"], scoped=False))
        for role in ("bigquery.jobUser", "bigquery.readSessionUser"):
            if (role, member) not in policy:
                yield "problem", f"{name}: extract lacks {role} in the project {one['project']}; {APPLY}"


def _account(identity: str, settings: GcpSettings) -> str:
    return f"serviceAccount:mmm-{identity}@{settings.project}.iam.gserviceaccount.com"


def _policy(answer: dict[str, Any]) -> Policy:
    found: Policy = {}
    for binding in answer.get("bindings", []):
        condition = binding.get("condition", {}).get("expression", "")
        for member in binding.get("members", []):
            found.setdefault((re.sub(r".*roles/", "", binding["role"]), member), []).append(condition)
    return found


def _allowed(conditions: list[str], name: str) -> bool:
    """Whether one of the grants has no condition, or one that names this."""
    return any(not condition or name in condition for condition in conditions)
