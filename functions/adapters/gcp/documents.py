"""The job store: documents in Firestore.

A document is kept as `fields`, the short values of its fields, which queries can name; `rest`, the JSON text
of everything else, because Firestore knows no lists in lists and no large numbers; `version`; `created`, the
server's time; and `expires`, the time from which Firestore removes a document that may go. Changed by
compare-and-set on the time of the last update: transactions give up under contention.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from google.api_core import exceptions as api
from google.cloud.firestore import (
    SERVER_TIMESTAMP,
    Client,
    DocumentReference,
    DocumentSnapshot,
    FieldFilter,
    Query,
)
from google.cloud.firestore_v1.aggregation import AggregationQuery

from contracts.cloud import ACCEPTED, LISTS, NEWEST, PASSED, REQUESTED, TURN, Index, Order
from contracts.job import Document
from functions.adapters import SLACK, after, beginning, has_come, indexes_for, not_before
from functions.adapters.gcp.errors import RETRY, TIMEOUT_S, calling
from functions.errors import Permanent
from functions.ports import Conflict, D, Equal

MAX_BYTES = 1_000_000
"""Firestore takes 1 MiB, names of fields and index entries included."""

_QUERY_TIMEOUT_S = 60.0
_MAX_INDEXED = 1000  # bytes; Firestore cuts an index entry at 1,500, and refuses a query for what is longer
_MAX_ID = 1500  # bytes
_OPTIONS: dict[str, Any] = {"retry": RETRY, "timeout": TIMEOUT_S}


class FirestoreJobStore:
    """Implements `functions.ports.JobStore`, with one collection per kind of document.

    A write whose answer was lost is sent again and may meet its own work: `create` gives None then, `replace`
    raises `Conflict`, and whoever reads again finds the step done.

    Queries are ordered and limited by the server, with the composite indexes of `contracts.cloud.INDEXES`.
    The documents of a kind that is `short` are read without their `rest`.
    """

    def __init__(self, project: str, database: str) -> None:
        self._project = project
        self._database = database

    @cached_property
    def _client(self) -> Client:
        with calling("connecting to Firestore"):
            return Client(project=self._project, database=self._database)

    def create(self, document: D) -> D | None:
        """Store a new document as version 1; None if one with its key exists.

        Raises:
            functions.errors.Permanent: it is too large.
        """
        stored = document.model_copy(update={"version": 1})
        content = {**_content(stored), "created": SERVER_TIMESTAMP}
        with calling(f"creating {document.kind}/{document.key}"):
            try:
                self._reference(type(document), document.key).create(content, **_OPTIONS)
            except api.AlreadyExists:
                return None
        return stored

    def get(self, kind: type[D], key: str) -> D | None:
        """The document as it is now."""
        with calling(f"reading {kind.kind}/{key}"):
            snapshot = self._reference(kind, key).get(**_OPTIONS)
        return _document(kind, snapshot) if snapshot.exists else None

    def replace(self, document: D, expected_version: int) -> D:
        """Store the next version of a document.

        Raises:
            Conflict: the stored version is not the expected one, or the document does not exist.
            functions.errors.Permanent: it is too large.
        """
        stored = document.model_copy(update={"version": expected_version + 1})
        content = _content(stored)
        reference = self._reference(type(document), document.key)
        with calling(f"writing {document.kind}/{document.key}"):
            found = reference.get(["version"], **_OPTIONS)
            if not found.exists or found.get("version") != expected_version:
                raise Conflict(f"{document.kind}/{document.key} is not at version {expected_version}")
            unchanged = self._client.write_option(last_update_time=found.update_time)
            try:
                reference.update(content, unchanged, **_OPTIONS)
            except (api.FailedPrecondition, api.NotFound, api.Aborted) as error:
                raise Conflict(f"{document.kind}/{document.key} was changed by somebody else") from error
        return stored

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

        Raises:
            ValueError: there is no index for these fields.
        """
        query = self._query(kind, equals, REQUESTED if starting else NEWEST)
        if query is None:
            return []
        if starting:
            first, end = beginning(starting)
            query = query.where(filter=FieldFilter("fields.request_id", ">=", first))
            query = query.where(filter=FieldFilter("fields.request_id", "<", end))
        elif until is not None:
            query = query.where(filter=FieldFilter("created", "<", until + SLACK))
        with calling(f"looking for {kind.kind}"):
            if before is not None:
                last = self._reference(kind, before).get(["created", "fields.request_id"], **_OPTIONS)
                if not last.exists:
                    return []
                query = query.start_after(last)
        return self._found(kind, query if limit is None else query.limit(limit))

    def count(
        self, kind: type[Document], *, since: datetime | None = None, most: int | None = None, **equals: Equal
    ) -> int:
        """How many documents have fields of the given values, counted no further than `most`.

        Raises:
            ValueError: there is no index for these fields.
        """
        query = self._query(kind, equals, NEWEST if since is None else ACCEPTED)
        if query is None:
            return 0
        if since is not None:
            query = query.where(filter=FieldFilter("fields.accepted_at", ">=", not_before(since)))
        with calling(f"counting {kind.kind}"):
            counting = AggregationQuery(query if most is None else query.limit(most)).count()
            return int(counting.get(retry=RETRY, timeout=_QUERY_TIMEOUT_S)[0][0].value)

    def due(
        self,
        kind: type[D],
        now: datetime,
        by: Literal["deadline", "since"] = "deadline",
        limit: int | None = None,
        **equals: str,
    ) -> list[D]:
        """Documents in which a time has come, the earliest first; all of them, unless a `limit` is given."""
        query = self._query(kind, equals, PASSED[by])
        if query is None:
            return []
        passed = query.where(filter=FieldFilter(f"fields.{by}", "<", after(now)))
        found = self._found(kind, passed if limit is None else passed.limit(limit))
        return [document for document in found if has_come(document, by, now)]

    def in_turn(self, kind: type[D], beyond: str, limit: int, **equals: str) -> list[D]:
        """The first documents by `lane` beyond the given one, then by highest `priority`, then by age."""
        query = self._query(kind, equals, TURN)
        if query is None:
            return []
        return self._found(kind, query.where(filter=FieldFilter("fields.lane", ">", beyond)).limit(limit))

    def _query(self, kind: type[Document], equals: Mapping[str, Equal], order: Order) -> Query | None:
        """A query; None if a value is too long to be in an index, so that no document has it."""
        indexes_for(kind, equals, order)
        query = Query(self._client.collection(kind.kind))
        for name, value in equals.items():
            known = [str(one) for one in ((value,) if isinstance(value, str) else value) if _indexed(one)]
            if not known:
                return None
            one = len(known) == 1
            way = "array_contains" if name in LISTS else "==" if one else "in"
            query = query.where(filter=FieldFilter(f"fields.{name}", way, known[0] if one else known))
        for path, way in Index(kind.kind, (), order).columns:
            query = query.order_by(path, direction=way)
        return query.select(["fields", "created"]) if kind.short else query

    def _found(self, kind: type[D], query: Query) -> list[D]:
        with calling(f"looking for {kind.kind}"):
            return [_document(kind, one) for one in query.stream(retry=RETRY, timeout=_QUERY_TIMEOUT_S)]

    def _reference(self, kind: type[Document], key: str) -> DocumentReference:
        return self._client.collection(kind.kind).document(_id(key))


def _id(key: str) -> str:
    """What a document is called: Firestore takes no slash, no `.`, `..` or `__…__`, nothing empty or long."""
    name = key.replace("%", "%25").replace("/", "%2F")
    if not name or name[0] in "._":
        name = f"%{name}"
    too_long = len(name.encode()) > _MAX_ID
    return f"%{hashlib.sha256(key.encode()).hexdigest()}" if too_long else name


def _content(document: D) -> dict[str, Any]:
    values = document.model_dump(mode="json")
    fields = {name: value for name, value in values.items() if _can_be_queried(document, name, value)}
    rest = json.dumps(
        {name: value for name, value in values.items() if name not in fields}, ensure_ascii=False
    )
    size = len(rest.encode())
    if size > MAX_BYTES:
        raise Permanent(
            f"{document.kind}/{document.key} has {size:,} bytes, and a document holds {MAX_BYTES:,}: "
            "make the request smaller"
        )
    content = {"fields": fields, "rest": rest, "version": document.version}
    return {**content, "expires": vars(document)["expires"]} if "expires" in values else content


def _indexed(value: str) -> bool:
    return len(value.encode()) <= _MAX_INDEXED


def _can_be_queried(document: D, name: str, value: Any) -> bool:
    if name not in type(document).model_fields:
        return False
    if isinstance(value, str):
        return _indexed(value)
    if name in LISTS:
        return all(map(_indexed, value))
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _document(kind: type[D], snapshot: DocumentSnapshot[Any]) -> D:
    content = snapshot.to_dict() or {}
    return kind.model_validate({**content["fields"], **json.loads(content.get("rest", "{}"))})
