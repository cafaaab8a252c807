"""The pages of mappings: written as YAML, changed only by who has seen them, with who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from werkzeug.datastructures import MultiDict

from contracts.job import UsedMapping
from tests.web.harness import S, Site
from tests.web.test_new import Fields

TEXT = "adstock: geometric\ncolumns: {date: date}\n"


def save(site: Site, text: str = TEXT, version: int = 0, name: str = "weekly", note: str = "") -> Any:
    sent = {"country": "DE", "name": name, "text": text, "version": version, "note": note, "base": "{}"}
    return site.client.post("/mappings/new", data={**sent, "do": "save"})


def test_a_mapping_is_written_changed_put_back_and_deleted(site: Site) -> None:
    assert save(site).headers["Location"] == "/mappings/DE/weekly"
    edit = site.client.get("/mappings/DE/weekly/edit").text
    assert 'name="version" value="1"' in edit
    assert (
        save(site, TEXT.replace("geometric", "weibull_cdf"), 1, note="lasts <b>longer</b>").status_code == 303
    )
    page = site.client.get("/mappings/DE/weekly").text
    assert "&#34;geometric&#34; → &#34;weibull_cdf&#34;" in page
    assert "lasts &lt;b&gt;longer&lt;/b&gt;" in page
    late = save(site, TEXT.replace("geometric", "weibull_pdf"), 1)
    assert (late.status_code, "is in version 2 now" in late.text) == (200, True)
    former = site.client.get("/mappings/DE/weekly/edit?version=1").text
    assert "adstock: geometric" in former
    assert 'name="version" value="2"' in former
    assert save(site, TEXT, 2).status_code == 303
    assert site.client.post("/mappings/DE/weekly/delete").status_code == 303
    assert "There is no mapping" in site.client.get("/mappings").text
    assert "Deleted" in site.client.get("/mappings/DE/weekly").text


def test_what_is_wrong_with_a_mapping_is_told_beside_what_was_typed(site: Site) -> None:
    for text, told in {
        "adstock: guess\nsource: {kind: sql}": ("adstock", "only a request can say this"),
        "adstock: [": ("is not valid YAML",),
        "- a list": ("must be a mapping",),
    }.items():
        page = save(site, text)
        assert page.status_code == 200
        assert all(one in page.text for one in (*told, text.splitlines()[0])), text
    assert "name" in save(site, name="no name!").text
    assert site.client.get("/api/v1/mappings").json["mappings"] == []


def press(site: Site, form: MultiDict[str, str], do: str, written: Mapping[str, str] | None = None) -> Any:
    for field, value in {**(written or {}), "do": do}.items():
        form.setlist(field, [value])
    return site.client.post("/mappings/new", data=form)


def test_a_mapping_is_written_by_its_fields_as_a_request_is(site: Site) -> None:
    shown = site.client.get("/mappings/new").text
    form = Fields(shown).sent
    assert {"columns.dependent", "search.trials", "country", "name"} <= form.keys()
    assert not {"request_id", "source.kind", "requested_by"} & form.keys()
    written = {"country": "DE", "name": "weekly", "columns.dependent": "sales", "search.trials": "many"}
    updated = press(site, form, "update", written)
    assert "dependent: sales" in Fields(updated.text).sent["text"]
    refused = press(site, Fields(updated.text).sent, "save")
    assert '<a href="#f.search.trials">search.trials</a>' in refused.text
    assert press(site, Fields(refused.text).sent, "save", {"search.trials": "3"}).status_code == 303
    saved = site.client.get("/api/v1/mappings/DE/weekly").json["settings"]
    assert (saved["columns"]["dependent"], saved["search"]) == ("sales", {"trials": 3})


def test_a_check_tells_types_and_begins_with_a_source_that_worked(site: Site) -> None:
    rows = "".join(f"2026-01-{day:02},{'high' if day > 3 else day},{day},note\n" for day in range(1, 29))
    site.ports.objects.create("sources/DE/new.csv", f"day,sales,tv spend,weather\n{rows}".encode())
    columns = {"date": "weather", "dependent": "sales", "paid_media": ["tv_spend"]}
    save(site, yaml.safe_dump({"columns": columns}))
    for job_id, state in (("good", S.SUCCEEDED), ("bad", S.REJECTED)):
        source = {"kind": "object", "name": f"sources/DE/{job_id}.csv"}
        site.job(state, job_id, request={"country": "DE", "source": source}, mapping="DE/weekly")
    assert "sources/DE/good.csv" in site.client.get("/mappings/DE/weekly").text
    asked = {"source": {"kind": "object", "name": "sources/DE/new.csv"}}
    with site.functions():
        found = site.client.post("/api/v1/mappings/DE/weekly:check", json=asked).json
        page = site.client.post("/mappings/DE/weekly/check", data={"source": yaml.safe_dump(asked)}).text
    told = {one["name"]: (one["state"], one["type"], one["problem"]) for one in found["columns"]}
    assert told["tv_spend"] == ("renamed", "number", None)
    assert told["weather"][2] == "columns.date must be dates, but its values are text"
    assert told["sales"][:2] == ("found", "text")
    assert told["sales"][2] == "columns.dependent must be numbers, but its values are text"
    assert (found["complete"], found["new"]) == (False, ["day"])
    assert "columns.dependent must be numbers" in page


def test_a_job_s_page_says_who_said_each_value(site: Site) -> None:
    used = UsedMapping(country="DE", name="weekly", version=3, settings={"adstock": "weibull_cdf"})
    site.job(S.QUEUED, "weekly-1", settings=used)
    page = " ".join(site.client.get("/jobs/weekly-1").text.split())
    assert 'href="/mappings/DE/weekly?version=3">DE/weekly, version 3</a>' in page
    assert 'adstock</code></th><td>mapping</td><td><code>"weibull_cdf"' in page.replace("&#34;", '"')
    assert "adstock: weibull_cdf" in site.client.get("/mappings/new?from=weekly-1").text


def test_a_request_begins_with_a_mapping_and_may_choose_another(site: Site) -> None:
    save(site)
    save(site, name="monthly")
    page = site.client.get("/new?mapping=DE/weekly").text
    assert "settings: weekly" in page
    assert '<option value="monthly">' in page
