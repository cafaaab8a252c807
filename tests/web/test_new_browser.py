"""A request written in a real browser, with and without scripts, and followed to its result."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from functions.adapters.embedded.warehouse import load_table
from infra.local.demo_data import generate
from infra.local.host import LocalHost, local_settings

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
PATIENCE_MS = 300_000
PARTS = {
    "date": "date",
    "revenue": "dependent",
    "tv_spend": "paid media",
    "search_spend": "paid media",
    "newsletter_sends": "organic",
    "promotion": "factor",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("system")
    table = pa.Table.from_pandas(generate(weeks=104).table, preserve_index=False)
    load_table(folder / "warehouse", "shop", "main", "weekly", table)
    with LocalHost(local_settings(folder), 0) as host:
        yield host.url


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def page(request: pytest.FixtureRequest) -> Iterator[playwright.Page]:
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_context(java_script_enabled=request.param).new_page()
        browser.close()


def test_a_person_asks_by_form_and_follows_the_job_to_its_result(address: str, page: playwright.Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.get_by_role("link", name="New request").click()
    page.locator('[id="f.country"]').fill("DE")
    page.get_by_label("Kind").first.select_option("table")
    for field, text in {
        "connection": "shop",
        "database": "shop",
        "schema": "main",
        "table": "weekly",
    }.items():
        page.locator(f'[name="source:table.{field}"]').fill(text)
    page.get_by_role("button", name="Look at the data").click()
    for column, part in PARTS.items():
        page.get_by_label(f"Part of {column}", exact=True).select_option(part)
    page.get_by_label("Dependent type").select_option("revenue")
    page.get_by_role("button", name="Update both").click()
    page.get_by_label("Part of search_clicks").select_option("exposure of search_spend")
    page.get_by_label("Trials", exact=True).fill("0")
    page.get_by_role("button", name="Train").click()
    page.get_by_role("link", name="search.trials").click()  # from what is wrong to its field
    assert page.evaluate("document.activeElement.id || location.hash") in (
        "f.search.trials",
        "#f.search.trials",
    )
    page.get_by_label("Trials", exact=True).fill("1")
    page.get_by_label("Iterations", exact=True).fill("30")
    text = page.locator("#text").input_value()
    page.locator("#text").fill(text + "revision: r1\nposterior: 'off'\n")
    page.get_by_role("button", name="Train").click()
    heading = page.locator("h1")
    for _ in range(600):
        if "Succeeded" in heading.inner_text():
            break
        page.wait_for_timeout(500)
        page.reload()
    playwright.expect(heading).to_contain_text("Succeeded")
    playwright.expect(page.get_by_text("exposure: search_clicks")).to_be_visible()
    assert complaints == []
