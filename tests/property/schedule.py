"""A schedule: a tape of small numbers that decides what happens next, and what goes wrong.

The same tape is the same run, whoever made it: hypothesis, a seed, or a stored file. Numbers that the tape
does not give are 0, and 0 is always the calm choice, so a shorter tape is a simpler schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.batch import Batch
from contracts.events import SWEEP_REQUESTS, TRAIN_REQUESTS, TRAINING_FINISHED
from contracts.job import DeadLetter, Job, JobState, Queue, Upload
from functions.adapters.embedded.bus import Delivery
from functions.errors import Unavailable
from functions.notifications import notification
from functions.ports import ObjectInfo
from functions.web import actions, batch_actions
from functions.web.problems import Refused
from tests.property.faults import FAULTS, Crash, Frame, Triple
from tests.property.invariants import Violation
from tests.property.simulation import CURSED, SHORT, Simulation
from tests.property.trainings import FOR_MEMORY, SteppedLife, process
from trainer.engines.base import EngineError

MAX_DEPTH = 2
_REACH = {"trainer": 45, "sweep-requests": 20, "summarize-finished": 16, "cancel": 4, "bury-dead-letters": 2}
"""How many calls of ports a process makes, where that is far from a dozen."""
_CALM = {"anything": range(16), "trainings": range(1, 5), "ends": range(4, 8), "arrivals": range(1),
         "machine": range(8), "recurring": range(8)}  # fmt: skip
"""So many steps go well at first, so that misfortune finds jobs in every state."""


def _nobody(name: str) -> tuple[str, bytes, dict[str, str]]:
    return notification(ObjectInfo(name, 1, 1, "AAAAAA==", datetime(2026, 11, 16, tzinfo=UTC)))


GARBAGE: list[tuple[str, bytes, dict[str, str]]] = [
    (TRAIN_REQUESTS, b"no request", {}),
    (TRAIN_REQUESTS, b"", {}),
    (TRAIN_REQUESTS, b"\xff\xfe", {}),
    (TRAIN_REQUESTS, b"[1, 2]", {}),
    (TRAIN_REQUESTS, b'{"request_id": 7}', {}),
    (TRAIN_REQUESTS, b"[" * 5_000, {}),
    (TRAINING_FINISHED, b'{"attempt": "all"}', {}),
    (SWEEP_REQUESTS, b"at once", {}),
    ("objects-datasets", b"{}", {}),
    ("objects-outcomes", b"{}", {"eventType": "OBJECT_DELETE", "objectId": "outcomes/q0/attempt-1.json"}),
    _nobody("datasets/DE/nobody/data.parquet"),
    _nobody("datasets/strange"),
    _nobody("outcomes/nobody/attempt-1.json"),
    _nobody("outcomes/nobody/last.json"),
]
"""Messages that can never work."""


class Tape:
    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers, self._next = numbers, 0

    @property
    def ended(self) -> bool:
        return self._next >= len(self._numbers)

    def pick(self, count: int) -> int:
        """A number below `count`."""
        if self.ended:
            return 0
        self._next += 1
        return self._numbers[self._next - 1] % count


class Schedule:
    def __init__(self, sim: Simulation, numbers: Sequence[int]) -> None:
        self.sim, self.tape, self.depth = sim, Tape(numbers), 0
        sim.faults.meanwhile = self._meanwhile
        sim.frame_of_web = lambda: self._frame("web", "")
        self.trainings = sim.trainings
        self.trainings.meanwhile = lambda: self.tape.pick(3) and self._meanwhile()
        self.trainings.error = self._engine_fails
        self.emphasis = list(_CALM)[self.tape.pick(len(_CALM))]
        self.actions = _weighted(*self._choices()[self.emphasis])

    def _choices(self) -> dict[str, list[tuple[Callable[[], None], int]]]:
        """What may happen next and how often."""
        return {
            "anything": [
                (self.deliver, 10), (self.train, 5), (self.pass_time, 3), (self.sweep, 2), (self.submit, 2),
                (self.late_sweep, 4), (self.cancel, 1), (self.retry, 1), (self.repeat, 2), (self.platform, 2),
                (self.upload, 1), (self.outage, 1), (self.spoil, 1), (self.pause, 1), (self.replay, 1)],
            "trainings": [
                (self.deliver, 5), (self.train, 12), (self.platform, 6), (self.pass_time, 3), (self.sweep, 3),
                (self.repeat, 2), (self.late_sweep, 1), (self.cancel, 1), (self.end_by_cancel, 3),
                (self.retry, 1)],
            "ends": [
                (self.deliver, 12), (self.train, 2), (self.late_sweep, 2), (self.repeat, 2), (self.retry, 2),
                (self.cancel, 1), (self.spoil, 1), (self.pass_time, 1)],
            "arrivals": [
                (self.deliver, 8), (self.upload, 5), (self.submit, 3), (self.late_sweep, 1), (self.cancel, 1),
                (self.retry, 1)],
            "machine": [
                (self.deliver, 8), (self.train, 6), (self.pass_time, 2), (self.sweep, 2), (self.submit, 2),
                (self.late_sweep, 2), (self.upload, 2), (self.cancel, 1), (self.retry, 1), (self.repeat, 1),
                (self.tear, 3), (self.move_folder, 2), (self.set_clock_back, 2), (self.take_memory, 1),
                (self.long_outage, 1), (self.grow, 3), (self.older_index, 2), (self.other_version, 4)],
            "recurring": [
                (self.deliver, 12), (self.train, 3), (self.pass_time, 3), (self.sweep, 5), (self.batch, 2),
                (self.schedule, 3), (self.mapping, 2), (self.act_on_batch, 3), (self.late_sweep, 3),
                (self.repeat, 2), (self.outage, 1), (self.cancel, 1), (self.retry, 1), (self.tear, 1),
                (self.set_clock_back, 1), (self.older_index, 1)],
        }  # fmt: skip

    def run(self) -> None:
        """Everything on the tape, then peace, then what must be true in the end."""
        if self.emphasis == "recurring":
            self.batch()
            self.schedule()
        else:
            self.sim.request(self.tape.pick(2))
        calm = _CALM[self.emphasis]
        for _ in range(calm[self.tape.pick(len(calm))]):
            self._go_on()
        while not self.tape.ended:
            self._step()
        self.sim.come_to_rest()

    def _go_on(self) -> None:
        if not self.sim.deliver_due() and (tasks := self.trainings.startable()):
            self.trainings.train(tasks[0], Frame("trainer", "RUNNING"))

    def _step(self) -> None:
        self.actions[self.tape.pick(len(self.actions))]()
        self.sim.invariants.check()

    def _meanwhile(self) -> None:
        """Somebody else's steps inside a call of a port."""
        if self.depth >= MAX_DEPTH:
            return
        self.depth += 1
        try:
            for _ in range(1 + self.tape.pick(4)):
                self._step()
        finally:
            self.depth -= 1

    # processes

    def _frame(self, actor: str, state: str) -> Frame:
        fault = FAULTS[self.tape.pick(len(FAULTS))]
        generation = self.sim.generation()
        if fault == "none":
            return Frame(actor, state, generation=generation)
        at, length = 1 + self.tape.pick(_REACH.get(actor, 12)), 1 + self.tape.pick(3)
        return Frame(actor, state, fault, at, length, generation=generation)

    def deliver(self) -> None:
        """Any message that is not being delivered at this moment, due or not."""
        pending = self.sim.deliverable()
        if pending:
            self._deliver(Delivery.of(pending[self.tape.pick(len(pending))]))

    def _deliver(self, delivery: Delivery) -> None:
        frame = self._frame(delivery.subscription, self.sim.state_of(delivery))
        self.sim.deliver(delivery, frame, lose_ack=self.tape.pick(8) == 7)

    def train(self) -> None:
        tasks = self.trainings.startable()
        if tasks and len(self.trainings.executing) < 3:
            task = tasks[self.tape.pick(len(tasks))]
            job = self.sim.raw.jobs.get(Job, task["job_id"])
            self.trainings.train(task, self._frame("trainer", job.state.value))

    # time and sweeps

    def pass_time(self) -> None:
        minutes = (1, 0.2, 4, 11, 16)[self.tape.pick(5)]
        self.sim.clock.time += timedelta(minutes=minutes)
        if self.tape.pick(6) == 5:
            self.sim.clock.skew = timedelta(seconds=(0, 90, -90)[self.tape.pick(3)])

    def sweep(self) -> None:
        self.sim.sweep()
        newest = self.sim.embedded.bus.pending()[-1]
        self._deliver(newest)

    def late_sweep(self) -> None:
        """Everything that waits has waited too long."""
        self.sim.clock.time += timedelta(minutes=16)
        self.sweep()

    # people

    def submit(self) -> None:
        number, kind = self.tape.pick(4), self.tape.pick(10)
        if kind == 9:
            self._submit_garbage()
        elif kind in (7, 8):
            self.sim.request(9, table=CURSED)
        elif kind == 6:
            self.sim.request(8, validate_only=True)
        elif kind == 5:
            self.sim.request(7, table=SHORT)
        elif kind == 4:
            self.sim.request(6, colour="red")
        else:
            self.sim.request(number, revision="r2" if kind == 3 else "r1")

    def _submit_garbage(self) -> None:
        self.sim.garbage(*GARBAGE[self.tape.pick(len(GARBAGE))])

    def cancel(self) -> None:
        self._act(actions.cancel)

    def retry(self) -> None:
        self._act(actions.retry)

    def end_by_cancel(self) -> None:
        """A job is cancelled, and all that follows from it happens at once."""
        self.cancel()
        self.sweep()
        for row in self.sim.deliverable():
            if row["subscription"] == "finalize-outcomes":
                self._deliver(Delivery.of(row))

    def _act(self, act: Callable[..., object]) -> None:
        """A person's click, which the web process may not survive."""
        jobs = self.sim.jobs()
        if jobs:
            job = jobs[self.tape.pick(len(jobs))]
            frame = self._frame(act.__name__, job.state.value)
            with self.sim.faults.process(frame), suppress(Refused, Unavailable, Crash):
                act(self.sim.runtime, job.job_id, "a person")

    def batch(self) -> None:
        self.sim.recurring.batch(self.tape.pick(2))

    def schedule(self) -> None:
        self.sim.recurring.schedule(of_rows=self.tape.pick(2) == 1)

    def mapping(self) -> None:
        self.sim.recurring.mapping("abc"[self.tape.pick(3)])

    def act_on_batch(self) -> None:
        """A person cancels, retries, pauses or resumes a batch; the web process may not survive it."""
        batches = self.sim.documents(Batch)
        if not batches:
            return
        batch_id = batches[self.tape.pick(len(batches))].batch_id
        act = (
            batch_actions.cancel,
            batch_actions.retry,
            lambda *who: batch_actions.pause(who[0], who[1], True, who[2]),
        )[self.tape.pick(3)]
        with self.sim.faults.process(self._frame("web", "")), suppress(Refused, Unavailable, Crash):
            act(self.sim.runtime, batch_id, "a person")

    def upload(self) -> None:
        self.sim.upload(("data.csv", "data.request.yaml", "request.yaml", "more.csv")[self.tape.pick(4)])
        if self.tape.pick(2):
            self._deliver(self.sim.embedded.bus.pending()[-1])

    def pause(self) -> None:
        queues = self.sim.raw.jobs.find(Queue)
        if queues:
            queue = queues[self.tape.pick(len(queues))]
            actions.pause(self.sim.undisturbed, queue.name, not queue.paused, "somebody")

    def replay(self) -> None:
        letters = self.sim.raw.jobs.find(DeadLetter)
        if letters:
            actions.replay(self.sim.undisturbed, letters[self.tape.pick(len(letters))].letter_id, "somebody")

    # misfortunes

    def repeat(self) -> None:
        """A message that was handled before comes again, however old."""
        handled = [self.sim.taken[number] for number in sorted(self.sim.answered)]
        ours = [delivery for delivery in handled if delivery.subscription != "bury-dead-letters"]
        if self.tape.pick(2) and ours:
            again = ours[self.tape.pick(len(ours))]
            self.sim.embedded.bus.redeliver(again.subscription, again.data, again.attributes)
            return
        names = [
            info.name for prefix in ("outcomes/", "datasets/") for info in self.sim.raw.objects.list(prefix)
        ]
        if names:
            self.sim.announce_again(names[self.tape.pick(len(names))])

    def platform(self) -> None:
        what = self.tape.pick(5)
        if what == 0:
            self.trainings.reap()
            return
        tasks = self.trainings.tasks()
        if tasks and what == 4:
            self._twin(tasks[self.tape.pick(len(tasks))])
        elif tasks:
            act = (self.trainings.start_again, self.trainings.kill, self.trainings.vanish)[what - 1]
            act(tasks[self.tape.pick(len(tasks))])

    def _twin(self, task: Any) -> None:
        """A task's process is started once more while it lives."""
        if process(task) in self.trainings.executing and len(self.trainings.executing) < 3:
            self.trainings.train(task, self._frame("trainer", "RUNNING"), twin=True)

    def _engine_fails(self, life: SteppedLife) -> Exception | None:
        """Now and then an engine refuses its material, or has a bug."""
        kind = self.tape.pick(16)
        greedy = kind == 13 and self.emphasis == "machine"
        if not (greedy or kind > 13) or self.depth:
            return None
        self.sim.invariants.failing.add(life.task.job_id)
        if greedy:
            return MemoryError("no room for the candidates")
        return EngineError("nothing can be made of this") if kind == 14 else ArithmeticError("a bug")

    def outage(self) -> None:
        self.sim.faults.outage = ("", "launcher", "bus", "warehouse", "objects", "jobs")[self.tape.pick(6)]

    def long_outage(self) -> None:
        """A port does not answer for four hours, while messages and sweeps go on."""
        self.outage()
        for _ in range(6):
            self.sim.clock.time += timedelta(minutes=40)
            self.sim.sweep()
            for _ in range(12):
                self.sim.deliver_due()
        self.sim.faults.outage = ""

    def tear(self) -> None:
        """Whoever writes the next object dies when its file is there, but not yet in the index."""
        self.sim.torn = True

    def move_folder(self) -> None:
        self.sim.move_folder()

    def set_clock_back(self) -> None:
        """Not while a process is at work: it decides by the former time, and is judged by the new."""
        if not self.depth:
            self.sim.clock.set_back(timedelta(minutes=30))
            self.sim.embedded.bus.clock_was_set_back(30 * 60)

    def grow(self) -> None:
        self.sim.grow()

    def older_index(self) -> None:
        """Not while a process is at work: whoever restores a backup has stopped the system."""
        if not self.depth:
            self.sim.keep_or_restore_the_index()

    def other_version(self) -> None:
        """Another version of the system wrote a document, or sent a message that is on its way."""
        kind = self.tape.pick(5)
        ours = ("launch-ready", "launch-finished", "summarize-finished")
        if kind == 0:
            here = [row for row in self.sim.deliverable() if row["subscription"] in ours]
            sent = [row for row in here if b'"schema_version"' in row["data"]]  # garbage stays garbage
            if sent:
                self.sim.sent_by_a_newer_version(sent[self.tape.pick(len(sent))])
            return
        documents: list[Any] = self.sim.documents((Job, Job, Job, Queue, Upload)[kind])
        if documents:
            written = (self.sim.written_by_an_older_version, *3 * [self.sim.written_by_a_newer_version])[
                kind - 1
            ]
            written(documents[self.tape.pick(len(documents))])

    def take_memory(self) -> None:
        """The system kills a process for its memory; the platform says so."""
        tasks = self.trainings.tasks()
        if tasks:
            self.trainings.kill(tasks[self.tape.pick(len(tasks))], FOR_MEMORY)

    def spoil(self) -> None:
        """A file of a result is lost before finalize looks."""
        jobs = [job for job in self.sim.jobs() if job.state in (JobState.QUEUED, JobState.RUNNING)]
        if jobs and not self.depth:
            self.sim.spoil(jobs[self.tape.pick(len(jobs))])


def _weighted(*choices: tuple[Callable[[], None], int]) -> list[Callable[[], None]]:
    return [action for action, weight in choices for _ in range(weight)]


def run(sim: Simulation, numbers: Sequence[int]) -> set[Triple]:
    """Run one schedule on an emptied installation; the (state, event, fault) triples that it covered.

    Raises:
        Violation: a promise was broken.
    """
    sim.reset()
    Schedule(sim, numbers).run()
    return sim.faults.covered


def broken(sim: Simulation, numbers: Sequence[int]) -> str:
    """How a schedule breaks a promise; empty if it does not."""
    try:
        run(sim, numbers)
    except Violation as violation:
        return str(violation)
    return ""
