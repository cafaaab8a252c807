"""Excel workbooks as people send them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import xlsxwriter

from functions.errors import BadSource
from functions.validate.prepare import Prepared, prepare
from functions.validate.source import required
from tests.data.cases import decoded, errors, only, request, weekly
from tests.data.test_files_of_platforms import assert_same

FRAME = weekly()
NAMES = list(FRAME.columns)


def workbook(*sheets: Callable[[Any, Any], None], **names: Any) -> bytes:
    """A workbook; each function fills a sheet."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        for number, fill in enumerate(sheets, 1):
            fill(book, book.add_worksheet(f"Sheet {number}"))
    return out.getvalue()


def table(book: Any, sheet: Any, row: int = 0, column: int = 0, names: list[str] = NAMES) -> None:
    """Our data with real dates, from a cell on."""
    day = book.add_format({"num_format": "dd.mm.yyyy"})
    sheet.write_row(row, column, names)
    for i, values in enumerate(FRAME.itertuples(index=False), row + 1):
        sheet.write_datetime(i, column, datetime.fromisoformat(values[0]), day)
        sheet.write_row(i, column + 1, list(values[1:]))


def empty(book: Any, sheet: Any) -> None:
    """A sheet with nothing in it."""


def prepared(content: bytes, **fields: Any) -> Prepared:
    asked = request(**fields)
    return prepare(decoded(content, "data.xlsx", required(asked), asked.sheet), asked, "fp")


def replaced(content: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """A workbook with a part rewritten."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, data.replace(old, new) if name == part else data)
    return out.getvalue()


def test_the_first_visible_sheet_is_read() -> None:
    result = prepared(workbook(table))
    assert_same(result)
    assert result.report.read_as == {"sheet": "Sheet 1"}

    def hidden(book: Any, sheet: Any) -> None:
        sheet.hide()

    def active(book: Any, sheet: Any) -> None:
        table(book, sheet)
        sheet.activate()
        sheet.set_first_sheet()

    result = prepared(workbook(hidden, active, empty))
    assert_same(result)
    assert "'Sheet 2' was read, the first of 2" in only(result, "read-as").message


def test_the_sheet_that_the_settings_name_is_read_and_another_one_is_refused() -> None:
    content = workbook(empty, table)
    assert_same(prepared(content, sheet="sheet 2"))
    with pytest.raises(BadSource, match="no sheet 'Data'; it has: 'Sheet 1', 'Sheet 2'"):
        prepared(content, sheet="Data")
    with pytest.raises(BadSource, match="no rows in its sheet 'Sheet 1'"):
        prepared(content)
    with pytest.raises(BadSource, match="is none; leave `sheet` out"):
        decoded(b"a,b\n1,2\n", "data.csv", (), "Sheet 1")


def test_titles_empty_columns_and_totals_are_left_out() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write(0, 0, "Weekly report")
        sheet.write(1, 0, "from")
        sheet.write_datetime(1, 1, datetime(2023, 1, 2), book.add_format({"num_format": "yyyy-mm-dd"}))
        table(book, sheet, 4, 2)
        sheet.write(4 + len(FRAME) + 1, 2, "Total")
        sheet.write_formula(4 + len(FRAME) + 1, 3, "=SUM(D6:D109)", None, FRAME["Revenue"].sum())
        sheet.write(4 + len(FRAME) + 3, 2, "Source: warehouse")

    result = prepared(workbook(fill))
    assert_same(result)
    assert "Weekly report" in only(result, "read-as").message
    assert "'Total', 'Source: warehouse'" in only(result, "footer").message
    assert [column.name for column in result.report.columns] == [*NAMES]


def test_formulas_have_the_value_that_excel_computed_and_without_one_are_told() -> None:
    def fill(book: Any, sheet: Any) -> None:
        table(book, sheet)
        for i, value in enumerate(FRAME["tv_S"], 1):
            sheet.write_formula(i, 2, "=1+1", None, value)

    content = workbook(fill)
    assert_same(prepared(content))
    bare = replaced(content, "xl/worksheets/sheet1.xml", b"<f>1+1</f><v>93.64</v>", b"<f>1+1</f>")
    found = only(prepared(bare), "unusable-column")
    assert "formulas without a value, first in cell C2" in found.message
    assert "open the workbook in Excel and save it" in found.message


def test_whole_thousandths_percentages_booleans_and_errors_are_what_they_are() -> None:
    def fill(book: Any, sheet: Any) -> None:
        table(book, sheet)
        for i in range(1, len(FRAME) + 1):
            sheet.write(i, 2, 1.234 + i)
            sheet.write(i, 3, i / 100, book.add_format({"num_format": "0%"}))
            sheet.write_boolean(i, 6, i % 2)
            if i > 1:
                sheet.write(i, 5, "#N/A" if i == 2 else i)

    result = prepared(workbook(fill), missing={"organic": "zero", "media": "zero"})
    assert result.table is not None, result.report.findings
    got = result.table.to_pandas()
    assert got["tv_S"].tolist() == [1.234 + i for i in range(1, 105)]
    assert got["Search_S"].tolist() == [i / 100 for i in range(1, 105)]
    assert got["Competitor"].tolist() == [float(i % 2) for i in range(1, 105)]
    assert got["newsletter"].tolist()[:3] == [66.0, 0, 3]


def test_a_number_stored_as_text_is_a_number() -> None:
    def fill(book: Any, sheet: Any) -> None:
        table(book, sheet)
        for i, value in enumerate(FRAME["tv_S"], 1):
            sheet.write_string(i, 2, f"{value}")

    assert_same(prepared(workbook(fill)))


def test_a_column_that_is_missing_is_told_with_the_names_of_the_sheet() -> None:
    result = prepared(workbook(lambda book, sheet: table(book, sheet, names=["Day", *NAMES[1:]])))
    assert errors(result) == ["missing-column"]
    assert "Day, Revenue" in only(result, "missing-column").advice


@pytest.mark.parametrize(
    ("part", "old", "new", "words"),
    [
        ("xl/worksheets/sheet1.xml", b'r="H105"', b'r="XFD1048576"', "more than 2,000,000 cells"),
        ("xl/worksheets/sheet1.xml", b"<worksheet", b"<!DOCTYPE x [<!ENTITY a 'b'>]><worksheet", "entities"),
        ("xl/worksheets/sheet1.xml", b"</sheetData>", b"</sheetDat", "damaged"),
        ("xl/workbook.xml", b"<sheets>", b"<sheet>", "damaged"),
        ("xl/sharedStrings.xml", b"<t>na</t>", b"<t>" + b"x" * 2_000_000 + b"</t>", "128 MB of text"),
    ],
)
def test_a_workbook_that_is_damaged_or_would_not_fit_into_memory_is_refused(
    part: str, old: bytes, new: bytes, words: str
) -> None:
    with pytest.raises(BadSource, match=words):
        prepared(replaced(workbook(table), part, old, new))
