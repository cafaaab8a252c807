"""The job store: documents in SQLite."""

from __future__ import annotations

from functions.adapters import check_fields
from functions.adapters.embedded.database import Database
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
        **equals: str | int | bool,
    ) -> list[D]:
        """Documents whose top-level fields equal the given values, newest creation first.

        Raises:
            ValueError: the documents have no such field.
        """
        check_fields(kind, equals)
        conditions = ["kind = ?", *(f"json_extract(body, '$.{field}') = ?" for field in equals)]
        values: list[str | int] = [kind.kind, *equals.values()]
        if before is not None:
            conditions.append("sequence < (SELECT sequence FROM documents WHERE kind = ? AND key = ?)")
            values += [kind.kind, before]
        rows = self._database.rows(
            f"SELECT body FROM documents WHERE {' AND '.join(conditions)} "  # noqa: S608 (known fields only)
            "ORDER BY sequence DESC LIMIT ?",
            (*values, -1 if limit is None else limit),
        )
        return [kind.model_validate_json(row["body"]) for row in rows]
