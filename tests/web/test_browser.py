"""The pages in a real browser: the policy lets our own style and forms through, and nothing else runs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from contracts.attempt import Progress
from contracts.problem import Problem
from tests.web.harness import S, Site

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
