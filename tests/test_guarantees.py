"""What docs/guarantees.md names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")


def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", TEXT)
    assert len(named) == TEXT.count("::") > 25
    assert [(path, test) for path, test in named if test not in names_in(path)] == []


def test_every_file_that_is_named_exists():
    named = re.findall(r"`((?:contracts|functions|trainer|infra)/[\w/.]+)`", TEXT)
    assert len(named) > 12
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_promise_says_how_and_names_its_tests():
    promises = TEXT.partition("## Bad input")[0].split("\n**")[1:]
    assert [promise.split(".")[0] for promise in promises] == [str(number) for number in range(1, 13)]
    assert [promise for promise in promises if "*How:*" not in promise or "*Tests:*" not in promise] == []


def test_the_bounds_are_those_of_the_code():
    from contracts.base import MAX_DEPTH
    from functions.acceptance.request import MAX_REQUEST_BYTES
    from functions.bury.handler import MAX_DATA
    from functions.errors import MAX_ERRORS, MAX_TEXT
    from functions.extract.decode import MAX_COLUMNS
    from functions.extract.packed import MAX_UNPACKED
    from functions.extract.parquet import MAX_DECODED, MAX_ROW_GROUP
    from functions.extract.workbook import MAX_CELLS as MAX_SHEET
    from functions.extract.workbook import MAX_FILE
    from functions.extract.workbook import MAX_TEXT as MAX_CHARACTERS
    from functions.message import MAX_READ_BYTES
    from functions.validate.source import MAX_BYTES, MAX_CELLS

    for bound in (
        f"{MAX_REQUEST_BYTES >> 10} KiB, {MAX_DEPTH} levels deep; with white space "
        f"{MAX_READ_BYTES >> 10} KiB",
        f"{MAX_COLUMNS:,}",
        f"row groups of {MAX_ROW_GROUP >> 20} MB before compression, {MAX_DECODED >> 30} GB decoded",
        f"{MAX_UNPACKED >> 30} GB unpacked",
        f"{MAX_FILE >> 20} MB; {MAX_SHEET // 10**6} million cells and {MAX_CHARACTERS >> 20} MB of text",
        f"{MAX_CELLS // 10**6} million cells, derived columns included; {MAX_BYTES >> 20} MB decoded",
        f"{MAX_ERRORS} errors and 50 findings, {MAX_TEXT:,} characters each",
        f"{MAX_DATA >> 10} KiB",
    ):
        assert f"| {bound}" in TEXT, bound
