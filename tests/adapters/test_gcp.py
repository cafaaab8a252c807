"""What only the family of Google Cloud does: faults of the services, and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("google.cloud.firestore", reason="requirements/gcp.txt is not installed")

import google.auth.exceptions as identity
import requests
from google.api_core import exceptions as api
from google.cloud.storage.exceptions import DataCorruption

from contracts.job import Job
from functions.adapters.gcp import bus, documents, errors, gcp_ports, objects
from functions.adapters.gcp.errors import calling
from functions.adapters.gcp.frozen import BLOCK
from functions.errors import Permanent, Unavailable
from functions.ports import AlreadyExists, Ports
from tests.adapters.families import MissingPart
from tests.adapters.family_gcp import installation
from tests.adapters.gcp_servers.emulators import free_port
from tests.adapters.gcp_servers.storage import Bucket
from tests.adapters.test_job_store import a_job

BROKEN = requests.ConnectionError("connection reset")


@dataclass(frozen=True)
class Installed:
    ports: Ports
    bucket: Bucket


@pytest.fixture
def gcp() -> Iterator[Installed]:
    try:
        with installation() as (settings, _, bucket):
            yield Installed(gcp_ports(settings), bucket)
    except MissingPart as reason:
        pytest.skip(str(reason))


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
        (api.Forbidden("no"), "is not allowed.*role"),
        (api.Unauthorized("who?"), "is not allowed"),
        (api.InvalidArgument("what?"), "is refused: .*what"),
        (identity.DefaultCredentialsError("none"), "needs an identity"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_never_works_says_what_to_do(error: Exception, said: str) -> None:
    with pytest.raises(Permanent, match=said), calling("reading 'a'"):
        raise error


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


def test_a_refusal_of_the_store_is_permanent(gcp: Installed) -> None:
    gcp.bucket.faults += [403]
    with pytest.raises(Permanent, match="writing 'a' is not allowed"):
        gcp.ports.objects.create("a", b"1")
    gcp.bucket.faults += [403]
    with (
        pytest.raises(Permanent, match="writing 'a' is not allowed"),
        gcp.ports.objects.writer("a") as writer,
    ):
        writer.write(b"1")
    assert list(gcp.ports.objects.list("")) == []


def quickly(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    for name in ("RETRY", "STORAGE_RETRY"):
        monkeypatch.setattr(module, name, getattr(errors, name).with_timeout(0.5), raising=False)
    monkeypatch.setattr(module, "TIMEOUT_S", 0.5)
    options = getattr(module, "_OPTIONS", {})
    for name in options:
        value = options["retry"].with_timeout(0.5) if name == "retry" else 0.5
        monkeypatch.setitem(options, name, value)


@pytest.mark.parametrize(
    ("module", "variable", "call"),
    [
        (documents, "FIRESTORE_EMULATOR_HOST", lambda ports: ports.jobs.create(a_job("a"))),
        (documents, "FIRESTORE_EMULATOR_HOST", lambda ports: ports.jobs.get(Job, "a")),
        (documents, "FIRESTORE_EMULATOR_HOST", lambda ports: ports.jobs.find(Job, state="QUEUED")),
        (documents, "FIRESTORE_EMULATOR_HOST", lambda ports: ports.jobs.replace(a_job("a"), 1)),
        (bus, "PUBSUB_EMULATOR_HOST", lambda ports: ports.bus.publish("train-requests", b"x")),
        (objects, "STORAGE_EMULATOR_HOST", lambda ports: ports.objects.create("a", b"1")),
        (objects, "STORAGE_EMULATOR_HOST", lambda ports: ports.objects.read("a")),
        (objects, "STORAGE_EMULATOR_HOST", lambda ports: ports.objects.stat("a")),
        (objects, "STORAGE_EMULATOR_HOST", lambda ports: list(ports.objects.list("a"))),
    ],
)
def test_a_service_that_is_down_is_unavailable(
    gcp: Installed, monkeypatch: pytest.MonkeyPatch, module: ModuleType, variable: str, call: Any
) -> None:
    quickly(monkeypatch, module)
    scheme = "http://" if variable.startswith("STORAGE") else ""
    monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="did not work for now"):
        call(gcp.ports)


def test_a_document_that_is_too_large_is_refused_with_its_size(gcp: Installed) -> None:
    huge = a_job("a", request={"x": "ü" * 600_000})
    with pytest.raises(Permanent, match=r"jobs/a has 1,2.* bytes.*1,000,000"):
        gcp.ports.jobs.create(huge)
    gcp.ports.jobs.create(a_job("a"))
    with pytest.raises(Permanent, match="make the request smaller"):
        gcp.ports.jobs.replace(huge, 1)
    largest = a_job("b", request={"x": "x" * (documents.MAX_BYTES - 1000)})
    assert gcp.ports.jobs.create(largest)


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
