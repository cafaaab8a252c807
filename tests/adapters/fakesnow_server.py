"""A stand-in for Snowflake, run by `tests/adapters/snowflake_stand_in.py` in an environment of its own.

fakesnow 0.12 executes the SQL on DuckDB and speaks Snowflake's wire protocol, except for what the driver 5.x
needs beyond it, which is added here: the master token and validities of a login, `returned` in the answer of
a query, decimals as whole numbers, and timestamps that may be NULL. Queries that DuckDB cannot play are
answered here as well.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from typing import Any

import fakesnow.arrow
import fakesnow.server
import pyarrow as pa
import pyarrow.compute as pc
import uvicorn
from fakesnow.server import app, login_request, query_request, session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CHUNK_ROWS = 100_000
logins: list[dict[str, Any]] = []
logouts: list[str] = []


def timestamp_struct(column: pa.ChunkedArray) -> pa.Array:
    """Snowflake's form of a timestamp: whole seconds, nanoseconds and (with a zone) 1440, which is UTC."""
    values = column.combine_chunks()
    micros = values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64()).fill_null(0)
    epoch = pc.floor(pc.divide(micros.cast(pa.float64()), 1e6)).cast(pa.int64())
    parts = {
        "epoch": epoch,
        "fraction": pc.multiply(pc.subtract(micros, pc.multiply(epoch, 1_000_000)), 1000),
    }
    types = {"epoch": pa.int64(), "fraction": pa.int32(), "timezone": pa.int32()}
    if values.type.tz:
        parts["timezone"] = pa.array([1440] * len(values), pa.int32())
    fields = [pa.field(name, types[name], nullable=False) for name in parts]
    arrays = [part.cast(types[name]) for name, part in parts.items()]
    return pa.StructArray.from_arrays(arrays, fields=fields, mask=values.is_null())


def in_snowflakes_form(table: pa.Table, row_type: list[Any]) -> pa.Table:
    """Decimals travel as whole numbers, with their scale beside them."""
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type) and field.type.precision <= 18:
            values = table.column(index).to_pylist()
            whole = [None if value is None else int(value.scaleb(field.type.scale)) for value in values]
            table = table.set_column(index, field.name, pa.array(whole, pa.int64()))
    return fakesnow.arrow.to_sf(table, row_type)


fakesnow.arrow.timestamp_to_sf_struct = timestamp_struct
fakesnow.server.to_sf = in_snowflakes_form


async def body_of(request: Request) -> dict[str, Any]:
    raw = await request.body()
    return json.loads(gzip.decompress(raw) if request.headers.get("Content-Encoding") == "gzip" else raw)


def argument(asked: str) -> int:
    return int(asked.split("(")[1].split(")")[0])


def refusal(code: str, state: str, message: str) -> JSONResponse:
    data = {"errorCode": code, "sqlState": state, "queryId": "01b00000-0000-0000-0000-000000000000"}
    return JSONResponse({"data": data, "code": code, "message": message, "success": False})


async def login(request: Request) -> JSONResponse:
    asked = (await body_of(request))["data"]
    logins.append({"query": dict(request.query_params), **asked, "PASSWORD": None})
    answer = json.loads((await login_request(request)).body)
    answer["data"] |= {
        "sessionId": 1,
        "masterToken": "m",
        "validityInSeconds": 3600,
        "masterValidityInSeconds": 14400,
    }
    return JSONResponse(answer)


async def logout(request: Request) -> JSONResponse:
    logouts.append(request.headers["Authorization"])
    return await session(request)


async def query(request: Request) -> JSONResponse:
    asked = (await body_of(request))["sqlText"]
    if "SYSTEM$WAIT" in asked:
        limit = int(logins[-1]["SESSION_PARAMETERS"]["STATEMENT_TIMEOUT_IN_SECONDS"])
        await asyncio.sleep(limit)
        return refusal(
            "000630",
            "57014",
            f"Statement reached its statement or warehouse timeout of {limit} second(s) and was canceled.",
        )
    if "SYSTEM$HANGS" in asked:
        await asyncio.sleep(3600)
    if "SYSTEM$CHUNKS" in asked:
        return chunked(request, argument(asked))
    if "SYSTEM$LOSES" in asked:
        return chunked(request, argument(asked), lost=1)
    if "SYSTEM$REFUSE" in asked:
        return refusal(f"{argument(asked):06d}", "XX000", "told to refuse")
    response = await query_request(request)
    answer = json.loads(response.body)
    if answer.get("success"):
        answer["data"].setdefault("returned", answer["data"].get("total", 0))
    return JSONResponse(answer, response.status_code)


ROW_TYPE = {"name": "N", "type": "fixed", "scale": 0, "precision": 18, "length": None, "nullable": False}


def numbers(start: int) -> bytes:
    meta = {"logicalType": "FIXED", "precision": "18", "scale": "0", "charLength": "0"}
    schema = pa.schema([pa.field("N", pa.int64(), nullable=False, metadata=meta)])
    return fakesnow.arrow.to_ipc(
        pa.table([pa.array(range(start, start + CHUNK_ROWS), pa.int64())], schema)
    ).to_pybytes()


def chunked(request: Request, count: int, lost: int = 0) -> JSONResponse:
    """A long answer as Snowflake gives it: files to download; of a negative number none is there.

    `lost`: of so many nobody hears, but their rows are counted.
    """
    size = len(numbers(0))
    base = f"{request.url.scheme}://{request.url.netloc}/{'chunks' if count > 0 else 'gone'}"
    count = abs(count)
    chunks = [
        {"url": f"{base}/{number}", "rowCount": CHUNK_ROWS, "uncompressedSize": size, "compressedSize": size}
        for number in range(count)
    ]
    data = {
        "parameters": [{"name": "TIMEZONE", "value": "Etc/UTC"}],
        "rowtype": [ROW_TYPE],
        "total": (count + lost) * CHUNK_ROWS,
        "returned": (count + lost) * CHUNK_ROWS,
        "queryId": "01b00000-0000-0000-0000-000000000001",
        "statementTypeId": 4096,
        "queryResultFormat": "arrow",
        "rowsetBase64": "",
        "chunks": chunks,
        "chunkHeaders": {},
    }
    return JSONResponse({"data": data, "success": True})


routes = [
    Route("/session/v1/login-request", login, methods=["POST"]),
    Route("/queries/v1/query-request", query, methods=["POST"]),
    Route("/chunks/{number}", lambda asked: Response(numbers(int(asked.path_params["number"]) * CHUNK_ROWS))),
    Route("/session", logout, methods=["POST"]),
    Route("/test/logins", lambda _: JSONResponse(logins)),
    Route("/test/open", lambda _: JSONResponse(len(logins) - len(logouts))),
]
app.router.routes[:0] = routes

if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=1
    )
