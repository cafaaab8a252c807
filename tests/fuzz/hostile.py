"""What is not meant to work, and what must hold of it: an end with a reason that people can read."""

from __future__ import annotations

import base64
import json
from typing import Any

import hypothesis
import yaml
from hypothesis import HealthCheck
from hypothesis import strategies as st

from contracts.job import DeadLetter, Job, JobState
from tests.data.cases import COLUMNS, weekly
from tests.pipeline.world import World

WORDS = [
    "", " ", "\0", "\ud800", "\U0010ffff", "'", '"', "`", "\n", "\r\n", "\x1b[31m", "../../etc/passwd", "..",
    "<script>alert(1)</script>", "{{7*7}}", "${x}", "%s%n", "; DROP TABLE jobs; --", "=cmd|'/c calc'!A0",
    "a/b", "-", "NaN", "null", "1e999", "-0", "1,5", "1.234", "٣", "0001-01-01", "9999-12-31", "2024-02-30",
    "x" * 5000, "ü" * 300, "$5", "1.234,5 €", "12 %", "(5)", "5-", "--", "#N/A", "#DIV/0!", "yes", "nein",
    "Total", "sep=;", "# note", "a\u200bb", "Ko\u0308ln",
]  # fmt: skip
NUMBERS = [0, -1, 2**31, 2**63, -(2**64), 10**400, 1e308, -1e308, 5e-324, float("nan"), float("inf"), 0.1]

texts = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=30),
    st.text(st.characters(categories=("Cs", "Cc", "Lu")), max_size=5),
)
scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.integers(), st.floats(), texts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
FOLDER = "drop-zone/DE"


def examples(count: int) -> hypothesis.settings:
    """So many examples, the same in every run, all in one world."""
    shared = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return hypothesis.settings(
        max_examples=count, deadline=None, derandomize=True, suppress_health_check=shared
    )


def settings() -> dict[str, Any]:
    """Settings that fit `weekly`."""
    return {"country": "DE", "revision": "fuzz", "columns": COLUMNS, "prophet": {"components": []}}


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value can be replaced."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(*at, key) for key, _ in inner] + [
        path for key, item in inner for path in paths(item, (*at, key))
    ]


def spoilt(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of a body with another value at a path."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


def csv_text(rows: int = 60) -> list[list[str]]:
    """Good data as a table of cells, the header first."""
    frame = weekly(rows)
    return [list(frame.columns), *([str(cell) for cell in row] for row in frame.to_numpy().tolist())]


def envelope(data: Any, **more: Any) -> dict[str, Any]:
    """A push envelope as Pub/Sub sends it."""
    message = {"data": base64.b64encode(data).decode(), "messageId": "m1", "attributes": {}, **more}
    return {"message": message, "subscription": "projects/p/subscriptions/extract-requests"}


def upload(world: World, name: str, data: bytes, written: bytes | None = None) -> None:
    """Upload a file with settings beside it, and let everything happen."""
    stem = name.rsplit(".", 1)[0]
    world.ports.objects.replace(f"{stem}.request.yaml", written or yaml.safe_dump(settings()).encode(), None)
    world.ports.objects.replace(name, data, None)
    settle(world)


def settle(world: World) -> None:
    """Deliver everything: each message is taken at its first delivery, and what is refused has a reason."""
    world.deliver()
    waiting = [(each.subscription, each.last_error) for each in world.embedded.bus.pending()]
    assert waiting == [], "these would come again, and fail again"
    jobs, letters = world.ports.jobs.find(Job, limit=3), world.ports.jobs.find(DeadLetter, limit=3)
    for job in jobs:
        assert job.state not in (JobState.ACCEPTED, JobState.EXTRACTED), (job.state, job.request)
        assert job.state is not JobState.FAILED, job.error
        assert (job.state is JobState.REJECTED) == (job.error is not None)
        readable(world, f"/jobs/{job.job_id}", job.model_dump_json())
    for letter in letters:
        readable(world, "/dead-letters", letter.reason)


def readable(world: World, page: str, told: str) -> None:
    """People see a page and a reason, never the inside of the program; a document fits into every store."""
    assert "Traceback" not in told
    assert len(told.encode()) < 900_000
    for address in (page, f"/api/v1{page}"):
        answer = world.web.get(address)
        assert answer.status_code == 200, (address, answer.get_data(as_text=True)[:500])
        assert "<script>alert" not in answer.get_data(as_text=True) or address.startswith("/api")
