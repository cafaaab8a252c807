"""The ports: the interfaces that each adapter family implements, and the only way to the outside world.

Every call may raise `functions.errors.Transient`; other exceptions are listed with each method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, TypeVar

from contracts.job import Document

if TYPE_CHECKING:  # launch and finalize must load without it
    import pyarrow as pa

D = TypeVar("D", bound=Document)
Equal = str | tuple[str, ...]
"""The value that a field must have, or several of which it must have one."""


class Conflict(Exception):
    """Somebody else wrote first: read again, then decide again."""


class AlreadyExists(Conflict):
    """The object exists already; it was not changed."""


class NotFound(Exception):
    """The object does not exist, or no longer in that generation."""


class JobStore(Protocol):
    """A document store with compare-and-set. A document is stored under its `kind` and `key`."""

    def create(self, document: D) -> D | None:
        """Store a new document as version 1 and return it; None if one with its key exists."""

    def get(self, kind: type[D], key: str) -> D | None:
        """The document as it is now."""

    def replace(self, document: D, expected_version: int) -> D:
        """Store the next version of a document and return it.

        Raises:
            Conflict: the stored version is not the expected one, or the document does not exist.
        """

    def find(
        self,
        kind: type[D],
        *,
        limit: int | None = None,
        before: str | None = None,
        starting: str = "",
        until: datetime | None = None,
        **equals: Equal,
    ) -> list[D]:
        """Documents whose top-level fields equal the given values, or one of several, newest creation first.

        All of them, unless a `limit` is given. `starting`: only those whose `request_id` starts so; they come
        by it, the last of the alphabet first. `until`: without `starting`, only those that were created up to
        about a minute after this time. `before` is the key of a document: only those that come after
        it in this order, for paging. A field of `contracts.cloud.LISTS` must have the value, one only, among
        its own. This query and the next three are ordered and limited by the store,
        which reads no document that it does not give.

        Raises:
            ValueError: there is no index for these fields (`contracts.cloud.INDEXES`).
        """

    def count(
        self, kind: type[Document], *, since: datetime | None = None, most: int | None = None, **equals: Equal
    ) -> int:
        """How many documents have fields of the given values, counted no further than `most`.

        `since`: only those with `accepted_at` at or after a second. No document is read.

        Raises:
            ValueError: there is no index for these fields.
        """

    def due(
        self,
        kind: type[D],
        now: datetime,
        by: Literal["deadline", "since"] = "deadline",
        limit: int | None = None,
        **equals: str,
    ) -> list[D]:
        """Documents in which a time has come, the earliest first; all of them, unless a `limit` is given.

        Raises:
            ValueError: there is no index for these fields.
        """

    def in_turn(self, kind: type[D], beyond: str, limit: int, **equals: str) -> list[D]:
        """The first documents by `lane` beyond the given one, then by highest `priority`, then by age.

        Raises:
            ValueError: there is no index for these fields.
        """


@dataclass(frozen=True)
class ObjectInfo:
    """What the store knows of one object without reading it."""

    name: str
    generation: int
    size: int  # bytes
    crc32c: str  # base64, big-endian, as Cloud Storage writes it
    updated: datetime  # the store's own clock
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Size and checksum of the content, which identify it."""
        return f"{self.size}-{self.crc32c}"


@dataclass(frozen=True)
class UploadForm:
    """What a browser sends, with a file, to write one object straight into the store."""

    url: str
    fields: Mapping[str, str]
    """Hidden fields of the form; the file follows them as `file`."""


class ObjectWriter(Protocol):
    """An object being written; it becomes visible when the `with` block ends without an exception."""

    def write(self, data: bytes, /) -> int:
        """Append bytes."""


class ObjectStore(Protocol):
    """One bucket."""

    def create(self, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Create an object.

        Raises:
            AlreadyExists: an object of that name exists.
        """

    def replace(self, name: str, data: bytes, if_generation: int | None) -> ObjectInfo:
        """Write an object over the given generation (0: none may exist; None: whatever is there).

        Raises:
            Conflict: another generation is there.
        """

    def writer(
        self, name: str, metadata: Mapping[str, str] | None = None
    ) -> AbstractContextManager[ObjectWriter]:
        """Stream a new object. It is created when the block ends well, and not at all if it raises.

        Raises:
            AlreadyExists: when the block ends, if an object of that name exists.
        """

    def copy(self, source: str, target: str, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Create an object with the content of another.

        Raises:
            AlreadyExists: the target exists.
            NotFound: the source does not.
        """

    def delete(self, name: str, generation: int) -> None:
        """Delete an object, unless another generation is there; no error if there is none any more.

        Raises:
            Conflict: another generation is there.
        """

    def stat(self, name: str) -> ObjectInfo | None:
        """What is known of the newest generation; None if there is no such object."""

    def read(self, name: str, generation: int | None = None) -> bytes:
        """The whole content.

        Raises:
            NotFound: no such object, or that generation is no longer the newest.
        """

    def reader(self, name: str, generation: int | None = None) -> AbstractContextManager[BinaryIO]:
        """The content as a seekable stream.

        Raises:
            NotFound: no such object, or that generation is no longer the newest.
        """

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects whose names start with a prefix, sorted by name."""

    def link(self, name: str, minutes: int) -> str | None:
        """A URL with which anybody can download the newest generation, for a limited time.

        None if the store has no such links, or not now; then the content must be read and passed on.
        """

    def upload_form(self, name: str, max_bytes: int, minutes: int, then: str) -> UploadForm | None:
        """A form with which anybody can write an object, for a limited time; afterwards it leads to `then`.

        None if the store has no such forms, or not now; then the content must be received and written.
        """


class Bus(Protocol):
    """Topics."""

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> str:
        """Publish a message and return its id, once it is stored durably."""

    def on_its_way(self, topic: str, published_before: datetime) -> bool | None:
        """Whether a message of a topic that was published before a time is not acknowledged yet.

        None where nobody can know that.
        """


class ExecutionState(StrEnum):
    """The state of an execution, as the platform reports it."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether the execution has ended, whatever its result."""
        return self not in (ExecutionState.PENDING, ExecutionState.RUNNING)


@dataclass(frozen=True)
class Execution:
    """One run of the training job."""

    name: str
    state: ExecutionState
    detail: str = ""  # why it failed, if the platform knows


class Launcher(Protocol):
    """Starts executions of the training job, and reports their state."""

    def start(self, job_id: str, attempt: int, size: str, task_count: int) -> str:
        """Start one execution for an attempt and return its name. May start one although it raises."""

    def find(self, job_id: str, attempt: int) -> list[Execution]:
        """The executions that were started for an attempt, oldest first."""

    def get(self, execution: str) -> Execution | None:
        """The execution as the platform reports it; None if it does not know it, or no longer."""

    def cancel(self, execution: str) -> None:
        """Stop an execution; no error if it has ended or is unknown. It may take a while to end."""


class Warehouse(Protocol):
    """One named connection to a warehouse."""

    @property
    def dialect(self) -> Literal["bigquery", "duckdb", "snowflake"]:
        """The SQL dialect of the warehouse."""

    def quote(self, identifier: str) -> str:
        """An identifier, quoted for use in a query."""

    def query(
        self, sql: str, timeout_s: float, parameters: Sequence[date] = ()
    ) -> AbstractContextManager[Iterator[pa.RecordBatch]]:
        """Run one query and stream its answer; at least one batch, so that the schema is known.

        `parameters`: the values of each `?` in the query, in their order. They are sent beside it.

        Raises:
            functions.errors.BadSource: the query is wrong or not allowed, or took longer than `timeout_s`.
        """


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Now, UTC."""


@dataclass(frozen=True, kw_only=True)
class TrainerPorts:
    """The ports that one task of a training uses."""

    objects: ObjectStore
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class Ports(TrainerPorts):
    """One adapter of each port."""

    jobs: JobStore
    bus: Bus
    launcher: Launcher
    warehouses: Mapping[str, Warehouse]
