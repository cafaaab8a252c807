"""BigQuery on this machine: its REST calls for jobs and its Storage Read API over gRPC, on a DuckDB.

Queries are translated from BigQuery's SQL. Types come as BigQuery gives them: every decimal has 9 digits
after the point, times have microseconds. Unlike production there are no roles and no locations, and every
query reads `bytes_per_query`. `SELECT * FROM endless` does not answer.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import grpc
import pyarrow as pa
import sqlglot
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client
from google.cloud.bigquery_storage import BigQueryReadClient
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

BATCH_ROWS = 100_000
_JOB = re.compile(r"/bigquery/v2/projects/[^/]+/(jobs|queries)/([^/?]+)(/cancel)?")
_KINDS = {
    "date32[day]": "DATE",
    "timestamp[us]": "DATETIME",
    "timestamp[us, tz=UTC]": "TIMESTAMP",
    "double": "FLOAT64",
    "int64": "INT64",
    "bool": "BOOL",
    "string": "STRING",
    "decimal128(38, 9)": "NUMERIC",
}


@dataclass
class Refusal(Exception):
    """What BigQuery answers instead."""

    reason: str
    message: str
    status: int = 400

    def document(self) -> dict[str, Any]:
        one = {"reason": self.reason, "message": self.message}
        return {"error": {"code": self.status, "message": self.message, "errors": [one]}}


@dataclass
class BigQuery:
    """The service, with the tables of a DuckDB file, whose name is its project."""

    path: Path
    bytes_per_query: int = 10_000_000
    refusals: list[Refusal] = field(default_factory=list)
    """What the next calls that start a job answer instead."""
    job_refusals: list[Refusal] = field(default_factory=list)
    """With what the next jobs end."""
    lost_rows: int = 0
    """How many rows of the end of an answer are not given out."""
    stream_faults: list[grpc.StatusCode] = field(default_factory=list)
    """With what the next streams break off after their first batch."""
    configurations: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._answers: dict[str, pa.Table | Refusal | None] = {}
        self._queries: dict[str, str] = {}
        self._database = duckdb.connect()
        self._database.execute(f"ATTACH '{self.path}' AS \"{self.path.stem}\" (READ_ONLY)")

    # REST

    def insert(self, body: dict[str, Any]) -> dict[str, Any]:
        """jobs.insert"""
        if self.refusals:
            raise self.refusals.pop()
        name, configuration = body["jobReference"]["jobId"], body["configuration"]
        self.configurations.append(configuration)
        self._queries[name] = configuration["query"]["query"]
        self._answers[name] = self._answer(configuration)
        return self.job(name)

    def job(self, name: str) -> dict[str, Any]:
        """jobs.get"""
        answer = self._answers[name]
        status: dict[str, Any] = {"state": "RUNNING" if answer is None else "DONE"}
        if isinstance(answer, Refusal):
            status["errorResult"] = {"reason": answer.reason, "message": answer.message}
        return {
            "jobReference": {"projectId": self.path.stem, "jobId": name, "location": "EU"},
            "configuration": {
                "jobType": "QUERY",
                "query": {
                    "query": self._queries[name],
                    "destinationTable": {"projectId": self.path.stem, "datasetId": "_a", "tableId": name},
                },
            },
            "status": status,
            "statistics": {"query": {"statementType": "SELECT"}},
        }

    def results(self, name: str) -> dict[str, Any]:
        """jobs.getQueryResults with no rows, as the client asks for them"""
        answer = self._answers[name]
        reference = {"projectId": self.path.stem, "jobId": name, "location": "EU"}
        if answer is None:
            threading.Event().wait(0.2)
            return {"jobComplete": False, "jobReference": reference}
        if isinstance(answer, Refusal):
            raise answer
        schema = [{"name": one.name, "type": _KINDS[str(one.type)]} for one in answer.schema]
        return {
            "jobComplete": True,
            "jobReference": reference,
            "schema": {"fields": schema},
            "totalRows": str(len(answer)),
        }

    def cancel(self, name: str) -> dict[str, Any]:
        """jobs.cancel"""
        self.cancelled.append(name)
        self._answers[name] = Refusal("stopped", "Job execution was cancelled")
        return {"job": self.job(name)}

    def _answer(self, configuration: dict[str, Any]) -> pa.Table | Refusal | None:
        if self.job_refusals:
            return self.job_refusals.pop()
        query = configuration["query"]
        most = int(query["maximumBytesBilled"])
        if self.bytes_per_query > most:
            return Refusal(
                "bytesBilledLimitExceeded",
                f"Query exceeded limit for bytes billed: {most}. {self.bytes_per_query} or higher required.",
            )
        if "endless" in query["query"]:
            return None
        try:
            [statement] = sqlglot.transpile(query["query"], read="bigquery", write="duckdb")
            given = [_parameter(one) for one in query.get("queryParameters", [])]
            return _typed(self._database.cursor().sql(statement, params=given or None).to_arrow_table())
        except sqlglot.errors.SqlglotError as error:
            return Refusal("invalidQuery", f"Syntax error: {error}")
        except duckdb.CatalogException as error:
            return Refusal("notFound", f"Not found: {error}")
        except duckdb.Error as error:
            return Refusal("invalidQuery", f"Unrecognized name: {error}")

    # gRPC

    def create_read_session(
        self, request: types.CreateReadSessionRequest, _: grpc.ServicerContext
    ) -> types.ReadSession:
        name = request.read_session.table.rsplit("/", 1)[-1]
        answer = self._answers[name]
        assert isinstance(answer, pa.Table)
        session = types.ReadSession(name=f"sessions/{name}", table=request.read_session.table)
        session.data_format = types.DataFormat.ARROW
        session.arrow_schema.serialized_schema = answer.schema.serialize().to_pybytes()
        if len(answer):
            session.streams = [types.ReadStream(name=name)]
        return session

    def read_rows(
        self, request: types.ReadRowsRequest, context: grpc.ServicerContext
    ) -> Iterator[types.ReadRowsResponse]:
        answer = self._answers[request.read_stream]
        assert isinstance(answer, pa.Table)
        rest = answer.slice(request.offset, len(answer) - request.offset - self.lost_rows)
        for batch in rest.to_batches(BATCH_ROWS):
            told = types.ReadRowsResponse(row_count=batch.num_rows)
            told.arrow_schema.serialized_schema = answer.schema.serialize().to_pybytes()
            told.arrow_record_batch.serialized_record_batch = batch.serialize().to_pybytes()
            yield told
            if self.stream_faults:
                context.abort(self.stream_faults.pop(), "the stream was told to break off")


def _parameter(told: dict[str, Any]) -> date:
    """A positional parameter, as jobs.insert takes it."""
    assert told["parameterType"] == {"type": "DATE"}
    assert told.get("name") is None
    return date.fromisoformat(told["parameterValue"]["value"])


def _typed(table: pa.Table) -> pa.Table:
    kinds = {pa.types.is_decimal: pa.decimal128(38, 9), pa.types.is_integer: pa.int64()}
    fields = []
    for one in table.schema:
        kind = next((kind for fits, kind in kinds.items() if fits(one.type)), one.type)
        if pa.types.is_timestamp(kind):
            kind = pa.timestamp("us", "UTC" if kind.tz else None)
        fields.append(pa.field(one.name, kind))
    return table.cast(pa.schema(fields)).combine_chunks()


class _Handler(BaseHTTPRequestHandler):
    service: BigQuery

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, document = 200, self._call(body)
        except Refusal as refusal:
            status, document = refusal.status, refusal.document()
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _call(self, body: bytes) -> dict[str, Any]:
        found = _JOB.match(self.path)
        if not found:
            return self.service.insert(json.loads(body))
        kind, name, cancel = found.groups()
        if cancel:
            return self.service.cancel(name)
        return self.service.job(name) if kind == "jobs" else self.service.results(name)


@contextmanager
def serving(service: BigQuery) -> Iterator[tuple[Client, BigQueryReadClient]]:
    """Serve on free ports; Google's clients of it."""
    handler = type("Handler", (_Handler,), {"service": service})
    rest = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    rest.daemon_threads = True
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    rpc = grpc.server(ThreadPoolExecutor(8))
    methods = {
        "CreateReadSession": grpc.unary_unary_rpc_method_handler(
            service.create_read_session,
            types.CreateReadSessionRequest.deserialize,
            types.ReadSession.serialize,
        ),
        "ReadRows": grpc.unary_stream_rpc_method_handler(
            service.read_rows, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
        ),
    }
    name = "google.cloud.bigquery.storage.v1.BigQueryRead"
    rpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            address = f"http://127.0.0.1:{rest.server_address[1]}"
            client = Client(
                project=service.path.stem,
                credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
                client_options={"api_endpoint": address},
            )
            reader = BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))  # type: ignore[no-untyped-call]
            yield client, reader
            client.close()
    finally:
        rpc.stop(None).wait()
        rest.shutdown()
        rest.server_close()
