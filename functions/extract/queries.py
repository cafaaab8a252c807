"""The one query that reads a source.

What is checked here keeps honest people from mistakes and gives a clear answer. It is not the guard: that
is the warehouse's role, which may read the tables meant for it and nothing else.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import date
from typing import Literal, NamedTuple

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from contracts.model import Window
from contracts.request import SqlSource, TableSource
from functions.errors import BadSource
from functions.ports import Warehouse

Dialect = Literal["bigquery", "duckdb", "snowflake"]

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of commands, which are refused below

_MOST_LEVELS = 400  # a warehouse may take minutes to refuse a deeper one, and not listen meanwhile
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,127}")
_FILE_NAME = re.compile(r"[/\\*?]|\.(csv|tsv|txt|parquet|json|jsonl|ndjson|xlsx|db|duckdb|gz|zst)$", re.I)
_TABLE_FUNCTIONS = (exp.GenerateSeries, exp.Generator, exp.Unnest, exp.Explode, exp.Values, exp.Identifier)
_SIDE_EFFECTS = re.compile(
    r"^(system\$.*|nextval|setval|getenv|read_\w+|parquet_\w+|sniff_csv|glob|query|query_table"
    r"|get_presigned_url|build_\w*file_url|get_stage_location)$",
    re.I,
)
_REFUSED: dict[type, str] = {
    exp.DDL: "a statement that changes objects or rows",
    exp.DML: "a statement that changes rows",
    exp.Into: "SELECT INTO, which creates a table",
    exp.Lock: "FOR UPDATE or FOR SHARE, which locks rows",
    exp.ReadCSV: "read_csv, which reads files",
    exp.ReadParquet: "read_parquet, which reads files",
    exp.Parameter: "a parameter, for which there is no value; there are :start and :end",
}
_VALUES = (
    TokenType.VAR,
    TokenType.IDENTIFIER,
    TokenType.NUMBER,
    TokenType.STRING,
    TokenType.R_PAREN,
    TokenType.R_BRACKET,
)
"""After these a colon belongs to what stands before it: a path in a document, a slice of a list."""


class Query(NamedTuple):
    """A query as `Warehouse.query` takes it."""

    sql: str
    parameters: tuple[date, ...] = ()
    """The value of each `?` in it."""


def query_for(
    source: TableSource | SqlSource, warehouse: Warehouse, dialect: Dialect, window: Window | None = None
) -> Query:
    """The query that reads a source, ready for `warehouse.query`.

    A table's three names are checked and quoted, never pasted. SQL is passed on as it was written, after a
    parser for `dialect` has found exactly one SELECT (or WITH … SELECT) in it that reads tables and changes
    nothing. The real guard is the read-only role that the connection uses. `:start` and `:end` in it are sent
    as parameters, with the days of the source or else of the `window`.

    Raises:
        BadSource: the SQL is not one read-only query; the problem lists everything that is wrong.
    """
    if isinstance(source, TableSource):
        parts = (source.database, source.schema_, source.table)
        return Query(f"SELECT * FROM {'.'.join(_quoted(part, warehouse) for part in parts)}")  # noqa: S608 (quoted)
    statement = _only_statement(source.query, dialect)
    problems = _problems(statement, dialect)
    if problems:
        raise BadSource(f"The query may only read: {problems[0]}.", problems)
    window = window or Window()
    days = {"start": source.start or window.start, "end": source.end or window.end}
    return _with_parameters(source.query, statement, dialect, days)


def _with_parameters(
    query: str, statement: exp.Expr, dialect: Dialect, days: Mapping[str, date | None]
) -> Query:
    named = [node.name.lower() for node in statement.find_all(exp.Placeholder)]
    unknown = [f":{name}, for which there is no value" for name in dict.fromkeys(named) if not days.get(name)]
    if unknown:
        advice = "there are :start and :end, which source.start and source.end, or those of window, say"
        raise BadSource(f"The query names {'; and '.join(unknown)}; {advice}.")
    tokens = sqlglot.tokenize(query, dialect=dialect)
    found = [
        (colon.start, name.end, name.text.lower())
        for before, colon, name in zip([None, *tokens], tokens, tokens[1:], strict=False)
        if colon.token_type is TokenType.COLON
        and name.start == colon.end + 1
        and name.text.lower() in days
        and (before is None or before.token_type not in _VALUES)
    ]
    if sorted(name for *_, name in found) != sorted(named):
        raise BadSource("The query says :start or :end where it cannot be told what is meant.")
    for begin, end, _ in reversed(found):
        query = f"{query[:begin]}?{query[end + 1 :]}"
    return Query(query, tuple(day for *_, name in found if (day := days[name])))


def _quoted(identifier: str, warehouse: Warehouse) -> str:
    if not _IDENTIFIER.fullmatch(identifier):
        raise BadSource(f"'{identifier}' is not a name of a database, schema or table.")
    return warehouse.quote(identifier)


def _only_statement(query: str, dialect: Dialect) -> exp.Expr:
    try:
        statements = [statement for statement in sqlglot.parse(query, dialect=dialect) if statement]
    except (SqlglotError, RecursionError) as error:
        reason = re.sub(r"\x1b\[\d*m|\s+", " ", str(error)).strip() or "it is nested too deeply"
        raise BadSource(f"The query is not valid SQL of {dialect}: {reason}") from error
    if not statements:
        raise BadSource("The query is empty; write one SELECT.")
    if len(statements) > 1:
        raise BadSource(f"The query holds {len(statements)} statements; write exactly one SELECT.")
    if _levels(statements[0]) > _MOST_LEVELS:
        raise BadSource(
            f"The query is nested more than {_MOST_LEVELS} levels deep; write it in simpler parts."
        )
    return statements[0]


def _levels(statement: exp.Expr) -> int:
    count, level = 0, [statement]
    while level:
        count, level = count + 1, [inner for node in level for inner in node.iter_expressions()]
    return count


def _problems(statement: exp.Expr, dialect: Dialect) -> list[str]:
    if not isinstance(statement, exp.Query):
        return [f"it is {_statement_name(statement)}, not a SELECT (or WITH … SELECT)"]
    return list(dict.fromkeys(problem for node in statement.walk() if (problem := _problem(node, dialect))))


def _statement_name(statement: exp.Expr) -> str:
    name = str(statement.this) if isinstance(statement, exp.Command) else statement.key
    return name.upper()


def _problem(node: exp.Expr, dialect: Dialect) -> str | None:
    for kind, what in _REFUSED.items():
        if isinstance(node, kind):
            return f"it contains {what}"
    if isinstance(node, exp.Placeholder) and node.this is None:
        return "it contains a placeholder, for which there is no value; there are :start and :end"
    if isinstance(node, exp.CTE | exp.Subquery) and not isinstance(
        node.this, exp.Query | exp.Table | exp.Values
    ):
        return f"it contains {_statement_name(node.this)} where a SELECT belongs"
    if isinstance(node, exp.Table | exp.TableFromRows | exp.Lateral):
        return _table_problem(node, dialect)
    if isinstance(node, exp.Anonymous) and _SIDE_EFFECTS.match(node.name):
        return f"it calls {node.name}, which is not allowed"
    if isinstance(node, exp.Column) and node.name.lower() == "nextval":
        return "it advances a sequence (nextval)"
    return None


def _table_problem(node: exp.Table | exp.TableFromRows | exp.Lateral, dialect: Dialect) -> str | None:
    source = node.this
    if isinstance(source, exp.Subquery):
        return None
    if not isinstance(source, _TABLE_FUNCTIONS):
        name = source.name or source.key
        return f"it reads '{name}', which is not the name of a table; only tables and views may be read"
    names_files = dialect != "bigquery"  # there `events_*` is all tables of that beginning
    if names_files and isinstance(source, exp.Identifier) and _FILE_NAME.search(source.name):
        return f"it reads the file '{source.name}'; upload the file, or name a table"
    return None
