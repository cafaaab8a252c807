"""The job store: documents in SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain, product
from typing import Literal

from pydantic import ValidationError

from contracts.cloud import ACCEPTED, LISTS, NEWEST, PASSED, REQUESTED, TURN, Index, Order
from contracts.job import Document
from functions.adapters import SLACK, after, beginning, has_come, indexes_for, not_before
from functions.adapters.embedded.database import Database, column, index_name, ordered, table_name
from functions.ports import Conflict, D, Equal

_ALL = 2**62
"""No limit."""
_LOOKED_AT = 1_000
"""From this number of entries on, indexes are not compared any further."""
_LAST = (
    "SELECT COALESCE(MAX(sequence), 0) FROM (SELECT sequence FROM listed INDEXED BY listed_accepted "
    "WHERE kind = ? AND accepted_at < ? ORDER BY accepted_at DESC LIMIT 100)"
)
"""The document that was created last before a time: among those accepted last before it."""
_SEQUENCE = "SELECT sequence FROM documents WHERE kind = ? AND key = ?"


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
        return self._document(kind, row["body"]) if row else None

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
        starting: str = "",
        until: datetime | None = None,
        **equals: Equal,
    ) -> list[D]:
        """Documents whose top-level fields equal the given values, or one of several, newest creation first.

        Raises:
            ValueError: there is no index for these fields.
        """
        order, place = (REQUESTED, "request_id, sequence") if starting else (NEWEST, "sequence")
        more: dict[str, tuple[str, ...]] = {}
        if starting:
            more["request_id >= ? AND request_id < ?"] = beginning(starting)
        elif until is not None:
            more[f"sequence <= ({_LAST})"] = (kind.kind, not_before(until + SLACK))
        if before is not None:
            last = f"SELECT {place} FROM listed WHERE sequence = ({_SEQUENCE})"  # noqa: S608 (names of ours)
            more[f"({place}) < ({last})"] = (kind.kind, before)
        return self._found(kind, equals, order, more, limit)

    def count(
        self, kind: type[Document], *, since: datetime | None = None, most: int | None = None, **equals: Equal
    ) -> int:
        """How many documents have fields of the given values, counted no further than `most`.

        Raises:
            ValueError: there is no index for these fields.
        """
        more = {} if since is None else {"accepted_at >= ?": (not_before(since),)}
        every = self._selects(kind, equals, NEWEST if since is None else ACCEPTED, more, most)
        return min(sum(self._counted(one) for one in every), _ALL if most is None else most)

    def due(
        self,
        kind: type[D],
        now: datetime,
        by: Literal["deadline", "since"] = "deadline",
        limit: int | None = None,
        **equals: str,
    ) -> list[D]:
        """Documents in which a time has come, the earliest first; all of them, unless a `limit` is given."""
        found = self._found(kind, equals, PASSED[by], {f"{by} < ?": (after(now),)}, limit)
        return [one for one in found if has_come(one, by, now)]

    def in_turn(self, kind: type[D], beyond: str, limit: int, **equals: str) -> list[D]:
        """The first documents by `lane` beyond the given one, then by highest `priority`, then by age."""
        return self._found(kind, equals, TURN, {"lane > ?": (beyond,)}, limit)

    def remove_expired(self, now: datetime) -> None:
        """Remove the documents that may go by now."""
        expired = "SELECT sequence FROM listed WHERE expires < ?"
        with self._database.transaction() as connection:
            connection.execute(f"DELETE FROM documents WHERE sequence IN ({expired})", (after(now),))  # noqa: S608

    def _found(
        self,
        kind: type[D],
        equals: Mapping[str, Equal],
        order: Order,
        more: Mapping[str, tuple[str, ...]],
        limit: int | None = None,
    ) -> list[D]:
        selects = list(self._selects(kind, equals, order, more, limit))
        every = " UNION ALL ".join(f"SELECT * FROM ({one.sql})" for one in selects)  # noqa: S608
        rows = self._database.rows(
            f"SELECT body FROM ({every}) AS found CROSS JOIN documents USING (sequence) "  # noqa: S608
            f"ORDER BY {ordered(order)} LIMIT ?",
            (*chain.from_iterable(one.values for one in selects), _ALL if limit is None else limit),
        )
        return [self._document(kind, row["body"]) for row in rows]

    def _document(self, kind: type[D], body: str) -> D:
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            if error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid":
                raise
            raise self._database.damaged(f"a document of the kind {kind.kind} cannot be read") from error

    def _selects(
        self,
        kind: type[Document],
        equals: Mapping[str, Equal],
        order: Order,
        more: Mapping[str, tuple[str, ...]],
        limit: int | None,
    ) -> Iterator[_Select]:
        """For each combination of single values what selects the first of its documents."""
        indexes = indexes_for(kind, equals, order)
        choices = [(value,) if isinstance(value, str) else value for value in equals.values()]
        for values in product(*choices):
            conditions = {f"{field} = ?": (value,) for field, value in zip(equals, values, strict=True)}
            wanted = {"kind = ?": (kind.kind,), **conditions, **more}
            yield _Select.of(self._narrowest(indexes, wanted), wanted, order, limit)

    def _narrowest(self, indexes: list[Index], wanted: Mapping[str, tuple[str, ...]]) -> Index | None:
        """The index with the fewest entries to look at, as far as it is worth counting them."""
        if of_list := [index for index in indexes if table_name(index) in LISTS]:
            return of_list[0]
        if len(indexes) < 2:
            return next(iter(indexes), None)

        def entries(index: Index) -> int:
            inside = {"kind", *index.fields, *(column(name) for name, _ in index.order)}
            its = {what: values for what, values in wanted.items() if _field(what) in inside}
            return self._counted(_Select.of(index, its, index.order, _LOOKED_AT))

        return min(indexes, key=entries)

    def _counted(self, select: _Select) -> int:
        rows = self._database.rows(f"SELECT COUNT(*) FROM ({select.sql})", select.values)  # noqa: S608
        return int(rows[0][0])


@dataclass(frozen=True)
class _Select:
    """Selects the first of some documents, by one index."""

    sql: str
    values: tuple[str | int, ...]

    @classmethod
    def of(
        cls,
        index: Index | None,
        wanted: Mapping[str, tuple[str, ...]],
        order: Order,
        limit: int | None,
    ) -> _Select:
        return cls(
            _sql(index, tuple(wanted), order),
            (*chain.from_iterable(wanted.values()), _ALL if limit is None else limit),
        )


@cache
def _sql(index: Index | None, conditions: tuple[str, ...], order: Order) -> str:
    table, name = (table_name(index), index_name(index)) if index else ("documents", "documents_by_kind")
    others = " CROSS JOIN listed USING (kind, sequence, request_id)" if table in LISTS else ""
    columns = ", ".join(dict.fromkeys(("sequence", *(column(name) for name, _ in order))))
    return (
        f"SELECT {columns} FROM {table} INDEXED BY {name}{others} WHERE {' AND '.join(conditions)} "  # noqa: S608 (names of ours)
        f"ORDER BY {ordered(order)} LIMIT ?"
    )


def _field(condition: str) -> str:
    """The first column that a condition is about."""
    return condition.strip("(").replace(",", " ").split()[0]
