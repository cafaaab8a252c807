"""Signed links: the real client signs through IAM without a key, and a store checks like Google's."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

pytest.importorskip("google.cloud.storage", reason="requirements/gcp.txt is not installed")

from google.auth.compute_engine import _metadata

from functions.adapters.gcp.objects import CloudStorageObjectStore
from functions.ports import ObjectStore, UploadForm
from tests.adapters.gcp_servers.emulators import free_port
from tests.adapters.gcp_servers.identity import Account, identity
from tests.adapters.gcp_servers.storage import BUCKET, Bucket, storage
from tests.web.harness import Site, open_site

NAME = "robyn/r1/DE/x/attempt-1/models.parquet"


@dataclass(frozen=True)
class Cloud:
    objects: ObjectStore
    bucket: Bucket
    account: Account


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    account = Account()
    with storage(lambda *_: None) as (bucket, address), identity(account, tmp_path) as (host, certificate):
        bucket.signer = account
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        monkeypatch.setenv("HTTPS_PROXY", f"http://{host}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        monkeypatch.setenv("GCE_METADATA_IP", host)
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)  # read from the environment at import
        yield Cloud(CloudStorageObjectStore("p", BUCKET), bucket, account)


@pytest.mark.parametrize("name", ["a b/c d.csv", NAME, "Ünï/файл \"1'; x=.csv", "x%2Fy~+&=?#.parquet"])
def test_a_link_downloads_its_object_under_its_own_name(cloud: Cloud, name: str) -> None:
    cloud.objects.create(name, b"content")
    link = cloud.objects.link(name, minutes=5)
    assert link
    answer = requests.get(link, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"content")
    file = quote(name.rsplit("/", 1)[-1], safe="")
    assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{file}"


def test_a_link_is_good_for_a_short_time_and_for_nothing_else(cloud: Cloud) -> None:
    cloud.objects.create(NAME, b"content")
    cloud.objects.create("other", b"secret")
    link = cloud.objects.link(NAME, minutes=5)
    assert link
    for changed in (
        link.replace(NAME, "other"),
        link.replace("X-Goog-Expires=300", "X-Goog-Expires=3000"),
        link.replace("attachment", "inline"),
        link.replace("page%40", "root%40"),
    ):
        assert changed != link
        assert requests.get(changed, timeout=10).status_code == 403
    assert requests.delete(link, timeout=10).status_code == 403
    cloud.account.ahead = timedelta(minutes=4)
    assert requests.get(link, timeout=10).status_code == 200
    cloud.account.ahead = timedelta(minutes=6)
    assert requests.get(link, timeout=10).status_code == 400


def test_one_token_serves_many_links_and_no_key_is_asked_for(cloud: Cloud) -> None:
    assert all(cloud.objects.link(f"{number}", minutes=5) for number in range(3))
    called = [call.rsplit("/", 1)[-1] for call in cloud.account.calls]
    assert called.count("token") == 1
    assert called.count(f"{cloud.account.email}:signBlob") == 3


@pytest.mark.parametrize("status", [403, 404, 500])
def test_without_a_signature_there_is_no_link_but_a_reason(
    cloud: Cloud, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.account.status = status
    with caplog.at_level(logging.WARNING, "functions"):
        assert cloud.objects.link(NAME, minutes=5) is None
    [record] = [record for record in caplog.records if record.name.startswith("functions")]
    assert f"no signed link to '{NAME}'" in record.getMessage()
    assert "roles/iam.serviceAccountTokenCreator" in record.getMessage()


def test_an_identity_that_is_no_service_account_gives_no_link(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    person = tmp_path / "person.json"
    secrets = dict.fromkeys(("client_id", "client_secret", "refresh_token", "token"), "x")
    person.write_text(json.dumps({"type": "authorized_user", "expiry": "2999-01-01T00:00:00Z", **secrets}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(person))
    assert cloud.objects.link(NAME, minutes=5) is None
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    assert CloudStorageObjectStore("p", BUCKET).link(NAME, minutes=5) is None
    reasons = [record.getMessage() for record in caplog.records if "no signed link" in record.getMessage()]
    assert "does not run as a service account" in reasons[0]
    assert "missing.json" in reasons[1]


def test_an_iam_that_does_not_answer_gives_no_link(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    assert cloud.objects.link(NAME, minutes=5) is None


# forms


def sent(form: UploadForm, data: bytes, **changed: str) -> requests.Response:
    fields = {**form.fields, **changed}
    return requests.post(
        form.url, data=fields, files={"file": ("any name", data)}, timeout=10, allow_redirects=False
    )


def test_a_form_writes_its_object_and_leads_on(cloud: Cloud) -> None:
    form = cloud.objects.upload_form("sources/DE/Ünï 1.csv", 100, 60, "https://page/done")
    assert form
    answer = sent(form, b"a;b")
    assert (answer.status_code, answer.headers["Location"][:17]) == (303, "https://page/done")
    assert cloud.objects.read("sources/DE/Ünï 1.csv") == b"a;b"
    called = [call.rsplit("/", 1)[-1] for call in cloud.account.calls]
    assert called.count(f"{cloud.account.email}:signBlob") == 1  # by IAM, not with a key


def test_a_form_is_good_for_one_name_a_short_time_and_a_bounded_size(cloud: Cloud) -> None:
    form = cloud.objects.upload_form("sources/DE/a.csv", 100, 60, "https://page/done")
    assert form
    assert sent(form, b"x", key="robyn/r1/a.csv").status_code == 403
    assert sent(form, b"x", success_action_redirect="https://evil").status_code == 403
    assert sent(form, b"x", acl="public-read").status_code == 403
    assert sent(form, b"x" * 101).status_code == 400
    cloud.account.ahead = timedelta(minutes=61)
    assert sent(form, b"x").status_code == 400
    assert cloud.objects.stat("sources/DE/a.csv") is None


def test_without_a_signature_there_is_no_form_but_a_reason(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.account.status = 403
    with caplog.at_level(logging.WARNING, "functions"):
        assert cloud.objects.upload_form(NAME, 100, 60, "https://page") is None
    assert any("no signed form for" in record.getMessage() for record in caplog.records)


# the page


def test_the_page_lets_a_browser_send_a_file_straight_to_the_store(site: Site, cloud: Cloud) -> None:
    page = site.with_ports()
    given = {"country": "DE", "name": "a.csv", "place": "sources"}
    answer = page.post("/uploads/new", data=given, headers={"X-Forwarded-Proto": "https"})
    policy = answer.headers["Content-Security-Policy"]
    store = re.search(r"form-action 'self' (http://127\.0\.0\.1:\d+);", policy)
    assert store
    assert f'action="{store[1]}/{BUCKET}/"' in answer.text
    target = page.post("/api/v1/uploads", json=given, headers={"X-Forwarded-Proto": "https"}).json
    assert target["fields"]["success_action_redirect"] == "https://localhost/uploads/done/sources/DE/a.csv"
    assert sent(UploadForm(target["url"], target["fields"]), b"a;b\n1;2\n").status_code == 303
    assert page.post("/uploads/new", data=given).status_code == 409
    assert "Write a request for it" in page.get("/uploads/done/sources/DE/a.csv").text


@pytest.fixture
def site(cloud: Cloud, tmp_path: Path) -> Site:
    site = open_site(tmp_path)
    ports = replace(site.ports, objects=cloud.objects)
    return replace(site, runtime=replace(site.runtime, ports=ports))


def test_the_page_sends_a_browser_to_the_store_for_what_is_saved_and_shows_the_rest(
    site: Site, cloud: Cloud
) -> None:
    job = site.job()
    site.result(job, models__parquet=b"PAR1", onepager__png=b"\x89PNG")
    page = site.with_ports()
    answer = page.get(f"/jobs/{job.job_id}/files/models.parquet")
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "no-store"
    assert requests.get(answer.headers["Location"], timeout=10).content == b"PAR1"
    assert page.get(f"/jobs/{job.job_id}/files/onepager.png").data == b"\x89PNG"


@pytest.mark.parametrize(("more", "length"), [(0, 32 << 20), (1, None)])
def test_a_file_that_is_longer_than_cloud_run_lets_through_is_streamed(
    site: Site, cloud: Cloud, more: int, length: int | None
) -> None:
    cloud.account.may_sign = False
    job = site.job()
    content = bytes((32 << 20) + more)
    site.result(job, models__parquet=content)
    answer = site.with_ports().get(f"/jobs/{job.job_id}/files/models.parquet")
    assert answer.headers.get("Content-Length", type=int) == length
    assert answer.data == content


def test_without_links_the_page_passes_the_file_on(site: Site, cloud: Cloud) -> None:
    cloud.account.may_sign = False
    job = site.job()
    site.result(job, models__parquet=b"PAR1")
    answer = site.with_ports().get(f"/jobs/{job.job_id}/files/models.parquet")
    assert (answer.status_code, answer.data) == (200, b"PAR1")
    assert answer.headers["Content-Disposition"] == "attachment; filename=models.parquet"
