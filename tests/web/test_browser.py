"""The pages in a real browser: the policy lets our own style and forms through, and nothing else runs."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from contracts import names
from contracts.attempt import Progress
from contracts.problem import Problem
from tests.web.harness import S, Site
from tests.web.trained import EXAMPLES, trained

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, site.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def page(request: pytest.FixtureRequest) -> Iterator[playwright.Page]:
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_context(java_script_enabled=request.param).new_page()
        browser.close()


def test_a_person_cancels_and_retries_a_job(site: Site, address: str, page: playwright.Page) -> None:
    site.job(S.RUNNING, progress=Progress(step="search", trial=1, trials=2, iteration=5, iterations=10))
    site.job(S.FAILED, "weekly-2", error=Problem(type="crashed", title="It ran out of memory"))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(address)
    page.get_by_role("link", name="weekly-1-request").click()
    page.get_by_text("Cancel…").click()
    assert site.stored().state is S.RUNNING, "it asks first"
    page.get_by_role("button", name="Cancel this job").click()
    playwright.expect(page.locator("h1")).to_contain_text("Cancelling")
    page.goto(f"{address}/jobs/weekly-2")
    page.get_by_role("button", name="Retry").click()
    playwright.expect(page.locator("h1")).to_contain_text("Accepted")
    assert (site.stored().state, site.stored("weekly-2").state) == (S.CANCELLING, S.ACCEPTED)
    assert complaints == []


def test_a_person_on_a_phone_pages_filters_reads_plans_compares_and_uploads(
    site: Site, address: str, page: playwright.Page, tmp_path: Path
) -> None:
    first, _ = trained(site), trained(site, "weekly-2")
    site.ports.objects.create(f"{names.results(first)}curves.json", (EXAMPLES / "curves.json").read_bytes())
    for number in range(28):
        site.job(S.REJECTED, f"other-{number}", country="AT")
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(address)
    page.get_by_role("link", name="Older →").click()
    assert page.locator("table.jobs tbody tr").count() == 5
    page.get_by_role("link", name="← Newest").click()
    page.get_by_label("Country").fill("DE")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(f"{address}/?country=DE")
    assert page.locator("table.jobs tbody tr").count() == 2
    for tick in page.get_by_label("compare").all():
        tick.check()
    page.get_by_role("button", name="Compare the ticked").click()
    playwright.expect(page.get_by_role("heading", name="ROAS and share by channel")).to_be_visible()
    page.get_by_role("link", name="weekly-1-request").first.click()
    playwright.expect(page.locator("#answer")).to_contain_text("2.16 to 3.90")
    page.goto(f"{address}/jobs/weekly-1/plan")
    page.get_by_label("Total, an amount or +10 %").fill("+10 %")
    page.get_by_role("button", name="Answer").click()
    playwright.expect(page.get_by_role("row", name=re.compile("^Proposed"))).to_contain_text("more than 99 %")
    file = tmp_path / "sales.csv"
    file.write_text("date,sales\n2026-01-05,1\n", encoding="utf-8")
    page.goto(f"{address}/uploads/new")
    page.get_by_label("Country", exact=True).fill("DE")
    page.get_by_label("Name of the file").fill("sales.csv")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("The file").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("link", name="Write a request for it").click()
    playwright.expect(page.locator("#text")).to_have_value(re.compile("sources/DE/sales.csv"))
    assert site.ports.objects.read("sources/DE/sales.csv") == file.read_bytes()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_hostile_text_runs_nothing_and_fits_a_phone(site: Site, address: str, page: playwright.Page) -> None:
    text = "<img src=x onerror=alert(1)><script>alert(2)</script>" + "x" * 300
    site.job(S.FAILED, request_id=text, error=Problem(type="x", title=text, detail=text, errors=[text]))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.set_viewport_size({"width": 360, "height": 640})
    for path in ("/", "/jobs/weekly-1"):
        page.goto(address + path)
        assert page.locator("body").bounding_box()["width"] == 360
        assert page.locator(".badge.failed").first.is_visible()
        right = [
            box["x"] + box["width"]
            for box in (e.bounding_box() for e in page.locator("main *:visible").all())
            if box
        ]
        assert max(right) <= 360, f"{path} is wider than the screen"
    assert dialogs == []
