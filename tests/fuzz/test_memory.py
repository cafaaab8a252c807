"""Whatever is in a file of 200 MB, or in a message of 10 MB, handling it takes less than 1 GiB, and ends."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.fuzz.measured import ROOT

BOUND_MB = 1024
SIZE = 200_000_000
MESSAGE = 10_000_000  # Pub/Sub takes no larger one


def fill(path: Path, head: bytes, line: bytes) -> None:
    """A file of about 200 MB: a head, then one line again and again."""
    block = line * max(1, (1 << 20) // len(line))
    with path.open("wb") as file:
        file.write(head)
        while file.tell() < SIZE - len(block):
            file.write(block)


def tiny_cells(path: Path) -> None:
    fill(path, b"DATE,Revenue\n", b"1,1\n")


def many_columns(path: Path) -> None:
    fill(path, ",".join(f"c{i}" for i in range(20_000)).encode() + b"\n", b"12345678," * 19_999 + b"1\n")


def most_columns(path: Path) -> None:
    fill(path, ",".join(f"c{i}" for i in range(2_000)).encode() + b"\n", b"1," * 1_999 + b"1\n")


def one_line(path: Path) -> None:
    fill(path, b"a,b\n", b"x")


def one_header(path: Path) -> None:
    fill(path, b"", b"x,")


def quoted_lines(path: Path) -> None:
    fill(path, b'DATE,Revenue\n"', b"\n" * 1000)


def words_for_numbers(path: Path) -> None:
    """As many rows as may be validated, and no cell is what it should be."""
    rows = 750_000
    names = ["DATE", "Revenue", "tv_S", "Search_S", "Search_Clicks", "newsletter", "Competitor", "events"]
    words = pa.array([f"bad cell number {i:08d}" for i in range(rows)])
    pa_csv.write_csv(pa.table(dict.fromkeys(names, words)), path)


def long_texts(path: Path) -> None:
    texts = [f"{i:08d}{'x' * 1_000}" for i in range(75_000)]
    pq.write_table(pa.table({"DATE": texts, "events": texts}), path)


def zeros(path: Path) -> None:
    """4 GB of numbers in 2 MB."""
    column = pa.array(np.zeros(100_000_000))
    pq.write_table(pa.table({f"c{i}": column for i in range(5)}), path, row_group_size=100_000_000)


def repeated_text(path: Path) -> None:
    """400 GB of text in 100 kB."""
    indices = pa.array(np.zeros(20_000_000, np.int32))
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["y" * 10_000]))
    pq.write_table(pa.table({"DATE": column, "Revenue": column}), path, compression="zstd")


def huge_cells(path: Path) -> None:
    """700 MB of text in 500 bytes."""
    pq.write_table(pa.table({"DATE": ["x" * 1_000_000] * 700}), path, compression="zstd")


def huge_pages(path: Path) -> None:
    """500 MB of text in one page."""
    table = pa.table({"DATE": [f"{i}{'x' * 1_000_000}" for i in range(500)]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, data_page_size=1 << 30)


def nested(path: Path) -> None:
    lists: pa.Array = pa.array([1.0])
    for _ in range(90):
        lists = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), lists)
    pq.write_table(pa.table({"DATE": lists}), path)


def many_parquet_columns(path: Path) -> None:
    pq.write_table(pa.table({f"c{i}": [1.0] for i in range(60_000)}), path)


def many_row_groups(path: Path) -> None:
    pq.write_table(pa.table({f"c{i}": np.zeros(10_000) for i in range(10)}), path, row_group_size=1)


def packed_zeros(path: Path) -> None:
    """2 GB of text in 2 MB."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"DATE,Revenue\n")
        for _ in range(2_000):
            file.write(b"1,1\n" * 250_000)


def archive_of_zeros(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("data.csv", "w", force_zip64=True) as file,
    ):
        file.write(b"DATE,Revenue\n")
        for _ in range(2_000):
            file.write(b"1,1\n" * 250_000)


def workbook(path: Path, sheet: Iterable[bytes], strings: Iterable[bytes] = ()) -> None:
    """A workbook whose sheet and texts are written piece by piece."""
    xml, main = b'<?xml version="1.0"?>', b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = b"http://schemas.openxmlformats.org/package/2006/"
    one = b'<Relationship Id="r1" Type="%s/worksheet" Target="worksheets/sheet1.xml"/>' % office
    two = b'<Relationship Id="r2" Type="%s/sharedStrings" Target="sharedStrings.xml"/>' % office
    parts: dict[str, Iterable[bytes]] = {
        "[Content_Types].xml": [xml, b'<Types xmlns="%scontent-types"/>' % package],
        "_rels/.rels": [
            b'<Relationships xmlns="%srelationships">' % package,
            b'<Relationship Id="r" Type="%s/officeDocument" Target="xl/workbook.xml"/>' % office,
            b"</Relationships>",
        ],
        "xl/workbook.xml": [
            xml,
            b'<workbook xmlns="%s" xmlns:r="%s"><sheets>' % (main, office),
            b'<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        ],
        "xl/_rels/workbook.xml.rels": [
            b'<Relationships xmlns="%srelationships">' % package,
            one,
            two,
            b"</Relationships>",
        ],
        "xl/worksheets/sheet1.xml": [b'<worksheet xmlns="%s"><sheetData>' % main],
        "xl/sharedStrings.xml": [b'<sst xmlns="%s">' % main],
    }
    ends = {"xl/worksheets/sheet1.xml": (sheet, b"</sheetData></worksheet>")}
    ends["xl/sharedStrings.xml"] = (strings, b"</sst>")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, pieces in parts.items():
            more, end = ends.get(name, ((), b""))
            with archive.open(name, "w", force_zip64=True) as file:
                for piece in chain(pieces, more, [end]):
                    file.write(piece)


def two_corners(path: Path) -> None:
    """17 billion cells, two of which hold something."""
    first, last = b'<c r="A1"><v>1</v></c>', b'<c r="XFD1048576"><v>1</v></c>'
    workbook(path, [b'<row r="1">', first, b'</row><row r="1048576">', last, b"</row>"])


def one_text_a_million_times(path: Path) -> None:
    cell = b'<row><c t="s"><v>0</v></c></row>'
    workbook(path, [cell * 1000] * 1000, [b"<si><t>", b"x" * 1_000_000, b"</t></si>"])


def most_cells(path: Path) -> None:
    """As many cells as are read."""
    row = b"<row>" + b"<c><v>1.5</v></c>" * 20 + b"</row>"
    workbook(path, [row * 1000] * 99)


def millions_of_texts(path: Path) -> None:
    workbook(path, [b'<row><c t="s"><v>0</v></c></row>'], [b"<si/>" * 100_000] * 130)


def odd_numbers(path: Path) -> None:
    path.write_text('{"request_id": "a", "x": [' + "NaN,1e999," * (MESSAGE // 10) + "1]}")


def repeated_fields(path: Path) -> None:
    path.write_text('{"request_id": "a"' + ',"x":1' * (MESSAGE // 6) + "}")


def many_fields(path: Path) -> None:
    path.write_text('{"request_id": "a"' + "".join(f',"{i}":1' for i in range(MESSAGE // 10)) + "}")


def deep_lists(path: Path) -> None:
    half = MESSAGE // 2
    path.write_text('{"request_id": "a", "x": ' + "[" * half + "]" * half + "}")


CSV = (tiny_cells, many_columns, most_columns, one_line, one_header, quoted_lines, words_for_numbers)
PARQUET = (
    long_texts, zeros, repeated_text, huge_cells, huge_pages, nested, many_parquet_columns, many_row_groups,
)  # fmt: skip
PACKED = (packed_zeros,)
ARCHIVES = (archive_of_zeros,)
WORKBOOKS = (two_corners, one_text_a_million_times, most_cells, millions_of_texts)
MESSAGES = (odd_numbers, repeated_fields, many_fields, deep_lists)
KINDS = {
    "csv": CSV,
    "parquet": PARQUET,
    "json": MESSAGES,
    "csv.gz": PACKED,
    "zip": ARCHIVES,
    "xlsx": WORKBOOKS,
}
SUFFIXES = {write: suffix for suffix, writers in KINDS.items() for write in writers}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak memory of a process is read from /proc")
@pytest.mark.parametrize("write", SUFFIXES, ids=lambda write: write.__name__)
def test_memory_stays_under_the_bound(tmp_path: Path, write: Callable[[Path], None]):
    path = tmp_path / f"data.{SUFFIXES[write]}"
    write(path)
    assert path.stat().st_size <= 1.1 * SIZE
    command = [sys.executable, "-m", "tests.fuzz.measured", str(path), str(tmp_path / "dataset.parquet")]
    answer = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert answer.returncode == 0, answer.stderr
    peak, _, said = answer.stdout.partition(" ")
    assert 0 < int(peak) < BOUND_MB, (peak, said)
    assert said.strip(), "nothing was found wrong with it"
