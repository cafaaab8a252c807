"""The rows and columns of the dataset that a request speaks of."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.base import MAX_NAME, plain_name, some
from contracts.request import CalendarFlag, Derived, Difference, Lag, Product, Sum, TrainRequest
from functions.errors import BadData
from functions.reading import notes_in, ours, unusable_in
from functions.validate.date_text import fold
from functions.validate.findings import Findings

MAX_CELLS = 6_000_000
MAX_BYTES = 160 << 20
"""How many cells (rows times columns, derived ones included) and decoded bytes are read into memory."""

_MANY_ROWS = 100_000
"""From here on several threads decode faster than one."""

_NAMES_COMPARED = 100  # comparing every missing name with thousands of others would take minutes

ROW = "\0row"
"""The column that carries the number of each source row; no delivered column can have this name."""


def read(dataset: pa.Table | Path | BinaryIO, request: TrainRequest) -> pa.Table:
    """The dataset as it was extracted, text as plain strings.

    Raises:
        BadData: it is not a whole Parquet file, or is too large to be validated in memory.
    """
    if isinstance(dataset, pa.Table):
        return plain(dataset)
    try:
        file = pq.ParquetFile(dataset)
        _check_cells(file.metadata, request)
        table = pa.concat_tables(_row_groups(file)) if file.num_row_groups else file.read()
        return plain(table.replace_schema_metadata(ours(file.metadata.metadata)))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and type(error) is not OSError:
            raise  # the connection, not the content: for that, pyarrow raises plain OSErrors
        raise BadData(f"The dataset is not a whole Parquet file; extract it again ({error}).") from error


def _check_cells(metadata: pq.FileMetaData, request: TrainRequest) -> None:
    columns = metadata.num_columns + sum(1 + len(inputs(derived)) for derived in request.derived)
    if metadata.num_rows * columns > MAX_CELLS:
        raise BadData(
            f"{metadata.num_rows:,} rows of {columns:,} columns, derived ones included, are more than "
            f"{MAX_CELLS:,} cells. {_SMALLER}"
        )


def _row_groups(file: pq.ParquetFile) -> Iterator[pa.Table]:
    size = 0
    for i in range(file.num_row_groups):
        group = file.read_row_group(i, use_threads=file.metadata.num_rows > _MANY_ROWS)
        size += group.nbytes
        if size > MAX_BYTES:
            raise BadData(f"The data are larger than {MAX_BYTES >> 20} MB. {_SMALLER}")
        yield group


_SMALLER = "Deliver one row per period and country, and only the columns of the model; a query can aggregate."


def plain(table: pa.Table) -> pa.Table:
    """The table with text as plain strings, and names as requests have them."""
    kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in table.schema.types]
    kinds = [pa.string() if pa.types.is_large_string(kind) else kind for kind in kinds]
    columns = [
        column if column.type == kind else column.cast(kind)
        for column, kind in zip(table.columns, kinds, strict=True)
    ]
    names = [plain_name(name) or f"unnamed {i}" for i, name in enumerate(table.column_names, 1)]
    return pa.table(columns, pa.schema(zip(names, kinds, strict=True), table.schema.metadata))


def inputs(derived: Derived) -> list[str]:
    """The columns that a derived column is made from."""
    if isinstance(derived, Sum | Product | Difference):
        return list(derived.of)
    if isinstance(derived, Lag):
        return [derived.of]
    return [] if isinstance(derived, CalendarFlag) else [derived.numerator, derived.denominator]


def required(request: TrainRequest) -> list[str]:
    """The columns that the dataset itself must have, in the order of the request."""
    names = [name for _, name in request.columns.roles()]
    names += [request.country_column] if request.country_column else []
    names += [name for item in request.derived for name in inputs(item)]
    made = {item.name for item in request.derived}
    return [name for name in dict.fromkeys(names) if name not in made]


def possible_names(request: TrainRequest) -> list[str]:
    """Every name that a column of the request may have in the dataset."""
    return [other for name in required(request) for other in (name, *request.aliases.get(name, ()))]


def aliases_in(request: TrainRequest, there: Collection[str]) -> dict[str, str]:
    """The columns that are called otherwise in a dataset: their names there, and in the request."""
    found = {}
    for name in required(request):
        alias = next((other for other in request.aliases.get(name, ()) if other in there), None)
        if alias is not None and name not in there:
            found[alias] = name
    return found


def _by_request_names(table: pa.Table, request: TrainRequest, findings: Findings) -> pa.Table:
    """The table with the columns that the request knows by another name under its own."""
    renamed = aliases_in(request, table.column_names)
    for alias, name in renamed.items():
        findings.change("alias", f"column '{alias}' of the data is read as '{name}'", "", name)
    unused = [name for name in request.aliases if name not in required(request)]
    if unused:
        findings.warning(
            "alias-unused",
            f"aliases are given for columns that the request does not use: {some(unused)}",
            "correct their names in `aliases`, or remove them",
        )
    names = [renamed.get(name, name) for name in table.column_names]
    return table.rename_columns(names).replace_schema_metadata(table.schema.metadata)


def check_columns(table: pa.Table, request: TrainRequest, findings: Findings) -> pa.Table:
    """The table with each name once, after every missing, repeated and unused column was reported."""
    table = _by_request_names(table, request, findings)
    used = set(required(request))
    table = _usable(_each_once(table, used, findings), used, findings)
    _check_missing(table, request, findings)
    _check_derived(table, request, findings)
    unused = [name for name in table.column_names if name not in used]
    if unused:
        findings.change(
            "unused-columns", f"columns that the request does not name were left out: {some(unused)}"
        )
    return table


def _each_once(table: pa.Table, used: set[str], findings: Findings) -> pa.Table:
    """Of columns of one name the first; they matter where the request names them and they differ."""
    first: dict[str, int] = {}
    differing: dict[str, None] = {}
    for i, name in enumerate(table.column_names):
        if first.setdefault(name, i) != i and not table.column(i).equals(table.column(first[name])):
            differing[name] = None
    repeated = [name for name in differing if name in used]
    if repeated:
        findings.error(
            "repeated-column",
            f"these columns occur more than once: {', '.join(repeated)}",
            "give each column a name of its own, for example with AS in the query",
            repeated[0] if len(repeated) == 1 else None,
        )
    if len(first) < table.num_columns:
        counts = Counter(table.column_names)
        twice = [name for name in first if counts[name] > 1 and name not in repeated]
        if twice:
            findings.change(
                "repeated-columns", f"of columns with the same name the first was kept: {some(twice)}"
            )
    return table.select(list(first.values()))


def _usable(table: pa.Table, used: set[str], findings: Findings) -> pa.Table:
    """The columns that extraction could read; for the others a reason stands in the metadata."""
    for note in notes_in(table.schema.metadata):
        findings.change("read-as", note)
    unusable = {plain_name(name): why for name, why in unusable_in(table.schema.metadata).items()}
    for name in sorted(unusable.keys() & used):
        findings.error("unusable-column", f"column '{name}' cannot be used: {unusable[name]}", _USABLE, name)
    others = [name for name in unusable if name not in used]
    if others:
        findings.change("unusable-columns", f"columns that cannot be read were left out: {some(others)}")
    return table.select([name for name in table.column_names if name not in others])


_USABLE = "deliver it with one number, text or date per row, or leave it out of the request"


def _check_missing(table: pa.Table, request: TrainRequest, findings: Findings) -> None:
    there = {*table.column_names, *unusable_in(table.schema.metadata)}
    missing = [name for name in required(request) if name not in there]
    if missing:
        suggestions = [
            f"did you mean {_shown(near, name)} for '{name}'"
            for name in missing[:_NAMES_COMPARED]
            for near in _near(name, table.column_names[:_NAMES_COMPARED])
        ]
        findings.error(
            "missing-column",
            f"these columns are missing: {', '.join(missing)}",
            (f"{'; '.join(suggestions)}? " if suggestions else "")
            + f"Upper and lower case count. The data have: {some(table.column_names, _NAMES_COMPARED)}",
            missing[0] if len(missing) == 1 else None,
        )


def _near(name: str, columns: list[str]) -> list[str]:
    folded = {column[:128].casefold().strip(): column for column in columns}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return [folded[match] for match in found if len(folded[match]) <= MAX_NAME]


def _shown(near: str, name: str) -> str:
    """A name of the data, and, where it may look like the one asked for, which characters are others."""
    other = [(a, b) for a, b in zip(near, name, strict=False) if a != b and not (a + b).isascii()]
    named = [f"{_called(a)} where the request has {_called(b)}" for a, b in other[:3]]
    return f"'{near}'" + (f" (it has {', '.join(named)})" if named and len(near) == len(name) else "")


def _called(character: str) -> str:
    return f"{unicodedata.name(character, 'the character')} (U+{ord(character):04X})"


def _check_derived(table: pa.Table, request: TrainRequest, findings: Findings) -> None:
    counts = Counter(item.name for item in request.derived)
    used = {name for _, name in request.columns.roles()}
    used |= {name for item in request.derived for name in inputs(item)}
    there = set(table.column_names)
    for name, count in counts.items():
        if name in there or count > 1:
            where = "the data have a column of that name" if name in there else "it is made twice"
            findings.error(
                "derived-exists",
                f"the derived column '{name}' cannot be made: {where}",
                "give the derived column another name",
                name,
            )
        if name not in used:
            findings.warning(
                "derived-unused",
                f"the derived column '{name}' is used nowhere",
                "name it in `columns`, or remove it from `derived`",
                name,
            )


def select_rows(table: pa.Table, request: TrainRequest, findings: Findings) -> pa.Table:
    """The rows of the request's country, with their numbers in the column ROW, without empty ones."""
    table = table.append_column(ROW, pa.array(np.arange(1, table.num_rows + 1)))
    if not table.num_rows:
        findings.error("no-rows", "the data have no rows", "check the source, its filter and its period")
        return table
    return _of_country(_without_empty(table, findings), request, findings)


def _without_empty(table: pa.Table, findings: Findings) -> pa.Table:
    empty = pa.chunked_array([pa.array(np.ones(table.num_rows, bool))])
    for name in table.column_names:
        if name == ROW or not pc.any(empty).as_py():
            continue
        empty = pc.and_(empty, blank(table.column(name)))
    if not pc.any(empty).as_py():
        return table
    rows = table.filter(empty).column(ROW).to_pylist()
    if len(rows) == table.num_rows:
        findings.error("no-rows", "no row has any value", "check the source, its filter and its period")
    findings.change("empty-rows", "rows without any value were dropped", rows=rows)
    return table.filter(pc.invert(empty))


def blank(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which cells hold nothing: null, or text of spaces only."""
    if pa.types.is_string(values.type):
        return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(values), ""), True)
    return pc.is_null(values, nan_is_null=True)


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Any column as trimmed text; whole numbers without a fraction, dates as ISO."""
    kind, types = values.type, pa.types
    if types.is_nested(kind) or types.is_binary(kind) or types.is_interval(kind):
        return pa.chunked_array([pa.array([str(value.as_py()) for value in values], pa.string())])
    return pc.utf8_trim_whitespace(values.cast(pa.string()))


def _of_country(table: pa.Table, request: TrainRequest, findings: Findings) -> pa.Table:
    column, wanted = request.country_column, request.country_value or request.country
    if column is None or column not in table.column_names:
        return table
    countries = as_text(table.column(column))
    kept = table.filter(pc.fill_null(pc.equal(countries, wanted), False))
    counts = Counter(str(value) if value else "empty" for value in countries.to_pylist())
    others = {value: count for value, count in counts.most_common() if value != wanted}
    alike = [value for value in others if folded(value) == folded(wanted)]
    named = some(f"'{value}' ({count})" for value, count in others.items())
    if not kept.num_rows:
        hint = f"did you mean {some(repr(value) for value in alike)}? " if alike else ""
        findings.error(
            "no-rows-of-country",
            f"no row has '{wanted}' in column '{column}', which holds {named}",
            f"{hint}Set country_value to what stands in the column; upper and lower case count",
            column,
        )
    elif others:
        left_out = table.num_rows - kept.num_rows
        findings.change(
            "other-countries",
            f"{left_out} row(s) of others than '{wanted}' were left out: {named}",
            "",
            column,
        )
    if alike and kept.num_rows:
        rows = sum(others[value] for value in alike)
        findings.warning(
            "similar-country",
            f"{rows} row(s) were left out whose '{column}' looks like '{wanted}': {some(map(repr, alike))}",
            "write the same value in every row, or make sure that these rows are of another country",
            column,
        )
    return kept


def folded(text: str) -> str:
    """A text without accents, spaces and differences of case."""
    return "".join(fold(text).split())
