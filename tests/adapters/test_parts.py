"""A folder of parts is the same upload in every family, and is read from every store."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.job import Upload
from functions.errors import NotYet
from functions.extract.gathering import QUIET, gather
from functions.extract.part_rows import read_parts
from functions.extract.parts import parts_of
from functions.log import Log
from functions.ports import ObjectInfo
from functions.runtime import Runtime
from infra.local.host import local_settings
from tests.adapters.families import Family, StepClock

FOLDER = "drop-zone/AT/out.parquet"


def parquet(*values: int) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"x": values}), out)
    return out.getvalue()


def gathered(family: Family, newest: ObjectInfo, after: timedelta, folder: Path) -> Upload | None:
    """What is gathered so long after a file came."""
    clock = StepClock()
    clock.advance((newest.updated + after - clock.now()).total_seconds())
    runtime = Runtime(replace(family.ports, clock=clock), local_settings(folder), Log("text"))
    return gather(runtime, "AT", FOLDER, newest)


def test_a_folder_is_gathered_when_it_is_whole_and_read_as_one(family: Family, tmp_path: Path) -> None:
    objects = family.ports.objects
    objects.create(f"{FOLDER}/region=DE/part-0.parquet", parquet(1, 2))
    part = objects.create(f"{FOLDER}/region=FR/part-0.parquet", parquet(3))
    assert gathered(family, part, QUIET, tmp_path) is None
    mark = objects.create(f"{FOLDER}/_SUCCESS", b"")
    with pytest.raises(NotYet):
        gathered(family, mark, QUIET / 2, tmp_path)
    first = gathered(family, mark, QUIET, tmp_path)
    assert first is not None
    assert gathered(family, mark, QUIET, tmp_path) == first
    late = objects.create(f"{FOLDER}/region=FR/part-1.parquet", parquet(4))
    second = gathered(family, late, QUIET, tmp_path)
    assert second is not None
    assert second.continues == first.generation != second.generation
    table = pa.Table.from_batches(read_parts(objects, FOLDER, parts_of(objects, FOLDER)))
    assert table.to_pydict() == {"x": [1, 2, 3, 4], "region": ["DE", "DE", "FR", "FR"]}
