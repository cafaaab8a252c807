"""Files as platforms, spreadsheets and people write them give the numbers that they mean, and it is said."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.errors import BadSource
from functions.validate.prepare import Prepared, prepare
from functions.validate.source import required
from tests.data.cases import decoded, errors, only, request, weekly

FRAME = weekly()
GOOD = FRAME.to_csv(index=False)
LINES = GOOD.splitlines()
HEADER, ROWS = LINES[0], LINES[1:]


def prepared(content: str | bytes, name: str = "data.csv", **fields: Any) -> Prepared:
    """What becomes of an uploaded file."""
    asked = request(**fields)
    data = content.encode() if isinstance(content, str) else content
    return prepare(decoded(data, name, required(asked), asked.sheet), asked, "fp")


def codes(result: Prepared) -> set[str]:
    return {finding.code for finding in result.report.findings}


def assert_same(result: Prepared, frame: pd.DataFrame = FRAME) -> None:
    assert result.table is not None, result.report.findings
    got = result.table.to_pandas()
    for name in ("Revenue", "tv_S", "Search_S", "Search_Clicks", "newsletter", "Competitor"):
        assert got[name].tolist() == frame[name].tolist(), name
    assert [str(day) for day in got["DATE"]] == frame["DATE"].tolist()


def lines(*text: str, end: str = "\n") -> str:
    return end.join(text) + end


def quoted(delimiter: str, quote: str) -> str:
    return lines(*(delimiter.join(f"{quote}{cell}{quote}" for cell in line.split(",")) for line in LINES))


NOTHING: dict[str, str | bytes] = {
    "lines in quotes": lines(*(f'"{line}"' for line in LINES)),
    "lines in quotes, cells in doubled ones": lines(
        *('"' + ",".join(f'""{cell}""' for cell in line.split(",")) + '"' for line in LINES), end="\r\n"
    ),
    "lines in quotes, UTF-16, semicolons": lines(
        *('"' + line.replace(",", ";") + '";;' for line in LINES)
    ).encode("utf-16"),
    "cells as formulas": lines(*(",".join(f'="{cell}"' for cell in line.split(",")) for line in LINES)),
    "quoted formulas": lines(*(",".join(f'"=""{cell}"""' for cell in line.split(",")) for line in LINES)),
    "units below the names": lines(
        HEADER, ",".join("(YYYY-MM-DD)" if name == "DATE" else "EUR" for name in HEADER.split(",")), *ROWS
    ),
    "sep= line": lines("sep=,", *LINES),
    "sep= line, semicolons": lines("sep=;", *(line.replace(",", ";") for line in LINES), end="\r\n"),
    "quoted sep= line with a mark": b"\xef\xbb\xbf" + lines('"sep=,"', *LINES).encode(),
    "trailing delimiter": lines(HEADER, *(f"{row}," for row in ROWS)),
    "trailing delimiter everywhere": lines(*(f"{line},,," for line in LINES)),
    "trailing delimiter in the header": lines(f"{HEADER},", *ROWS),
    "trailing delimiter in some rows": lines(HEADER, *ROWS[:50], f"{ROWS[50]},,", *ROWS[51:]),
    "blank row of delimiters": lines(*LINES, ",,,,,,,", "   ", ""),
    "blank row in between": lines(HEADER, *ROWS[:9], " ", ",,,", *ROWS[9:]),
    "carriage returns": lines(*LINES, end="\r"),
    "no last line end": "\n".join(LINES),
    "UTF-32": GOOD.encode("utf-32"),
    "UTF-16 without a mark": GOOD.encode("utf-16-le"),
    "UTF-16 big-endian": b"\xfe\xff" + GOOD.encode("utf-16-be"),
    "bars": GOOD.replace(",", "|"),
    "double quotes": quoted(",", '"'),
    "single quotes": quoted(";", "'"),
    "escaped quotes": lines(f"{HEADER},note", *(f'{row},"a \\"b\\", c"' for row in ROWS)),
    "unused columns twice": lines(f"{HEADER},note,note", *(f"{row},1,2" for row in ROWS)),
    "a used column twice, the same": lines(f"{HEADER},tv_S", *(f"{row},{row.split(',')[2]}" for row in ROWS)),
    "names in another form": lines(HEADER.replace("tv_S", '" tv_S\u200b\u00a0\n"'), *ROWS),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_how_a_file_is_written_changes_nothing(kind: str) -> None:
    assert_same(prepared(NOTHING[kind]))


TITLED = {
    "titles": ["Report: weekly spend", "Date range: 2023-01-02 to 2024-12-23", ""],
    "comments": ["# -------", "# Weekly report", "# 20230102-20241223", ""],
    "titles in quotation marks": ["Campaign report", '"January 2, 2023 - December 23, 2024"'],
    "titles with as many fields": ["Report,,,,,,,", "Account,123-456,Currency,EUR,,,,", ",,,,,,,"],
    "a group above the names": ["Time,KPI,Media,,,Owned,Other,"],
}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("kind", TITLED)
def test_titles_above_the_header_are_left_out_and_said(kind: str, delimiter: str) -> None:
    titles = [line if line.startswith('"') else line.replace(",", delimiter) for line in TITLED[kind]]
    result = prepared(lines(*titles, *(line.replace(",", delimiter) for line in LINES)))
    assert_same(result)
    assert "above the names" in only(result, "read-as").message


FOOTERS = {
    "a total": "Total: account,--,--,--,--,--,--,--",
    "a total of sums": "Grand total,156000.5,7800,1300,31000,5200,62000,",
    "a German total": "Gesamtsumme,156000.5,7800,1300,31000,5200,62000,",
    "a short total": "Total,156000.5",
    "a note": "Source: warehouse",
    "a note with delimiters": "Exported on,2025-01-01,by,me",
    "several": "\nTotal,1,2,3,4,5,6,\n\nDownloaded from the platform\n* estimated\n",
    "sums without a label": "," + ",".join(str(FRAME[name].sum()) for name in FRAME.columns[1:7]) + ",",
}


@pytest.mark.parametrize("kind", FOOTERS)
def test_what_stands_below_the_data_is_left_out_and_said(kind: str) -> None:
    result = prepared(lines(*LINES, FOOTERS[kind]))
    assert_same(result)
    assert "below the data" in only(result, "footer").message


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ("2024-12-30,1500.5", "line 106: 2 fields instead of 8"),  # cut short
        ("2024-12-30,1,2,3,4,5,6,na,7", "line 106: 9 fields instead of 8"),
    ],
)
def test_a_row_that_is_cut_short_is_no_footer(tail: str, words: str) -> None:
    with pytest.raises(BadSource) as refusal:
        prepared(lines(*LINES, tail))
    assert refusal.value.problem.errors == [words]


def test_a_row_of_numbers_without_a_date_is_no_footer() -> None:
    assert "missing-date" in errors(prepared(lines(*LINES, ",1,2,3,4,5,6,na")))


def test_a_header_that_comes_again_is_left_out() -> None:
    result = prepared(lines(*LINES[:40], HEADER, *LINES[40:]))
    assert_same(result)
    assert only(result, "repeated-header").rows == [40]


def test_one_name_more_than_the_header_has_is_explained() -> None:
    with pytest.raises(BadSource, match="name every column in the header, also one of row numbers"):
        prepared(lines(HEADER, *(f"{i},{row}" for i, row in enumerate(ROWS))))


# compressed


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(FRAME, preserve_index=False), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.csv.gz", gzip.compress(GOOD.encode())),
        ("data.CSV.GZ", gzip.compress(GOOD.encode("utf-16"))),
        ("data.gz", gzip.compress(GOOD.encode())),
        ("data.parquet.gz", gzip.compress(parquet())),
        ("data.zip", zipped(("export/data.csv", GOOD.encode()))),
        ("data.zip", zipped(("data.parquet", parquet()))),
        ("data.zip", zipped(("__MACOSX/._d.csv", b"x"), ("d.csv", GOOD.encode()), (".DS_Store", b"x"))),
    ],
)
def test_one_compressed_file_is_read(name: str, content: bytes) -> None:
    assert_same(prepared(content, name))


# numbers


def with_column(
    write: Callable[[Any], str], name: str = "tv_S", factor: float = 1, **fields: Any
) -> Prepared:
    values = (FRAME[name] * factor).map(write)
    return prepared(FRAME.assign(**{name: values}).to_csv(index=False, sep=fields.pop("sep", ",")), **fields)


def german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


NUMBERS: dict[str, tuple[Callable[[float], str], float, str]] = {
    "$": (lambda x: f"${x:,.2f}", 100, "currency"),
    "€ behind": (lambda x: f"{german(x)} €", 100, "currency"),
    "EUR in front": (lambda x: f"EUR {x:.2f}", 1, "currency"),
    "usd behind": (lambda x: f"{x:.2f} usd", 1, "currency"),
    "R$": (lambda x: f"R$ {german(x)}", 100, "currency"),
    "zł": (lambda x: f"{x:,.2f} zł".replace(",", "\u00a0").replace(".", ","), 100, "currency"),
    "CHF": (lambda x: f"CHF {x:,.2f}".replace(",", "'"), 100, "currency"),
    "kr": (lambda x: f"{german(x)} kr.", 100, "currency"),
    "yen": (lambda x: f"¥{x:,.0f}", 1000, "currency"),
    "rupees": (lambda x: f"₹{int(x // 1000)},{x % 1000:06.2f}", 100, "currency"),
    "spaces": (lambda x: f"{x:,.2f}".replace(",", "\u202f"), 100, "thousands-separator"),
}


@pytest.mark.parametrize("kind", [kind for kind in NUMBERS if kind != "spaces"])
def test_amounts_of_one_currency_are_numbers(kind: str) -> None:
    write, factor, code = NUMBERS[kind]
    result = with_column(write, factor=factor)
    assert result.table is not None, result.report.findings
    got = result.table["tv_S"].to_pylist()
    assert got == pytest.approx((FRAME["tv_S"] * factor).tolist(), rel=1e-4)
    assert only(result, code).column == "tv_S"


def test_two_currencies_in_one_column_or_a_number_without_one_are_refused() -> None:
    assert errors(with_column(lambda x: f"${x}" if x > 70 else f"€{x}")) == ["several-units"]
    assert errors(with_column(lambda x: f"${x}" if x > 70 else f"{x}")) == ["several-units"]
    assert errors(with_column(lambda x: f"{x}%" if x > 70 else f"€{x}")) == ["several-units"]


def test_a_zero_needs_no_currency() -> None:
    result = with_column(lambda x: f"${x}" if x > 70 else "0")
    assert result.table is not None
    assert result.table["tv_S"].to_pylist() == [x if x > 70 else 0 for x in FRAME["tv_S"]]


def test_currencies_that_differ_between_columns_are_a_warning() -> None:
    frame = FRAME.assign(tv_S=FRAME["tv_S"].map("${}".format), Search_S=FRAME["Search_S"].map("{} €".format))
    result = prepared(frame.to_csv(index=False))
    assert_same(result)
    assert "tv_S in $, Search_S in €" in only(result, "several-currencies").message


def test_percentages_are_parts_of_one_as_excel_reads_them() -> None:
    result = with_column("{}%".format, "Competitor")
    assert result.table is not None
    assert result.table["Competitor"].to_pylist() == pytest.approx((FRAME["Competitor"] / 100).tolist())
    assert "50 % was read as 0.5" in only(result, "percent").message


@pytest.mark.parametrize(
    "mark",
    ["-", " --", "–", "n/a", "#N/A", "#NV", "null", "(null)", "NULL", "\\N", "k.A.", "$ -", "(not set)"],
)
def test_marks_for_nothing_are_empty_cells_and_said(mark: str) -> None:
    money = "${:,.2f}" if mark.startswith("$") else "{:.2f}"
    result = with_column(lambda x: mark if x < 60 else money.format(x), missing={"media": "zero"})
    assert result.table is not None, result.report.findings
    assert result.table["tv_S"].to_pylist() == [0 if x < 60 else x for x in FRAME["tv_S"]]
    assert f"'{mark.strip()}'" in only(result, "missing-marks").message
    assert errors(with_column(lambda x: mark if x < 60 else money.format(x))) == ["missing-value"]


@pytest.mark.parametrize("write", ["({:.2f})", "{:.2f}-", "- {:.2f}", "−{:.2f}", "-${:.2f}", "($ {:.2f})"])
def test_negative_numbers_as_accounts_have_them(write: str) -> None:
    result = with_column(write.format, "Competitor")
    assert result.table is not None, result.report.findings
    assert result.table["Competitor"].to_pylist() == (-FRAME["Competitor"]).tolist()


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("TRUE", "FALSE"),
        ("Yes", "No"),
        ("ja", "nein"),
        ("Oui", "Non"),
        ("sí", "no"),
        ("WAHR", "FALSCH"),
        ("Y", "N"),
    ],
)
def test_words_for_yes_and_no_are_1_and_0(yes: str, no: str) -> None:
    result = with_column(lambda x: yes if x > 600 else no, "Competitor")
    assert result.table is not None, result.report.findings
    assert result.table["Competitor"].to_pylist() == [float(x > 600) for x in FRAME["Competitor"]]
    assert f"'{yes.lower()}' was read as 1" in only(result, "booleans").message


def test_words_of_two_languages_are_no_booleans_and_the_advice_names_factors() -> None:
    found = only(with_column(lambda x: "yes" if x > 600 else "nein", "Competitor"), "not-a-number")
    assert "columns.factors" in found.advice


@pytest.mark.parametrize(("group", "sep"), [(".", ";"), (".", ","), (",", ";"), (",", ",")])
def test_thousands_separators_that_every_large_number_has_and_no_small_one_are_certain(
    group: str, sep: str
) -> None:
    whole = FRAME.round(0).astype({"Revenue": int, "tv_S": int, "Search_S": int, "Competitor": int})
    whole["tv_S"] = whole["tv_S"] * 20 - 700
    text = whole.assign(tv_S=whole["tv_S"].map(lambda x: f"{x:,}".replace(",", group)))
    result = prepared(text.to_csv(index=False, sep=sep))
    assert_same(result, whole)
    assert "was read as" in only(result, "thousands-separator").message


def test_a_number_that_may_mean_two_things_is_refused_with_both_readings() -> None:
    whole = FRAME.round(0).astype({"Revenue": int, "tv_S": int, "Search_S": int, "Competitor": int})
    text = whole.assign(tv_S=(whole["tv_S"] * 20 + 1000).map("{:,}".format)).to_csv(index=False, sep=";")
    found = only(prepared(text), "ambiguous-number").message
    assert "with a thousands separator, or" in found
    assert "with a decimal sign" in found


def test_what_floats_that_cancel_out_leave_is_zero_and_other_negative_values_are_shown() -> None:
    result = with_column(lambda x: "-2.27e-13" if x < 60 else f"{x}")
    assert result.table is not None
    assert result.table["tv_S"].to_pylist() == [0 if x < 60 else x for x in FRAME["tv_S"]]
    assert "-2.27e-13 are 0" in only(result, "rounded-to-zero").message
    found = only(with_column(lambda x: "-12.5" if x < 60 else f"{x}"), "negative-media")
    assert "for example -12.5" in found.message


# columns


def test_columns_that_nobody_asked_for_stop_nothing() -> None:
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    odd = {
        "tags": pa.array([["a"]] * len(FRAME)),
        "record": pa.array([{"a": 1}] * len(FRAME)),
        "late": pa.array([2**62] * len(FRAME), pa.timestamp("ms")),
    }
    for name, values in odd.items():
        table = table.append_column(name, values)
    out = io.BytesIO()
    pq.write_table(table, out)
    result = prepared(out.getvalue(), "data.parquet")
    assert_same(result)
    assert "tags, record, late" in only(result, "unusable-columns").message
    asked = {"columns": {**request().columns.model_dump(), "context": ["tags"]}}
    found = only(prepare(decoded(out.getvalue(), "data.parquet"), request(**asked), "fp"), "unusable-column")
    assert "list<" in found.message


def test_a_name_that_only_looks_the_same_is_shown_with_the_difference() -> None:
    found = only(prepared(GOOD.replace("tv_S", "t\u03bd_S")), "missing-column")
    assert (
        "did you mean 't\u03bd_S' (it has GREEK SMALL LETTER NU (U+03BD) where the request has"
        in found.advice
    )
