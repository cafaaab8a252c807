"""The rows of a folder of parts, chained; memory does not grow with their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from functions.errors import BadSource
from functions.extract.decode import plain_type
from functions.extract.parquet import check_footer, read_rows, telling_damage, within_bounds
from functions.ports import ObjectInfo, ObjectStore
from functions.reading import NESTED, said

MAX_PARTS = 1_000
"""Parts of a folder that are read."""
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def read_parts(objects: ObjectStore, folder: str, parts: Sequence[ObjectInfo]) -> Iterator[pa.RecordBatch]:
    """The rows of all parts, the first batch empty: it has every column, in a type that fits all parts.

    A column that a part lacks is empty there.

    Raises:
        BadSource: too many parts, one that is no Parquet file or is damaged, or no rows at all.
        functions.ports.NotFound: a part was replaced or removed since it was listed.
    """
    if len(parts) > MAX_PARTS:
        raise BadSource(f"{folder} has more than {MAX_PARTS:,} parts; write it with fewer.")
    schemas, filled = [], []
    for info in parts:
        schema, rows = _described(objects, info)
        schemas.append(_with_partitions(schema, _partitions(folder, info.name)))
        if rows:
            filled.append(info)
    if not filled:
        raise BadSource(f"{folder} has columns, but no rows.")
    schema = _common(schemas)
    yield pa.RecordBatch.from_pylist([], schema=schema)
    yield from within_bounds(folder, _rows(objects, folder, filled, schema))


def _described(objects: ObjectStore, info: ObjectInfo) -> tuple[pa.Schema, int]:
    """The columns of a part, and how many rows it has."""
    name = _short(info.name)
    with objects.reader(info.name, info.generation) as stream, telling_damage(name):
        if stream.read(4) != b"PAR1":
            raise BadSource(f"{name} is not a Parquet file; write every part as Parquet, or upload one file.")
        check_footer(name, stream)
        file = pq.ParquetFile(stream)
        return file.schema_arrow.remove_metadata(), file.metadata.num_rows


def _rows(
    objects: ObjectStore, folder: str, parts: Sequence[ObjectInfo], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for info in parts:
        values = _partitions(folder, info.name)
        name = _short(info.name)
        with objects.reader(info.name, info.generation) as stream, telling_damage(name):
            for batch in read_rows(name, stream):
                yield _aligned(batch, schema, values)


def _aligned(batch: pa.RecordBatch, schema: pa.Schema, values: dict[str, str | None]) -> pa.RecordBatch:
    """A batch with the columns of a schema in its order; their types are the part's."""
    columns = []
    for field in schema:
        if field.name in values:
            columns.append(pa.repeat(pa.scalar(values[field.name], pa.string()), batch.num_rows))
        elif field.name in batch.schema.names:
            columns.append(batch.column(field.name))
        else:
            columns.append(pa.nulls(batch.num_rows, field.type))
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


def _partitions(folder: str, name: str) -> dict[str, str | None]:
    """The columns that the folders between give: `region=DE` → region, DE."""
    given = (each.partition("=") for each in name.removeprefix(f"{folder}/").split("/")[:-1] if "=" in each)
    return {
        unquote(column): None if value == _NO_VALUE else unquote(value)
        for column, _, value in given
        if column
    }


def _with_partitions(schema: pa.Schema, values: dict[str, str | None]) -> pa.Schema:
    kept = [field for field in schema if field.name not in values]
    return pa.schema([*kept, *(pa.field(column, pa.string()) for column in values)])


def _common(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Every column that a part has; those that cannot be used are told in the metadata."""
    fields: dict[str, pa.Field] = {}
    unusable: dict[str, str] = {}
    for schema in schemas:
        times = Counter(schema.names)
        for field in schema:
            plain = plain_type(field.type)
            if plain is None:
                unusable[field.name] = NESTED.format(str(field.type)[:80])
            elif times[field.name] > 1:
                unusable[field.name] = "several columns of a part have this name; rename them"
            else:
                flat = pa.field(field.name, plain)
                fields[field.name] = _unified(fields.get(field.name, flat), flat)
    usable = [field for name, field in fields.items() if name not in unusable]
    return pa.schema(usable, said(unusable=unusable))


def _unified(one: pa.Field, other: pa.Field) -> pa.Field:
    """A field that holds the values of both; the first if there is none, and the other values are lost."""
    try:
        both = pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive")
    except pa.ArrowException:
        return one
    return both.field(0)


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]
