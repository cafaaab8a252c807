"""Whether the parts of an installation work together, tried out in front of whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from contracts.api import CheckLine, SelfTest
from contracts.events import SWEEP_REQUESTS, SweepRequest
from contracts.job import Job
from contracts.names import SELFTEST
from contracts.preview import Checked, SourceCheck
from functions.errors import Failure
from functions.ports import Conflict, NotFound, ObjectInfo
from functions.runtime import Runtime
from functions.steps import get_or_create_queue, publish
from functions.web import looking

SLOW_S = 2.0
"""From when on a call of the bucket or the store is slow."""
SLOW_MESSAGE_S = 10.0
"""From when on an answer that comes by messages is slow; a function that sleeps needs some seconds."""
SKEW = timedelta(seconds=5)
"""How far the clocks of the page and of the bucket may be apart."""
_CONTENT = b"written by the self-test"
_BUCKET = "look at the bucket's name in the settings and at the rights of the page's service account"
_STORE = "look at the database's name in the settings and at the rights of the page's service account"
_LINKS = (
    "grant the page's service account roles/iam.serviceAccountTokenCreator on itself; until then files pass "
    "through the page"
)
_EXTRACT = "look at the logs of extract and at its subscriptions; dead letters may say more"
_SWEEP = "look at the logs of sweep, and whether its service account may look at the trainer's executions"
_WAREHOUSE = (
    "look at the account, the key and the role of the connection; the deploying guide says what each needs"
)
_CLOCK = "set the clock of the machine; deadlines and signed links depend on it"


def run(runtime: Runtime, person: str) -> SelfTest:
    """Try every part.

    Raises:
        functions.web.problems.TooMany: this person waits for another answer, in this process.
    """
    with looking.one_at_a_time(person), ThreadPoolExecutor() as messages:
        waiting = [messages.submit(one) for one in _by_messages(runtime)]
        lines = [*_bucket(runtime), *_store(runtime), *(one.result() for one in waiting)]
    return SelfTest(at=runtime.ports.clock.now(), lines=lines)


def _bucket(runtime: Runtime) -> Iterator[CheckLine]:
    objects, name = runtime.ports.objects, f"{SELFTEST}{looking.new_id()}.txt"
    written: list[ObjectInfo] = []

    def write() -> str:
        written.append(objects.create(name, _CONTENT))
        return f"{name}, {len(_CONTENT)} bytes"

    yield _tried("Bucket: write", _BUCKET, write)
    if not written:
        return
    info, now = written[0], runtime.ports.clock.now()
    yield _tried("Bucket: read", _BUCKET, lambda: _same(objects.read(name, info.generation)))
    yield _tried(
        "Bucket: list", _BUCKET, lambda: _listed(name in (one.name for one in objects.list(SELFTEST)))
    )
    yield _tried("Bucket: signed link", _LINKS, lambda: _linked(runtime, name))
    yield _tried("Bucket: delete", _BUCKET, lambda: _deleted(runtime, info))
    yield _skew(info.updated - now)


def _same(content: bytes) -> str:
    if content != _CONTENT:
        raise Failure("what was read is not what was written")
    return "what was written came back"


def _listed(there: bool) -> str:
    if not there:
        raise Failure("a list does not show what was written")
    return "a list shows what was written"


def _linked(runtime: Runtime, name: str) -> str:
    if runtime.ports.objects.link(name, 1):
        return "files are downloaded from the bucket itself"
    if runtime.settings.family == "gcp":
        raise Failure("no link could be signed")
    return "none on one machine: files pass through the page"


def _deleted(runtime: Runtime, info: ObjectInfo) -> str:
    runtime.ports.objects.delete(info.name, info.generation)
    if runtime.ports.objects.stat(info.name) is not None:
        raise Failure("what was deleted is still there")
    return "what was written is gone"


def _skew(skew: timedelta) -> CheckLine:
    apart = abs(skew.total_seconds())
    detail = f"the page and the bucket are {apart:.1f} s apart"
    wrong = apart > SKEW.total_seconds()
    word, advice = ("wrong", _CLOCK) if wrong else ("ok", "")
    return CheckLine(part="Clock", word=word, seconds=0, detail=detail, advice=advice)


def _store(runtime: Runtime) -> Iterator[CheckLine]:
    queue = next(iter(runtime.settings.queues))
    jobs = runtime.ports.jobs
    yield _tried("Store: a document", _STORE, lambda: f"queue {get_or_create_queue(runtime, queue).name}")
    yield _tried("Store: a list", _STORE, lambda: f"{len(jobs.find(Job, limit=1))} job read")


def _by_messages(runtime: Runtime) -> Iterator[Callable[[], CheckLine]]:
    """What others must try, because the page has neither their rights nor their secrets."""
    yield lambda: _tried("Bus and extract", _EXTRACT, lambda: _asked(runtime, None), SLOW_MESSAGE_S)
    yield lambda: _tried("Sweep and launcher", _SWEEP, lambda: _swept(runtime), SLOW_MESSAGE_S)
    for name in runtime.ports.warehouses:
        yield lambda name=name: _tried(  # type: ignore[misc]
            f"Warehouse {name}", _WAREHOUSE, lambda: _asked(runtime, name), SLOW_MESSAGE_S
        )


def _asked(runtime: Runtime, connection: str | None) -> str:
    check = SourceCheck(check_id=looking.new_id(), connection=connection)
    return _answer(looking.ask(runtime, check), "extract got a message and answered")


def _swept(runtime: Runtime) -> str:
    check_id = looking.new_id()
    publish(runtime, SWEEP_REQUESTS, SweepRequest(check_id=check_id))
    return _answer(looking.awaited(runtime, check_id, Checked), "the platform of trainings answers")


def _answer(found: Checked, told: str) -> str:
    if found.problem is not None:
        raise Failure(found.problem.detail or found.problem.title)
    return f"{told}, in {found.seconds:.1f} s"


def _tried(part: str, advice: str, act: Callable[[], str], slow_s: float = SLOW_S) -> CheckLine:
    started = time.monotonic()
    try:
        detail, wrong = act(), False
    except Failure as error:
        detail, wrong = error.problem.detail, True
    except (Conflict, NotFound) as error:
        detail, wrong = str(error), True
    took = time.monotonic() - started
    if wrong:
        return CheckLine(part=part, word="wrong", seconds=round(took, 3), detail=detail, advice=advice)
    slow = took > slow_s
    told = "try again: the first call after a pause is slow; if it stays so, " + advice if slow else ""
    return CheckLine(
        part=part, word="slow" if slow else "ok", seconds=round(took, 3), detail=detail, advice=told
    )
