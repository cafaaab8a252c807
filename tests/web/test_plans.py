"""Plans of a finished job: the page, its table and picture, and the API; no new job."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from contracts import names
from contracts.curves import CurvesDocument
from contracts.plans import PlanQuestion
from functions.web import planner
from infra.generate import EXAMPLES, ROOT
from tests.web.harness import S, Site
from tests.web.test_pages import HOSTILE, Elements
from tests.web.trained import summary

CURVES = json.loads((ROOT / EXAMPLES / "curves.json").read_text(encoding="utf-8"))
PAGE = "/jobs/weekly-1/plan"
PLANS = "/api/v1/jobs/weekly-1/plans"


def finished(site: Site, curves: dict[str, Any] = CURVES) -> None:
    site.result(site.job(S.SUCCEEDED), curves__json=json.dumps(curves).encode())


def test_the_page_answers_a_form_with_intervals_table_and_picture(site: Site) -> None:
    finished(site)
    asked = {
        "dates": "last-4",
        "total": "+10 %",
        "low-0": "0.8",
        "plan-1": "less",
        "plan-1-0": "-20 %",
        "plan-1-1": "250",
    }
    answer = site.client.get(PAGE, query_string=asked)
    assert answer.status_code == 200
    html = answer.get_data(as_text=True)
    assert "Scenarios compared" in html
    assert ">less</th><td>570</td>" in html.replace("\n", "")
    (picture,) = [one for one in Elements(html).values("img", "src") if "plan.svg" in one]
    drawn = site.client.get(picture)
    assert drawn.mimetype == "image/svg+xml"
    assert drawn.headers["Content-Disposition"].startswith("attachment")
    assert "with the proposed split" in ET.fromstring(drawn.data)[0].text  # noqa: S314 (our own)
    table = list(csv.DictReader(io.StringIO(site.client.get(f"{PAGE}.csv", query_string=asked).text)))
    assert [(row["plan"], row["channel"]) for row in table if row["channel"] == "all channels"] == [
        (plan, "all channels") for plan in ("today", "proposed", "less")
    ]
    document = site.client.get(f"{PAGE}.json", query_string=asked).json
    question = {
        "dates": "last-4",
        "total": "+10 %",
        "channel_bounds": {"tv_spend": {"low": 0.8, "high": 2}},
        "plans": {"less": {"tv_spend": "-20 %", "search_spend": 250}},
    }
    by_api = site.client.post(PLANS, json=question)
    assert by_api.status_code == 200
    assert by_api.json["after"] == document["after"] | {
        "cpa": None,
        "marginal_cpa": None,
        "marginal_roas": None,
    }
    assert by_api.json["after"]["spend"] == pytest.approx(660)
    assert by_api.json["before"]["response"] == 800 + 500
    assert float(table[0]["response"]) == 1300
    assert not site.published()


def test_all_that_is_wrong_is_told_at_once_and_what_was_typed_stays(site: Site) -> None:
    finished(site)
    asked = {"total": "a lot", "low": "-1", "plan-1-0": "9e9", "plan-2": HOSTILE, "plan-2-1": "5"}
    html = site.client.get(PAGE, query_string=asked).get_data(as_text=True)
    assert "total: &#39;a lot&#39; is no number" in html
    assert "plan 1, tv_spend: &#39;9e9&#39; is no number" in html
    assert 'value="a lot"' in html
    assert "plans" in html
    assert HOSTILE not in html
    beyond = site.client.post(PLANS, json={"plans": {"huge": {"tv_spend": 1e6}}, "dates": "last-4"})
    assert beyond.status_code == 400
    (violation,) = beyond.json["violations"]
    assert violation["path"] == "plans.huge.tv_spend"
    assert "more than the curves know, 800.00" in violation["message"]
    nowhere = site.client.post(PLANS, json={"dates": "tomorrow"})
    assert "there are: last-4, next-13-even" in nowhere.json["violations"][0]["advice"]
    refused = site.client.get(PAGE, query_string={"dates": "last-4", "total": "1"}).get_data(as_text=True)
    assert "less than the lower bounds of all channels together, 300.00" in refused


def test_what_can_be_asked_is_told(site: Site) -> None:
    finished(site)
    offered = site.client.get(PLANS).json
    assert [dates["name"] for dates in offered["dates"]] == ["last-4", "next-13-even"]
    assert offered["dates"][0]["channels"][0] == {"name": "tv_spend", "today": 400.0, "most": 800.0}
    assert site.client.get(PAGE).status_code == 200
    only = site.client.get(PAGE, query_string={"scenario": "historical"}).get_data(as_text=True)
    assert "Scenarios compared" not in only
    assert site.client.get(f"{PAGE}.svg", query_string={"scenario": "historical"}).status_code == 404


def test_names_of_any_script_are_text_only(site: Site) -> None:
    curves = json.loads(json.dumps(CURVES))
    for dates in curves["dates"]:
        dates["channels"][0]["name"] = HOSTILE
    finished(site, curves)
    for path in (PAGE, f"{PAGE}.svg"):
        assert HOSTILE not in site.client.get(path, query_string={"dates": "last-4"}).get_data(as_text=True)


def test_money_may_be_planned_by_region(site: Site) -> None:
    regional = json.loads((ROOT / EXAMPLES / "curves_regions.json").read_text(encoding="utf-8"))
    names_of = [region["name"] for region in regional["regions"]]
    documents = {"curves__json": {**CURVES, "regions": names_of}, "curves_regions__json": regional}
    site.result(site.job(S.SUCCEEDED), **{name: json.dumps(one).encode() for name, one in documents.items()})
    assert site.client.get(PLANS).json["regions"] == names_of
    html = site.client.get(PAGE, query_string={"dates": "last-4", "by_region": "yes"}).text
    assert all(f'<th scope="row">{name}</th>' in html for name in names_of)
    query = {"dates": "last-4", "by_region": "yes"}
    table = list(csv.DictReader(io.StringIO(site.client.get(f"{PAGE}.csv", query_string=query).text)))
    proposed = [row for row in table if row["plan"] == "proposed" and row["channel"] == "all channels"]
    assert [row["region"] for row in proposed] == ["", *names_of]
    parts = [float(row["spend"]) for row in proposed]
    assert parts[0] == pytest.approx(sum(parts[1:]))
    south = {"dates": "last-4", "region": "South", "total": "+10 %"}
    answer = site.client.post(PLANS, json=south).json
    assert answer["region"] == "South"
    assert answer["after"]["spend"] == pytest.approx(1.1 * answer["before"]["spend"])
    assert answer["before"]["spend"] < parts[0]
    html = site.client.get(PAGE, query_string=south).text
    assert '<option value="South" selected>' in html
    wrong = site.client.post(PLANS, json={"region": "East", "dates": "last-4"})
    assert (wrong.status_code, "no region 'East'" in wrong.text) == (400, True)
    assert "no curves_regions.json" in _without_regions(site)


def _without_regions(site: Site) -> str:
    site.result(site.job(S.SUCCEEDED, "weekly-2"), curves__json=json.dumps(CURVES).encode())
    return site.client.post(PLANS.replace("-1/", "-2/"), json={"by_region": True, "dates": "last-4"}).text


def test_a_job_without_curves_says_why(site: Site) -> None:
    site.job(S.RUNNING)
    site.result(site.job(S.SUCCEEDED, "weekly-2"))
    for job_id, words in (("weekly-1", "is running"), ("weekly-2", "has no curves.json")):
        page, api = site.client.get(f"/jobs/{job_id}/plan"), site.client.get(f"/api/v1/jobs/{job_id}/plans")
        assert (page.status_code, api.status_code) == (409, 409)
        assert words in page.get_data(as_text=True)
        assert api.json["type"] == "/problems/no-curves"
    assert site.client.get("/jobs/nothing/plan").status_code == 404


def test_a_result_shows_all_its_budget_questions_and_leads_to_the_plan(site: Site) -> None:
    job = site.job(S.SUCCEEDED)
    curves = CurvesDocument.model_validate(CURVES)
    asked = PlanQuestion(dates="last-4", total="+10 %", plans={"less": {"tv_spend": "-20 %"}})
    answer = planner.answer(curves, asked).model_copy(update={"name": "quarter"})
    refused = answer.model_copy(update={"name": "too-much", "feasible": False, "reason": "no", "plans": []})
    found = summary(job, further_budgets=[answer, refused], files=["curves.json"])
    site.ports.objects.create(names.model_summary(job), found.model_dump_json().encode())
    site.result(job, curves__json=json.dumps(CURVES).encode())
    html = site.client.get("/jobs/weekly-1").get_data(as_text=True)
    for words in ("Every budget question and plan", ">quarter, plan less<", ">too-much<", "No answer: no"):
        assert words in html
    assert PAGE in Elements(html).values("a", "href")
