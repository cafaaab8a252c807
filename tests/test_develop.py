"""What docs/develop.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "develop.md").read_text(encoding="utf-8")


def test_every_file_that_is_named_exists():
    named = re.findall(r"`((?:contracts|functions|trainer|infra|tests|r|docker)/[\w/.-]*)`", TEXT)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_command_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", TEXT))
    assert len(named) > 6
    assert named - targets == set()


def test_there_is_a_recipe_for_each_usual_change():
    recipes = re.findall(r"^\*\*(.+?)\*\* \(", TEXT.partition("## Recipes")[2], re.MULTILINE)
    changes = {
        "A request parameter",
        "A page",
        "A route of the API",
        "A topic, a function or a right",
        "An engine",
        "An adapter family",
        "A warehouse",
        "A data check",
        "A model check",
    }
    assert set(recipes) == changes
