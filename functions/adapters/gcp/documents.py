"""The job store: documents in Firestore.

A document is kept as `fields`, the short values of its fields, which queries can name; `rest`, the JSON text
of everything else, because Firestore knows no lists in lists and no large numbers; `version`; and `created`,
the server's time. Changed by compare-and-set on the time of the last update: transactions give up under
contention.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from functools import cached_property
from typing import Any

from google.api_core import exceptions as api
from google.cloud.firestore import (
    SERVER_TIMESTAMP,
    Client,
    DocumentReference,
    DocumentSnapshot,
    FieldFilter,
    Query,
)

from functions.adapters import check_fields
from functions.adapters.gcp.errors import RETRY, TIMEOUT_S, calling
from functions.errors import Permanent
from functions.ports import Conflict, D

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

    A query with conditions reads every document that meets them and sorts here, so that no composite index
    is needed; without conditions the server sorts. A kind that ignores unknown fields is a part of another
    and must consist of short values: its documents are read without their `rest`.
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
        **equals: str | int | bool,
    ) -> list[D]:
        """Documents whose top-level fields equal the given values, newest creation first.

        Raises:
            ValueError: the documents have no such field.
        """
        check_fields(kind, equals)
        if any(isinstance(value, str) and not _indexed(value) for value in equals.values()):
            return []
        query: Query = self._client.collection(kind.kind).order_by("created", direction=Query.DESCENDING)
        if equals:
            query = Query(self._client.collection(kind.kind))
        for name, value in equals.items():
            query = query.where(filter=FieldFilter(f"fields.{name}", "==", _plain(value)))
        if _in_part(kind):
            query = query.select(["fields", "created"])
        with calling(f"looking for {kind.kind}"):
            snapshots = self._newest(query, kind, limit, before, sorted_there=not equals)
        return [_document(kind, snapshot) for snapshot in snapshots]

    def _newest(
        self, query: Query, kind: type[D], limit: int | None, before: str | None, *, sorted_there: bool
    ) -> list[DocumentSnapshot[Any]]:
        last = self._reference(kind, before).get(["created"], **_OPTIONS) if before is not None else None
        if last is not None and not last.exists:
            return []
        if sorted_there:
            query = query.start_after(last) if last else query
            query = query if limit is None else query.limit(limit)
            return list(query.stream(retry=RETRY, timeout=_QUERY_TIMEOUT_S))
        found = query.stream(retry=RETRY, timeout=_QUERY_TIMEOUT_S)
        older = (snapshot for snapshot in found if last is None or _age(snapshot) < _age(last))
        if limit is None:
            return sorted(older, key=_age, reverse=True)
        return heapq.nlargest(limit, older, key=_age)

    def _reference(self, kind: type[D], key: str) -> DocumentReference:
        return self._client.collection(kind.kind).document(_id(key))


def _id(key: str) -> str:
    """What a document is called: Firestore takes no slash, no `.`, `..` or `__…__`, nothing empty or long."""
    name = key.replace("%", "%25").replace("/", "%2F")
    if not name or name[0] in "._":
        name = f"%{name}"
    too_long = len(name.encode()) > _MAX_ID
    return f"%{hashlib.sha256(key.encode()).hexdigest()}" if too_long else name


def _age(snapshot: DocumentSnapshot[Any]) -> tuple[Any, str]:
    return snapshot.get("created"), snapshot.id


def _in_part(kind: type[D]) -> bool:
    return kind.model_config.get("extra") == "ignore"


def _plain(value: str | int | bool) -> str | int | bool:
    return str(value) if isinstance(value, str) else value  # an enumeration's member is a string, too


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
    return {"fields": fields, "rest": rest, "version": document.version}


def _indexed(value: str) -> bool:
    return len(value.encode()) <= _MAX_INDEXED


def _can_be_queried(document: D, name: str, value: Any) -> bool:
    if name not in type(document).model_fields:
        return False
    if isinstance(value, str):
        return _indexed(value)
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _document(kind: type[D], snapshot: DocumentSnapshot[Any]) -> D:
    content = snapshot.to_dict() or {}
    return kind.model_validate({**content["fields"], **json.loads(content.get("rest", "{}"))})
