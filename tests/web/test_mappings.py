"""The pages of mappings: written as YAML, changed only by who has seen them, with who changed what."""

from __future__ import annotations

from typing import Any

from contracts.job import UsedMapping
from tests.web.harness import S, Site

TEXT = "adstock: geometric\ncolumns: {date: date}\n"


def save(site: Site, text: str = TEXT, version: int = 0, name: str = "weekly", note: str = "") -> Any:
    sent = {"country": "DE", "name": name, "text": text, "version": version, "note": note}
    return site.client.post("/mappings/new", data=sent)


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
