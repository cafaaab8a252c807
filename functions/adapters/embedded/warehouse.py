"""Warehouses: one DuckDB file per connection, read-only and without access to files."""

from __future__ import annotations

import atexit
import re
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from functions.adapters.embedded.later import Later
from functions.errors import BadSource, Busy, Unavailable

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH_ROWS = 50_000
MAX_QUERIES = 4
"""At once, in one process: each takes up to 256 MB and a core."""
_FROZEN = {
    "enable_external_access": "false",
    "lock_configuration": "true",
    "memory_limit": "256MB",
}
"""A query sees the tables of its file, no other files and none of our variables, in bounded memory."""


_KEPT_S = 3.0
"""How long a file stays open after it was opened: that costs as much as twenty small queries."""


class _Kept(NamedTuple):
    connection: duckdb.DuckDBPyConnection
    file: tuple[int, int]
    """Inode and time of the file: another one may have taken its place."""
    number: int


_kept: dict[Path, _Kept] = {}
_numbers = count()
_keeping = threading.Lock()
_later = Later()


def _keep_open(path: Path) -> None:
    """Keep a database open for a moment, so that the next queries need not open it again.

    Another program can write to it as soon as it is closed.
    """
    import duckdb

    with _keeping:
        status = path.stat()
        file = (status.st_ino, status.st_mtime_ns)
        known = _kept.get(path)
        if known is not None and known.file == file:
            return
        if known is not None:
            known.connection.close()
        connection = duckdb.connect(str(path), read_only=True, config={**_FROZEN})
        _kept[path] = _Kept(connection, file, next(_numbers))
        _later.call(_KEPT_S, partial(_let_go, path, _kept[path].number))


def _let_go(path: Path, number: int | None = None) -> None:
    """Close a database that was kept open, unless it was opened again since."""
    with _keeping:
        if path in _kept and number in (None, _kept[path].number):
            _kept.pop(path).connection.close()


@atexit.register
def _let_all_go() -> None:
    with _keeping:  # a thread that is closing one must come out of the library before the interpreter ends
        while _kept:
            _kept.popitem()[1].connection.close()


class DuckDbWarehouse:
    """Implements `functions.ports.Warehouse` on `<connection>.duckdb`; the database has that name, too."""

    def __init__(self, path: Path, room: threading.Semaphore | None = None) -> None:
        """`room`: how many queries may still begin beside those that run."""
        self._path = path
        self._room = room or threading.Semaphore(MAX_QUERIES)

    @property
    def dialect(self) -> Literal["duckdb"]:
        """Which SQL it understands."""
        return "duckdb"

    def quote(self, identifier: str) -> str:
        """An identifier as it must stand in a query."""
        return '"' + identifier.replace('"', '""') + '"'

    @contextmanager
    def query(
        self, sql: str, timeout_s: float, parameters: Sequence[date] = ()
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """Run one query and stream its answer; at least one batch, so that the schema is known.

        `timeout_s` counts until the block ends, because DuckDB works on while it is read.

        Raises:
            functions.errors.BadSource: the query is wrong or not allowed, or took longer than `timeout_s`.
            functions.errors.Busy: as many queries run as may.
            functions.errors.Unavailable: another program is writing to the file.
        """
        if not self._room.acquire(blocking=False):
            raise Busy("other queries are running; this one waits for its turn")
        try:
            with self._query(sql, timeout_s, parameters) as batches:
                yield batches
        finally:
            self._room.release()

    @contextmanager
    def _query(
        self, sql: str, timeout_s: float, parameters: Sequence[date]
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        import duckdb

        try:
            _keep_open(self._path)
            connection = duckdb.connect(str(self._path), read_only=True, config={**_FROZEN})
        except (OSError, duckdb.IOException, duckdb.ConnectionException) as error:
            raise Unavailable(f"the warehouse {self._path.name} cannot be opened now: {error}") from error
        late = threading.Event()
        call = _later.call(timeout_s, partial(_interrupt, connection, late))
        batches = _batches(connection, sql, parameters, timeout_s, late)
        try:
            yield batches
        finally:
            _later.cancel(call)
            batches.close()  # a half-read answer would keep the file open, and whoever opens it next waiting
            connection.close()


class DuckDbWarehouses(Mapping[str, DuckDbWarehouse]):
    """The warehouses of a folder: each file `<connection>.duckdb` in it, also those that come later."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room = threading.Semaphore(MAX_QUERIES)

    def __getitem__(self, connection: str) -> DuckDbWarehouse:
        if connection not in list(self):
            raise KeyError(connection)
        return DuckDbWarehouse(_path(self._folder, connection), self._room)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(path.stem for path in self._folder.glob("*.duckdb")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def load_table(folder: Path, connection: str, schema: str, table: str, rows: pa.Table) -> None:
    """Write a table into a warehouse of a folder, over one of that name; for demonstrations and tests.

    A query finds it as `"connection"."schema"."table"`.

    Raises:
        functions.errors.Unavailable: the file is open elsewhere.
    """
    import duckdb

    warehouse = DuckDbWarehouse(_path(folder, connection))
    folder.mkdir(parents=True, exist_ok=True)
    target = f"{warehouse.quote(schema)}.{warehouse.quote(table)}"
    try:
        _let_go(_path(folder, connection))
        with duckdb.connect(str(_path(folder, connection))) as writer:
            writer.execute("SET enable_progress_bar = false")
            writer.execute(f"CREATE SCHEMA IF NOT EXISTS {warehouse.quote(schema)}")
            writer.register("arriving", rows)
            writer.execute(f"CREATE OR REPLACE TABLE {target} AS SELECT * FROM arriving")  # noqa: S608 (quoted)
    except (duckdb.IOException, duckdb.ConnectionException) as error:
        raise Unavailable(f"the warehouse {connection} cannot be written now: {error}") from error


def _path(folder: Path, connection: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", connection):
        raise ValueError(f"'{connection}' cannot be the name of a connection: letters, digits, _ . - only")
    return folder / f"{connection}.duckdb"


def _interrupt(connection: duckdb.DuckDBPyConnection, late: threading.Event) -> None:
    import duckdb

    late.set()
    with suppress(duckdb.Error):  # it ended a moment ago
        connection.interrupt()


def _batches(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[date],
    timeout_s: float,
    late: threading.Event,
) -> Generator[pa.RecordBatch, None, None]:
    import duckdb
    import pyarrow as pa

    try:
        answer = connection.sql(sql, params=list(parameters) or None)
        if answer is None:
            raise BadSource("the query gives no rows: write one SELECT")
        empty = True
        with answer.to_arrow_reader(BATCH_ROWS) as reader:
            for batch in reader:
                empty = False
                yield batch
            if empty:
                yield pa.RecordBatch.from_pylist([], reader.schema)
    except (duckdb.Error, pa.ArrowException, OSError) as error:  # Arrow passes DuckDB's errors on as OSError
        if late.is_set():
            raise BadSource(
                f"the query took longer than {timeout_s:g} s and was stopped: select fewer rows or columns, "
                "or prepare the data in a table of the warehouse"
            ) from error
        raise BadSource(f"the warehouse refuses the query: {error}") from error
