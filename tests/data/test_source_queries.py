from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import pyarrow as pa
import pytest

from contracts.model import Window
from contracts.request import SqlSource, TableSource
from functions.errors import BadSource
from functions.extract.queries import Dialect, query_for


class QuotingWarehouse:
    dialect: Dialect = "duckdb"

    def quote(self, identifier: str) -> str:
        return '"' + identifier.replace('"', '""') + '"'

    @contextmanager
    def query(
        self, sql: str, timeout_s: float, parameters: Sequence[date] = ()
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        raise NotImplementedError


def sql(text: str, dialect: Dialect = "duckdb") -> str:
    return query_for(SqlSource(kind="sql", connection="main", query=text), QuotingWarehouse(), dialect).sql


def test_a_table_is_three_quoted_names() -> None:
    source = TableSource(kind="table", connection="main", database="DB", schema="Mart", table="select")
    assert query_for(source, QuotingWarehouse(), "duckdb").sql == 'SELECT * FROM "DB"."Mart"."select"'


def test_a_name_that_is_no_identifier_is_refused_even_if_it_was_not_validated() -> None:
    source = TableSource.model_construct(
        kind="table", connection="main", database="db", schema_="s", table='x"; DROP TABLE y; --'
    )
    with pytest.raises(BadSource, match="is not a name"):
        query_for(source, QuotingWarehouse(), "duckdb")


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("duckdb", "select * from mart.sales"),
        ("duckdb", "select a, sum(b) from db.mart.sales group by 1 order by 1;"),
        ("duckdb", "with x as (select 1 as a) select * from x -- the end"),
        ("duckdb", "(select 1) union all (select 2)"),
        ("duckdb", "select '; drop table x', \"delete\" from t"),
        ("duckdb", "from t select a where a > 1"),
        ("duckdb", "select * from range(3)"),
        ("duckdb", "select * from (values (1), (2)) as v(x)"),
        ("snowflake", "select f.value from t, lateral flatten(input => t.x) f"),
        (
            "snowflake",
            "select * from db.mart.sales qualify row_number() over (partition by d order by v) = 1",
        ),
        ("bigquery", "select * from `shop-1.marts.sales` where day >= date '2024-01-01'"),
        ("bigquery", "select * from `shop-1.marts.events_*` where _table_suffix > '20240101'"),
        ("bigquery", "select item.name from marts.orders, unnest(items) as item"),
        (
            "bigquery",
            "select * except (secret) from marts.sales for system_time as of t",
        ),
        (
            "bigquery",
            "select * from unnest(generate_date_array('2024-01-01', '2024-12-30')) d",
        ),
    ],
)
def test_one_select_passes_as_it_was_written(dialect: Dialect, text: str) -> None:
    assert sql(text, dialect) == text


@pytest.mark.parametrize(
    ("dialect", "text", "reason"),
    [
        ("duckdb", "select 1; select 2", "2 statements"),
        ("duckdb", "select 1; drop table x", "2 statements"),
        ("duckdb", "-- nothing", "is empty"),
        ("duckdb", "select from where", "not valid SQL"),
        ("duckdb", "(" * 5000 + "select 1" + ")" * 5000, "not valid SQL"),
        ("duckdb", "delete from t", "DELETE"),
        ("duckdb", "insert into t select * from u", "INSERT"),
        ("duckdb", "create table t as select 1", "CREATE"),
        ("duckdb", "with x as (delete from t returning *) select * from x", "DELETE"),
        ("duckdb", "with x as (select 1) insert into t select * from x", "INSERT"),
        ("duckdb", "select * into x from t", "SELECT INTO"),
        ("duckdb", "select * from t for update", "locks rows"),
        ("duckdb", "copy t to 'x.csv'", "COPY"),
        ("duckdb", "attach 'x.db'", "ATTACH"),
        ("duckdb", "pragma database_list", "PRAGMA"),
        ("duckdb", "set memory_limit = '1GB'", "SET"),
        ("duckdb", "install httpfs", "INSTALL"),
        ("duckdb", "load httpfs", "LOAD"),
        ("duckdb", "explain select 1", "EXPLAIN"),
        ("duckdb", "select * from (describe t)", "DESCRIBE"),
        ("duckdb", "select * from read_csv('/etc/passwd')", "read_csv"),
        ("duckdb", "select * from read_parquet('x')", "read_parquet"),
        ("duckdb", "select * from glob('*')", "glob"),
        ("duckdb", "select * from '/etc/passwd'", "file '/etc/passwd'"),
        ("duckdb", 'select * from "data.parquet"', "file 'data.parquet'"),
        ("duckdb", "select * from (select * from read_text('x'))", "read_text"),
        ("duckdb", "select (select content from read_blob('x'))", "read_blob"),
        ("duckdb", "select * from query('drop table x')", "query"),
        ("duckdb", "select nextval('s')", "nextval"),
        ("duckdb", "select ?", "placeholder"),
        ("snowflake", "call clean_up()", "CALL"),
        ("snowflake", "select * from @stage/file.csv", "@stage"),
        ("snowflake", "select * from table(result_scan('x'))", "result_scan"),
        ("snowflake", "select * from identifier('a.b')", "not the name of a table"),
        ("snowflake", "select system$cancel_query('x')", "system"),
        ("snowflake", "select s.nextval", "nextval"),
        ("snowflake", "use role accountadmin", "USE"),
        ("snowflake", "grant select on t to role x", "GRANT"),
        ("snowflake", "execute immediate 'select 1'", "EXECUTE"),
        ("bigquery", "select * from external_query('connection', 'delete from t')", "external_query"),
        ("bigquery", "select * from ml.predict(model marts.m, table marts.t)", "not the name of a table"),
        ("bigquery", "select * from `shop-1.marts.make_rows`(1)", "make_rows"),
        ("bigquery", "export data options (uri = 'gs://x/*') as select 1", "EXPORT"),
        ("bigquery", "declare x int64; select 1", "2 statements"),
        ("bigquery", "call marts.clean_up()", "CALL"),
        ("bigquery", "create temp function f() as (1); select f()", "2 statements"),
        ("bigquery", "select @start", "parameter"),
        ("bigquery", "execute immediate 'select 1'", "EXECUTE"),
        ("bigquery", "merge marts.t using marts.u on false when not matched then insert row", "MERGE"),
    ],
)
def test_anything_else_is_refused_with_its_reason(dialect: Dialect, text: str, reason: str) -> None:
    with pytest.raises(BadSource) as refusal:
        sql(text, dialect)
    problem = refusal.value.problem
    assert reason.lower() in " ".join([problem.detail, *problem.errors]).lower()


def test_every_problem_of_a_query_is_listed() -> None:
    with pytest.raises(BadSource) as refusal:
        sql("select * from read_csv('a'), glob('b'), 'c.csv'")
    text = " ".join(refusal.value.problem.errors)
    assert all(word in text for word in ("read_csv", "glob", "c.csv"))


DAYS = {"start": date(2024, 1, 1), "end": date(2026, 11, 22)}


@pytest.mark.parametrize("dialect", ["duckdb", "snowflake", "bigquery"])
@pytest.mark.parametrize(
    ("text", "sent", "values"),
    [
        ("select * from t where d between :start and :end", "select * from t where d between ? and ?", "se"),
        (
            "select * from t where d<=:END and d > :start-7 or :end=d",
            "select * from t where d<=? and d > ?-7 or ?=d",
            "ese",
        ),
        (
            "select case when x then :end end, ':start' from t -- :end",
            "select case when x then ? end, ':start' from t -- :end",
            "e",
        ),
        (
            "select cast(:start as date) as start, x::date from t",
            "select cast(? as date) as start, x::date from t",
            "s",
        ),
        ("select '?' from t where d in (:start,:end)", "select '?' from t where d in (?,?)", "se"),
    ],
)
def test_start_and_end_are_sent_beside_the_query(dialect: Dialect, text: str, sent: str, values: str) -> None:
    source = SqlSource(kind="sql", connection="main", query=text, **DAYS)
    expected = tuple(DAYS["start" if value == "s" else "end"] for value in values)
    assert query_for(source, QuotingWarehouse(), dialect) == (sent, expected)


def test_what_the_source_does_not_say_the_window_does() -> None:
    query = "select * from t where d between :start and :end"
    source = SqlSource(kind="sql", connection="main", query=query, start=DAYS["start"])
    window = Window(start=date(2020, 1, 1), end=DAYS["end"])
    assert query_for(source, QuotingWarehouse(), "duckdb", window).parameters == (*DAYS.values(),)


@pytest.mark.parametrize(
    ("dialect", "text", "told"),
    [
        (
            "duckdb",
            "select cast(:start as date)",
            "names :start, for which there is no value; there are :start and :end",
        ),
        ("snowflake", "select :other, :end from t", "names :other, for which .* and :end, for which"),
        ("duckdb", "select ?", "a placeholder, for which there is no value"),
        ("bigquery", "select @start", "a parameter, for which there is no value; there are :start and :end"),
    ],
)
def test_a_parameter_without_a_value_is_told(dialect: Dialect, text: str, told: str) -> None:
    with pytest.raises(BadSource, match=told):
        sql(text, dialect)


def test_a_path_in_a_document_is_no_parameter() -> None:
    text = "select a:start from t where d > :start and l[1:end] > 0"
    source = SqlSource(kind="sql", connection="main", query=text, **DAYS)
    assert query_for(source, QuotingWarehouse(), "snowflake").sql == text.replace("> :start", "> ?")
    with pytest.raises(BadSource, match="where it cannot be told what is meant"):
        query_for(source, QuotingWarehouse(), "bigquery")
