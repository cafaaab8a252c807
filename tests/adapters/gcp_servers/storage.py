"""Cloud Storage's JSON API on this machine, as far as the object store uses it, with real preconditions.

Unlike production: no identity is asked for; a notification is published before the writer gets its answer;
a listing has pages of three, so that every longer one is paged; a copy takes two calls from a megabyte on.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import google_crc32c

from contracts.events import NOTIFIED_PREFIXES
from tests.adapters.gcp_servers.identity import Account

BUCKET = "mmm-test"
PAGE = 3
COPIED_AT_ONCE = 1_000_000

Publish = Callable[[str, bytes, dict[str, str]], object]
Query = dict[str, str]


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Upload:
    """A resumable upload."""

    resource: dict[str, Any]
    query: Query
    data: bytearray = field(default_factory=bytearray)


@dataclass
class Bucket:
    """The objects, and what is told of them."""

    publish: Publish
    objects: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)  # statuses of the next answers
    lose_answers: int = 0  # of so many new objects, though they are made
    break_off: int = 0  # so many downloads, half-way
    requests: list[str] = field(default_factory=list)
    deaf_to: str = ""  # a method whose requests are not answered: the connection breaks
    told: int = 0
    signer: Account | None = None  # whose signed addresses are good
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def check(self, name: str, expected: str | None) -> None:
        """Compare the live generation with `ifGenerationMatch`."""
        live = self.objects[name][0]["generation"] if name in self.objects else "0"
        if expected is not None and expected != live:
            raise Refused(412, "At least one of the pre-conditions you specified did not hold.")

    def commit(self, resource: dict[str, Any], query: Query, data: bytes) -> dict[str, Any]:
        """Make a new generation."""
        name = resource.get("name") or query["name"]
        checksum = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
        if resource.get("crc32c", checksum) != checksum:
            raise Refused(400, "Provided CRC32C does not match calculated CRC32C.")
        with self.lock:
            self.check(name, query.get("ifGenerationMatch"))
            now = datetime.now(UTC)
            generation = str(int(now.timestamp() * 1_000_000) * 1000 + next(self.numbers))
            time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            properties = ("contentType", "contentEncoding", "metadata")
            kept = {key: resource[key] for key in properties if resource.get(key)}
            made = {
                "kind": "storage#object",
                "id": f"{BUCKET}/{name}/{generation}",
                "name": name,
                "bucket": BUCKET,
                "generation": generation,
                "metageneration": "1",
                "size": str(len(data)),
                "crc32c": checksum,
                "timeCreated": time,
                "updated": time,
                "storageClass": "STANDARD",
                "etag": generation,
                **kept,
            }
            self.objects[name] = (made, data)
        self.tell(made)
        if self.lose_answers:
            self.lose_answers -= 1
            raise Refused(503, "as the test says")
        return made

    def tell(self, resource: dict[str, Any]) -> None:
        """Publish the notification of a new object."""
        topic = next(
            (t for prefix, t in NOTIFIED_PREFIXES.items() if resource["name"].startswith(prefix)), None
        )
        if topic:
            attributes = {
                "eventType": "OBJECT_FINALIZE",
                "bucketId": BUCKET,
                "objectId": resource["name"],
                "objectGeneration": resource["generation"],
                "payloadFormat": "JSON_API_V1",
                "eventTime": resource["updated"],
                "notificationConfig": f"projects/_/buckets/{BUCKET}/notificationConfigs/1",
            }
            self.publish(topic, json.dumps(resource).encode(), attributes)
            self.told += 1

    def find(self, name: str, query: Query) -> tuple[dict[str, Any], bytes]:
        """The live generation, if it is the wanted one."""
        with self.lock:
            if name not in self.objects:
                raise Refused(404, f"No such object: {BUCKET}/{name}")
            self.check(name, query.get("ifGenerationMatch"))
            found = self.objects[name]
        if query.get("generation", found[0]["generation"]) != found[0]["generation"]:
            raise Refused(404, f"No such object: {BUCKET}/{name}#{query['generation']}")
        return found

    def delete(self, name: str, query: Query) -> None:
        """Remove the live generation, if it is the wanted one."""
        with self.lock:
            self.find(name, query)
            del self.objects[name]

    def listing(self, query: Query) -> dict[str, Any]:
        """One page."""
        with self.lock:
            names = sorted(name for name in self.objects if name.startswith(query.get("prefix", "")))
            after = query.get("pageToken", "")
            page = [name for name in names if name > after][:PAGE]
            answer: dict[str, Any] = {"items": [self.objects[name][0] for name in page]}
        if page and page[-1] != names[-1]:
            answer["nextPageToken"] = page[-1]
        return _asked_for(answer, query["fields"])

    def rewrite(self, source: str, target: str, query: Query, resource: dict[str, Any]) -> dict[str, Any]:
        """Copy, in two calls if it is large."""
        original, data = self.find(source, {"generation": query["sourceGeneration"]})
        self.check(target, query.get("ifGenerationMatch"))
        sizes = {"objectSize": str(len(data)), "totalBytesRewritten": str(len(data))}
        if len(data) > COPIED_AT_ONCE and "rewriteToken" not in query:
            return {"done": False, "rewriteToken": "go on", **sizes, "totalBytesRewritten": "1"}
        made = self.commit({**(resource or original), "name": target}, query, data)
        return {"done": True, **sizes, "resource": made}


def _asked_for(listing: dict[str, Any], fields: str) -> dict[str, Any]:
    """What `fields` names of a listing: `items(name,size),nextPageToken`."""
    of_items = re.search(r"items\((.*?)\)", fields)[1].split(",")
    known = re.sub(r"\(.*?\)", "", fields).split(",")
    listing["items"] = [{key: item[key] for key in of_items if key in item} for item in listing["items"]]
    return {key: value for key, value in listing.items() if key in known}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *_: object) -> None:
        pass

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        self.query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.bucket.requests.append(f"{self.command} {url.path}")
        if self.command == self.bucket.deaf_to:
            self.close_connection = True
            return
        try:
            if self.bucket.faults and "/o" in url.path:  # the client asks for the bucket itself in between
                raise Refused(self.bucket.faults.pop(0), "as the test says")
            self.route(url.path, body)
        except Refused as refusal:
            problem = {"code": refusal.status, "message": str(refusal), "errors": [{"message": str(refusal)}]}
            self.answer({"error": problem}, refusal.status)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815 (the names that the library calls)

    def route(self, path: str, body: bytes) -> None:
        if path == f"/upload/storage/v1/b/{BUCKET}/o":
            {"POST": self.start_upload, "PUT": self.go_on, "DELETE": lambda _: self.cancel()}[self.command](
                body
            )
        elif found := re.fullmatch(rf"/storage/v1/b/{BUCKET}/o/([^/]+)/rewriteTo/b/{BUCKET}/o/([^/]+)", path):
            source, target = map(unquote, found.groups())
            self.answer(self.bucket.rewrite(source, target, self.query, json.loads(body or b"{}")))
        elif found := re.fullmatch(rf"/download/storage/v1/b/{BUCKET}/o/([^/]+)", path):
            self.download(*self.bucket.find(unquote(found[1]), self.query))
        elif self.command == "DELETE" and (found := re.fullmatch(rf"/storage/v1/b/{BUCKET}/o/([^/]+)", path)):
            self.bucket.delete(unquote(found[1]), self.query)
            self.send(204, b"", {})
        elif found := re.fullmatch(rf"/storage/v1/b/{BUCKET}/o/([^/]+)", path):
            self.answer(self.bucket.find(unquote(found[1]), self.query)[0])
        elif path == f"/storage/v1/b/{BUCKET}/o":
            self.answer(self.bucket.listing(self.query))
        elif path == f"/{BUCKET}/" and self.command == "POST":
            self.receive_form(body)
        elif path.startswith(f"/{BUCKET}/"):
            self.download_signed(unquote(path.removeprefix(f"/{BUCKET}/")))
        else:
            raise Refused(404, "The specified bucket does not exist.")

    def start_upload(self, body: bytes) -> None:
        if self.query["uploadType"] == "multipart":
            boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])[1].encode()
            _, resource, content, _ = (
                part.split(b"\r\n\r\n", 1)[-1] for part in body.split(b"--" + boundary)
            )
            data = content.removesuffix(b"\r\n")
            self.answer(self.bucket.commit(json.loads(resource), self.query, data))
            return
        upload = Upload(json.loads(body), self.query)
        self.bucket.check(upload.resource["name"], self.query.get("ifGenerationMatch"))
        number = str(next(self.bucket.numbers))
        self.bucket.uploads[number] = upload
        host, port = self.server.server_address[:2]
        address = f"http://{host}:{port}/upload/storage/v1/b/{BUCKET}/o?upload_id={number}"
        self.answer({}, headers={"Location": address})

    def go_on(self, body: bytes) -> None:
        upload = self.bucket.uploads.get(self.query["upload_id"])
        if upload is None:
            raise Refused(404, "no such upload")
        upload.data += body
        if self.headers["Content-Range"].endswith("/*"):
            self.answer({}, 308, {"Range": f"bytes=0-{len(upload.data) - 1}"})
            return
        made = self.bucket.commit(upload.resource, upload.query, bytes(upload.data))
        del self.bucket.uploads[self.query["upload_id"]]
        self.answer(made)

    def cancel(self) -> None:
        self.bucket.uploads.pop(self.query["upload_id"], None)
        self.answer({}, 499)

    def receive_form(self, body: bytes) -> None:
        """A file that a browser sends with a signed policy."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = message_from_bytes(head + body, policy=HTTP).iter_parts()
        values = {part.get_param("name", header="Content-Disposition"): part for part in parts}
        data = values.pop("file").get_payload(decode=True)
        fields = {name: part.get_payload(decode=True).decode() for name, part in values.items()}
        why = self.bucket.signer.checked_form(fields, len(data)) if self.bucket.signer else "denied"
        if why:
            raise Refused(400 if why in ("ExpiredToken", "EntityTooLarge") else 403, why)
        self.bucket.commit({"name": fields["key"], "contentType": fields["content-type"]}, {}, data)
        self.send(303, b"", {"Location": fields["success_action_redirect"] + "?bucket=" + BUCKET})

    def download_signed(self, name: str) -> None:
        headers = {header.lower(): value for header, value in self.headers.items()}
        why = self.bucket.signer.checked(self.command, self.path, headers) if self.bucket.signer else "denied"
        if why:
            raise Refused(400 if why == "ExpiredToken" else 403, why)
        how = {"Content-Disposition": self.query["response-content-disposition"]}
        self.send(200, self.bucket.find(name, {})[1], how)

    def download(self, resource: dict[str, Any], data: bytes) -> None:
        headers = {"X-Goog-Hash": f"crc32c={resource['crc32c']}", "X-Goog-Generation": resource["generation"]}
        if "contentEncoding" in resource:  # as it is stored, because the client accepts gzip
            headers["Content-Encoding"] = resource["contentEncoding"]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self.send(200, data, headers)
            return
        first, last = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
        if first >= len(data):
            raise Refused(416, "Request range not satisfiable")
        self.send(
            206, data[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}
        )

    def answer(
        self, content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.send(
            status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.bucket.break_off and self.path.startswith("/download/"):
            self.bucket.break_off -= 1
            body, self.close_connection = body[: len(body) // 2], True
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *where: Any) -> None:
        """A client that went away is no error; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*where)


@contextmanager
def storage(publish: Publish) -> Iterator[tuple[Bucket, str]]:
    """An empty bucket and the address of its server, while the block lasts."""
    bucket = Bucket(publish)
    server = Server(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"bucket": bucket}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield bucket, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
