"""What has changed since the job before it in its series: found by itself, said in words, told upstream."""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cloudevents.conversion import to_structured
from cloudevents.http import CloudEvent
from functions_framework import create_app

from contracts import names
from contracts.attempt import TrainingConfig
from contracts.changes import ChangesDocument
from contracts.job import Deletion, Job, JobState
from infra.local.demo_data import generate
from tests.pipeline.world import World
from trainer.changes import find_changes

SHORT = {"search": {"iterations": 20, "trials": 1}, "pictures": "none"}
CHANNELS = ["tv_spend", "ooh_spend", "print_spend", "search_spend", "social_spend"]
DOCS = Path(__file__).parents[2] / "docs" / "recurring.md"


class Weeks:
    """Two weekly jobs of the native engine; in the second a value is restated, and a column is new."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        table = generate().table[:200]
        self.world.fill_warehouse(table)
        self.first = self.world.submit("monday-1", **SHORT)
        self.world.run()
        newer = generate().table[1:201].assign(tiktok_spend=1.0)
        newer.loc[150, "revenue"] += 5_000
        self.world.fill_warehouse(newer)
        self.world.clock.pass_(days=7)
        self.second = self.world.submit("monday-2", **SHORT)
        self.world.run()

    def document(self, job_id: str) -> ChangesDocument:
        text = self.world.ports.objects.read(f"{names.results(self.world.job(job_id))}changes.json")
        return ChangesDocument.model_validate_json(text)

    def config(self, job_id: str) -> TrainingConfig:
        return config_of(self.world, job_id)

    def compared(self, tmp_path: Path, spoil: Callable[[Path], None], **series: Any) -> ChangesDocument:
        """The second job compared with files of the first one that were changed."""
        own, former = tmp_path / "own", tmp_path / "former"
        for job_id, folder in ((self.second, own), (self.first, former)):
            job, bucket = self.world.job(job_id), self.world.embedded.folder / "bucket"
            shutil.copytree(bucket / names.results(job), folder)
            shutil.copy(bucket / names.prepared(job.country, job_id), folder / "data.parquet")
        spoil(former)
        config = self.config(self.second)
        assert config.series
        assert config.series.predecessor
        prefix = f"robyn/{tmp_path.name}/"
        for path in former.iterdir():
            self.world.ports.objects.create(f"{prefix}{path.name}", path.read_bytes())
        there = {"results": prefix, "prepared": f"{prefix}data.parquet"}
        predecessor = config.series.predecessor.model_copy(update=there | series.pop("predecessor", {}))
        changed = config.series.model_copy(update={"predecessor": predecessor, **series})
        return find_changes(self.world.ports.objects, config, changed, own / "data.parquet", own)


def config_of(world: World, job_id: str) -> TrainingConfig:
    text = world.ports.objects.read(names.attempt_of(world.job(job_id)).config)
    return TrainingConfig.model_validate_json(text)


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return Weeks(tmp_path_factory.mktemp("weeks"))


def test_the_first_says_so_and_the_next_says_what_changed_and_what_did_not(weeks: Weeks) -> None:
    assert weeks.document(weeks.first).reason == "This is the first result of country DE, revision demo."
    found, job = weeks.document(weeks.second), weeks.world.job(weeks.second)
    assert job.changes == found.short()
    assert found.predecessor
    assert (found.predecessor.job_id, found.reason, found.unknown) == (weeks.first, "", [])
    told = "\n".join(found.changed)
    assert "New data: 1 week, 2025-11-03." in told
    assert "No longer in the data: 1 week, 2022-01-03." in told
    assert re.search(
        r"Restated: 1 of the 199 weeks that both jobs have: revenue in 1 week \(2024-11-18; the sum over all "
        r"of them was [\d,.]+ and is [\d,.]+, \+0\.00 %\)\.",
        told,
    )
    assert "New in the data: the column tiktok_spend." in told
    assert found.data
    (column,) = found.data.columns
    assert column.now is not None
    assert column.before is not None
    assert column.now - column.before == pytest.approx(5_000)
    assert [one.name for one in found.channels] == CHANNELS
    assert not any(one.changed for one in found.channels)  # a week more of the same sales
    assert any(line.startswith("Not changed for sure") and "tv_spend" in line for line in found.unchanged)
    page = weeks.world.web.get(f"/jobs/{weeks.second}").get_data(as_text=True)
    assert all(sentence in page for sentence in (*found.changed, *found.unchanged))
    (event,) = weeks.world.finished(weeks.second)
    assert event["changes"] == found.short().model_dump(mode="json")


def edit(name: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        change(document)
        (folder / name).write_text(json.dumps(document))

    return spoil


def earned_a_third(posterior: Any) -> None:
    roas = posterior["channels"][0]["roas"]
    posterior["channels"][0]["roas"] = {name: value / 3 for name, value in roas.items()}


def test_a_channel_is_called_changed_only_if_that_is_probable(weeks: Weeks, tmp_path: Path) -> None:
    found = weeks.compared(tmp_path, edit("posterior.json", earned_a_third))
    (told,) = [one for one in found.changed if "earns" in one]
    assert re.fullmatch(
        r"tv_spend earns more per unit of currency, probably \(100 %\): "
        r"ROAS [\d.]+ \([\d.]+ to [\d.]+\) before, [\d.]+ \([\d.]+ to [\d.]+\) now\.",
        told,
    )
    assert found.short().channels == ["tv_spend"]
    (rest,) = [one for one in found.unchanged if one.startswith("Not changed for sure")]
    assert "tv_spend" not in rest


def test_a_verdict_that_moved_and_the_fit_of_a_refresh_are_told(weeks: Weeks, tmp_path: Path) -> None:
    def was_bad(trust: Any) -> None:
        next(line for line in trust["lines"] if line["word"] == "good")["word"] = "bad"

    def fitted(folder: Path) -> None:
        edit("trust.json", was_bad)(folder)
        edit("best_model.json", lambda one: one.update(nrmse=one["nrmse"] / 2))(folder)

    found = weeks.compared(tmp_path, fitted, refreshes=True)
    (moved,) = found.trust
    assert f"The check of {moved.topic} was bad and is {moved.now}: {moved.figure}." in found.changed
    assert any(line.startswith("The best model fits worse than the one that it") for line in found.changed)
    assert weeks.document(weeks.second).best_model is None  # two searches differ by chance


def remove(*files: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in files] and None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("spoil", "changed", "reason"),
    [
        (remove(), {"deleted_by": "anna"}, "anna had the result of {} deleted"),
        (remove("best_model.json"), {}, "{} has no best_model.json"),
        (edit("best_model.json", lambda one: one.update(interval="day")), {}, "{} has a row per day, this"),
        (edit("best_model.json", lambda one: one.update(dependent="usd")), {}, "{} explains usd (revenue)"),
    ],
)  # fmt: skip
def test_where_nothing_can_be_compared_it_says_why(
    weeks: Weeks, tmp_path: Path, spoil: Callable[[Path], None], changed: dict[str, str], reason: str
) -> None:
    found = weeks.compared(tmp_path, spoil, predecessor=changed)
    assert found.reason.startswith(f"Nothing is compared: {reason.format(weeks.first)}")
    assert (found.changed, found.unchanged, found.data, found.channels) == ([], [], None, [])


def test_what_a_former_release_did_not_leave_or_is_gone_is_said_and_the_rest_compared(
    weeks: Weeks, tmp_path: Path
) -> None:
    def older(folder: Path) -> None:
        remove("trust.json")(folder)
        edit("posterior.json", lambda one: one.pop("channels"))(folder)
        (folder / "data.parquet").write_bytes(b"not Parquet")

    found = weeks.compared(tmp_path, older)
    job = weeks.first
    assert found.unknown == [
        f"The data are not compared: the prepared data of {job} cannot be read.",
        f"What channels earn is not compared: posterior.json of {job} is of a version that this one cannot "
        "read.",
        f"Checks are not compared: {job} has no trust.json.",
    ]
    assert (found.reason, found.changed, found.unchanged) == ("", [], [])
    found = weeks.compared(tmp_path / "gone", remove("data.parquet"))
    assert found.unknown == [f"The data are not compared: the prepared data of {job} are not there any more."]
    assert found.channels


def before(world: World, job_id: str) -> str | None:
    """The job that a training was told to be compared with."""
    series = config_of(world, job_id).series
    assert series
    return series.predecessor.job_id if series.predecessor else None


def test_the_job_before_is_the_newest_of_the_series_that_has_a_result(world: World) -> None:
    first = world.submit("first")
    world.run()
    world.submit("checked", validate_only=True)
    other = world.submit("other", revision="other")
    scheduled = world.submit("scheduled", schedule="monday")
    world.run()
    cancelled = world.submit("cancelled")
    world.until(cancelled, JobState.QUEUED)
    assert world.act(cancelled, "cancel") == 200
    world.run()
    assert world.job(cancelled).state is JobState.CANCELLED
    assert world.finished(cancelled)[0]["changes"] is None
    by_hand = world.submit("by-hand")
    next_monday = world.submit("next-monday", schedule="monday")
    world.run()
    assert [before(world, job_id) for job_id in (first, other, scheduled, by_hand, next_monday)] == [
        None,
        None,
        None,
        scheduled,
        scheduled,
    ]
    assert world.job(scheduled).changes
    gone = world.job(next_monday)
    deletion = Deletion(by="anna", at=world.clock.now())
    world.ports.jobs.replace(gone.model_copy(update={"deletion": deletion}), gone.version)
    last = world.submit("last")
    world.run()
    found = world.job(last).changes
    assert found
    assert found.reason == f"Nothing is compared: anna had the result of {next_monday} deleted."


def test_each_attempt_is_compared_with_the_job_before_it_as_it_is_then(world: World) -> None:
    first = world.submit("first")
    world.run()
    slow = world.submit("slow")
    world.until(slow, JobState.QUEUED)
    assert world.act(slow, "cancel") == 200
    world.run()
    retried = world.submit("retried")
    world.until(retried, JobState.RUNNING)
    assert before(world, retried) == first
    assert world.act(retried, "cancel") == 200
    world.deliver()
    world.clock.pass_(minutes=20)
    world.sweep()
    world.train()
    world.sweep()
    world.submit("after")
    assert world.act(slow, "retry") == 200
    world.run()
    assert world.act(retried, "retry") == 200
    world.run()
    job = world.job(retried)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert before(world, retried) == slow  # in time now, unlike what came after it
    refresh = world.submit("refresh", refresh_of=first)
    world.deliver()
    series = config_of(world, refresh).series
    assert series
    assert (before(world, refresh), series.refreshes) == (first, True)


def test_the_job_before_is_found_in_the_newest_documents_however_many_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.submit("first")
    world.run()
    job = world.job(first)
    for number in range(40):
        world.ports.jobs.create(job.model_copy(update={"job_id": f"job-{number}", "version": 0}))
    found: list[int] = []
    find = world.ports.jobs.find

    def counted(kind: Any, **asked: Any) -> Any:
        answer = find(kind, **asked)
        found.append(len(answer) if kind is Job and "revision" in asked else 0)
        return answer

    last = world.submit("last")
    world.until(last, JobState.QUEUED)
    monkeypatch.setattr(world.ports.jobs, "find", counted)
    world.run()
    assert before(world, last) == "job-39"
    assert sum(found) == 5


def test_a_config_of_a_former_release_is_trained_without_a_comparison(world: World) -> None:
    job_id = world.submit("first")
    world.until(job_id, JobState.RUNNING)
    name = names.attempt_of(world.job(job_id)).config
    older = json.loads(world.ports.objects.read(name))
    del older["series"]
    world.ports.objects.replace(name, json.dumps(older).encode(), None)
    world.run()
    job = world.job(job_id)
    assert (job.state, job.changes) == (JobState.SUCCEEDED, None)
    assert "changes.json" not in world.results(job_id)
    assert 'id="changes"' not in world.web.get(f"/jobs/{job_id}").get_data(as_text=True)


@contextmanager
def chat() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A chat on this machine: where to post to, and what was posted."""
    posted: list[dict[str, str]] = []

    class Room(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Room)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posted
    server.shutdown()
    server.server_close()


def test_the_function_of_the_docs_posts_what_changed_to_a_chat(
    weeks: Weeks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    source = tmp_path / "main.py"
    source.write_text(code, encoding="utf-8")
    (event,) = weeks.world.finished(weeks.second)
    with chat() as (address, posted):
        monkeypatch.setenv("CHAT", address)
        client = create_app("tell", str(source)).test_client()
        for message in (event, {"type": "batch-finished", "batch_id": "monday"}):
            data = {"message": {"data": b64encode(json.dumps(message).encode()).decode()}}
            attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub"}
            headers, body = to_structured(CloudEvent(attributes, data))
            assert client.post("/", headers=headers, data=body).status_code == 200
    (message,) = posted
    assert message["text"].splitlines()[0] == "monday-2: SUCCEEDED"
    assert "New in the data: the column tiktok_spend." in message["text"]
