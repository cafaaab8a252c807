"""Warehouse: Snowflake, one login per query, its answer streamed as Arrow."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Literal

from functions.adapters.gcp import preflight
from functions.adapters.gcp.snowflake_login import SnowflakeSettings, connect
from functions.errors import BadSource, Failure, Permanent, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa
    from snowflake.connector import Connection, Error
    from snowflake.connector.cursor import SnowflakeCursor

__all__ = ["SnowflakeSettings", "SnowflakeWarehouse"]

_STOPPED = (604, 630)  # canceled; the statement's or the warehouse's timeout
_NO_WAREHOUSE = 606
"""Snowflake's error number: the session has no active warehouse."""
_SERVER_FAULT = (603,)  # "SQL execution internal error"
_SESSION_LOST = range(390103, 390119)  # the token is gone or has expired: log in anew


class SnowflakeWarehouse:
    """Implements `functions.ports.Warehouse`; a half-read or failed query leaves no session behind."""

    def __init__(self, settings: SnowflakeSettings) -> None:
        self._settings = settings

    @property
    def dialect(self) -> Literal["snowflake"]:
        """Which SQL it understands."""
        return "snowflake"

    def quote(self, identifier: str) -> str:
        """An identifier as it must stand in a query; case matters then, and tables are stored in capitals."""
        return '"' + identifier.replace('"', '""') + '"'

    @contextmanager
    def query(
        self, sql: str, timeout_s: float, parameters: Sequence[date] = ()
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """Run one query and stream its answer; at least one batch, so that the schema is known.

        Snowflake stops the statement after `timeout_s` (whole seconds); no batch is given out later.

        Raises:
            functions.errors.BadSource: the query is wrong or not allowed, or took longer than `timeout_s`.
            functions.errors.Permanent: the login is refused; the text is the preflight's explanation.
            functions.errors.Unavailable: Snowflake does not answer.
        """
        connection = self._connect(timeout_s)
        batches = self._batches(connection, sql, parameters, timeout_s, time.monotonic() + timeout_s)
        try:
            yield batches
        finally:
            batches.close()
            connection.close()

    def _connect(self, timeout_s: float) -> Connection:
        from snowflake.connector import Error

        problems = [line.text for line in preflight.offline(self._settings) if line.level == "problem"]
        if problems:
            raise Permanent("cannot log in to Snowflake: " + "; ".join(problems), problems)
        try:
            return connect(self._settings, timeout_s)
        except Error as error:
            raise _login_failure(self._settings, error) from error

    def _batches(
        self, connection: Connection, sql: str, parameters: Sequence[date], timeout_s: float, until: float
    ) -> Generator[pa.RecordBatch, None, None]:
        import pyarrow as pa
        from snowflake.connector import Error

        try:
            cursor = connection.cursor()
            cursor.execute(sql, list(parameters) or None)
            if not cursor.description:
                raise BadSource("the query gives no rows: write one SELECT")
            rows = 0
            for table in cursor.fetch_arrow_batches():
                for batch in table.to_batches():
                    if time.monotonic() > until:
                        raise _late(timeout_s)
                    rows += batch.num_rows
                    yield batch
            all_rows = cursor.rowcount
            if all_rows is not None and rows != all_rows:  # a part would be trained like the whole
                raise Unavailable(f"Snowflake's answer broke off: {rows:,} of {all_rows:,} rows came")
            if not rows:
                yield pa.RecordBatch.from_pylist([], _schema(cursor))
        except Error as error:
            raise _query_failure(self._settings, error, timeout_s) from error
        except (pa.ArrowException, OSError) as error:
            raise Unavailable(f"Snowflake's answer broke off: {error}") from error


def _schema(cursor: SnowflakeCursor) -> pa.Schema:
    """The columns of an empty answer; the driver calls all its numbers int64."""
    import pyarrow as pa

    answer = cursor.fetch_arrow_all(force_return_table=True)
    if answer is None:
        raise Unavailable("Snowflake's answer has no columns")
    columns = zip(answer.schema, cursor.description or [], strict=True)
    return pa.schema([_decimal_or(field, column.scale) for field, column in columns])


def _decimal_or(field: pa.Field, scale: int | None) -> pa.Field:
    import pyarrow as pa

    is_decimal = pa.types.is_int64(field.type) and scale
    return field.with_type(pa.decimal128(38, scale)) if is_decimal else field  # as it comes with rows


def _login_failure(settings: SnowflakeSettings, error: Error) -> Failure:
    why = preflight.explain(settings, error)
    if why is None:
        return Unavailable(f"Snowflake does not answer at {settings.address}: {error.raw_msg}")
    return Permanent(f"cannot log in to Snowflake: {why.text}")


def _query_failure(settings: SnowflakeSettings, error: Error, timeout_s: float) -> Failure:
    from snowflake.connector import IntegrityError, ProgrammingError

    if error.errno in _STOPPED:
        return _late(timeout_s, error)
    if error.errno == _NO_WAREHOUSE:
        return Permanent(preflight.no_warehouse(settings).text)
    lost = error.errno in _SESSION_LOST or error.errno in _SERVER_FAULT
    if isinstance(error, ProgrammingError | IntegrityError) and not lost:
        number = f" (query {error.sfqid})" if error.sfqid else ""
        return BadSource(f"the warehouse refuses the query: {error.raw_msg}{number}")
    return Unavailable(f"Snowflake does not answer: {error.raw_msg}")


def _late(timeout_s: float, error: Error | None = None) -> BadSource:
    said = f" ({error.raw_msg})" if error else ""
    return BadSource(
        f"the query took longer than {timeout_s:g} s and was stopped: select fewer rows or columns, or "
        f"prepare the data in a table of the warehouse{said}"
    )
