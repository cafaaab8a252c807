"""Warehouse: BigQuery, one job per query, its answer streamed as Arrow through the Storage Read API."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import TimeoutError as Expired
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from functions.adapters.gcp.errors import RETRY, TIMEOUT_S, calling
from functions.errors import BadSource, Failure, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.bigquery import Client, QueryJob
    from google.cloud.bigquery.table import RowIterator
    from google.cloud.bigquery_storage import BigQueryReadClient

    from functions.settings import BigQueryConnection

_LATE = ("stopped", "timeout")
_TOO_MUCH = "bytesBilledLimitExceeded"
_WRONG = ("invalid", "invalidQuery", "notFound", "resourcesExceeded", "responseTooLarge")
_LATER = ("tableUnavailable", "quotaExceeded", "rateLimitExceeded")
"""Reasons that BigQuery gives; what is in no list is told by the status of the answer."""


class BigQueryWarehouse:
    """Implements `functions.ports.Warehouse`; a query whose time is over is cancelled."""

    def __init__(
        self,
        connection: BigQueryConnection,
        client: Client | None = None,
        reader: BigQueryReadClient | None = None,
    ) -> None:
        """`client` and `reader`: of somewhere else than Google."""
        self._connection = connection
        self._given = client, reader

    @property
    def dialect(self) -> Literal["bigquery"]:
        """Which SQL it understands."""
        return "bigquery"

    def quote(self, identifier: str) -> str:
        """An identifier as it must stand in a query; backslashes escape there as in a string."""
        return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"

    @contextmanager
    def query(
        self, sql: str, timeout_s: float, parameters: Sequence[date] = ()
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """Run one query and stream its answer; at least one batch, so that the schema is known.

        BigQuery stops the job after `timeout_s`, also if nobody waits for it any more, and refuses one that
        would read more bytes than the connection allows; no batch is given out later.

        Raises:
            functions.errors.BadSource: the query is wrong, reads too much, or took longer than `timeout_s`.
            functions.errors.Unavailable: BigQuery does not answer, or the service account lacks a role (yet).
        """
        batches = self._batches(sql, timeout_s, parameters)
        try:
            yield batches
        finally:
            batches.close()

    @cached_property
    def _client(self) -> Client:
        from google.cloud.bigquery import Client

        project, location = self._connection.project, self._connection.location
        return self._given[0] or Client(project=project, location=location)

    @cached_property
    def _reader(self) -> BigQueryReadClient:
        from google.cloud.bigquery_storage import BigQueryReadClient

        return self._given[1] or BigQueryReadClient()  # type: ignore[no-untyped-call]

    def _batches(
        self, sql: str, timeout_s: float, parameters: Sequence[date]
    ) -> Generator[pa.RecordBatch, None, None]:
        from google.api_core.exceptions import GoogleAPICallError

        if not sql.strip():
            raise BadSource("the query gives no rows: write one SELECT")
        until = time.monotonic() + timeout_s
        try:
            with calling("querying BigQuery"):
                job = self._start(sql, timeout_s, parameters)
                try:
                    yield from self._read(job, until)
                except Expired as error:
                    raise _late(timeout_s) from error
                finally:
                    if job.state != "DONE":
                        job.cancel(retry=None, timeout=TIMEOUT_S)
        except Failure as failure:
            refused = failure.__cause__
            if isinstance(refused, GoogleAPICallError):
                raise self._failure(refused, timeout_s) or failure from refused
            raise

    def _start(self, sql: str, timeout_s: float, parameters: Sequence[date]) -> QueryJob:
        from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

        config = QueryJobConfig(
            maximum_bytes_billed=self._connection.maximum_bytes_billed,
            job_timeout_ms=int(timeout_s * 1000),
            labels={"system": "mmm-trainer"},
            query_parameters=[ScalarQueryParameter(None, "DATE", day) for day in parameters],
        )
        return self._client.query(sql, config, timeout=TIMEOUT_S, retry=RETRY, job_retry=None)

    def _read(self, job: QueryJob, until: float) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        answer: RowIterator = job.result(timeout=_left(until), retry=RETRY, job_retry=None)
        if job.statement_type != "SELECT":
            raise BadSource("the query gives no rows: write one SELECT")
        if not answer.total_rows:
            empty = answer.to_arrow(bqstorage_client=self._reader)
            yield pa.RecordBatch.from_pylist([], empty.schema)
            return
        rows = 0
        streamed = answer.to_arrow_iterable(self._reader, max_stream_count=1, timeout=_left(until))
        for batch in streamed:  # one stream, so that rows come in their order
            _left(until)
            rows += batch.num_rows
            yield batch
        if rows != answer.total_rows:  # a part would be trained like the whole
            raise Unavailable(f"BigQuery's answer broke off: {rows:,} of {answer.total_rows:,} rows came")

    def _failure(self, error: GoogleAPICallError, timeout_s: float) -> Failure | None:
        told = next((one for one in error.errors if isinstance(one, dict)), {})
        reason, message = told.get("reason"), told.get("message") or error.message
        if reason in _LATE:
            return _late(timeout_s)
        if reason == _TOO_MUCH:
            return BadSource(
                f"the query reads more than this connection may: {message}. Select fewer columns, or filter "
                "by the column by which the table is partitioned; or let the connection read more "
                f"(maximum_bytes_billed, now {self._connection.maximum_bytes_billed:,})"
            )
        if reason in _WRONG:
            return BadSource(f"the warehouse refuses the query: {message}")
        return Unavailable(f"BigQuery cannot answer now: {message}") if reason in _LATER else None


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise Expired
    return left


def _late(timeout_s: float) -> BadSource:
    return BadSource(
        f"the query took longer than {timeout_s:g} s and was stopped: select fewer rows or columns, or "
        "prepare the data in a table of the warehouse"
    )
