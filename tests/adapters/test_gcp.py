"""What only the family of Google Cloud does: faults of the services, and its limits."""

from __future__ import annotations

import gzip
import io
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

pytest.importorskip("google.cloud.firestore", reason="requirements/gcp.txt is not installed")

import google.auth.exceptions as identity
import google.cloud.storage as storage
import grpc
import requests
from google.api_core import exceptions as api
from google.cloud.firestore import Query
from google.cloud.firestore_v1.types import StructuredQuery
from google.cloud.storage.exceptions import DataCorruption

from contracts.cloud import FILTERS, INDEXES
from contracts.job import Job, Upload, Waiting
from functions.adapters.gcp import bus, documents, errors, gcp_ports, objects
from functions.adapters.gcp.errors import calling
from functions.adapters.gcp.frozen import BLOCK
from functions.errors import Permanent, Unavailable
from functions.log import Log
from functions.ports import AlreadyExists, NotFound, Ports
from functions.runtime import Runtime
from functions.settings import GcpSettings, SnowflakeConnection
from functions.web.app import create_app
from tests.adapters.families import skipped_if_missing
from tests.adapters.family_gcp import gcp_settings, installation
from tests.adapters.gcp_servers.emulators import free_port
from tests.adapters.gcp_servers.storage import BUCKET, Bucket
from tests.adapters.test_job_store import NOW, a_job
from tests.data.decoding import decode_upload

EQUAL = StructuredQuery.FieldFilter.Operator.EQUAL
ARRAY_CONTAINS = StructuredQuery.FieldFilter.Operator.ARRAY_CONTAINS
IN = StructuredQuery.FieldFilter.Operator.IN
Call = Callable[[Ports], object]
BROKEN = requests.ConnectionError("connection reset")
DEADLINE_S = 0.5


@dataclass(frozen=True)
class Installed:
    settings: GcpSettings
    ports: Ports
    bucket: Bucket


@pytest.fixture
def gcp() -> Iterator[Installed]:
    with skipped_if_missing(), installation() as (settings, _, bucket):
        yield Installed(settings, gcp_ports(settings), bucket)


@pytest.mark.parametrize(
    "error",
    [
        api.TooManyRequests("quota"),
        api.InternalServerError("oops"),
        api.ServiceUnavailable("not now"),
        api.DeadlineExceeded("too slow"),
        api.Aborted("contention"),
        api.RetryError("gave up", cause=BROKEN),
        BROKEN,
        requests.ReadTimeout("no answer"),
        DataCorruption(None, "checksum"),
        identity.TransportError("no metadata server"),
        identity.RefreshError("try again"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_work_later_is_tried_later(error: Exception) -> None:
    with pytest.raises(Unavailable, match="reading 'a' did not work for now"), calling("reading 'a'"):
        raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (api.Forbidden("no"), "is not allowed.*minutes to spread.*role"),
        (api.Unauthorized("who?"), "is not allowed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_right_that_is_missing_may_still_spread(error: Exception, said: str) -> None:
    with pytest.raises(Unavailable, match=said), calling("reading 'a'"):
        raise error


def test_what_never_works_says_what_was_wrong() -> None:
    with pytest.raises(Permanent, match=r"is refused: .*what"), calling("reading 'a'"):
        raise api.InvalidArgument("what?")


def test_a_metadata_server_that_is_not_up_yet_ends_no_job() -> None:
    """Google's client cannot tell it from a program that has no identity at all."""
    with pytest.raises(Unavailable, match="reading 'a' needs an identity"), calling("reading 'a'"):
        raise identity.DefaultCredentialsError("none")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_short_trouble_of_the_store_is_waited_out(gcp: Installed, status: int) -> None:
    gcp.bucket.faults += [status]
    gcp.ports.objects.create("a", b"1")
    gcp.bucket.faults += [status]
    with gcp.ports.objects.writer("b") as writer:
        writer.write(b"2")
    gcp.bucket.faults += [status]
    assert gcp.ports.objects.read("a") + gcp.ports.objects.read("b") == b"12"
    assert gcp.bucket.faults == []


def test_a_creation_whose_answer_is_lost_is_told_as_existing(gcp: Installed) -> None:
    gcp.bucket.lose_answers = 1
    with pytest.raises(AlreadyExists):
        gcp.ports.objects.create("a", b"1")
    assert gcp.ports.objects.read("a") == b"1"
    assert len(gcp.bucket.objects) == 1


def test_a_right_that_the_store_misses_may_still_spread(gcp: Installed) -> None:
    gcp.bucket.faults += [403]
    with pytest.raises(Unavailable, match="writing 'a' is not allowed"):
        gcp.ports.objects.create("a", b"1")
    gcp.bucket.faults += [403]
    with (
        pytest.raises(Unavailable, match="writing 'a' is not allowed"),
        gcp.ports.objects.writer("a") as writer,
    ):
        writer.write(b"1")
    assert list(gcp.ports.objects.list("")) == []


def quickly(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    for name in ("RETRY", "STORAGE_RETRY"):
        monkeypatch.setattr(module, name, getattr(errors, name).with_timeout(DEADLINE_S), raising=False)
    for name in ("TIMEOUT_S", "_QUERY_TIMEOUT_S"):
        monkeypatch.setattr(module, name, DEADLINE_S, raising=False)
    options = getattr(module, "_OPTIONS", {})
    for name in options:
        value = options["retry"].with_timeout(DEADLINE_S) if name == "retry" else DEADLINE_S
        monkeypatch.setitem(options, name, value)


def write(ports: Ports) -> None:
    with ports.objects.writer("a") as writer:
        writer.write(b"1")


def read(ports: Ports) -> None:
    with ports.objects.reader("a") as reader:
        reader.read()


FIRESTORE: dict[str, Call] = {
    "create": lambda ports: ports.jobs.create(a_job("a")),
    "get": lambda ports: ports.jobs.get(Job, "a"),
    "find": lambda ports: ports.jobs.find(Job, state="QUEUED"),
    "list": lambda ports: ports.jobs.find(Job),
    "page": lambda ports: ports.jobs.find(Job, before="a"),
    "replace": lambda ports: ports.jobs.replace(a_job("a"), 1),
}
PUBSUB: dict[str, Call] = {"publish": lambda ports: ports.bus.publish("train-requests", b"x")}
STORAGE: dict[str, Call] = {
    "create": lambda ports: ports.objects.create("a", b"1"),
    "replace": lambda ports: ports.objects.replace("a", b"1", None),
    "write": write,
    "copy": lambda ports: ports.objects.copy("a", "b"),
    "read": lambda ports: ports.objects.read("a"),
    "stream": read,
    "stat": lambda ports: ports.objects.stat("a"),
    "list": lambda ports: list(ports.objects.list("a")),
}
CALLS = [
    pytest.param(module, f"{service}_EMULATOR_HOST", call, id=f"{service.lower()}-{name}")
    for module, service, calls in (
        (documents, "FIRESTORE", FIRESTORE), (bus, "PUBSUB", PUBSUB), (objects, "STORAGE", STORAGE),
    )
    for name, call in calls.items()
]  # fmt: skip


@contextmanager
def nobody(_: str) -> Iterator[int]:
    yield free_port()


@contextmanager
def silence(variable: str) -> Iterator[int]:
    """A port whose server takes every connection and never says a word."""
    if variable.startswith("STORAGE"):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
            yield server.getsockname()[1]
        return
    deaf = Deaf()
    grpc_server = grpc.server(ThreadPoolExecutor(4), [deaf])
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    try:
        yield port
    finally:
        deaf.released.set()
        grpc_server.stop(None).wait()
    latest = max(deaf.deadlines, default=0.0)  # on a slow machine the time may be over before a call comes
    assert latest <= DEADLINE_S, "the deadline is ours, not the client's own"


class Deaf(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Never answers a call, and notes how long the caller would wait."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.deadlines: list[float] = []

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.stream_stream_rpc_method_handler(self.wait)

    def wait(self, _: object, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.deadlines.append(context.time_remaining())
        self.released.wait()
        yield b""


@pytest.mark.parametrize("where", [nobody, silence], ids=lambda where: where.__name__)
@pytest.mark.parametrize(("module", "variable", "call"), CALLS)
def test_a_service_that_is_down_or_never_answers_is_unavailable(
    gcp: Installed, monkeypatch: pytest.MonkeyPatch, module: ModuleType, variable: str, call: Call, where: Any
) -> None:
    quickly(monkeypatch, module)
    scheme = "http://" if variable.startswith("STORAGE") else ""
    with where(variable) as port:
        monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{port}")
        with pytest.raises(Unavailable, match="did not work for now"):
            call(gcp.ports)


def test_nothing_is_asked_for_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    shop = SnowflakeConnection(
        account="a", user="u", role="r", warehouse="w", password_file=tmp_path / "none"
    )
    ports = gcp_ports(gcp_settings("p").model_copy(update={"snowflake": {"shop": shop}}))
    for call in (FIRESTORE["get"], PUBSUB["publish"], STORAGE["stat"]):
        with pytest.raises(Unavailable, match="needs an identity"):
            call(ports)
    with pytest.raises(Permanent, match="cannot log in"), ports.warehouses["shop"].query("SELECT 1", 1):
        pass


def test_a_document_that_is_too_large_is_refused_with_its_size(gcp: Installed) -> None:
    huge = a_job("a", request={"x": "ü" * 600_000})
    with pytest.raises(Permanent, match=r"jobs/a has 1,2.* bytes.*1,000,000"):
        gcp.ports.jobs.create(huge)
    gcp.ports.jobs.create(a_job("a"))
    with pytest.raises(Permanent, match="make the request smaller"):
        gcp.ports.jobs.replace(huge, 1)
    largest = a_job("b", request={"x": "x" * (documents.MAX_BYTES - 1000)})
    assert gcp.ports.jobs.create(largest)


def test_every_query_has_the_index_that_it_needs(gcp: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator misses no index; Firestore wants one for conditions that are sorted."""
    asked: list[StructuredQuery] = []
    stream = Query.stream

    def recorded(query: Query, **options: Any) -> Any:
        asked.append(query._to_protobuf())
        return stream(query, **options)

    monkeypatch.setattr(Query, "stream", recorded)
    gcp.ports.jobs.create(a_job("a", country="DE"))
    for before in (None, "a"):
        gcp.ports.jobs.find(Job, before=before)
        gcp.ports.jobs.find(Job, before=before, state="ACCEPTED", country="DE")
        gcp.ports.jobs.find(Waiting, before=before, state="ACCEPTED", queue="default")
        gcp.ports.jobs.find(Job, before=before, starting="a", revision="r", state=("ACCEPTED", "QUEUED"))
        gcp.ports.jobs.find(Job, before=before, starting="a", **dict.fromkeys(FILTERS, "x"))
        gcp.ports.jobs.find(Job, before=before, **dict.fromkeys(FILTERS, "x"))
    gcp.ports.jobs.due(Job, datetime.now(UTC), state="ACCEPTED")
    gcp.ports.jobs.in_turn(Waiting, "", 1, state="QUEUED", queue="default")
    assert len(asked) == 14
    declared = {
        (frozenset(index.columns[: len(index.fields)]), index.columns[len(index.fields) :])
        for index in INDEXES
    }
    for query in asked:
        filters = query.where.composite_filter.filters or [query.where]
        said = [one.field_filter for one in filters]
        fields = {(one.field.field_path, "ASCENDING") for one in said if one.op in (EQUAL, IN)}
        fields |= {(one.field.field_path, "CONTAINS") for one in said if one.op == ARRAY_CONTAINS}
        order = [(one.field.field_path, one.direction.name) for one in query.order_by]
        if order[-1][0] == "__name__":
            del order[-1]  # every index ends with it
        merged = {
            field
            for index in declared
            for field in index[0]
            if index[1] == tuple(order) and index[0] <= fields
        }
        assert not query.where or fields == merged


def test_a_list_reads_no_document_that_it_does_not_show(
    gcp: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    stream = Query.stream

    def recorded(query: Query, **options: Any) -> Any:
        for snapshot in stream(query, **options):
            read.append(snapshot)
            yield snapshot

    monkeypatch.setattr(Query, "stream", recorded)
    for number in range(40):
        gcp.ports.jobs.create(
            a_job(f"j{number}", country="DE", revision="r", queue="bulk", requested_by="ann")
        )
    asked = {"state": ("ACCEPTED", "FAILED"), "country": "DE", "revision": "r", "queue": "bulk"}
    for starting in ("", "j"):
        assert len(gcp.ports.jobs.find(Job, limit=26, starting=starting, requested_by="ann", **asked)) == 26
    assert len(read) == 52
    assert gcp.ports.jobs.count(Job, **asked) == 40
    assert len(read) == 52
    pages = create_app(Runtime(gcp.ports, gcp.settings, Log("json"))).test_client()
    for address in ("/", "/?state=ACCEPTED", "/?country=DE&queue=bulk&requested_by=ann", "/?request_id=j"):
        read.clear()
        assert pages.get(address).text.count('<a class="name"') == 25, address
        assert 26 <= len(read) <= 30, address


def test_firestore_is_told_when_a_document_may_go(gcp: Installed) -> None:
    known = {"name": "a", "generation": 1, "country": "DE", "since": NOW}
    upload = gcp.ports.jobs.create(Upload(**known))
    assert upload
    gcp.ports.jobs.replace(upload.model_copy(update={"expires": NOW}), 1)
    assert gcp.ports.jobs.create(a_job("a"))
    told = gcp.ports.jobs._client.collection  # type: ignore[attr-defined]
    assert told("uploads").document("a#1").get().get("expires") == NOW
    assert "expires" not in told("jobs").document("a").get().to_dict()
    found = gcp.ports.jobs.get(Upload, "a#1")
    assert found
    assert found.expires == NOW


def test_a_topic_that_does_not_exist_is_an_error(gcp: Installed) -> None:
    with pytest.raises(Permanent, match=r"there is no topic projects/p-.*/topics/train-requests"):
        gcp.ports.bus.publish("train-requests", b"x")


def test_an_upload_that_breaks_off_is_cancelled_at_the_store(gcp: Installed) -> None:
    def break_off() -> None:
        with gcp.ports.objects.writer("a") as writer:
            writer.write(b"x" * 20_000_000)
            assert len(gcp.bucket.uploads) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert (gcp.bucket.uploads, gcp.bucket.objects) == ({}, {})


def test_the_address_of_an_upload_is_told_to_nobody(
    gcp: Installed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever knows it may write the rest of the object, for a week."""
    refused = requests.ConnectionError("Max retries exceeded with url: /upload?upload_id=s3cr-eT&name=a")

    def request(*_: Any, **__: Any) -> Any:
        raise refused

    def break_off() -> None:
        with gcp.ports.objects.writer("a") as writer:
            writer.write(b"x" * 10_000_000)
            monkeypatch.setattr(requests.Session, "request", request)

    quickly(monkeypatch, objects)
    with pytest.raises(Unavailable, match="upload_id=…&name=a") as failure:
        break_off()
    assert "upload_id=…" in caplog.text
    assert "s3cr" not in caplog.text + str(failure.value)


def test_an_object_that_vanishes_while_it_is_copied_is_not_there(
    gcp: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcp.ports.objects.create("a", b"1")
    rewrite = storage.Blob.rewrite

    def too_late(*args: Any, **options: Any) -> Any:
        gcp.bucket.objects.pop("a")
        return rewrite(*args, **options)

    monkeypatch.setattr(storage.Blob, "rewrite", too_late)
    with pytest.raises(NotFound, match="'a' of generation"):
        gcp.ports.objects.copy("a", "b")
    assert gcp.ports.objects.stat("b") is None


def test_an_upload_that_cannot_be_cancelled_is_forgotten_all_the_same(
    gcp: Installed, caplog: pytest.LogCaptureFixture
) -> None:
    def break_off() -> None:
        with gcp.ports.objects.writer("a") as writer:
            writer.write(b"x" * 20_000_000)
            gcp.bucket.deaf_to = "DELETE"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert "the upload of 'a' could not be cancelled" in caplog.text
    assert gcp.ports.objects.stat("a") is None


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_that_the_store_forgot_is_begun_anew_by_the_next_delivery(
    gcp: Installed, status: int
) -> None:
    def forget() -> None:
        with gcp.ports.objects.writer("a") as writer:
            writer.write(b"x" * 20_000_000)
            gcp.bucket.faults += [status]

    with pytest.raises(Unavailable, match="writing 'a' did not work for now"):
        forget()
    assert gcp.ports.objects.stat("a") is None


def test_an_upload_over_an_object_that_came_meanwhile_changes_nothing(gcp: Installed) -> None:
    def come_second() -> None:
        with gcp.ports.objects.writer("a") as writer:
            writer.write(b"x" * 20_000_000)
            gcp.ports.objects.create("a", b"first")

    with pytest.raises(AlreadyExists):
        come_second()
    assert gcp.ports.objects.read("a") == b"first"
    assert gcp.bucket.uploads == {}


def test_what_was_not_read_of_a_replaced_object_is_never_read_from_the_next(gcp: Installed) -> None:
    """Unlike a file of one machine, a replaced object is gone: only what was read ahead is still there."""
    gcp.ports.objects.create("a", b"old" * BLOCK)
    with gcp.ports.objects.reader("a") as reader:
        assert reader.read(3) == b"old"
        gcp.ports.objects.replace("a", b"new" * BLOCK, None)
        assert reader.read(3) == b"old"
        reader.seek(2 * BLOCK)
        with pytest.raises(Unavailable, match="'a' was replaced while it was read"):
            reader.read(3)


def test_what_is_stored_gzip_encoded_is_neither_decoded_nor_cut_off(gcp: Installed) -> None:
    """`gcloud storage cp --gzip-local` stores so, and a browser would get the text."""
    stored = gzip.compress(b"day,sales\n" + b"2026-01-05,1\n" * 100_000)
    blob = storage.Client(project="p").bucket(BUCKET).blob("a.csv")
    blob.content_encoding = "gzip"
    blob.upload_from_string(stored, "text/csv")
    with gcp.ports.objects.reader("a.csv") as reader:
        assert reader.read() == stored
        reader.seek(0)
        out = io.BytesIO()
        decode_upload("a.csv", reader, out)
    assert pq.read_metadata(out).num_rows == 100_000
    assert gcp.ports.objects.read("a.csv") == stored


def test_a_download_that_breaks_off_is_taken_up_again(gcp: Installed) -> None:
    content = bytes(range(256)) * 4096
    gcp.ports.objects.create("a", content)
    gcp.bucket.break_off = 2
    assert gcp.ports.objects.read("a") == content
    gcp.bucket.break_off = 2
    with gcp.ports.objects.reader("a") as reader:
        assert reader.read() == content
    assert gcp.bucket.break_off == 0


def test_a_reader_fetches_each_block_once(gcp: Installed) -> None:
    content = bytes(range(256)) * (BLOCK // 256) * 2 + b"end"
    gcp.ports.objects.create("a", content)
    gcp.bucket.requests.clear()
    with gcp.ports.objects.reader("a") as reader:
        reader.seek(-3, 2)
        assert reader.read() == b"end"
        reader.seek(BLOCK - 1)
        assert reader.read(2) == content[BLOCK - 1 : BLOCK + 1]
        reader.seek(0)
        assert reader.read() == content
        assert reader.read() == b""
    assert sum("download" in request for request in gcp.bucket.requests) == 3
