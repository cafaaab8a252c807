"""Signing in to Google: who signs for whom, for which address, and what if nobody may."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from click.testing import CliRunner, Result
from requests.adapters import BaseAdapter
from werkzeug.serving import make_server

from contracts.job import JobState
from functions.settings import PeopleSettings
from functions.web.app import create_app
from mmm import MmmError
from mmm.command import main
from mmm.iap import IapServiceAccount, OwnCredentials
from mmm.old_files import READ_ONLY

pytest.importorskip("google.auth", reason="requirements/gcp.txt is not installed")

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from google.auth.exceptions import GoogleAuthError

from functions.adapters.gcp.iap import IapPeople
from tests.adapters.test_iap import PEOPLE, assertion
from tests.adapters.test_iap import PUBLIC as PROXY_KEY
from tests.web.harness import Site, open_site

ROBOT = "robot@shop.iam.gserviceaccount.com"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode()


def _signed_by_iam(payload: str) -> str:
    return jwt.encode(crypt.RSASigner.from_string(PEM, "one"), json.loads(payload)).decode()


class Iam(BaseAdapter):
    """IAM's signJwt, with a key of ours."""

    def __init__(self, allowed: bool = True) -> None:
        super().__init__()
        self.allowed, self.asked = allowed, []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.asked.append(request.url)
        answer = requests.Response()
        answer.status_code = 200 if self.allowed else 403
        signed = _signed_by_iam(json.loads(request.body)["payload"])
        told = {"signedJwt": signed} if self.allowed else {"error": {"message": "Permission denied"}}
        answer._content = json.dumps(told).encode()
        return answer

    def close(self) -> None:
        pass


def signed(iam: Iam) -> tuple[IapServiceAccount, requests.Session]:
    session = requests.Session()
    session.mount("https://iamcredentials.googleapis.com/", iam)
    return IapServiceAccount(ROBOT, "https://mmm.example.com/", session), session


def test_a_call_carries_a_token_of_the_account_for_this_address(monkeypatch: pytest.MonkeyPatch) -> None:
    iam = Iam()
    auth, _ = signed(iam)
    calls = [auth(requests.Request("GET", "https://mmm.example.com/api/v1/jobs").prepare()) for _ in range(3)]
    token = calls[0].headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, certs={"one": PUBLIC}, audience="https://mmm.example.com/*")
    assert (claims["iss"], claims["sub"]) == (ROBOT, ROBOT)
    assert claims["exp"] - claims["iat"] <= 3600
    assert len(iam.asked) == 1, "signed once for many calls"
    assert f"/serviceAccounts/{ROBOT}:signJwt" in iam.asked[0]
    later = time.time() + 3400
    monkeypatch.setattr("mmm.iap.time.time", lambda: later)
    auth(requests.Request("GET", "https://mmm.example.com/").prepare())
    assert len(iam.asked) == 2, "and again before it expires"


def test_whoever_may_not_sign_for_the_account_is_told_which_right_is_missing() -> None:
    auth, _ = signed(Iam(allowed=False))
    with pytest.raises(MmmError, match="Service Account Token Creator"):
        auth(requests.Request("GET", "https://mmm.example.com/").prepare())


class Tokens(BaseHTTPRequestHandler):
    """Google's token server: a token for whatever a service account asks for in its own hand."""

    asked: list[dict[str, Any]]
    known: list[str]

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.endswith(":signJwt"):
            self._answer({"signedJwt": _signed_by_iam(json.loads(body)["payload"])})
            return
        form = parse_qs(body)
        claims = jwt.decode(form["assertion"][0], certs={"one": PUBLIC})
        self.asked.append(claims)
        good = claims["iss"] in self.known
        told = {"access_token": "token", "expires_in": 3600} if good else {"error": "invalid_grant"}
        self._answer(told, 200 if good else 400)

    def _answer(self, told: dict[str, Any], status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Tokens]]:
    """The token server, with the key of a service account as the credentials of the environment."""
    handler = type("Bound", (Tokens,), {"asked": [], "known": [ROBOT]})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    key = {
        "type": "service_account",
        "client_email": ROBOT,
        "private_key": PEM,
        "private_key_id": "one",
        "token_uri": f"http://127.0.0.1:{server.server_port}/token",
    }
    (tmp_path / "robot.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "robot.json"))
    yield handler
    server.shutdown()
    server.server_close()


def test_calls_in_the_own_name_carry_a_token_that_is_good_for_one_thing(tokens: type[Tokens]) -> None:
    auth = OwnCredentials(READ_ONLY)
    calls = [auth(requests.Request("GET", "https://storage.googleapis.com/").prepare()) for _ in range(3)]
    assert {call.headers["Authorization"] for call in calls} == {"Bearer token"}
    (asked,) = tokens.asked
    assert asked["scope"] == "https://www.googleapis.com/auth/devstorage.read_only"


def test_a_bucket_is_not_read_without_credentials_that_work(
    tokens: type[Tokens], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    words = ("--url", "http://127.0.0.1:1", "import", "gs://old-bucket")
    tokens.known.clear()
    refused = CliRunner().invoke(main, words)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    missing = CliRunner().invoke(main, words)
    assert (refused.exit_code, missing.exit_code) == (2, 2)
    assert "did not work" in refused.stderr
    assert "`gcloud auth application-default login`" in refused.stderr
    assert "no Google credentials: `gcloud auth application-default login` (" in missing.stderr


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = open_site(tmp_path / "site")
    site.job(JobState.RUNNING)
    return site


@pytest.fixture
def deployed(
    site: Site, tokens: type[Tokens], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str]]:
    """Starts a system behind a proxy that does what Identity-Aware Proxy does, and tells its address."""
    key = json.loads(Path(os.environ["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    google = key["token_uri"].removesuffix("/token")
    monkeypatch.setattr("mmm.iap.SIGN", f"{google}/{{account}}:signJwt")
    servers = []

    def start(known_as: str = "", **people: Any) -> str:
        app = create_app(
            site.runtime, IapPeople(PeopleSettings(**PEOPLE, **people), lambda: {"one": PROXY_KEY})
        )

        def proxy(environ: Any, start_response: Any) -> Any:
            token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
            try:
                claims = jwt.decode(token, certs={"one": PUBLIC}, audience=f"{known_as or url}/*")
            except (GoogleAuthError, ValueError) as error:
                start_response("401 Unauthorized", [("Content-Type", "text/html; charset=utf-8")])
                return [f"Invalid IAP credentials: {error}".encode()]
            environ["HTTP_X_GOOG_IAP_JWT_ASSERTION"] = assertion(email=claims["iss"])
            return app(environ, start_response)

        server = make_server("127.0.0.1", 0, proxy, threaded=True)
        url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return url

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_service_account_asks_and_acts_as_far_as_the_lists_say(
    site: Site, deployed: Callable[..., str]
) -> None:
    def mmm(url: str, *words: str, account: str = ROBOT) -> Result:
        return CliRunner().invoke(main, ["--url", url, "--impersonate", account, *words])

    stranger = mmm(deployed(), "jobs")
    assert (stranger.exit_code, "ask to be added to MMM_VIEWERS" in stranger.stderr) == (3, True)
    url = deployed(viewers=[ROBOT])
    assert "weekly-1" in mmm(url, "jobs").output
    refused = mmm(url, "cancel", "weekly-1")
    assert (refused.exit_code, "may view, but not act" in refused.stderr) == (3, True)
    assert mmm(url, "cancel", "weekly-1", account="boss@shop.example").exit_code == 0
    assert site.stored().timeline[-1].note == "cancelled by boss@shop.example"


def test_the_proxy_refuses_who_is_not_signed_in_or_asks_at_another_address(
    deployed: Callable[..., str],
) -> None:
    url = deployed(viewers=[ROBOT])
    nobody = CliRunner().invoke(main, ["--url", url, "jobs"])
    assert nobody.exit_code == 3
    assert "answered 401 with Invalid IAP credentials" in nobody.stderr
    assert "--impersonate" in nobody.stderr
    elsewhere = deployed("https://other.example", viewers=[ROBOT])
    refused = CliRunner().invoke(main, ["--url", elsewhere, "--impersonate", ROBOT, "jobs"])
    assert (refused.exit_code, "audience" in refused.stderr) == (3, True)
