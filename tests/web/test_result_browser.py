"""Results in a real browser: charts under our policy, pages that follow by themselves, and what axe says.

axe.min.js.gz is axe-core 4.14.1 of Deque Systems (MPL-2.0), unchanged; only tests use it.
"""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from contracts.job import Job
from infra.local.demo_data import demo_request
from tests.web.harness import S, Site
from tests.web.trained import country, trained

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
AXE = gzip.decompress(Path(__file__).with_name("axe.min.js.gz").read_bytes()).decode()
PAGES = (
    "/",
    "/jobs/weekly-1",
    "/jobs/weekly-3",
    "/jobs/weekly-4",
    "/jobs/weekly-1/attempts/1",
    "/jobs/weekly-1/data",
    "/compare?jobs=weekly-1,weekly-2",
    "/countries",
    "/countries/DE",
    "/mappings",
    "/mappings/new",
    "/mappings/DE/weekly",
    "/mappings/DE/weekly/edit",
    "/new?mapping=DE/weekly",
    "/jobs/none",
    "/schedules",
    "/schedules/weekly",
    "/new-schedule?from=weekly-1",
)
LONG = "Ünïcödé_名前_" + "очень_длинное_имя_" * 6


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    country(site, trained(site), trained(site, "weekly-2", low=20.0, request_id=LONG[:120]))
    running = site.job(S.RUNNING, "weekly-3")
    site.heartbeat(running, step="search", trial=1, trials=2, iteration=10, iterations=40)
    site.job(S.REJECTED, "weekly-4")
    request = {name: value for name, value in demo_request("", 5, 1).items() if name != "request_id"}
    request["source"] = {"kind": "object", "name": "sources/DE/sales.csv"}
    schedule = {"cron": "0 6 * * MON", "time_zone": "Europe/Berlin", "request": request}
    site.client.put("/api/v1/schedules/weekly", json={"version": 0, "schedule": schedule})
    site.client.post("/api/v1/schedules/weekly:run")
    for adstock in ("geometric", "weibull_cdf"):
        changed = site.client.put(
            "/api/v1/mappings/DE/weekly",
            json={"settings": {"adstock": adstock, "columns": {"date": "date"}}},
            headers={"If-Match": "*"},
        )
        assert changed.status_code in (200, 201)
    server = make_server("127.0.0.1", 0, site.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_over_their_pictures_under_our_policy(
    address: str, browser: playwright.Browser, scheme: str
) -> None:
    page = browser.new_context(color_scheme=scheme).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{address}/jobs/weekly-1")
    page.wait_for_selector("html[data-charts=drawn]")
    assert page.locator(".drawn svg").count() == 6
    assert page.locator(".drawing img:visible").count() == 0
    page.locator(".drawn svg").first.hover()
    texts = page.locator("[data-chart*=roas] svg text").all_text_contents()
    assert "tv_spend" in texts
    assert said == []


def test_without_scripts_the_pictures_and_tables_are_there(address: str, browser: playwright.Browser) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}/jobs/weekly-1")
    assert page.locator(".drawing img:visible").count() == 5
    page.locator("#table-roas summary").click()
    playwright.expect(page.locator("#table-roas td").first).to_have_text("tv_spend")


def test_a_running_job_follows_by_itself_and_moves_neither_focus_nor_scrolling(
    site: Site, address: str, browser: playwright.Browser
) -> None:
    page = browser.new_page(viewport={"width": 800, "height": 300})
    page.goto(f"{address}/jobs/weekly-3")
    page.get_by_text("Cancel…").focus()
    page.mouse.wheel(0, 120)
    page.wait_for_timeout(200)
    before = page.evaluate("scrollY")
    site.heartbeat(site.stored("weekly-3"), step="outputs", done=0.9)
    playwright.expect(page.locator("#live")).to_contain_text("outputs", timeout=10_000)
    assert page.evaluate("document.activeElement.textContent") == "Cancel…"
    assert page.evaluate("scrollY") == before
    full = page.locator("#live progress").get_attribute("value")
    assert float(full or 1) < 1


def test_a_page_that_follows_shows_the_end(site: Site, address: str, browser: playwright.Browser) -> None:
    page = browser.new_page()
    page.goto(f"{address}/jobs/weekly-3")
    job = site.stored("weekly-3")
    moved: Job = job.moved(S.CANCELLING, site.clock.now(), None).moved(S.CANCELLED, site.clock.now(), None)
    site.ports.jobs.replace(moved, job.version)
    playwright.expect(page.locator("h1")).to_contain_text("Cancelled", timeout=10_000)


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious_at_any_width_in_any_scheme(
    address: str, browser: playwright.Browser, path: str
) -> None:
    page = browser.new_context(bypass_csp=True).new_page()
    page.goto(address + path)
    if page.locator("script[data-library]").count():
        page.wait_for_selector("html[data-charts=drawn]")
    page.evaluate(AXE)
    for width, scheme in (
        (390, "dark"),
        (1024, "light"),
        (1440, "dark"),
        (1440, "light"),
        (390, "light"),
        (1024, "dark"),
    ):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"][:120])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], f"{path} at {width} px, {scheme}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width} px"
