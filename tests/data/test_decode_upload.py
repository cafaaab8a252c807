from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.errors import BadSource, Unavailable
from functions.extract.decode import write_batches
from functions.reading import unusable_in
from functions.validate.prepare import prepare
from tests.data.cases import Target, request, uploaded, weekly
from tests.data.decoding import decode_upload


def as_csv(frame: pd.DataFrame, delimiter: str, decimal: str) -> str:
    return frame.to_csv(index=False, sep=delimiter, decimal=decimal, quotechar='"')


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_every_way_to_write_a_csv_gives_the_same_numbers(encoding: str, delimiter: str, decimal: str) -> None:
    frame = weekly().rename(columns={"tv_S": "Fernsehen_für_Öl"})
    asked = request({"paid_media": ["Fernsehen_für_Öl", {"spend": "Search_S", "exposure": "Search_Clicks"}]})
    text = as_csv(frame, delimiter, decimal)
    prepared = prepare(uploaded(text.encode(encoding)), asked, "fp")
    assert prepared.table is not None, prepared.report.findings
    got = prepared.table.to_pandas()
    for name in ("Revenue", "Fernsehen_für_Öl", "Search_S", "Search_Clicks", "newsletter", "Competitor"):
        assert got[name].tolist() == frame[name].tolist(), name
    assert prepared.report.read_as["delimiter"] == {",": "comma", ";": "semicolon", "\t": "tab"}[delimiter]


def test_values_stay_text_and_keep_their_spelling() -> None:
    table = uploaded('date;a;b\n2020-01-06;007;" x ; ""y"" "\n2020-01-13;NA;\n')
    assert table.schema.types == [pa.string()] * 3
    assert table.to_pydict() == {
        "date": ["2020-01-06", "2020-01-13"],
        "a": ["007", "NA"],
        "b": [' x ; "y" ', ""],
    }


def test_a_line_break_in_quotes_belongs_to_the_value() -> None:
    assert uploaded('a,b\n1,"x\ny"\n2,z\n')["b"].to_pylist() == ["x\ny", "z"]


def test_names_lose_the_spaces_around_them_and_unnamed_columns_get_a_name() -> None:
    assert uploaded(",a , b\n0,1,2\n").column_names == ["unnamed 1", "a", "b"]


def test_windows_line_ends_and_empty_lines() -> None:
    assert uploaded("\r\na,b\r\n1,2\r\n\r\n3,4\r\n\r\n").to_pydict() == {"a": ["1", "3"], "b": ["2", "4"]}


def test_parquet_is_recognised_by_its_content() -> None:
    source = pa.table({"a": pa.array(["x", "y"]).dictionary_encode(), "n": pa.array([Decimal("1.50"), None])})
    out = io.BytesIO()
    pq.write_table(source, out)
    table = uploaded(out.getvalue(), "misnamed.csv")
    assert table.to_pydict() == {"a": ["x", "y"], "n": [1.5, None]}
    assert table.schema.types == [pa.string(), pa.float64()]


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def an_archive() -> bytes:
    return zipped({"xl/workbook.xml": b"<workbook/>"})


def a_parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(weekly()), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", ["is empty"]),
        ("a.csv", b"\xef\xbb\xbf\n  \n", ["is empty"]),
        ("a.csv", b"date,revenue\n", ["no rows"]),
        ("a.csv", b"date,revenue", ["no rows"]),
        ("a.csv", b"date\n2020-01-06\n", ["only one column", "semicolon"]),
        ("a.csv", b"date:x\n2020-01-06:1\n", ["only one column", "date:x"]),
        ("a.csv", b"a,b\n1,2\n1,\x00\n", ["NUL byte in line 3", "UTF-8"]),
        ("a.csv", "a,b\n1,2\n".encode("utf-16")[:-1], ["UTF-16", "save it as UTF-8"]),
        ("a.csv", b"a,b\n\x81,2\n", ["not UTF-8", "Latin-1"]),
        ("a.csv", b'a,b\n1,"2\n3,4\n', ["odd number of quotation marks"]),
        ("a.csv", b'a,b\n1,"' + b"x" * 3_000_000 + b'"\n', ["cannot be read as CSV"]),
        ("a.xlsx", an_archive(), ["damaged", "save it again"]),
        ("a.zip", zipped({"x.csv": b"a,b\n", "y.csv": b"c\n"}), ["2 files", "x.csv, y.csv"]),
        ("a.zip", zipped({}), ["0 files"]),
        ("a.zip", zipped({"x.zip": zipped({"x.csv": b"a,b\n1,2\n"})}), ["compressed twice"]),
        ("a.ods", zipped({"content.xml": b"<x/>"}), ["save it as .xlsx"]),
        ("a.zip", zipped({"x.csv": b"a,b\n1,2\n" * 99})[:-90], ["cut short"]),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20], ["cut short"]),
        ("a.csv.gz", gzip.compress(gzip.compress(b"a,b\n1,2\n")), ["compressed twice"]),
        ("a.xls", b"\xd0\xcf\x11\xe0" + b"x" * 99, ["old Excel workbook", "password", ".xlsx"]),
        ("a.json", b'{"a": 1}', ["neither Parquet", ".csv"]),
        ("a.csv", b"sep=:\na:b\n1:2\n", ["says sep=:", "semicolon"]),
        ("a.parquet", b"a,b\n1,2\n", ["neither Parquet"]),
        ("a.parquet", a_parquet()[:-30], ["cut short", "upload it again"]),
        ("a.parquet", a_parquet()[:4] + b"\xff" * 400 + a_parquet()[404:], ["damaged"]),
        ("a.parquet", b"PAR1", ["cut short"]),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name: str, content: bytes, words: list[str]) -> None:
    with pytest.raises(BadSource) as refusal:
        uploaded(content, name)
    assert all(word in refusal.value.problem.detail for word in [name, *words]), refusal.value.problem.detail


def test_ragged_rows_are_named_by_line() -> None:
    with pytest.raises(BadSource) as refusal:
        uploaded("a,b,c\n1,2,3\n1,2\n1,2,3\n1,5,2,7,3\n")
    problem = refusal.value.problem
    assert "2 row(s)" in problem.detail
    assert "decimal comma" in problem.detail
    assert problem.errors == ["line 3: 2 fields instead of 3", "line 5: 5 fields instead of 3"]


def test_an_error_far_down_is_found_too() -> None:
    with pytest.raises(BadSource) as refusal:
        uploaded("a,b\n" + "1,2\n" * 500_000 + "1\n")
    assert refusal.value.problem.errors == ["line 500002: 1 fields instead of 2"]


def batches(count: int, rows: int) -> Iterator[pa.RecordBatch]:
    for i in range(count):
        yield pa.RecordBatch.from_pydict({"n": [i] * rows, "text": ["x"] * rows})


def written(source: Iterator[pa.RecordBatch]) -> pq.ParquetFile:
    out = Target()
    rows = write_batches(source, out)
    file = pq.ParquetFile(io.BytesIO(out.getvalue()))
    assert file.metadata.num_rows == rows
    return file


def test_tiny_batches_are_joined_and_huge_ones_are_cut() -> None:
    assert written(batches(1000, 10)).metadata.num_row_groups == 1
    file = written(batches(1, 200_000))
    assert file.metadata.num_row_groups == 4
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_rows_are_handed_on_before_the_source_has_ended() -> None:
    out, numbers = Target(), np.random.default_rng(1)

    def source() -> Iterator[pa.RecordBatch]:
        for _ in range(20):
            yield pa.RecordBatch.from_pydict({"n": numbers.random(65_536)})
        assert len(out.getvalue()) > 8_000_000

    assert write_batches(source(), out) == 20 * 65_536


def test_batches_whose_types_differ_slightly_fit_together() -> None:
    first = pa.RecordBatch.from_pydict(
        {"n": pa.array([1], pa.int8()), "t": pa.array(["a"]).dictionary_encode()}
    )
    second = pa.RecordBatch.from_pydict(
        {"n": pa.array([300], pa.int16()), "t": pa.array(["b"], pa.large_string())}
    )
    assert written(iter([first, second])).read().to_pydict() == {"n": [1, 300], "t": ["a", "b"]}


def test_no_rows_keep_their_columns() -> None:
    assert written(
        iter([pa.RecordBatch.from_pydict({"n": pa.array([], pa.int64())})])
    ).read().column_names == ["n"]


def test_times_of_different_units_fit_together_without_loss() -> None:
    late, early = datetime(9999, 12, 31), datetime(2022, 1, 3, 4, 5, 6, 789)
    parts = [
        pa.RecordBatch.from_pydict({"at": pa.array([moment], pa.timestamp(unit))})
        for moment, unit in ((early, "ns"), (late, "us"), (datetime(1, 1, 1), "s"), (early, "us"))
    ]
    assert written(iter(parts)).read()["at"].to_pylist() == [early, late, datetime(1, 1, 1), early]


def test_a_type_that_changes_on_the_way_matters_to_whoever_asks_for_the_column() -> None:
    whole, part = pa.RecordBatch.from_pydict({"n": [1]}), pa.RecordBatch.from_pydict({"n": [1.5]})
    metadata = written(iter([whole, part])).metadata.metadata
    assert "from int64 to double" in unusable_in(metadata)["n"]


def test_rows_with_other_columns_are_refused() -> None:
    parts = [pa.RecordBatch.from_pydict({"n": [1]}), pa.RecordBatch.from_pydict({"m": [1]})]
    with pytest.raises(BadSource, match="columns change"):
        write_batches(iter(parts), Target())


def test_a_source_with_too_many_cells_is_left_while_it_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.extract.decode.MAX_CELLS", 1_000_000)
    read = []

    def endless() -> Iterator[pa.RecordBatch]:
        while True:
            read.append(1)
            yield pa.RecordBatch.from_pydict({"a": range(65_536), "b": range(65_536)})

    with pytest.raises(
        BadSource, match=r"more than 1,000,000 cells \(524,288 rows × 2 columns so far\); filter"
    ):
        write_batches(endless(), Target())
    assert len(read) < 12


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(BadSource, match="nothing at all"):
        write_batches(iter([]), Target())
    out = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), out)
    with pytest.raises(BadSource, match="no rows"):
        uploaded(out.getvalue(), "a.parquet")


class Broken(Target):
    def read(self, *_: object) -> bytes:
        raise Unavailable("the store does not answer")

    def write(self, *_: object) -> int:
        raise Unavailable("the store does not answer")


def test_a_store_that_does_not_answer_is_not_taken_for_a_bad_file() -> None:
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(Unavailable):
            decode_upload(name, Broken(), Target())
    with pytest.raises(Unavailable):
        decode_upload("a.parquet", io.BytesIO(a_parquet()), Broken())


def test_a_connection_that_breaks_while_a_parquet_file_is_read_is_not_taken_for_a_bad_file() -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 8:
                raise ConnectionResetError("reset by peer")
            return super().read(size)

    with pytest.raises(ConnectionResetError):
        decode_upload("a.parquet", Breaking(a_parquet()), Target())
