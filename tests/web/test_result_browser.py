"""Results in a real browser: charts under our policy, pages that follow by themselves, and what axe says.

axe.min.js.gz is axe-core 4.14.1 of Deque Systems (MPL-2.0), unchanged; only tests use it.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from contracts import names
from contracts.batch import BatchRequest
from contracts.job import Job
from contracts.problem import Problem
from infra.local.demo_data import demo_request
from tests.web.harness import S, Site
from tests.web.test_actions import letter
from tests.web.trained import EXAMPLES, country, trained

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
AXE = gzip.decompress(Path(__file__).with_name("axe.min.js.gz").read_bytes()).decode()
BASE = {name: value for name, value in demo_request("", 5, 1).items() if name != "request_id"}
BATCH = BatchRequest(name="markets", base=BASE, rows=[{"country": "DE"}, {"country": "x y"}])
TRACEBACK = "Traceback (most recent call last):\n" + '  File "a_long_path.py", line 1, in a_function\n' * 20
PAGES = (
    "/",
    "/batches",
    f"/batches/{BATCH.batch_id}",
    "/jobs/weekly-5",
    "/problems",
    "/schedules/weekly/edit",
    "/jobs/weekly-1",
    "/jobs/weekly-3",
    "/jobs/weekly-4",
    "/jobs/weekly-1/attempts/1",
    "/jobs/weekly-1/data",
    "/compare?jobs=weekly-1,weekly-2",
    "/countries",
    "/countries/DE",
    "/old-runs?country=DE",
    "/deletions?days=1",
    "/new-batch",
    "/mappings",
    "/mappings/new",
    "/mappings/DE/weekly",
    "/mappings/DE/weekly/edit",
    "/new?mapping=DE/weekly",
    "/jobs/none",
    "/schedules",
    "/schedules/weekly",
    "/new-schedule?from=weekly-1",
    "/jobs/weekly-1/plan",
    "/new",
    "/uploads/new",
    "/queues",
    "/dead-letters",
    "/selftest",
    "/api",
)
SHAPES = (
    (390, "dark"),
    (1024, "light"),
    (1440, "dark"),
    (1440, "light"),
    (390, "light"),
    (1024, "dark"),
)
SCRIPTS = (
    "شبكة_التلفزيون_",
    "电视广告花费",
    "テレビ広告費",
    "टीवी_विज्ञापन_",
    "te\u0301\u0302le\u0308_",
    "\u202eover_",
)
CURVES = EXAMPLES / "curves.json"
LONG = "Ünïcödé_名前_" + "очень_длинное_имя_" * 6


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    first = trained(site)
    country(site, first, trained(site, "weekly-2", low=20.0, request_id=LONG[:120]))
    site.ports.objects.create(f"{names.results(first)}curves.json", CURVES.read_bytes())
    letter(site)
    running = site.job(S.RUNNING, "weekly-3", request=BASE)
    site.heartbeat(running, step="search", trial=1, trials=2, iteration=10, iterations=40)
    site.job(S.REJECTED, "weekly-4")
    site.job(S.FAILED, "weekly-5", error=Problem(type="engine-failed", title="It failed", detail=TRACEBACK))
    assert site.client.post("/api/v1/batches", json=BATCH.model_dump(mode="json")).status_code == 201
    request = {**BASE, "source": {"kind": "object", "name": "sources/DE/sales.csv"}}
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
    prefix = f"robyn/{LONG[:60]}/DE/20240108_063000/"
    old = {"country": "DE", "run": prefix, "revision": LONG[:60], "results": prefix, "files": 2, "bytes": 9}
    old |= {"state": "<b>failed</b>", "said": {"message": f"<script>{LONG}", "start_time": "2024-01-08"}}
    assert site.client.post("/api/v1/old-runs", json={"runs": [old]}).json["new"] == 1
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
    request = page.get_by_role("region", name="Request", exact=True)
    request.evaluate("one => one.scrollTo(0, 70)")
    site.heartbeat(site.stored("weekly-3"), step="outputs", done=0.9)
    playwright.expect(page.locator("#live")).to_contain_text("outputs", timeout=10_000)
    assert page.evaluate("document.activeElement.textContent") == "Cancel…"
    assert page.evaluate("scrollY") == before
    assert request.evaluate("one => one.scrollTop") == 70
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
    for width, scheme in SHAPES[:2] if path == "/api" else SHAPES:  # it has thousands of elements
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


@pytest.mark.parametrize("script", SCRIPTS)
def test_columns_of_128_characters_of_any_script_fit(
    site: Site, address: str, browser: playwright.Browser, script: str
) -> None:
    name = (script * 128)[:128]
    for kind in ("figures.json", "curves.json", "model_summary.json"):
        stored = f"{names.results(site.stored())}{kind}"
        text = site.ports.objects.read(stored).decode().replace('"tv_spend"', json.dumps(name))
        site.ports.objects.replace(stored, text.encode(), None)
    summary = site.ports.objects.read(names.summary("DE")).decode()
    site.ports.objects.replace(
        names.summary("DE"), summary.replace('"tv_spend"', json.dumps(name)).encode(), None
    )
    page = browser.new_page()
    for path in ("/jobs/weekly-1", "/jobs/weekly-1/plan", "/countries/DE", "/compare?jobs=weekly-1,weekly-2"):
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(address + path)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width} px"
            assert page.locator("tbody th").filter(has_text=name[:20]).first.is_visible(), path
            assert page.evaluate(CUT) == [], f"{path} at {width} px"


CUT = """() => [...document.querySelectorAll('main .card tbody th')]
    .filter((cell) => cell.checkVisibility() && cell.scrollWidth > cell.clientWidth + 1)
    .map((cell) => cell.textContent.slice(0, 40))"""
"""Headers of rows whose text is wider than their cell."""


def press_to(page: playwright.Page, text: str) -> None:
    """Tab on to the control of this name or text, each one of them with a visible mark of the focus."""
    for _ in range(200):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert focus["marked"], focus
        if focus["text"].startswith(text):
            return
    raise AssertionError(f"no Tab leads to {text!r}")


FOCUS = """() => {
    const one = document.activeElement, style = getComputedStyle(one);
    const named = one.labels?.[0]?.textContent ?? "";
    const text = one.getAttribute("aria-label") || named || one.textContent || "";
    return {text: text.trim(), marked: one === document.body || style.outlineStyle !== "none"};
}"""


def test_a_person_works_by_keyboard_alone(site: Site, address: str, browser: playwright.Browser) -> None:
    page = browser.new_page()
    page.goto(address)
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS)["text"] == "To the content"
    press_to(page, "State")
    page.keyboard.type("Succ")
    press_to(page, "Filter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?state=SUCCEEDED*")
    for _ in range(2):
        press_to(page, "compare")
        page.keyboard.press("Space")
    press_to(page, "Compare the ticked")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("h1")).to_have_text(re.compile("Compare"))
    page.goto(f"{address}/jobs/weekly-1/plan")
    press_to(page, "Total")
    page.keyboard.type("+10 %")
    page.keyboard.press("Enter")
    page.wait_for_url("**total=*")
    playwright.expect(page.get_by_role("heading", name="Scenarios compared")).to_be_visible()
    press_to(page, "Picture (PNG)")
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename == "weekly-1-plan.png"
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")
    page.goto(address)
    press_to(page, "New request")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new")
    press_to(page, "The request")
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(REQUEST)
    press_to(page, "Train")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("h1")).to_contain_text("Accepted")
    press_to(page, "Cancel…")
    page.keyboard.press("Enter")
    press_to(page, "Cancel this job")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("h1")).to_contain_text("Cancelling")


REQUEST = """request_id: by-keyboard
country: DE
revision: q4
source: {kind: object, name: sources/DE/sales.csv}
columns: {date: week, dependent: sales, dependent_type: revenue, paid_media: [tv]}
"""
