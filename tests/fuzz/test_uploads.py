"""Settings, CSV and Parquet files that nobody should upload."""

from __future__ import annotations

import csv
import gzip
import io
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contracts.job import DeadLetter, Job, JobState, Upload
from tests.data.cases import weekly
from tests.fuzz import hostile
from tests.pipeline.world import World

GOOD = hostile.csv_text()
PATHS = hostile.paths(hostile.settings())


def as_csv(rows: list[list[str]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode(errors="replace")


def as_parquet(columns: dict[str, Any], **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **how)
    return out.getvalue()


def outcome(world: World) -> Job:
    """The one job of the one upload."""
    [job] = world.ports.jobs.find(Job)
    return job


def reasons(job: Job) -> str:
    return "; ".join([job.error.detail, *job.error.errors]) if job.error else ""


def test_the_good_file_is_good(world: World):
    hostile.upload(world, "drop-zone/DE/good.csv", as_csv(GOOD))
    assert outcome(world).state is JobState.RUNNING


# settings


@hostile.examples(80)
@given(st.sampled_from(PATHS), hostile.values, st.booleans())
def test_spoilt_settings(world: World, path: tuple[Any, ...], value: Any, as_json: bool):
    body = hostile.spoilt(hostile.settings(), path, value)
    text = json.dumps(body) if as_json else yaml.dump(body)
    hostile.upload(world, "drop-zone/DE/a.csv", as_csv(GOOD), text.encode(errors="surrogatepass"))


@hostile.examples(80)
@given(st.binary(max_size=80) | st.text("{}[]:,-?!&*#|>%@`'\"\\ \n\tab1.~<=_", max_size=60).map(str.encode))
def test_settings_of_any_bytes(world: World, text: bytes):
    hostile.upload(world, "drop-zone/DE/a.csv", as_csv(GOOD), text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2", "'a' is given twice"),
        ("columns: {date: a, date: b}", "'date' is given twice"),
        ("a: !!timestamp 2026-01-01", "tags"),
        ("a: !!int ''", "tags"),
        ("a: !!python/name:os.system x", "tags"),
        ("a: &x {<<: *x}", "aliases"),
        ("1: a", "is not text"),
        ("a: {2: b}", "is not text"),
        ("a: 1e999", "out of range"),
        ("a: " + "9" * 5000, "4300 digits"),
        ('a: "\\ud800"', "not valid Unicode"),
        ('a: "\\U00110000"', "cannot be read"),
        ("a: " + "[" * 40 + "]" * 40, "levels deep"),
        ("[" * 200_000, "nested too deeply"),
        ("#" * 300_000, "larger than 256 KiB"),
        ("a: .inf\nb: 0x1f\nc: 1:30", "a: unknown field"),
    ],
)
def test_settings_that_are_refused_say_why(world: World, text: str, reason: str):
    hostile.upload(world, "drop-zone/DE/a.csv", as_csv(GOOD), text.encode())
    assert reason in reasons(outcome(world))


def test_settings_of_200_mb_are_not_read(world: World):
    hostile.upload(world, "drop-zone/DE/a.csv", as_csv(GOOD), b"#" * 200_000_000)
    assert "larger than 256 KiB" in reasons(outcome(world))


# names of files


@hostile.examples(60)
@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=60)
)
def test_any_file_name(world: World, name: str):
    if name not in (".", ".."):
        hostile.upload(world, f"drop-zone/DE/{name}.csv", as_csv(GOOD))


def test_markup_in_a_file_name_stays_text(world: World):
    name = "drop-zone/DE/<script>alert(1)<\u2215script>'\"`.csv"
    world.ports.objects.replace(name, as_csv(GOOD), None)
    hostile.settle(world)
    assert [upload.name for upload in world.ports.jobs.find(Upload)] == [name]
    assert "<script>alert" not in world.web.get("/").get_data(as_text=True)
    assert world.ports.jobs.find(DeadLetter) == []


# CSV


@hostile.examples(80)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 7), hostile.texts), min_size=1, max_size=8),
    st.sampled_from([",", ";", "\t"]),
)
def test_spoilt_cells(world: World, cells: list[tuple[int, int, str]], delimiter: str):
    rows = [list(row) for row in GOOD]
    for row, column, text in cells:
        rows[row][column] = text
    hostile.upload(world, "drop-zone/DE/a.csv", as_csv(rows, delimiter))


@hostile.examples(80)
@given(st.binary(max_size=200), st.integers(0, 3000), st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_spoilt_bytes(world: World, data: bytes, at: int, encoding: str):
    good = as_csv(GOOD).decode().encode(encoding)
    hostile.upload(world, "drop-zone/DE/a.csv", good[:at] + data + good[at + len(data) :])


def rewritten(column: int, cells: dict[int, str]) -> bytes:
    rows = [list(row) for row in GOOD]
    for row, text in cells.items():
        rows[row][column] = text
    return as_csv(rows)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (rewritten(1, {5: "1e308", 6: "1e308"}), "2 value(s) beyond 1e+100"),
        (rewritten(0, {1: "0001-01-01"}), "outside the years"),
        (rewritten(0, {60: "9999-12-31"}), "outside the years"),
        (rewritten(0, {3: "2023-02-30"}), "no dates"),
        (rewritten(2, {3: "\u0663"}), "not numbers"),
        (rewritten(2, {3: "<script>alert(1)</script>"}), "<script>"),
        (rewritten(2, {0: 'a"\n<b>'}), "tv_S"),
        (b"x," * 200_000 + b"\n" + b"1," * 200_000, "first line is longer than 256 kB"),
        (",".join(f"c{i}" for i in range(5000)).encode() + b"\n" + b"," * 4999, "at most 2,000"),
        (b"a,b\n" + b"x" * 3_000_000, "longer than 1 MB"),
    ],
)  # fmt: skip
def test_csv_that_is_refused_says_why(world: World, data: bytes, reason: str):
    hostile.upload(world, "drop-zone/DE/a.csv", data)
    job = outcome(world)
    assert job.state is JobState.REJECTED
    assert reason in reasons(job)


def test_sums_that_overflow_are_found(world: World):
    rows = [list(row) for row in GOOD]
    for row in rows[1:]:
        row[1] = "1e308"
    body = {**hostile.settings(), "resample": {"interval": "month"}}
    hostile.upload(world, "drop-zone/DE/a.csv", as_csv(rows), yaml.safe_dump(body).encode())
    assert "beyond 1e+100" in reasons(outcome(world))


def test_hundreds_of_missing_columns_are_told_in_time_and_in_bounds(world: World):
    context = [f"{'name ' * 20}{i}" for i in range(1500)]
    body = hostile.settings()
    body["columns"] = {**body["columns"], "context": context}
    header = [f"{'other ' * 18}{i}" for i in range(1900)]
    data = as_csv([header, ["1"] * 1900]).replace(b"\r\n", b"\n")
    assert len(header) * 110 < 256 << 10
    hostile.upload(world, "drop-zone/DE/a.csv", data, json.dumps(body).encode())
    assert "are missing" in reasons(outcome(world))


# Parquet

ODD = {
    "bigints": [2**63 - 1] * 60,
    "unsigned": pa.array([2**64 - 1] * 60, pa.uint64()),
    "booleans": [True, False] * 30,
    "nulls": pa.nulls(60),
    "binary": pa.array([b"\xff\xfe"] * 60, pa.binary()),
    "fixed": pa.array([b"ab"] * 60, pa.binary(2)),
    "decimals": pa.array([Decimal("1e20")] * 60, pa.decimal128(38, 2)),
    "halves": pa.array([1.5] * 60, pa.float32()),
    "times": pa.array([1] * 60, pa.time32("s")),
    "nanotimes": pa.array([1] * 60, pa.time64("ns")),
    "durations": pa.array([2**62] * 60, pa.duration("us")),
    "days": pa.array([2**31 - 1] * 60, pa.date32()),
    "instants": pa.array([2**62] * 60, pa.timestamp("us", "Europe/Berlin")),
    "nanoseconds": pa.array([-(2**62)] * 60, pa.timestamp("ns")),
    "categories": pa.array(["a", "b"] * 30).dictionary_encode(),
    "views": pa.array(["a", "b"] * 30, pa.string_view()),
    "large": pa.array(["a", "b"] * 30, pa.large_string()),
    "infinite": [float("inf"), float("nan")] * 30,
    "invalid": pa.Array.from_buffers(
        pa.string(), 60, [None, pa.array(range(61), pa.int32()).buffers()[1], pa.py_buffer(b"\xff" * 60)]
    ),
    "lists": [[1.0]] * 60,
    "structs": [{"a": 1}] * 60,
    "maps": pa.array([[("a", 1)]] * 60, pa.map_(pa.string(), pa.int64())),
}
NAMES = list(weekly(60).columns)


@pytest.mark.parametrize("kind", ODD)
def test_every_type_in_every_role(world: World, kind: str):
    good = pa.Table.from_pandas(weekly(60), preserve_index=False)
    for name in [*NAMES, "unused"]:
        columns = {**dict(zip(good.column_names, good.columns, strict=True)), name: ODD[kind]}
        hostile.upload(world, f"drop-zone/DE/{name}.parquet", as_parquet(columns))


@hostile.examples(80)
@given(st.integers(0, 4000), st.binary(min_size=1, max_size=40))
def test_damaged_parquet(world: World, at: int, data: bytes):
    good = as_parquet(dict(weekly(60)))
    hostile.upload(world, "drop-zone/DE/a.parquet", good[:at] + data + good[at + len(data) :])


def as_workbook(rows: list[list[str]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return out.getvalue()


@hostile.examples(60)
@given(st.integers(0, 6000), st.binary(min_size=1, max_size=40), st.sampled_from(["a.xlsx", "a.csv.gz"]))
def test_damaged_workbooks_and_compressed_files(world: World, at: int, data: bytes, name: str):
    good = as_workbook(GOOD) if name == "a.xlsx" else gzip.compress(as_csv(GOOD), mtime=0)
    hostile.upload(world, f"drop-zone/DE/{name}", good[:at] + data + good[at + len(data) :])


@hostile.examples(40)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 7), hostile.texts), min_size=1, max_size=8))
def test_spoilt_cells_of_a_workbook(world: World, cells: list[tuple[int, int, str]]):
    rows = [list(row) for row in GOOD]
    for row, column, text in cells:
        rows[row][column] = text.encode(errors="replace").decode()
    hostile.upload(world, "drop-zone/DE/a.xlsx", as_workbook(rows))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (as_parquet({"DATE": ODD["invalid"]}), "text that is not UTF-8"),
        (as_parquet({"lists": ODD["lists"]}), "lists, maps or structs: lists"),
        (as_parquet({"a": [1.0]}).replace(b"\x01a", b"\x01\xff"), "damaged"),
        (b"PAR1" + (2**31 - 1).to_bytes(4, "little") + b"PAR1", "more than 32 MB"),
    ],
)
def test_parquet_that_is_refused_says_why(world: World, data: bytes, reason: str):
    hostile.upload(world, "drop-zone/DE/a.parquet", data)
    assert reason in reasons(outcome(world))


def test_repeated_columns_that_somebody_asked_for_are_refused(world: World):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["DATE", "DATE"])
    out = io.BytesIO()
    pq.write_table(table, out)
    hostile.upload(world, "drop-zone/DE/a.parquet", out.getvalue())
    assert "more than once: DATE" in reasons(outcome(world))
