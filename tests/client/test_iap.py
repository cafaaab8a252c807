"""Calls through Identity-Aware Proxy: who signs, for which address, and what if nobody may."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from mmm import MmmError
from mmm.iap import IapServiceAccount

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
