"""The form of a batch: each row is shown with its problems before anything is sent."""

from __future__ import annotations

import html
import re
from io import BytesIO

import pytest
import yaml

from contracts.batch import Batch
from infra.local.demo_data import demo_request
from tests.web.harness import Site

TABLE = b"country,search.trials,search.colour\nDE,3,\nFR,none,\nAT,2,red\n"


def carried(page: str) -> str:
    """The rows that the form sends again."""
    found = re.search(r'name="rows" value="([^"]*)"', page)
    assert found
    return html.unescape(found[1])


def test_rows_are_shown_with_their_problems_and_then_sent_once(site: Site) -> None:
    assert "New batch" in site.client.get("/batches").text
    assert "Table: CSV" in site.client.get("/new-batch").text
    body = {name: value for name, value in demo_request("", 5, 1).items() if name != "request_id"}
    body["source"] = {"kind": "object", "name": "sources/DE/sales.csv"}
    settings = {"columns": body.pop("columns")}
    put = site.client.put("/api/v1/mappings/DE/weekly", json={"settings": settings})
    assert put.status_code == 201
    said = {"base": yaml.safe_dump(body), "mapping": "DE/weekly", "do": "send"}
    nothing = site.client.post("/new-batch", data=said).text
    assert "choose a file" in nothing
    file = (BytesIO(TABLE), "monday.batch.csv")
    page = site.client.post("/new-batch", data={**said, "do": "look", "file": file}).text
    assert "Rows that are requests: 1; that cannot be: 2" in page
    assert "search.trials: " in page
    assert "search.colour: unknown field" in page
    assert 'value="monday"' in page
    assert site.ports.jobs.find(Batch) == []
    again = {**said, "name": "monday", "rows": carried(page)}
    sent = site.client.post("/new-batch", data=again)
    assert sent.status_code == 303
    assert site.client.post("/new-batch", data=again).location == sent.location
    (batch,) = site.ports.jobs.find(Batch)
    assert (batch.rows, batch.name, batch.by is not None) == (3, "monday", True)
    hostile = {**said, "base": "a: [", "rows": '[{"<script>": 1}]', "name": "<b>"}
    wrong = site.client.post("/new-batch", data=hostile).text
    assert "base: is not valid YAML" in wrong
    assert "<script>" not in wrong


@pytest.mark.parametrize("rows", ["1e999", "{}", "[" * 3000, "[] x", '[{"search.trials": 1e999}]', "]"])
def test_rows_that_the_form_was_not_given_are_told(site: Site, rows: str) -> None:
    answer = site.client.post("/new-batch", data={"name": "b", "base": "country: DE", "rows": rows})
    assert (answer.status_code, "was not sent whole" in answer.text) == (200, True)
