"""Snowflake's login endpoint as far as credentials go: checked as Snowflake does, with answers as short."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Refused = tuple[str, str]
INVALID_JWT: Refused = ("390144", "JWT token is invalid. [5f0b1c3e-7d11-4f0a-9d66-0242ac110002]")
INVALID_PASSWORD: Refused = ("390100", "Incorrect username or password was specified.")


def fingerprint_of(key: RSAPublicKey) -> str:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()


@dataclass
class Account:
    """One account: who may log in to it, and how."""

    name: str = "ORG-ACC"
    keys: dict[str, RSAPublicKey] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ("READER",)
    warehouses: tuple[str, ...] = ("WH",)
    ahead: timedelta = timedelta()  # of our clock
    refuses: Refused | None = None  # whatever login is asked for
    refuses_queries: Refused | None = None
    active_role: str | None = None  # instead of the one asked for
    http_status: int = 200
    url: str = ""

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def login(self, asked: Mapping[str, Any], query: Mapping[str, str]) -> Refused | None:
        if self.refuses:
            return self.refuses
        user = asked["LOGIN_NAME"].upper()
        if asked.get("AUTHENTICATOR") == "SNOWFLAKE_JWT":
            if not self._good_token(user, asked["TOKEN"]):
                return INVALID_JWT
        elif self.passwords.get(user) != asked["PASSWORD"]:
            return INVALID_PASSWORD
        role = query.get("roleName", "").upper()
        if role and role not in self.roles:
            return (
                "390189",
                f"Role '{role}' specified in the connect string does not exist or not authorized.",
            )
        return None

    def _good_token(self, user: str, token: str) -> bool:
        """Name, key, signature and time are checked, and nobody is told which of them is wrong."""
        head, body, signature = token.split(".")
        claims, key = json.loads(_decoded(body)), self.keys.get(user)
        if key is None or claims["iss"] != f"{self.name}.{user}.{fingerprint_of(key)}":
            return False
        if not claims["iat"] - 60 <= self.now().timestamp() <= claims["exp"]:
            return False
        try:
            key.verify(_decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def query(self, sql: str, session: Mapping[str, str]) -> list[str | None]:
        """One row in answer to the two questions that are asked after a login."""
        if sql.upper().startswith("DESC"):
            key = self.keys.get(sql.split('"')[1])
            return ["RSA_PUBLIC_KEY_FP", fingerprint_of(key) if key else "null"]
        asked = session.get("warehouse", "").upper()
        return [self.active_role or session.get("roleName"), asked if asked in self.warehouses else None]


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _handler(account: Account) -> type[BaseHTTPRequestHandler]:
    session: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002
            return account.now().strftime("%a, %d %b %Y %H:%M:%S GMT")

        def log_message(self, *_: Any) -> None: ...

        def do_HEAD(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            asked = json.loads(gzip.decompress(raw) if self.headers.get("Content-Encoding") else raw or b"{}")
            path, _, text = self.path.partition("?")
            query = dict(part.partition("=")[::2] for part in text.split("&"))
            if path == "/session/v1/login-request":
                if asked["data"]["ACCOUNT_NAME"].upper() != account.name:
                    self._answer({}, 404)
                    return
                refused = account.login(asked["data"], query)
                session.clear()
                session.update(query)
                self._answer(_refusal(refused) if refused else LOGGED_IN)
            elif path == "/queries/v1/query-request":
                refused = account.refuses_queries
                answer = _refusal(refused) if refused else _rows(account.query(asked["sqlText"], session))
                self._answer(answer)
            else:
                self._answer({"success": True})

        def _answer(self, body: dict[str, Any], status: int | None = None) -> None:
            data = json.dumps(body).encode()
            self.send_response(status or account.http_status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    return Handler


LOGGED_IN = {
    "success": True,
    "data": {
        "token": "t",
        "masterToken": "m",
        "sessionId": 1,
        "validityInSeconds": 3600,
        "masterValidityInSeconds": 14400,
        "parameters": [],
        "sessionInfo": {},
    },
}


def _refusal(refused: Refused) -> dict[str, Any]:
    return {"success": False, "code": refused[0], "message": refused[1], "data": None}


def _rows(values: list[str | None]) -> dict[str, Any]:
    kinds = [
        {"name": f"C{number}", "type": "text", "length": 100, "byteLength": 400, "nullable": True}
        for number in range(len(values))
    ]
    data = {
        "parameters": [],
        "rowtype": kinds,
        "rowset": [values],
        "total": 1,
        "returned": 1,
        "queryId": "01b00000-0000-0000-0000-000000000000",
        "statementTypeId": 4096,
        "queryResultFormat": "json",
    }
    return {"success": True, "data": data}


@contextmanager
def serving(account: Account) -> Iterator[Account]:
    """Serve an account on a free port and say so in its `url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(account))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    account.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield account
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
