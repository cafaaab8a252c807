"""The page that says whether the installation is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from contracts.names import SELFTEST
from functions.adapters.embedded.warehouse import load_table
from functions.errors import Unavailable
from functions.web import looking, selftest
from tests.rights import beyond, recording
from tests.web.harness import Site


def words(site: Site) -> dict[str, str]:
    return {line["part"]: line["word"] for line in site.client.post("/api/v1/selftest").json["lines"]}


def test_every_part_is_tried_with_the_rights_that_there_are_and_nothing_is_left(site: Site) -> None:
    load_table(site.family.folder / "warehouse", "shop", "main", "weekly", pa.table({"a": [1]}))
    with recording() as recorded, site.functions():
        found = words(site)
    assert found == {
        "Bucket: write": "ok",
        "Bucket: read": "ok",
        "Bucket: list": "ok",
        "Bucket: signed link": "ok",
        "Bucket: delete": "ok",
        "Clock": "ok",
        "Store: a document": "ok",
        "Store: a list": "ok",
        "Bus and extract": "ok",
        "Sweep and launcher": "ok",
        "Warehouse shop": "ok",
    }
    assert beyond(recorded) == {}
    assert list(site.ports.objects.list(SELFTEST)) == []


def test_a_part_that_fails_says_why_and_what_to_do_and_the_others_are_tried(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(site.ports.objects, name)

        def create(self, *_: Any) -> None:
            raise Unavailable("<b>no space</b> left")

    monkeypatch.setattr(looking, "PATIENCE_S", 0.2)
    html = site.with_ports(objects=Full()).post("/selftest").text
    assert "&lt;b&gt;no space" in html
    assert "Look at the bucket&#39;s name in the settings" in html
    assert html.count(">Wrong<") == 3  # the bucket, and both that nobody answers
    assert html.count(">Ok<") == 2


def test_clocks_that_are_apart_are_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "PATIENCE_S", 0.1)
    assert words(site)["Clock"] == "ok"

    class Ahead:
        def now(self) -> Any:
            return site.clock.now() + timedelta(minutes=1)

    other = replace(site.runtime, ports=replace(site.ports, clock=Ahead()))
    clock = next(line for line in selftest.run(other, "somebody").lines if line.part == "Clock")
    assert (clock.word, "60.0 s apart" in clock.detail) == ("wrong", True)


def test_the_page_can_be_looked_at_without_trying(site: Site) -> None:
    html = site.client.get("/selftest").text
    assert "Run the self-test" in html
    assert "native" in html
    assert site.published() == []
