"""The pages of results: a job's, its attempts and data, comparisons, countries."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zipfile
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from contracts import names
from contracts.attempt import Outcome
from contracts.cloud import RIGHTS
from contracts.job import ModelInUse
from contracts.problem import Problem
from contracts.summary import CountryMonth, CountrySummary
from functions.entry import deliver
from functions.message import Message
from functions.web import assets, charts
from tests.rights import beyond, recording
from tests.web.harness import S, Site
from tests.web.test_pages import Elements, links
from tests.web.trained import BEST, EXAMPLES, OTHER, country, figures, summary, trained

CHARTS = "/jobs/weekly-1/attempts/1/charts"


class Counted:
    """A port that counts what it is asked."""

    def __init__(self, port: Any, calls: Counter[str]) -> None:
        self._port, self._calls = port, calls

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._port, name)


def test_the_answer_comes_first_with_its_interval_and_what_speaks_against_it(site: Site) -> None:
    trained(site)
    html = site.client.get("/jobs/weekly-1").text
    answer, table = html.index('id="answer"'), html.index('id="channels"')
    for text in ("2.16 – 3.90", "0 % of the objectives", "Search longer"):
        assert text in html
    assert answer < html.index("0 % of the objectives") < table, "beside the answer, above all tables"
    assert "9.50\u2009M to 17.2\u2009M, ROAS 2.16 to 3.90" in html[answer:table]
    assert '12.6\u2009M <span class="range">9.50\u2009M – 17.2\u2009M</span>' in html[table:]


def test_a_page_of_a_result_asks_the_stores_four_times_at_most(site: Site) -> None:
    trained(site)
    calls: Counter[str] = Counter()
    objects, jobs = Counted(site.ports.objects, calls), Counted(site.ports.jobs, calls)
    assert site.with_ports(objects=objects, jobs=jobs).get("/jobs/weekly-1").status_code == 200
    assert calls.total() <= 4, calls


def test_a_second_visit_loads_little_because_all_else_is_kept(site: Site) -> None:
    trained(site)
    packed = site.client.get("/jobs/weekly-1", headers={"Accept-Encoding": "gzip"})
    html = gzip.decompress(packed.data).decode()
    assert len(packed.data) <= 20_000
    elements = Elements(html)
    loaded = [
        *elements.values("img", "src"),
        *elements.values("script", "src"),
        *elements.values("script", "data-library"),
        *elements.values("link", "href"),
        *elements.values("div", "data-chart"),
    ]
    assert len(loaded) > 10
    for address in loaded:
        answer = site.client.get(str(address))
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["Cache-Control"], address


@pytest.mark.parametrize("name", ["roas", "curves", "contributions", "fit", "allocation", "pareto"])
def test_each_chart_is_a_specification_and_a_table_for_a_spreadsheet(site: Site, name: str) -> None:
    trained(site)
    spec = site.client.get(f"{CHARTS}/{name}.vl.json").json
    assert (spec["$schema"], spec["width"]) == (charts.SCHEMA, "container")
    assert spec["description"]
    table = list(csv.reader(io.StringIO(site.client.get(f"{CHARTS}/{name}.csv").text)))
    assert len(table) > 1
    assert {len(row) for row in table} == {len(table[0])}


def test_the_chart_of_roas_shows_what_the_figures_say() -> None:
    spec = charts.CHARTS["roas"].spec(figures())
    assert spec
    (row,) = spec["data"]["values"]
    tv = figures().channels[0]
    assert (row["channel"], row["low"], row["high"]) == ("tv_spend", tv.low, tv.high)
    assert row["inside"] == tv.inside


def test_another_winner_is_a_click_away_and_one_that_is_none_is_not_found(site: Site) -> None:
    trained(site)
    html = site.client.get("/jobs/weekly-1").text
    assert f"/jobs/weekly-1?model={OTHER}" in links(html)
    other = site.client.get(f"/jobs/weekly-1?model={OTHER}").text
    assert f"{CHARTS}/roas.vl.json?model={OTHER}" in Elements(other).values("div", "data-chart")
    assert site.client.get("/jobs/weekly-1?model=9_9_9").status_code == 404
    assert site.client.get(f"{CHARTS}/roas.vl.json?model=../x").status_code == 404
    assert site.client.get(f"{CHARTS}/nothing.vl.json").status_code == 404


def test_everything_comes_as_one_zip(site: Site) -> None:
    job = trained(site)
    answer = site.client.get("/jobs/weekly-1/attempts/1/all.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert {"figures.json", "roas.png", "console.log", "manifest.json"} <= set(archive.namelist())
        content = site.ports.objects.read(f"{names.results(job)}figures.json")
        assert archive.read("figures.json") == content


def test_what_a_former_attempt_said_stays_after_a_retry(site: Site) -> None:
    job = site.job(S.FAILED, error=Problem(type="engine-failed", title="It broke the first time"))
    first = names.attempt_of(job)
    site.ports.objects.create(first.log(0, 0), b"the first try\n")
    outcome = Outcome(
        job_id=job.job_id,
        attempt=1,
        status="failed",
        error=Problem(type="engine-failed", title="It broke the first time"),
        ended_by="trainer",
        at=site.clock.now(),
    )
    site.ports.objects.create(first.outcome, outcome.model_dump_json().encode())
    site.client.post("/jobs/weekly-1/retry")
    html = site.client.get("/jobs/weekly-1").text
    assert "/jobs/weekly-1/attempts/1" in links(html)
    former = site.client.get("/jobs/weekly-1/attempts/1").text
    assert "It broke the first time" in former
    assert "the first try" in former
    assert "the first try" not in site.client.get("/jobs/weekly-1/attempts/2").text
    assert site.client.get("/jobs/weekly-1/attempts/3").status_code == 404


def test_of_a_log_the_end_is_shown_and_errors_alone_if_asked(site: Site) -> None:
    trained(site)
    page = site.client.get("/jobs/weekly-1/attempts/1").text
    assert page.count("a line") == 40
    errors = site.client.get("/jobs/weekly-1/attempts/1?log=errors").text
    assert "warning: tv is odd" in errors
    assert "a line" not in errors


def test_a_comparison_shows_what_differs_and_which_changes_are_real(site: Site) -> None:
    trained(site, request={"request_id": "a", "country": "DE", "search": {"seed": 1}}, fingerprint="1-a")
    trained(
        site,
        "weekly-2",
        request={"request_id": "b", "country": "DE", "search": {"seed": 7}},
        fingerprint="1-a",
        low=20.0,
    )
    html = site.client.get("/compare?jobs=weekly-1,weekly-2").text
    assert "real: at least 90 % sure" in html
    assert "The same data" in html
    assert "<code>country</code>" not in html, "only differences"
    assert "<code>country</code>" in site.client.get("/compare?jobs=weekly-1,weekly-2&show=all").text
    assert site.client.get("/compare/roas.vl.json?jobs=weekly-1,weekly-2").json["data"]["values"][1]["run"]


def test_the_runs_of_a_month_are_read_when_they_are_asked_for(site: Site) -> None:
    first, second = trained(site), trained(site, "weekly-2")
    country(site, first)
    listed = CountrySummary.model_validate_json(site.ports.objects.read(names.summary("DE")))
    old = listed.latest[0].model_copy(update={"job_id": "of-september"})
    month = CountryMonth(country="DE", month="2026-09", runs=[old])
    site.ports.objects.create(names.country_month("DE", "2026-09"), month.model_dump_json().encode())
    counted = listed.model_copy(update={"counts": {"2026-08": 0, "2026-09": 1}})
    site.ports.objects.replace(names.summary("DE"), counted.model_dump_json().encode(), None)
    calls: Counter[str] = Counter()
    html = site.with_ports(objects=Counted(site.ports.objects, calls)).get("/countries/DE?trust=5").text
    assert calls == {"read": 1}
    (link,) = (one for one in links(html) if "month" in one)
    assert link == "/countries/DE?month=2026-09&r2=1.0&nrmse=1.0&rssd=1.0&trust=5.0"
    assert "of-september" not in html
    told = site.client.get(link).text
    assert "of-september" in told
    assert second.job_id not in told
    assert (
        site.client.get("/api/v1/countries/DE/models?month=2026-09").json["ranked"][0]["run"]["job_id"]
        == "of-september"
    )
    assert site.client.get("/countries/DE?month=2026-08").status_code == 404
    assert site.client.get("/countries/DE?month=2026-13").status_code == 400


def test_hostile_names_in_a_result_stay_text(site: Site) -> None:
    hostile = "</script><img src=x onerror=alert(1)>{{7*7}}"
    first, second = trained(site), trained(site, "weekly-2", low=20.0)
    country(site, first, second)
    curves = f"{names.results(first)}curves.json"
    site.ports.objects.create(curves, (EXAMPLES / "curves.json").read_bytes())
    folders = [names.results(one) for one in (first, second)]
    files = [f"{folder}{name}" for folder in folders for name in ("figures.json", "model_summary.json")]
    for name in (*files, curves, names.summary("DE")):
        text = site.ports.objects.read(name).decode()
        for word in ("tv_spend", "it fits"):
            text = text.replace(f'"{word}"', f'"{hostile}"')
        site.ports.objects.replace(name, text.encode(), None)
    total = "total=%2B10+%25"
    pages = (
        "/jobs/weekly-1",
        f"/jobs/weekly-1/plan?{total}",
        "/compare?jobs=weekly-1,weekly-2",
        "/countries/DE",
    )
    for page in pages:
        html = site.client.get(page).text
        elements = Elements(html)
        assert "{{7*7}}" in html, page
        assert "x" not in elements.values("img", "src"), page
        assert not [name for _, given in elements.found for name in given if name.startswith("on")], page
    for chart in (f"{CHARTS}/roas.vl.json", "/compare/roas.vl.json?jobs=weekly-1,weekly-2"):
        answer = site.client.get(chart)
        assert answer.mimetype == "application/json"
        assert hostile in answer.get_data(as_text=True)
    assert "<img" not in site.client.get(f"/jobs/weekly-1/plan.svg?{total}").text


def test_defaults_of_a_part_that_only_one_job_has_are_no_differences(site: Site) -> None:
    trained(site)
    budget = {"scenario": "max_response"}
    asked = trained(site, "weekly-2", request={"request_id": "b", "country": "DE", "budget": budget})
    told = summary(asked, inputs={"budget": {**budget, "method": "posterior", "by_region": False}})
    site.ports.objects.replace(names.model_summary(asked), told.model_dump_json().encode(), None)
    html = site.client.get("/compare?jobs=weekly-1,weekly-2").text
    assert "<code>budget.scenario</code>" in html
    assert "budget.method" not in html
    whole = site.client.get("/compare?jobs=weekly-1,weekly-2&show=all").text
    assert "<code>budget.method</code>" in whole
    assert "<td>false</td>" in whole, "as it is written in a request"


def test_jobs_are_added_to_a_comparison_by_the_beginning_of_their_request_id(site: Site) -> None:
    trained(site, request_id="first")
    trained(site, "weekly-2", request_id="second-of-all")
    answer = site.client.get("/compare?jobs=weekly-1&add=second")
    assert answer.headers["Location"].endswith("jobs=weekly-1,weekly-2")
    ticked = site.client.get("/compare?jobs=weekly-1&jobs=weekly-2")
    assert ticked.headers["Location"].endswith("jobs=weekly-1,weekly-2")
    assert site.client.get("/compare?jobs=weekly-1&add=nobody").status_code == 404
    assert site.client.get("/compare?jobs=a,b,c,d,e,f").status_code == 400
    assert "another run" in site.client.get("/compare?jobs=weekly-1").text


def test_models_of_a_country_are_ranked_by_weights_in_the_address(site: Site) -> None:
    jobs = [trained(site), trained(site, "weekly-2")]
    country(site, *jobs, nrmse=(0.2, 0.05), worst=("good", "bad"))

    def order(query: str) -> list[str]:
        html = site.client.get(f"/countries/DE{query}").text
        return re.findall(r'aria-label="compare ([\w-]+)"', html)

    assert order("?trust=10&nrmse=0") == ["weekly-1", "weekly-2"]
    assert order("?trust=0&nrmse=10") == ["weekly-2", "weekly-1"]
    assert site.client.get("/countries/DE?nrmse=many").status_code == 400
    html = site.client.get("/countries/DE").text
    assert "real: at least 90 % sure" in html, "the latest run against the one before"
    assert "No run of XX has succeeded yet" in site.client.get("/countries/XX").text


def test_a_model_is_marked_as_in_use_with_name_and_time(site: Site) -> None:
    trained(site)
    site.job(S.FAILED, "weekly-2")
    answer = site.client.post("/countries/DE/use", data={"job_id": "weekly-1", "sol_id": OTHER})
    assert answer.status_code == 303
    mark = site.ports.jobs.get(ModelInUse, "DE")
    assert mark
    assert (mark.job_id, mark.sol_id, mark.at) == ("weekly-1", OTHER, site.clock.now())
    assert mark.by
    assert "In use in DE" in site.client.get(f"/jobs/weekly-1?model={OTHER}").text
    assert site.client.post("/countries/DE/use", data={"job_id": "weekly-1"}).status_code == 303
    again = site.ports.jobs.get(ModelInUse, "DE")
    assert again
    assert again.sol_id == BEST, "the best one unless another is named"
    for refused, status in (
        ({"job_id": "weekly-2"}, 409),
        ({"job_id": "no"}, 404),
        ({"job_id": "weekly-1", "sol_id": "9"}, 404),
    ):
        assert site.client.post("/countries/DE/use", data=refused).status_code == status
    assert site.client.post("/countries/AT/use", data={"job_id": "weekly-1"}).status_code == 409


def test_a_mark_is_replaced_only_as_it_was_seen_and_can_be_taken_back(site: Site) -> None:
    country(site, trained(site), trained(site, "weekly-2"))
    site.client.post("/countries/DE/use", data={"job_id": "weekly-1", "seen": "0"})
    html = site.client.get("/jobs/weekly-2").text
    assert "Only one can be in use" in html, "it asks before it replaces the mark of somebody else"
    assert site.client.post("/countries/DE/use", data={"job_id": "weekly-2", "seen": "7"}).status_code == 412
    assert site.client.post("/countries/DE/use", data={"job_id": "weekly-2", "seen": "1"}).status_code == 303
    assert site.client.post("/countries/DE/stop-using", data={"seen": "1"}).status_code == 412
    assert site.client.post("/countries/DE/stop-using", data={"seen": "2"}).status_code == 303
    assert "No model is marked as in use" in site.client.get("/countries/DE").text
    assert site.client.get("/api/v1/countries/DE/models").json["in_use"] is None
    assert site.client.post("/countries/DE/stop-using").status_code == 409
    assert site.client.post("/countries/DE/use", data={"job_id": "weekly-1", "seen": "0"}).status_code == 303


def test_files_are_deleted_even_if_the_message_about_it_is_lost(site: Site) -> None:
    job = trained(site)
    assert site.client.post("/jobs/weekly-1/delete-results").status_code == 303
    site.clock.time += timedelta(minutes=16)
    deliver("sweep", Message(b"{}", {}, "1", "sweep-ticks", 1), site.runtime)
    assert list(site.ports.objects.list(names.all_results(job))) == []
    gone = site.stored("weekly-1")
    assert (gone.deadline, gone.deletion and gone.deletion.done_at) == (None, site.clock.now())
    assert "were deleted by" in site.client.get("/jobs/weekly-1").text


def test_the_list_counts_jobs_by_state_and_shows_what_came_of_each(site: Site) -> None:
    trained(site)
    site.job(S.QUEUED, "weekly-2")
    old = site.job(S.FAILED, "weekly-3", accepted_at=site.clock.now() - timedelta(days=40))
    html = site.client.get("/").text
    assert re.search(r"<strong>1</strong> queued", html)
    assert re.search(r"<strong>1</strong> succeeded", html)
    assert not re.search(r"<strong>1</strong> failed", html), "not of the last 30 days"
    assert old.job_id in html
    assert "R² 0.900" in html
    assert '<span class="word bad">bad</span>' in html
    assert "/compare" in Elements(html).values("form", "action")


def test_a_filter_that_is_none_is_refused_with_those_that_are(site: Site) -> None:
    answer = site.client.get("/?stat=FAILED")
    assert answer.status_code == 400
    assert "requested_by" in answer.text


def test_people_need_no_more_rights_than_the_page_has(site: Site) -> None:
    with recording() as recorded:
        country(site, trained(site))
        for page in (
            "/",
            "/jobs/weekly-1",
            "/jobs/weekly-1/attempts/1",
            "/jobs/weekly-1/data",
            "/countries/DE",
        ):
            assert site.client.get(page).status_code == 200
        site.client.post("/countries/DE/use", data={"job_id": "weekly-1"})
    assert beyond(recorded) == {}
    assert {"document:in-use", "read:model_summary/DE/summary.json"} <= recorded["web"]
    assert "create:model_summary/" not in RIGHTS["web"].flat()


def test_the_library_of_the_charts_is_what_was_recorded_and_small() -> None:
    folder = assets.LIBRARY.parent
    packed = assets.LIBRARY.read_bytes()
    assert len(packed) <= 300_000
    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() in (folder / "README.md").read_text()
    licences = (folder / "LICENCES.txt").read_text()
    for package in ("vega 6.4.0", "vega-lite 6.4.3", "vega-interpreter 2.3.2"):
        assert f"{package} (BSD-3-Clause)" in licences
