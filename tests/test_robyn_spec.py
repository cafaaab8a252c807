"""Every reference to a section of docs/robyn-spec.md resolves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPECIFICATION = ROOT / "docs" / "robyn-spec.md"
FOLDERS = ("contracts", "functions", "trainer", "infra", "r", "examples", "tests", "docs")
SUFFIXES = {".py", ".R", ".md", ".json", ".yaml", ".html", ".tf"}
REFERENCE = re.compile(r"§+(\d+(?:\.\d+)?)(?:[-–](\d+(?:\.\d+)?))?|[Aa]ppendix ([A-Z])\b")


def sections(text: str) -> set[str]:
    """The numbers of the headings, and `16.4` for item 4 of the list in section 16."""
    found, section = set(), ""
    for line in text.splitlines():
        if heading := re.match(r"#+ (?:Appendix )?(\d+(?:\.\d+)?|[A-Z])(?:\.| —| )", line):
            section = heading[1]
            found.add(section)
        elif item := re.match(r"(\d+)\. ", line):
            found.add(f"{section}.{item[1]}")
    return found


def references(text: str) -> Iterator[str]:
    for match in REFERENCE.finditer(text):
        yield from (number for number in match.groups() if number)


def missing(text: str, known: set[str]) -> set[str]:
    return set(references(text)) - known


def test_every_reference_to_the_specification_resolves():
    known = sections(SPECIFICATION.read_text(encoding="utf-8"))
    paths = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.suffix in SUFFIXES]
    texts = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8").replace("\\u00a7", "§")
        for path in paths
        if path != Path(__file__)
    }
    cited = {str(path) for path, text in texts.items() if "§" in text}
    assert len(cited) > 20
    assert {"contracts/schemas/train_request.json", "docs/robyn-parity.md", "docs/robyn-spec.md"} <= cited
    assert {str(path): lost for path, text in texts.items() if (lost := missing(text, known))} == {}


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("robyn-spec §5.2, 4-5", set()),
        ("robyn-spec §16.4", set()),
        ("robyn-spec §16.40", {"16.40"}),
        ("robyn-spec §99", {"99"}),
        ("robyn-spec, Appendix Z", {"Z"}),
    ],
)
def test_a_reference_that_leads_nowhere_is_found(text: str, lost: set[str]):
    assert missing(text, sections(SPECIFICATION.read_text(encoding="utf-8"))) == lost
