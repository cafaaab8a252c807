"""Signing in to Google: who signs for whom, for which address, and what if nobody may."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from click.testing import CliRunner
from requests.adapters import BaseAdapter

from mmm import MmmError
from mmm.command import main
from mmm.iap import IapServiceAccount, OwnCredentials
from mmm.old_files import READ_ONLY

pytest.importorskip("google.auth", reason="requirements/gcp.txt is not installed")

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

ROBOT = "robot@shop.iam.gserviceaccount.com"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode()


class Iam(BaseAdapter):
    """IAM's signJwt, with a key of ours."""

    def __init__(self, allowed: bool = True) -> None:
        super().__init__()
        self.allowed, self.asked = allowed, []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.asked.append(request.url)
        answer = requests.Response()
        answer.status_code = 200 if self.allowed else 403
        claims = json.loads(json.loads(request.body)["payload"])
        signed = jwt.encode(crypt.RSASigner.from_string(PEM, "one"), claims).decode()
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
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        claims = jwt.decode(form["assertion"][0], certs={"one": PUBLIC})
        self.asked.append(claims)
        good = claims["iss"] in self.known
        told = {"access_token": "token", "expires_in": 3600} if good else {"error": "invalid_grant"}
        self.send_response(200 if good else 400)
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
