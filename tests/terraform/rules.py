"""What must hold of an applied configuration. Each rule yields what is wrong; none is read from the HCL.

The rules speak of what Terraform says of its state, as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import patch

from contracts import cloud
from functions.settings import GcpSettings, GcpTrainerSettings, PeopleSettings
from tests.terraform.given import ARCHIVE, PROJECT

Json = dict[str, Any]
BUCKET = f"{PROJECT}-mmm"
PRIMITIVE = ("roles/owner", "roles/editor", "roles/viewer")
AGENT = "serviceAccount:service-123456789@gcp-sa-{}.iam.gserviceaccount.com"
PUSH = f"serviceAccount:mmm-push@{PROJECT}.iam.gserviceaccount.com"
NEVER_MADE = (
    "google_service_account_key", "google_secret_manager_secret_version", "google_project_iam_binding",
    "google_project_iam_policy", "google_storage_bucket_iam_binding", "google_storage_bucket_iam_policy",
    "google_storage_hmac_key",
)  # fmt: skip
"""Keys, secrets' contents, and grants that would wipe those of others."""
PROTECTED = ("sources/", "training-configs/", "outcomes/", "model_summary/", "robyn/")
"""Prefixes whose objects nothing deletes."""


class Made:
    """The resources of an applied configuration."""

    def __init__(self, state: Json) -> None:
        self.resources: list[Json] = state["values"]["root_module"]["resources"]

    def of(self, kind: str, name: str = "") -> list[Json]:
        """The values of every resource of a type, or of one block of HCL."""
        return [one["values"] for one in self._of(kind, name)]

    def keyed(self, kind: str, name: str) -> dict[str, Json]:
        """The values of the resources of one block of HCL, by their key in it."""
        return {one["index"]: one["values"] for one in self._of(kind, name)}

    def one(self, kind: str, name: str) -> Json:
        (found,) = self.of(kind, name)
        return found

    def _of(self, kind: str, name: str) -> list[Json]:
        return [
            one for one in self.resources
            if one["mode"] == "managed" and one["type"] == kind and name in ("", one["name"])
        ]  # fmt: skip

    def members(self, kind: str) -> list[Json]:
        """Every grant on resources of a kind (`storage_bucket`, `project`, …), or of all."""
        return [
            {**one["values"], "type": one["type"]} for one in self.resources
            if one["type"].endswith("_iam_member") and kind in one["type"]
        ]  # fmt: skip


def account(identity: str) -> str:
    return f"serviceAccount:mmm-{identity}@{PROJECT}.iam.gserviceaccount.com"


def topics(made: Made) -> Iterator[str]:
    names = {topic["name"] for topic in made.of("google_pubsub_topic")}
    if names != set(cloud.ALL_TOPICS):
        yield f"topics differ from the contract: {names ^ set(cloud.ALL_TOPICS)}"


def subscriptions(made: Made) -> Iterator[str]:
    found = {one["name"]: one for one in made.of("google_pubsub_subscription")}
    if set(found) != set(cloud.ALL_SUBSCRIPTIONS):
        yield f"subscriptions differ from the contract: {set(found) ^ set(cloud.ALL_SUBSCRIPTIONS)}"
        return
    for name, wanted in cloud.ALL_SUBSCRIPTIONS.items():
        yield from (f"subscription {name}: {problem}" for problem in _subscription(found[name], wanted))


def _subscription(one: Json, wanted: cloud.Subscription) -> Iterator[str]:
    push = one["push_config"][0]
    token = push["oidc_token"]
    if one["topic"] != f"id/{wanted.topic}":
        yield f"topic {one['topic']}"
    if not push["push_endpoint"].startswith(f"https://mmm-{wanted.function}-"):
        yield f"pushes to {push['push_endpoint']}"
    if not token or token[0]["service_account_email"] != PUSH.partition(":")[2]:
        yield "does not push as the account for it"
    if push.get("no_wrapper"):
        yield "takes the envelope off, from which functions read id and delivery"
    if one["ack_deadline_seconds"] != 600 or one["ack_deadline_seconds"] <= cloud.TIMEOUT_S:
        yield f"ack deadline {one['ack_deadline_seconds']}"
    if one["message_retention_duration"] != f"{wanted.retention_s}s":
        yield f"retention {one['message_retention_duration']}"
    if [policy["ttl"] for policy in one["expiration_policy"]] != [""]:
        yield "expires when idle"
    if [list(map(policy.get, ("minimum_backoff", "maximum_backoff"))) for policy in one["retry_policy"]] != [
        ["10s", "600s"]
    ]:
        yield "back-off"
    dead = [
        (policy["dead_letter_topic"], policy["max_delivery_attempts"]) for policy in one["dead_letter_policy"]
    ]
    if dead != ([("id/dead-letters", 20)] if wanted.dead_letters else []):
        yield f"dead letters {dead}"
    if one.get("filter"):
        yield "filters messages, whose attributes are the platform's own"


def delivery_rights(made: Made) -> Iterator[str]:
    agent = AGENT.format("pubsub")
    token = [one["member"] for one in made.members("service_account") if one["role"].endswith("TokenCreator")]
    if token != [agent]:
        yield f"tokens of push are made by {token}"
    if agent not in [
        one["member"] for one in made.members("pubsub_topic") if one["topic"] == "id/dead-letters"
    ]:
        yield "Pub/Sub may not publish dead letters: they silently never happen"
    subscribed = {
        one["subscription"] for one in made.members("pubsub_subscription") if one["member"] == agent
    }
    needed = {f"id/{name}" for name, one in cloud.ALL_SUBSCRIPTIONS.items() if one.dead_letters}
    if subscribed != needed:
        yield f"Pub/Sub may not take dead letters from {needed ^ subscribed}"
    bucket = {one["topic"] for one in made.members("pubsub_topic") if "gs-project-accounts" in one["member"]}
    if bucket != {f"id/{topic}" for topic in cloud.NOTIFIED_PREFIXES.values()}:
        yield f"the bucket may publish to {bucket}"


def notifications(made: Made) -> Iterator[str]:
    found = {one["object_name_prefix"]: one["topic"] for one in made.of("google_storage_notification")}
    if found != {prefix: f"id/{topic}" for prefix, topic in cloud.NOTIFIED_PREFIXES.items()}:
        yield f"notifications: {found}"
    kinds = {(one["payload_format"], *one["event_types"]) for one in made.of("google_storage_notification")}
    if kinds != {("JSON_API_V1", "OBJECT_FINALIZE")}:
        yield f"notifications of {kinds}"


def buckets(made: Made) -> Iterator[str]:
    for bucket in made.of("google_storage_bucket"):
        if not bucket["uniform_bucket_level_access"] or bucket["public_access_prevention"] != "enforced":
            yield f"bucket {bucket['name']} could be opened to the public"
        if bucket["force_destroy"]:
            yield f"bucket {bucket['name']} can be destroyed with its objects"
    data = made.one("google_storage_bucket", "data")
    deleted: dict[str, int] = {}
    for rule in data["lifecycle_rule"]:
        (condition,), (action,) = rule["condition"], rule["action"]
        if action["type"] == "Delete":
            deleted |= dict.fromkeys(condition["matches_prefix"] or [""], condition["age"])
    wanted = {name: one.delete_after for name, one in cloud.PREFIXES.items() if one.delete_after}
    if deleted != wanted:
        yield f"objects are deleted after {deleted}, not {wanted}"
    if lost := [prefix for prefix in deleted if prefix in PROTECTED or not prefix]:
        yield f"{lost} would be deleted"


def functions(made: Made) -> Iterator[str]:
    found = {one["name"].removeprefix("mmm-"): one for one in made.of("google_cloudfunctions2_function")}
    if set(found) != set(cloud.FUNCTIONS):
        yield f"functions differ from the contract: {set(found) ^ set(cloud.FUNCTIONS)}"
    for name in set(found) & set(cloud.FUNCTIONS):
        yield from (f"function {name}: {problem}" for problem in _function(name, found[name]))


def _function(name: str, one: Json) -> Iterator[str]:
    wanted, build, config = cloud.FUNCTIONS[name], one["build_config"][0], one["service_config"][0]
    if config["ingress_settings"] != "ALLOW_INTERNAL_ONLY":
        yield f"ingress {config['ingress_settings']}"
    if f"serviceAccount:{config['service_account_email']}" != account(name):
        yield f"runs as {config['service_account_email']}"
    if (build["entry_point"], build["source"][0]["storage_source"][0]["object"]) != (name, ARCHIVE):
        yield "entry point or archive"
    told = [config["available_memory"], config["max_instance_count"], config["timeout_seconds"]]
    if told != [wanted.memory, wanted.max_instances, wanted.timeout_s]:
        yield f"memory, instances, timeout {told}"
    threads = config["environment_variables"]["THREADS"]
    if [config["max_instance_request_concurrency"], int(threads)] != [wanted.concurrency] * 2:
        yield f"{threads} threads for {config['max_instance_request_concurrency']} requests at once"
    if config["min_instance_count"]:
        yield "idles at a price"
    if any(volume["versions"][0]["version"] != "latest" for volume in config["secret_volumes"]):
        yield "a new key needs a deployment"


def invokers(made: Made) -> Iterator[str]:
    found = {
        one["name"]: one["member"]
        for one in made.members("cloud_run_v2_service")
        if one["role"] == "roles/run.invoker"
    }
    wanted = dict.fromkeys((f"mmm-{name}" for name in cloud.FUNCTIONS), PUSH) | {
        "mmm-web": AGENT.format("iap")
    }
    if found != wanted or len(made.members("cloud_run_v2_service")) != len(wanted):
        yield f"services are invoked by {found}"


def page(made: Made) -> Iterator[str]:
    web = made.one("google_cloud_run_v2_service", "web")
    template = web["template"][0]
    if web["iap_enabled"] is not True or web["invoker_iam_disabled"]:
        yield "the page is not behind Identity-Aware Proxy"
    if f"serviceAccount:{template['service_account']}" != account("web"):
        yield f"the page runs as {template['service_account']}"
    if template["max_instance_request_concurrency"] != cloud.WEB.concurrency:
        yield "concurrency of the page"
    if not re.search(r"@sha256:[0-9a-f]{64}$", template["containers"][0]["image"]):
        yield "the page's image has no digest"
    if any(one["member"].startswith("all") for one in made.members("iap")):
        yield "everybody gets past Identity-Aware Proxy"


def trainers(made: Made) -> Iterator[str]:
    for size, job in made.keyed("google_cloud_run_v2_job", "trainer").items():
        yield from (f"job of size {size}: {problem}" for problem in _trainer(size, job))


def _trainer(size: str, job: Json) -> Iterator[str]:
    wanted, template = cloud.JOBS[size], job["template"][0]
    task = template["template"][0]
    container = task["containers"][0]
    if job["name"] != f"trainer-{size}":
        yield f"is called {job['name']}"
    if task["max_retries"] != cloud.TASK_RETRIES or task["timeout"] != f"{cloud.TASK_TIMEOUT_S}s":
        yield f"retries {task['max_retries']}, timeout {task['timeout']}"
    if template["parallelism"] or template["task_count"] != 1:
        yield "tasks of a definition"
    if f"serviceAccount:{task['service_account']}" != account("trainer"):
        yield f"runs as {task['service_account']}"
    if container["resources"][0]["limits"] != {"cpu": str(wanted.cpu), "memory": wanted.memory}:
        yield f"has {container['resources'][0]['limits']}"
    if not re.search(r"@sha256:[0-9a-f]{64}$", container["image"]):
        yield "its image has no digest"
    if {"JOB_ID", "ATTEMPT"} & {pair["name"] for pair in container["env"]}:
        yield "names a job of its own"


def rights(made: Made) -> Iterator[str]:
    """What is granted is what the contract says, to each identity, and nothing else is granted to it."""
    for identity, contract in cloud.RIGHTS.items():
        granted, wanted = granted_to(made, account(identity)), wanted_of(made, contract)
        if granted != wanted:
            yield f"rights of {identity}: {sorted(granted ^ wanted)}"
    roles = {one["role_id"]: set(one["permissions"]) for one in made.of("google_project_iam_custom_role")}
    if any(
        "setIamPolicy" in permission or "*" in permission for given in roles.values() for permission in given
    ):
        yield "a custom role lets somebody change rights"
    if roles.get("mmmObjectWriter") != {
        "storage.objects.create",
        "storage.objects.get",
        "storage.objects.delete",
    }:
        yield "mmmObjectWriter"
    if roles.get("mmmStopper") != {"run.executions.get", "run.executions.list", "run.executions.cancel"}:
        yield "mmmStopper"


def wanted_of(made: Made, wanted: cloud.Rights) -> set[str]:
    """What the contract grants, where the jobs and the connections are those that are installed."""
    sizes = made.keyed("google_cloud_run_v2_job", "trainer")
    rights = {right for right in wanted.flat() if not right.startswith(("document:", "run:"))}
    rights |= {"documents"} if wanted.documents else set()
    rights |= {f"{wanted.runs} {size}" for size in sizes} if wanted.runs != "none" else set()
    rights |= {"acts as trainer"} if wanted.runs == "starts" else set()
    rights |= {"signs"} if wanted.signs else set()
    if wanted.warehouses:
        rights |= {"secrets"} if made.of("google_secret_manager_secret") else set()
        rights |= {"bigquery"} if made.of("google_bigquery_dataset_iam_member") else set()
    return rights


def granted_to(made: Made, member: str) -> set[str]:
    """Everything that one account is granted, in the words of the contract where it has some."""
    grants = [one for one in made.members("") if one["member"] == member]
    return {right for grant in grants for right in _granted(grant)}


def _granted(grant: Json) -> Iterator[str]:
    role, condition = grant["role"].rpartition("/")[2], (grant.get("condition") or [{}])[0]
    expression = condition.get("expression", "")
    match grant["type"], role:
        case "google_pubsub_topic_iam_member", "pubsub.publisher":
            yield f"publish:{grant['topic'].removeprefix('id/')}"
        case "google_storage_bucket_iam_member", "mmmObjectReader" | "mmmObjectWriter":
            verb = "read" if role == "mmmObjectReader" else "create"
            start = re.escape(f"projects/_/buckets/{BUCKET}/objects/")
            yield from (
                f"{verb}:{prefix}"
                for prefix in _prefixes(expression, rf'resource\.name\.startsWith\("{start}')
            )
        case "google_storage_bucket_iam_member", "mmmObjectLister":
            attribute = r'api\.getAttribute\("storage\.googleapis\.com/objectListPrefix", ""\)\.startsWith\("'
            yield from (f"list:{prefix}" for prefix in _prefixes(expression, attribute))
        case "google_project_iam_member", "datastore.user" if (
            expression == f'resource.name == "projects/{PROJECT}/databases/{cloud.DATABASE}"'
        ):
            yield "documents"
        case "google_cloud_run_v2_job_iam_member", "mmmLauncher" | "mmmStopper":
            verb = "starts" if role == "mmmLauncher" else "stops"
            yield f"{verb} {grant['name'].removeprefix('trainer-')}"
        case "google_service_account_iam_member", "iam.serviceAccountUser" if (
            grant["service_account_id"] == "name/mmm-trainer"
        ):
            yield "acts as trainer"
        case "google_service_account_iam_member", "mmmSigner" if (
            grant["service_account_id"] == "name/mmm-web"
        ):
            yield "signs"
        case "google_secret_manager_secret_iam_member", "secretmanager.secretAccessor":
            yield "secrets"
        case "google_project_iam_member", "bigquery.jobUser" | "bigquery.readSessionUser":
            yield "bigquery"
        case "google_bigquery_dataset_iam_member", "bigquery.dataViewer":
            yield "bigquery"
        case _:
            yield f"{grant['type']} {role} {expression}"


def _prefixes(expression: str, start: str) -> list[str]:
    """The prefixes of a condition, which says nothing else; otherwise all of it."""
    parts = [re.fullmatch(rf'{start}([^"]+)"\)', part) for part in expression.split(" || ")]
    return [part[1] for part in parts if part] if all(parts) else [f"everything where {expression!r}"]


def nobody_else(made: Made) -> Iterator[str]:
    for grant in made.members(""):
        if grant["member"] in ("allUsers", "allAuthenticatedUsers"):
            yield f"{grant['type']} {grant['role']} for {grant['member']}"
        if grant["role"] in PRIMITIVE:
            yield f"a primitive role: {grant['role']}"
    for kind in NEVER_MADE:
        if made.of(kind):
            yield f"there is a {kind}"


def _way(field: Mapping[str, Any]) -> str:
    """How a field is in an index of Firestore: in an order, or each of its values."""
    return str(field["order"] or field["array_config"])


def database(made: Made) -> Iterator[str]:
    base = made.one("google_firestore_database", "this")
    if (base["name"], base["type"], base["database_edition"]) != (
        cloud.DATABASE,
        "FIRESTORE_NATIVE",
        "STANDARD",
    ):
        yield "kind of database"
    if base["delete_protection_state"] != "DELETE_PROTECTION_ENABLED" or base["deletion_policy"] != "ABANDON":
        yield "the database can be deleted"
    indexes = {
        (one["collection"], *((field["field_path"], _way(field)) for field in one["fields"]))
        for one in made.of("google_firestore_index")
    }
    wanted = {(index.collection, *index.columns) for index in cloud.INDEXES}
    if indexes != wanted:
        yield f"indexes: {indexes ^ wanted}"
    expiring = {one["collection"] for one in made.of("google_firestore_field") if one["ttl_config"]}
    if expiring != set(cloud.EXPIRING):
        yield f"documents expire in {expiring}"


def secrets(made: Made) -> Iterator[str]:
    for secret in made.of("google_secret_manager_secret"):
        if not secret["deletion_protection"]:
            yield f"secret {secret['secret_id']} can be deleted"


def clock(made: Made) -> Iterator[str]:
    tick = made.one("google_cloud_scheduler_job", "tick")
    if (tick["schedule"], tick["pubsub_target"][0]["topic_name"]) != ("* * * * *", f"id/{cloud.SWEEP_TICKS}"):
        yield "the clock of the sweep"


def watching(made: Made) -> Iterator[str]:
    metered = [
        alert["display_name"]
        for alert in made.of("google_monitoring_alert_policy")
        if any(one["condition_threshold"] or one["condition_absent"] for one in alert["conditions"])
    ]
    if len(metered) > 2:
        yield f"conditions on metrics are billed each: {metered}"
    if silent := [
        one["display_name"]
        for one in made.of("google_monitoring_alert_policy")
        if not one["notification_channels"]
    ]:
        yield f"nobody is told of {silent}"
    board = json.loads(made.one("google_monitoring_dashboard", "this")["dashboard_json"])
    tiles = board["mosaicLayout"]["tiles"]
    if len(tiles) > 50:
        yield f"{len(tiles)} widgets; the platform takes 50"
    metrics = {one["name"] for one in made.of("google_logging_metric")}
    used = set(re.findall(r"logging\.googleapis\.com/user/([\w/]+)", json.dumps(board)))
    if used - metrics or metrics - used:
        yield f"metrics used but not made, or made but not used: {used ^ metrics}"


def settings(made: Made) -> Iterator[str]:
    """What processes are told is what their settings want."""
    for one in made.of("google_cloudfunctions2_function"):
        variables = one["service_config"][0]["environment_variables"]
        given = read(GcpSettings, variables)
        if (given.bucket, given.project, given.database) != (BUCKET, PROJECT, cloud.DATABASE):
            yield f"{one['name']} works elsewhere"
        if bool(given.snowflake) != (
            one["name"] == "mmm-extract" and bool(made.of("google_secret_manager_secret"))
        ):
            yield f"connections of {one['name']}"
        mounted = {
            f"{volume['mount_path']}/{volume['versions'][0]['path']}"
            for volume in one["service_config"][0]["secret_volumes"]
        }
        files = {str(login.private_key_file) for login in given.snowflake.values()}
        if files - mounted:
            yield f"{one['name']} looks for {files - mounted}"
    made_jobs = {one["name"] for one in made.of("google_cloud_run_v2_job")}
    web = {
        pair["name"]: pair["value"]
        for pair in made.one("google_cloud_run_v2_service", "web")["template"][0]["containers"][0]["env"]
    }
    named = set(read(GcpSettings, web).trainer_jobs.model_dump(exclude_none=True).values())
    if named != made_jobs:
        yield f"jobs that are named and jobs that are made: {named ^ made_jobs}"
    if bool(read(GcpSettings, web).snowflake) != bool(made.of("google_secret_manager_secret")):
        yield "connections that requests sent to the page can name"
    people, region = read(PeopleSettings, web), read(GcpSettings, web).region
    if (
        people.iap_audience != f"/projects/123456789/locations/{region}/services/mmm-web"
        or not people.editors
    ):
        yield f"people of the page: {people}"
    for job in made.of("google_cloud_run_v2_job"):
        env = {
            pair["name"]: pair["value"] for pair in job["template"][0]["template"][0]["containers"][0]["env"]
        }
        if read(GcpTrainerSettings, env).bucket != BUCKET:
            yield f"{job['name']} works elsewhere"


def read(model: type[Any], variables: dict[str, str]) -> Any:
    """The settings that a process reads from its environment."""
    with patch.dict("os.environ", variables, clear=True):
        return model()


RULES: tuple[Callable[[Made], Iterator[str]], ...] = (
    topics, subscriptions, delivery_rights, notifications, buckets, functions, invokers, page, trainers,
    rights, nobody_else, database, secrets, clock, watching, settings,
)  # fmt: skip


def problems(state: Json) -> list[str]:
    """Everything that is wrong with an applied configuration."""
    made = Made(state)
    return [problem for rule in RULES for problem in rule(made)]
