"""The rows of a source that is in the bucket: a file, or a folder of Parquet parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

import pyarrow as pa

from contracts import names
from contracts.request import ObjectSource
from functions.errors import BadSource
from functions.extract.decode import read_batches
from functions.extract.part_rows import read_parts
from functions.extract.parts import parts_of, version_of
from functions.ports import NotFound, ObjectInfo, ObjectStore


@contextmanager
def rows_of_object(
    objects: ObjectStore, source: ObjectSource, wanted: Collection[str] = (), sheet: str | None = None
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The rows of a source, in batches, in the version that it names; at least one batch.

    `wanted` are the columns that somebody asked for: they tell where the header of a file is.

    Raises:
        BadSource: it is not there, is damaged, or is in no format that is read.
    """
    with ExitStack() as stack:
        try:
            parts = _parts(objects, source)
            if len(parts) > 1 or any("=" in part.name for part in parts):
                if sheet is not None:
                    raise BadSource(
                        f"`sheet` names a sheet of a workbook; {source.name} is none. Leave it out."
                    )
                yield read_parts(objects, source.name, parts)
                return
            file, generation = (
                (parts[0].name, parts[0].generation) if parts else (source.name, source.generation)
            )
            stream = stack.enter_context(objects.reader(file, generation))
            yield read_batches(file.rsplit("/", 1)[-1], stream, wanted, sheet, stack)
        except NotFound as error:
            raise BadSource(
                f"{source.name} is not there (any more) in the version asked for; if it was uploaded again, "
                "the newer version has a job of its own"
            ) from error


def _parts(objects: ObjectStore, source: ObjectSource) -> list[ObjectInfo]:
    """The parts of a source that is a folder of them; none if it is a file.

    Raises:
        NotFound: they are not in the version asked for.
    """
    if objects.stat(source.name) is not None:
        return []
    parts = parts_of(objects, source.name)
    mark = objects.stat(names.parts_mark(source.name))
    if source.generation not in (None, version_of([*parts, *([mark] if mark else [])])):
        raise NotFound(f"{source.name} in version {source.generation}")
    return parts
