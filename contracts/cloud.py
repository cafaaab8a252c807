"""What code and cloud must agree on: names, sizes, rights, indexes.

`make schemas` writes it as infra/terraform/names.json, and Terraform loops over that.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from contracts.engines import EngineName
from contracts.events import (
    BATCH_REQUESTS,
    BATCH_STEPS,
    CHECKS,
    DEAD_LETTERS,
    JOB_FINISHED,
    NOTIFIED_PREFIXES,
    SOURCE_CHECKS,
    SUBSCRIPTIONS,
    SWEEP_REQUESTS,
    TOPICS,
    TRAIN_REQUESTS,
    TRAINING_FINISHED,
    TRAINING_READY,
)
from contracts.names import BATCHES, PREVIEWS, SELFTEST

DATABASE = "mmm"
SWEEP_TICKS = "sweep-ticks"
"""The topic of the clock. Its messages are worth nothing after a while, unlike those of `sweep-requests`."""
DAY_S = 24 * 3600
ACK_S = 600
TIMEOUT_S = 540
"""A function ends before its message is delivered to another instance."""


@dataclass(frozen=True)
class Subscription:
    """One push subscription; messages that cannot be delivered go to the dead letters, if it has any."""

    topic: str
    function: str
    retention_s: int = 7 * DAY_S
    dead_letters: bool = True


@dataclass(frozen=True)
class Prefix:
    """How objects under one prefix of the bucket age, in days; None: never. `variable` lets people choose."""

    delete_after: int | None = None
    nearline_after: int | None = None
    coldline_after: int | None = None
    variable: str | None = None


@dataclass(frozen=True)
class Function:
    """What one instance of a function has, and how many there may be."""

    memory: str = "512Mi"
    concurrency: int = 1
    max_instances: int = 5
    timeout_s: int = TIMEOUT_S


@dataclass(frozen=True)
class Job:
    """What one task of a training has, and the image it runs."""

    engine: EngineName
    cpu: int
    memory: str
    image: Literal["trainer-native", "trainer"]


@dataclass(frozen=True)
class Rights:
    """What one identity may do, and no more. Prefixes are those of the bucket.

    `creates` includes deleting: Cloud Storage asks for that right of whoever writes a name that exists, also
    when the write is refused because of it.
    """

    publishes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    runs: Literal["none", "stops", "starts"] = "none"
    warehouses: bool = False
    """Whether it queries warehouses: their secrets, and BigQuery's datasets."""
    signs: bool = False
    seldom: dict[str, str] = field(default_factory=dict)
    """What is needed in rare moments only → why; named as in `flat`."""

    def flat(self) -> set[str]:
        """Every right as `verb:object`."""
        verbs = {"publish": self.publishes, "read": self.reads, "create": self.creates, "list": self.lists}
        rights = {f"{verb}:{name}" for verb, names in verbs.items() for name in names}
        rights |= {f"document:{kind}" for kind in self.documents}
        if self.runs != "none":
            rights.add("run:stop")
        if self.runs == "starts":
            rights.add("run:start")
        return rights


Direction = Literal["ASCENDING", "DESCENDING"]
Order = tuple[tuple[str, Direction], ...]
"""Fields of a stored document and their directions; `created` is the time of creation."""
NEWEST: Order = (("created", "DESCENDING"),)
REQUESTED: Order = (("request_id", "DESCENDING"), ("created", "DESCENDING"))
ACCEPTED: Order = (("accepted_at", "DESCENDING"),)
DUE: Order = (("deadline", "ASCENDING"),)
PASSED: dict[str, Order] = {"deadline": DUE, "since": (("since", "ASCENDING"),)}
"""By each time that is asked whether it has come, the earliest first."""
TURN: Order = (("lane", "ASCENDING"), ("priority", "DESCENDING"), ("created", "ASCENDING"))


@dataclass(frozen=True)
class Index:
    """What one kind of query needs: it asks for equality on the fields, and wants this order.

    A query for the fields of several indexes of one order needs no index of its own: they are merged.
    """

    collection: str
    fields: tuple[str, ...]
    order: Order = NEWEST

    @property
    def columns(self) -> tuple[tuple[str, Direction | Literal["CONTAINS"]], ...]:
        """All fields of the index, as paths in a stored document."""
        asked: list[tuple[str, Direction | Literal["CONTAINS"]]] = [
            (name, "CONTAINS" if name in LISTS else "ASCENDING") for name in self.fields
        ]
        every = (*asked, *self.order)
        return tuple((name if name == "created" else f"fields.{name}", way) for name, way in every)

    def named(self) -> dict[str, Any]:
        """As Terraform makes it."""
        name = "-".join(
            (self.collection, *self.fields, *(name for name, _ in self.order if name != "created"))
        )
        fields = [
            {"path": path, "order": None, "array": way}
            if way == "CONTAINS"
            else {"path": path, "order": way, "array": None}
            for path, way in self.columns
        ]
        return {"name": name, "collection": self.collection, "fields": fields}


ALL_TOPICS = (*TOPICS, SWEEP_TICKS, *NOTIFIED_PREFIXES.values())

ALL_SUBSCRIPTIONS: dict[str, Subscription] = {
    **{name: Subscription(*wakes) for name, wakes in SUBSCRIPTIONS.items() if name != "bury-dead-letters"},
    # its own dead letters would come back to it: it answers 503 until they can be stored, for a month
    "bury-dead-letters": Subscription(DEAD_LETTERS, "bury", 31 * DAY_S, dead_letters=False),
    SWEEP_TICKS: Subscription(SWEEP_TICKS, "sweep", ACK_S, dead_letters=False),
    # whoever asked has gone by then
    CHECKS: Subscription(SOURCE_CHECKS, "extract", ACK_S, dead_letters=False),
}

PREFIXES: dict[str, Prefix] = {
    "drop-zone/": Prefix(delete_after=365, variable="keep_uploads_days"),
    "sources/": Prefix(),
    "datasets/": Prefix(delete_after=180, variable="keep_data_days"),
    "prepared/": Prefix(delete_after=180, variable="keep_data_days"),
    "training-configs/": Prefix(),
    "outcomes/": Prefix(),
    "model_summary/": Prefix(),
    "scratch/": Prefix(delete_after=30),
    "robyn/": Prefix(nearline_after=90, coldline_after=365),
}

FUNCTIONS: dict[str, Function] = {
    "extract": Function("2Gi", max_instances=10),
    "validate": Function("2Gi", max_instances=10),
    "launch": Function(concurrency=4),
    "finalize": Function(concurrency=4),
    "summarize": Function(concurrency=4),
    "sweep": Function(max_instances=2),
    "bury": Function(concurrency=4, max_instances=3),
}
"""Those that are pushed to. They have as many threads as concurrency: more would only queue inside."""
WEB = Function(concurrency=8, max_instances=3, timeout_s=60)

JOBS: dict[str, Job] = {
    "native": Job("native", 4, "4Gi", "trainer-native"),
    "small": Job("robyn", 4, "16Gi", "trainer"),
    "medium": Job("robyn", 8, "32Gi", "trainer"),
    "large": Job("robyn", 8, "32Gi", "trainer"),
}
"""Size → the Cloud Run job `trainer-<size>`."""
TASK_TIMEOUT_S = DAY_S
TASK_RETRIES = 3

_RETRY = "a person retries a job whose former end was not told"
_LETTER = "a message that can never work"
_UNSTARTED = "a training that the platform refuses for good to start"
_TRIED = "an attempt that somebody tried to start before"
_HALF_ACCEPTED = "extract died after it accepted a request and before it extracted the data"
_LOOK = "a person looks into a source before asking for it"
_FORMER = "only where there is a former result: of the job before it in its series, or that it starts from"

_MAPPINGS = ("mappings", "mapping-versions")

RIGHTS: dict[str, Rights] = {
    "extract": Rights(
        publishes=(
            TRAIN_REQUESTS,
            BATCH_STEPS,
            TRAINING_READY,
            NOTIFIED_PREFIXES["datasets/"],
            JOB_FINISHED,
            SWEEP_REQUESTS,
            DEAD_LETTERS,
        ),
        reads=("drop-zone/", "datasets/", "prepared/", "sources/", BATCHES),
        creates=("datasets/", PREVIEWS, BATCHES),
        lists=("drop-zone/", "sources/"),
        documents=("jobs", "uploads", "extracts", "batches", *_MAPPINGS),
        warehouses=True,
        seldom={
            "read:sources/": "a request whose source is a file in the bucket",
            "list:sources/": "a request whose source is a folder of Parquet parts",
            f"create:{PREVIEWS}": _LOOK,
            f"publish:{SWEEP_REQUESTS}": "a batch is cancelled, or a longer version replaces an upload",
            **dict.fromkeys(
                ("read:prepared/", f"publish:{TRAINING_READY}", "publish:objects-datasets"),
                "a person has the failed jobs of a batch started again",
            ),
        },
    ),
    "validate": Rights(
        publishes=(TRAINING_READY, JOB_FINISHED, DEAD_LETTERS),
        reads=("datasets/", "prepared/", "robyn/"),
        creates=("prepared/",),
        documents=("jobs", "countries"),
        seldom={f"publish:{DEAD_LETTERS}": _LETTER, "read:robyn/": "a request that starts from a former job"},
    ),
    "launch": Rights(
        publishes=(JOB_FINISHED, DEAD_LETTERS),
        reads=("training-configs/", "scratch/"),
        creates=("training-configs/", "scratch/"),
        documents=("jobs", "queues", "batches"),
        runs="starts",
        seldom={
            "run:stop": _TRIED,
            f"publish:{DEAD_LETTERS}": _LETTER,
            f"publish:{JOB_FINISHED}": _UNSTARTED,
            "read:scratch/": _TRIED,
            "create:scratch/": _UNSTARTED,
        },
    ),
    "finalize": Rights(
        publishes=(TRAINING_FINISHED, TRAINING_READY, JOB_FINISHED, DEAD_LETTERS),
        reads=("outcomes/", "scratch/", "robyn/"),
        creates=("scratch/",),
        lists=("robyn/",),
        documents=("jobs", "queues"),
        runs="stops",
        seldom={f"publish:{DEAD_LETTERS}": _LETTER},
    ),
    "summarize": Rights(
        publishes=(JOB_FINISHED, DEAD_LETTERS),
        reads=("robyn/", "training-configs/", "model_summary/"),
        creates=("robyn/", "model_summary/"),
        lists=("model_summary/",),
        documents=("jobs",),
        seldom={f"publish:{DEAD_LETTERS}": _LETTER, "list:model_summary/": "a summary is lost"},
    ),
    "sweep": Rights(
        publishes=tuple(topic for topic in ALL_TOPICS if topic not in (SWEEP_TICKS, SOURCE_CHECKS)),
        reads=("datasets/", "outcomes/", "scratch/", "drop-zone/", "model_summary/"),
        creates=("outcomes/", "scratch/", "model_summary/", "robyn/"),
        lists=("scratch/", "model_summary/", "robyn/"),
        documents=("jobs", "queues", "uploads", "countries", "schedules", "batches", "deletions", "in-use"),
        runs="stops",
        seldom={
            f"publish:{DEAD_LETTERS}": _LETTER,
            f"publish:{JOB_FINISHED}": "a job whose queue was removed, or whose end was not told",
            f"publish:{BATCH_REQUESTS}": "the run of a schedule that asks for a batch",
            f"publish:{BATCH_STEPS}": "the message that goes on with a batch was lost",
            f"publish:{TRAIN_REQUESTS}": "the run of a schedule; or extract died after it accepted a request",
            "publish:objects-drop-zone": _HALF_ACCEPTED,
            "read:drop-zone/": _HALF_ACCEPTED,
            f"publish:{SWEEP_REQUESTS}": "a job that ends because nothing happened to it",
            "publish:objects-outcomes": "the notification of an outcome was lost",
            **dict.fromkeys(("list:robyn/", "create:robyn/"), "a person has the files of a result deleted"),
            **dict.fromkeys(
                ("read:model_summary/", "create:model_summary/", "list:model_summary/"), "a month is closed"
            ),
        },
    ),
    "bury": Rights(documents=("dead-letters",)),
    "web": Rights(
        publishes=tuple(topic for topic in ALL_TOPICS if topic not in (DEAD_LETTERS, SWEEP_TICKS)),
        reads=(
            "datasets/",
            "drop-zone/",
            "model_summary/",
            "outcomes/",
            "prepared/",
            "robyn/",
            "scratch/",
            "training-configs/",
        ),
        creates=(SELFTEST, "drop-zone/", "sources/", BATCHES),
        lists=("scratch/",),
        documents=(
            "jobs",
            "queues",
            "dead-letters",
            "uploads",
            "ignored",
            "countries",
            "in-use",
            "batches",
            "schedules",
            "old-runs",
            "deletions",
            *_MAPPINGS,
        ),
        signs=True,
        seldom={
            f"publish:{TRAINING_FINISHED}": "a person replays a dead letter of the topic",
            f"publish:{JOB_FINISHED}": _RETRY,
            "create:drop-zone/": "a person uploads a file",
            "create:sources/": "a person uploads a file for a request",
            f"create:{SELFTEST}": "a person asks whether everything works",
            f"publish:{SOURCE_CHECKS}": _LOOK,
            "read:datasets/": "a person retries a job that ended before its training",
            "read:drop-zone/": "a person retries a job that ended before its data were read",
        },
    ),
    "trainer": Rights(
        reads=("prepared/", "training-configs/", "scratch/", "robyn/", "outcomes/"),
        creates=("scratch/", "robyn/", "outcomes/"),
        lists=("scratch/",),
        seldom={"read:robyn/": _FORMER},
    ),
}
"""Identity → what it may do. Tests compare it with what each one really calls."""

LISTS = ("labels",)
"""Fields that hold several values; a query asks for documents that have one of its own among them."""
FILTERS = ("state", "country", "revision", "queue", "requested_by", "schedule", "batch_id", *LISTS)
"""Fields of jobs by which people look for some, in any combination."""
INDEXES: tuple[Index, ...] = (
    *(Index("jobs", (name,)) for name in FILTERS),
    Index("jobs", (), REQUESTED),
    *(Index("jobs", (name,), REQUESTED) for name in FILTERS),
    Index("jobs", ("state",), ACCEPTED),
    Index("jobs", ("country", "state")),
    Index("jobs", ("country", "revision", "state")),
    Index("jobs", ("queue", "state")),
    Index("jobs", ("batch_id", "state")),
    Index("jobs", ("state",), DUE),
    Index("jobs", ("queue", "state"), TURN),
    Index("jobs", ("mapping",)),
    Index("uploads", ("state",)),
    Index("uploads", ("state",), PASSED["since"]),
    Index("uploads", ("country", "state")),
    Index("dead-letters", ("state",)),
    Index("schedules", ("state",)),
    Index("schedules", ("state",), DUE),
    Index("batches", ("state",)),
    Index("batches", ("launching",)),
    Index("mappings", ("state",)),
    Index("mappings", ("country",)),
    Index("mapping-versions", ("mapping",)),
    Index("old-runs", ("country",)),
    Index("deletions", ("state",)),
)
"""Every query with conditions has one, or several that are merged; a query without any needs none. Both
families refuse all others."""
UNINDEXED = ("rest", "version", "fields.deadline", "fields.updated_at")
"""Fields of every collection that no query asks for, so that writing them costs no index entries."""
EXPIRING = ("extracts", "uploads", "dead-letters", "schedules", "batches", "deletions")
"""Collections whose documents may carry `expires`, the time from which the database removes them."""
COLLECTIONS = (
    "jobs",
    "uploads",
    "queues",
    "extracts",
    "dead-letters",
    "ignored",
    "countries",
    "in-use",
    "schedules",
    "batches",
    "old-runs",
    "deletions",
    *_MAPPINGS,
)


def names() -> dict[str, Any]:
    """Everything above, as it stands in infra/terraform/names.json."""
    return {
        "database": DATABASE,
        "topics": ALL_TOPICS,
        "train_requests": TRAIN_REQUESTS,
        "batch_requests": BATCH_REQUESTS,
        "job_finished": JOB_FINISHED,
        "dead_letters": DEAD_LETTERS,
        "sweep_ticks": SWEEP_TICKS,
        "notified": NOTIFIED_PREFIXES,
        "subscriptions": {name: asdict(one) for name, one in ALL_SUBSCRIPTIONS.items()},
        "ack_s": ACK_S,
        "prefixes": {name: asdict(prefix) for name, prefix in PREFIXES.items()},
        "functions": {name: asdict(function) for name, function in FUNCTIONS.items()},
        "web": asdict(WEB),
        "jobs": {size: asdict(job) for size, job in JOBS.items()},
        "task_timeout_s": TASK_TIMEOUT_S,
        "task_retries": TASK_RETRIES,
        "rights": {name: asdict(rights) for name, rights in RIGHTS.items()},
        "indexes": [index.named() for index in INDEXES],
        "collections": COLLECTIONS,
        "expiring": EXPIRING,
        "unindexed": UNINDEXED,
    }


def names_json() -> str:
    """The text of infra/terraform/names.json."""
    return json.dumps(names(), indent=2) + "\n"
