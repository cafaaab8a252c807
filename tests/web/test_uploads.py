"""Files that come through the page of one machine."""

from __future__ import annotations

import io

import pytest

from tests.web.harness import Site

HOSTILE = "<script>alert(1)</script>\"'>.csv"


def send(site: Site, address: str, data: bytes = b"a;b\n1;2\n") -> int:
    return site.client.post(address, data={"file": (io.BytesIO(data), "C:\\mine.csv")}).status_code


def test_a_file_is_uploaded_and_a_request_begins_with_it(site: Site) -> None:
    given = {"country": "DE", "name": "sales 48.csv", "place": "sources"}
    html = site.client.post("/uploads/new", data=given).text
    assert 'action="/uploads/files/sources/DE/sales%2048.csv"' in html
    site.drain()
    assert send(site, "/uploads/files/sources/DE/sales 48.csv") == 303
    assert site.ports.objects.read("sources/DE/sales 48.csv") == b"a;b\n1;2\n"
    assert site.published() == []
    html = site.client.get("/uploads/done/sources/DE/sales 48.csv").text
    assert "/new?source=sources/DE/sales+48.csv" in html.replace("%2F", "/").replace("%20", "+")
    assert "name: sources/DE/sales 48.csv" in site.client.get("/new?source=sources/DE/sales 48.csv").text


def test_a_file_of_the_drop_zone_wakes_extract(site: Site) -> None:
    site.drain()
    assert send(site, "/uploads/files/drop-zone/DE/sales.csv") == 303
    assert [topic for topic, _, _ in site.published()] == ["objects-drop-zone"]


def test_uploads_replace_nothing(site: Site) -> None:
    assert send(site, "/uploads/files/sources/DE/a.csv") == 303
    assert send(site, "/uploads/files/sources/DE/a.csv", b"other") == 409
    given = {"country": "DE", "name": "a.csv"}
    assert site.client.post("/api/v1/uploads", json=given).status_code == 409
    assert site.ports.objects.read("sources/DE/a.csv") == b"a;b\n1;2\n"


@pytest.mark.parametrize(
    "path",
    ["robyn/DE/a.csv", "sources/DE/../a.csv", "sources/../a.csv", "sources/DE/x/a.csv", "sources/DE/.a", "a"],
)
def test_a_file_goes_nowhere_else(site: Site, path: str) -> None:
    assert send(site, f"/uploads/files/{path}") in (400, 404)
    assert list(site.ports.objects.list("")) == []


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(site: Site) -> None:
    html = site.client.post("/uploads/new", data={"country": "..", "name": "a/" + HOSTILE, "place": "x"}).text
    assert HOSTILE not in html
    assert html.count('class="mistake"') == 3
    assert 'value=".."' in html
    assert site.client.post("/uploads/files/sources/DE/a.csv").status_code == 400


def test_other_sites_upload_nothing(site: Site) -> None:
    file = {"file": (io.BytesIO(b"x"), "a.csv")}
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert site.client.post("/uploads/files/sources/DE/a.csv", data=file, headers=headers).status_code == 403
