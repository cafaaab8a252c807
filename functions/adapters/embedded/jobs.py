"""The job store: documents in SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import chain

from contracts.cloud import DUE, NEWEST, TURN, Order
from functions.adapters import after, check_query, has_passed
from functions.adapters.embedded.database import Database, column, ordered
from functions.ports import Conflict, D


class SqliteJobStore:
    """Implements `functions.ports.JobStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, document: D) -> D | None:
        """Store a new document as version 1; None if one with its key exists."""
        stored = document.model_copy(update={"version": 1})
        with self._database.transaction() as connection:
            inserted = connection.execute(
                "INSERT INTO documents (kind, key, version, body) VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING",
                (document.kind, document.key, stored.model_dump_json()),
            )
        return stored if inserted.rowcount else None

    def get(self, kind: type[D], key: str) -> D | None:
        """The document as it is now."""
        row = self._database.row("SELECT body FROM documents WHERE kind = ? AND key = ?", (kind.kind, key))
        return kind.model_validate_json(row["body"]) if row else None

    def replace(self, document: D, expected_version: int) -> D:
        """Store the next version of a document.

        Raises:
            Conflict: the stored version is not the expected one, or the document does not exist.
        """
        stored = document.model_copy(update={"version": expected_version + 1})
        with self._database.transaction() as connection:
            updated = connection.execute(
                "UPDATE documents SET version = ?, body = ? WHERE kind = ? AND key = ? AND version = ?",
                (stored.version, stored.model_dump_json(), document.kind, document.key, expected_version),
            )
        if not updated.rowcount:
            raise Conflict(f"{document.kind}/{document.key} is not at version {expected_version}")
        return stored

    def find(
        self,
        kind: type[D],
        *,
        limit: int | None = None,
        before: str | None = None,
        **equals: str,
    ) -> list[D]:
        """Documents whose top-level fields equal the given values, newest creation first.

        Raises:
            ValueError: there is no index for these fields.
        """
        older = "sequence < (SELECT sequence FROM documents WHERE kind = ? AND key = ?)"
        more = {} if before is None else {older: (kind.kind, before)}
        return self._query(kind, equals, NEWEST, more, limit)

    def due(self, kind: type[D], now: datetime, **equals: str) -> list[D]:
        """Documents whose `deadline` has passed, the earliest first."""
        more = {f"{column('deadline')} < ?": (after(now),)}
        return [one for one in self._query(kind, equals, DUE, more) if has_passed(one, now)]

    def in_turn(self, kind: type[D], beyond: str, limit: int, **equals: str) -> list[D]:
        """The first documents by `country` beyond the given one, then by highest `priority`, then by age."""
        return self._query(kind, equals, TURN, {f"{column('country')} > ?": (beyond,)}, limit)

    def remove_expired(self, now: datetime) -> None:
        """Remove the documents that may go by now."""
        with self._database.transaction() as connection:
            connection.execute(f"DELETE FROM documents WHERE {column('expires')} < ?", (after(now),))  # noqa: S608

    def _query(
        self,
        kind: type[D],
        equals: Mapping[str, str],
        order: Order,
        more: Mapping[str, tuple[str, ...]],
        limit: int | None = None,
    ) -> list[D]:
        check_query(kind, equals, order)
        conditions = ["kind = ?", *(f"{column(field)} = ?" for field in equals), *more]
        values = (kind.kind, *equals.values(), *chain.from_iterable(more.values()))
        rows = self._database.rows(
            f"SELECT body FROM documents WHERE {' AND '.join(conditions)} "  # noqa: S608 (known fields only)
            f"ORDER BY {ordered(order)} LIMIT ?",
            (*values, -1 if limit is None else limit),
        )
        return [kind.model_validate_json(row["body"]) for row in rows]
