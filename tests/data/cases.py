"""Good data of our own, to be spoilt by the tests."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.job import Finding
from contracts.request import TrainRequest
from functions.reading import ours
from functions.validate.prepare import Prepared, prepare
from tests.data.decoding import decode_upload

COLUMNS: dict[str, Any] = {
    "date": "DATE",
    "dependent": "Revenue",
    "dependent_type": "revenue",
    "paid_media": ["tv_S", {"spend": "Search_S", "exposure": "Search_Clicks"}],
    "organic": ["newsletter"],
    "context": ["Competitor"],
    "factors": ["events"],
}


class Target(io.BytesIO):
    """What an object store hands out to write to, kept in memory."""


def weekly(rows: int = 104, start: str = "2023-01-02", days: int = 7) -> pd.DataFrame:
    """`rows` periods of plausible data; names in mixed case as in Robyn's demo data."""
    random = np.random.default_rng(7)
    dates = pd.date_range(start, periods=rows, freq=f"{days}D")
    return pd.DataFrame(
        {
            "DATE": dates.strftime("%Y-%m-%d"),
            "Revenue": random.uniform(1000, 2000, rows).round(2),
            "tv_S": random.uniform(50, 100, rows).round(2),
            "Search_S": random.uniform(5, 20, rows).round(2),
            "Search_Clicks": random.integers(100, 500, rows),
            "newsletter": random.integers(10, 90, rows),
            "Competitor": random.uniform(500, 700, rows).round(2),
            "events": np.where(np.arange(rows) % 13 == 0, "event1", "na"),
        }
    )


def request(columns: dict[str, Any] | None = None, **fields: Any) -> TrainRequest:
    """A valid request for `weekly`, with some fields and columns replaced."""
    body: dict[str, Any] = {
        "request_id": "r1",
        "country": "DE",
        "revision": "test",
        "source": {"kind": "object", "name": "drop-zone/DE/data.csv"},
        "columns": COLUMNS | (columns or {}),
        "prophet": {"components": []},
    }
    return TrainRequest.model_validate(body | fields)


def validated(frame: pd.DataFrame, asked: TrainRequest | None = None) -> Prepared:
    """What becomes of a frame that is delivered as Parquet."""
    return prepare(pa.Table.from_pandas(frame, preserve_index=False), asked or request(), "fp")


def uploaded(text: str | bytes, name: str = "data.csv") -> pa.Table:
    """What extraction makes of an uploaded file."""
    return decoded(text.encode() if isinstance(text, str) else text, name)


def decoded(data: bytes, name: str, wanted: Collection[str] = (), sheet: str | None = None) -> pa.Table:
    """What extraction makes of an uploaded file from which columns are wanted."""
    out = Target()
    decode_upload(f"drop-zone/DE/{name}", io.BytesIO(data), out, wanted, sheet)
    file = pq.ParquetFile(io.BytesIO(out.getvalue()))
    return file.read().replace_schema_metadata(ours(file.metadata.metadata))


def only(prepared: Prepared, code: str) -> Finding:
    """The one finding of a code."""
    found = [finding for finding in prepared.report.findings if finding.code == code]
    assert len(found) == 1, f"{code}: {prepared.report.findings}"
    return found[0]


def errors(prepared: Prepared) -> Sequence[str]:
    """The codes of all errors."""
    return [finding.code for finding in prepared.report.findings if finding.severity == "error"]


def rejected(frame: pd.DataFrame, code: str, asked: TrainRequest | None = None) -> Finding:
    """The one and only error that a frame has; nothing was prepared."""
    prepared = validated(frame, asked)
    assert errors(prepared) == [code], prepared.report.findings
    assert prepared.table is None
    assert not prepared.report.valid
    return only(prepared, code)
