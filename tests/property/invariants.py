"""What must be true: after every step, and once everything has come to rest."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.attempt import Manifest, Merge, Outcome
from contracts.job import TERMINAL, TRANSITIONS, DeadLetter, Document, Job, JobState, Queue, Upload
from contracts.names import Attempt, dataset, model_summary, results
from contracts.request import job_id_for, upload_key
from functions.attempts import read_claim
from functions.ports import ExecutionState, NotFound

if TYPE_CHECKING:
    from tests.property.faults import Frame
    from tests.property.simulation import Simulation
    from tests.property.trainings import SteppedLife

S = JobState
MAX_ATTEMPTS = 3


class Violation(BaseException):
    """A promise is broken. No handler may catch it."""


def promise(kept: Any, broken: str) -> None:
    if not kept:
        raise Violation(broken)


class Invariants:
    def __init__(self, simulation: Simulation) -> None:
        self.sim = simulation
        self.bodies: dict[str, list[str]] = {}
        self.accepted: dict[str, str] = {}
        self.timelines: dict[str, list[tuple[str, int]]] = {}
        self.once: dict[str, int] = {}  # objects that are never written again
        self.failing: set[str] = set()  # jobs whose engine was made to fail
        self.events: dict[tuple[str, int, str], str] = {}
        self.refused: set[str] = set()
        self.garbage: set[str] = set()
        self.newer: set[tuple[type[Document], str]] = set()  # documents that a newer version wrote
        self.checked: dict[str, Job] = {}  # as it was when it was looked at last

    # what the simulation tells

    def requested(self, job_id: str, body: dict[str, Any]) -> None:
        text = json.dumps(body, sort_keys=True)
        known = self.bodies.setdefault(job_id, [])
        if text not in known:
            known.append(text)

    def called(self, point: str, args: tuple[Any, ...]) -> None:
        """A port is about to be called."""
        if point == "bus.publish(job-finished)":
            self._publishes(json.loads(args[1]))
        elif point.startswith("objects.create(outcomes"):
            self._ends(Outcome.model_validate_json(args[1]))

    def queried(self, table: str, frame: Frame) -> None:
        if table.startswith("sales"):
            job_id = job_id_for(f"q{table.removeprefix('sales')}")
            info = self.sim.raw.objects.stat(dataset("DE", job_id))
            promise(
                info is None or info.generation > frame.generation,
                f"the source of {job_id} was queried although its dataset was there",
            )

    def told_upstream(self, event: dict[str, Any]) -> None:
        if event["type"] == "request-refused":
            self.refused.add(event["job_id"])
            return
        if event["type"] == "batch-finished":
            self.sim.recurring.told_upstream(event)
            return
        key = (event["job_id"], event["attempt"], event["state"])
        text = json.dumps(event, sort_keys=True)
        promise(self.events.setdefault(key, text) == text, f"upstream was told two things of {key}")

    def _publishes(self, event: dict[str, Any]) -> None:
        if event["type"] == "batch-finished":
            self.sim.recurring.publishes(event)
        if event["type"] == "job-finished":
            job = self.sim.raw.jobs.get(Job, event["job_id"])
            steps = [(e.state.value, e.attempt) for e in job.timeline] if job else []
            promise(
                (event["state"], event["attempt"]) in steps, f"published before it was committed: {event}"
            )

    def merges(self, life: SteppedLife, shares: Sequence[Path], trials: int) -> None:
        """A task is about to merge the shares of all tasks."""
        found = [trial for share in shares for trial in json.loads(share.read_text())]
        promise(
            found == list(range(1, trials + 1)), f"task {life.index} merges the trials {found} of {trials}"
        )
        merge = Merge.model_validate_json(self.sim.raw.objects.read(life.attempt.merge))
        ours = Merge(execution=life.task.cloud_run_execution, task=life.index)
        promise(merge == ours, f"{ours} merges, but {merge} does")

    def _ends(self, outcome: Outcome) -> None:
        attempt = Attempt(outcome.job_id, outcome.attempt)
        if self.sim.raw.objects.stat(attempt.outcome):
            return  # too late: the first counts
        promise(
            self.sim.raw.objects.stat(attempt.claim),
            f"{attempt} is ended, but may still be claimed by anybody",
        )
        promise(
            outcome.status != "failed" or outcome.job_id in self.failing,
            f"a training failed by itself: {outcome.error}",
        )
        claimed = read_claim(self.sim.raw, attempt)
        if outcome.status == "crashed" and claimed and claimed.execution:
            execution = self.sim.raw.launcher.get(claimed.execution)
            well = execution and execution.state is ExecutionState.SUCCEEDED
            promise(not well, f"every task of {attempt} exited well, but none of them left an outcome")
        if outcome.status == "succeeded":
            manifest = f"{results(self.sim.raw.jobs.get(Job, outcome.job_id))}manifest.json"
            promise(self.sim.raw.objects.stat(manifest), f"{attempt} succeeded without a manifest")
        if outcome.status == "timed-out":
            beats = list(self.sim.raw.objects.list(attempt.heartbeats))
            frame = self.sim.faults.stack[-1]
            for beat in (beat for beat in beats if beat.generation <= frame.generation):
                age = self.sim.clock.now() - beat.updated + self.sim.clock.skew
                promise(age >= timedelta(minutes=3), f"a live attempt was ended: its heartbeat is {age} old")

    # after every step

    def check(self) -> None:
        for job in self.sim.jobs():
            if self.checked.get(job.job_id) is not job:
                self._timeline(job)
                self._key(job)
                self.checked[job.job_id] = job
        self._written_once()
        for queue in self.sim.documents(Queue):
            self._slots(queue)
        self._trainings()

    def _slots(self, queue: Queue) -> None:
        slots = [(slot.job_id, slot.attempt) for slot in queue.slots]
        limit = self.sim.settings.queues[queue.name]
        promise(len(slots) <= limit, f"{len(slots)} slots of {queue.name} are taken of {limit}: {slots}")
        promise(len(set(slots)) == len(slots), f"a slot is taken twice: {slots}")

    def _timeline(self, job: Job) -> None:
        steps = [(entry.state.value, entry.attempt) for entry in job.timeline]
        seen = self.timelines.get(job.job_id, [])
        promise(steps[: len(seen)] == seen, f"{job.job_id}: a step was lost: {seen} became {steps}")
        if steps == seen:
            return
        self.timelines[job.job_id] = steps
        promise(len(set(steps)) == len(steps), f"{job.job_id}: a step was taken twice: {steps}")
        promise(steps[0] == ("ACCEPTED", 1) and steps[-1] == (job.state.value, job.attempt), f"{steps}")
        for before, after in pairwise(job.timeline):
            promise(after.state in TRANSITIONS[before.state], f"{job.job_id}: no such step in {steps}")
            self._attempt_ended(job, before.state, before.attempt, after.state)
        promise(job.attempt - job.first_attempt < MAX_ATTEMPTS, f"{job.job_id}: too many attempts: {steps}")
        deleting = job.deletion is not None and job.deletion.done_at is None
        promise(
            (job.deadline is None) == (job.state.terminal and not deleting),
            f"{job.job_id}: {job.state} until {job.deadline}",
        )

    def _attempt_ended(self, job: Job, before: JobState, attempt: int, after: JobState) -> None:
        if before in (S.RUNNING, S.CANCELLING) and after is not S.CANCELLING:
            promise(
                self.sim.raw.objects.stat(Attempt(job.job_id, attempt).outcome),
                f"{job.job_id}: attempt {attempt} went from {before} to {after} without an outcome",
            )

    def _key(self, job: Job) -> None:
        body = json.dumps(job.request, sort_keys=True)
        promise(self.accepted.setdefault(job.job_id, body) == body, f"{job.job_id}: its request was replaced")
        sent = [*self.bodies.get(job.job_id, []), self.sim.recurring.coming.get(job.job_id)]
        promise(job.upload or body in sent, f"{job.job_id}: nobody sent its request")

    def _written_once(self) -> None:
        for name, generation in self.sim.written():
            if "/heartbeat-" not in name and "/log-" not in name:
                promise(self.once.setdefault(name, generation) == generation, f"{name} was overwritten")

    def _trainings(self) -> None:
        for (job_id, attempt), executions in self.sim.trainings.living().items():
            promise(len(executions) == 1, f"{executions} train {job_id}, attempt {attempt}")
            job = self.sim.raw.jobs.get(Job, job_id)
            promise(
                job and job.attempt == attempt and job.state is not S.CANCELLED,
                f"attempt {attempt} of {job_id} trains, but the job is {job and (job.state, job.attempt)}",
            )

    # at rest

    def check_rest(self) -> None:
        self.check()
        jobs = self.sim.jobs()
        waiting = [(job.job_id, job.state.value) for job in jobs if not job.state.terminal]
        promise(not waiting, f"still waiting: {waiting}")
        promise(not self.sim.pending(), "messages are still under way")
        missing = self.bodies.keys() - {job.job_id for job in jobs}
        letters = self.sim.raw.jobs.find(DeadLetter)
        buried = [base64.b64decode(letter.data).decode(errors="replace") for letter in letters]
        for job_id in missing:
            bodies = [json.loads(body)["request_id"] for body in self.bodies[job_id]]
            promise(any(bodies[0] in text for text in buried), f"a request without a job: {bodies[0]}")
        self.sim.recurring.check_rest(jobs, buried)
        for job in jobs:
            self._ended(job)
            gave_up = job.error is not None and job.error.type == "no-progress"
            promise(letters or not gave_up, f"{job.job_id} failed for want of progress, but no message did")
        for queue in self.sim.raw.jobs.find(Queue):
            promise(not queue.slots, f"slots of {queue.name} leaked: {queue.slots}")
        self._nothing_forgotten(letters)
        self._no_message_lost(letters)
        self._beginnings_replaced()
        for kind, key in self.newer:
            said = getattr(self.sim.raw.jobs.get(kind, key), "invented_later", None)
            promise(said == "said", f"{kind.kind}/{key} lost what a newer version said")

    def _ended(self, job: Job) -> None:
        last = (job.job_id, job.attempt, job.state.value)
        promise(last in self.events, f"upstream was not told of {last}: {sorted(self.events)}")
        steps = {(e.attempt, e.state.value) for e in job.timeline if e.state in TERMINAL}
        told = {(attempt, state) for job_id, attempt, state in self.events if job_id == job.job_id}
        promise(told == steps, f"{job.job_id}: upstream was told of {told}, but there was {steps}")
        if len(self.bodies.get(job.job_id, [])) > 1:
            promise(job.job_id in self.refused, f"{job.job_id}: another body was not refused")
        if job.state is S.SUCCEEDED and not job.request.get("validate_only"):
            self._whole(job)

    def _whole(self, job: Job) -> None:
        objects = self.sim.raw.objects
        promise(objects.stat(model_summary(job)), f"{job.job_id} SUCCEEDED without a summary")
        try:
            manifest = Manifest.model_validate_json(objects.read(f"{results(job)}manifest.json"))
        except NotFound as error:
            raise Violation(f"{job.job_id} SUCCEEDED without a manifest") from error
        for file in manifest.files:
            info = objects.stat(f"{results(job)}{file.name}")
            promise(
                info and (info.size, info.crc32c) == (file.size, file.crc32c),
                f"{job.job_id} SUCCEEDED, but {file.name} is not as the manifest says",
            )

    def _nothing_forgotten(self, letters: list[DeadLetter]) -> None:
        buried = {letter.data for letter in letters}
        promise(self.garbage <= buried, f"messages vanished without a dead letter: {self.garbage - buried}")
        for upload in self.sim.raw.jobs.find(Upload, state="STARTED"):
            list(self._jobs_of(upload))
        settings = {i.name for i in self.sim.raw.objects.list("drop-zone/") if i.name.endswith(".yaml")}
        for upload in self.sim.raw.jobs.find(Upload, state="WAITING"):
            its = {"drop-zone/AT/request.yaml", upload.name.replace(".csv", ".request.yaml")}
            replaced = self.sim.raw.objects.stat(upload.name).generation != upload.generation
            promise(replaced or not its & settings, f"{upload.key} waits although there are {settings}")
            promise(not upload.settings, f"{upload.key} was begun with {upload.settings}, and that was all")

    def _beginnings_replaced(self) -> None:
        """The jobs of a file that went on growing name those of the whole file, and have ended."""
        for upload in self.sim.documents(Upload):
            first = self.sim.raw.jobs.get(Upload, f"{upload.name}#{upload.continues}")
            begun = [*self._jobs_of(first)] if first and upload.settings else []
            by = {job.job_id for job in self._jobs_of(upload)}
            for job in begun:
                promise(job.replaced_by in by, f"{job.job_id} began with a part of a file, and goes on")
            for job in self._jobs_of(upload) if begun else ():
                promise(job.replaces in {old.job_id for old in begun}, f"{job.job_id} replaces nothing")

    def _jobs_of(self, upload: Upload) -> Iterator[Job]:
        for name, _, generation in (settings.rpartition("#") for settings in upload.settings):
            job_id = job_id_for(upload_key(upload.name, upload.generation, name, int(generation)))
            job = self.sim.raw.jobs.get(Job, job_id)
            promise(job, f"{upload.key} was started, but has no job")
            if job:
                yield job

    def _no_message_lost(self, letters: list[DeadLetter]) -> None:
        """Every delivery was acknowledged by its function, or its message is a dead letter."""
        (row,) = self.sim.embedded._database.rows("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'")
        buried = {
            (letter.letter_id.removesuffix(f"-{letter.subscription}"), letter.subscription)
            for letter in letters
        }
        for number in set(range(1, row["seq"] + 1)) - self.sim.answered:
            delivery = self.sim.taken.get(number)
            known = delivery and (delivery.message_id, delivery.subscription) in buried
            promise(known, f"a message vanished: {delivery or number}")
