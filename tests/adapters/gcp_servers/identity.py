"""A service account on this machine: the metadata server that names it, and IAM's signBlob at its real name.

Google's clients find the metadata server as on Google Cloud, and IAM through this server as a proxy, with a
certificate that the tests make. `Account.checked` is how Cloud Storage checks a signed address.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

IAM = "iamcredentials.googleapis.com"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"


@dataclass
class Account:
    """A service account. Its key is Google's and never leaves it."""

    email: str = "page@p-test.iam.gserviceaccount.com"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    may_sign: bool = True
    status: int = 200  # of IAM's answers
    ahead: timedelta = timedelta()  # of Google's clock
    calls: list[str] = field(default_factory=list)

    def sign(self, path: str, token: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """What signBlob answers."""
        if self.status != 200:
            return self.status, {"error": {"message": "as the test says"}}
        allowed = self.may_sign and path == f"/v1/projects/-/serviceAccounts/{self.email}:signBlob"
        if not allowed or token != f"Bearer token for {CLOUD_PLATFORM}":
            denied = f"Permission 'iam.serviceAccounts.signBlob' denied on resource {path}"
            return 403, {"error": {"code": 403, "message": denied, "status": "PERMISSION_DENIED"}}
        signed = self.key.sign(
            base64.b64decode(json.loads(body)["payload"]), padding.PKCS1v15(), hashes.SHA256()
        )
        return 200, {"keyId": "k1", "signedBlob": base64.b64encode(signed).decode()}

    def checked(self, method: str, target: str, headers: dict[str, str]) -> str | None:
        """Why a request of a signed address is refused, by the rules of V4 signatures; None if it is good."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=True))
        signature = bytes.fromhex(query.pop("X-Goog-Signature"))
        names = query["X-Goog-SignedHeaders"].split(";")
        canonical = [
            method,
            url.path,
            "&".join(f"{_encoded(name)}={_encoded(query[name])}" for name in sorted(query)),
            *(f"{name}:{headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            "UNSIGNED-PAYLOAD",
        ]
        email, _, scope = query["X-Goog-Credential"].partition("/")
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        said = "\n".join([query["X-Goog-Algorithm"], query["X-Goog-Date"], scope, digest])
        begin = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        try:
            self.key.public_key().verify(signature, said.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return "SignatureDoesNotMatch"
        if email != self.email or scope != f"{begin:%Y%m%d}/auto/storage/goog4_request":
            return "InvalidCredential"
        expired = begin + timedelta(seconds=int(query["X-Goog-Expires"])) < datetime.now(UTC) + self.ahead
        return "ExpiredToken" if expired else None

    def checked_form(self, fields: dict[str, str], size: int) -> str | None:
        """Why a form with a signed policy is refused, by the rules of V4 policies; None if it is good."""
        try:
            signature = bytes.fromhex(fields["x-goog-signature"])
            self.key.public_key().verify(
                signature, fields["policy"].encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return "SignatureDoesNotMatch"
        policy = json.loads(base64.b64decode(fields["policy"]))
        told = {
            key: value for one in policy["conditions"] if isinstance(one, dict) for key, value in one.items()
        }
        least, most = next(one[1:] for one in policy["conditions"] if isinstance(one, list))
        given = {key: value for key, value in fields.items() if key not in ("policy", "x-goog-signature")}
        if {key: value for key, value in told.items() if key != "bucket"} != given:
            return "PolicyDocumentConditionFailed"
        if not least <= size <= most:
            return "EntityTooLarge"
        email, _, scope = fields["x-goog-credential"].partition("/")
        begin = datetime.strptime(fields["x-goog-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if email != self.email or scope != f"{begin:%Y%m%d}/auto/storage/goog4_request":
            return "InvalidCredential"
        until = datetime.fromisoformat(policy["expiration"])
        return "ExpiredToken" if until < datetime.now(UTC) + self.ahead else None


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    account: Account
    context: ssl.SSLContext

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        """The metadata server."""
        url = urlsplit(self.path)
        self.account.calls.append(url.path)
        account = "/computeMetadata/v1/instance/service-accounts/"
        if url.path == f"{account}default/":
            self.answer(200, {"email": self.account.email, "scopes": [], "aliases": ["default"]})
        elif url.path.startswith(account) and url.path.endswith("/token"):
            scopes = dict(parse_qsl(url.query))["scopes"]
            token = {"access_token": f"token for {scopes}", "expires_in": 3600, "token_type": "Bearer"}
            self.answer(200, token)
        else:
            self.answer(200 if url.path == "/" else 404, {})

    def do_CONNECT(self) -> None:
        """Be the server that the client wants to reach through a proxy."""
        assert self.path == f"{IAM}:443"
        self.send_response(200)
        self.end_headers()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_POST(self) -> None:
        """IAM."""
        self.account.calls.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(*self.account.sign(self.path, self.headers["Authorization"], body))

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def identity(account: Account, folder: Path) -> Iterator[tuple[str, Path]]:
    """Host and port of the server, and the file with its certificate, while the block lasts."""
    certificate = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    known = {"account": account, "context": context}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), known))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", certificate
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certificate(folder: Path) -> Path:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, IAM)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(IAM)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "iam.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path
