"""A schedule: a tape of small numbers that decides what happens next, and what goes wrong.

The same tape is the same run, whoever made it: hypothesis, a seed, or a stored file. Numbers that the tape
does not give are 0, and 0 is always the calm choice, so a shorter tape is a simpler schedule.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from contracts.events import TRAIN_REQUESTS, TRAINING_READY
from contracts.job import JobState
from functions.adapters.embedded.bus import Delivery
from functions.errors import Unavailable
from functions.web import actions
from functions.web.problems import Refused
from tests.property.faults import FAULTS, Crash, Frame
from tests.property.invariants import Violation, promise
from tests.property.simulation import CURSED, Simulation

MAX_DEPTH = 2
MAX_ROUNDS = 16
"""Of deliver, train and sweep after the last fault: four states of a job, each woken at most three times."""


_REACH = (2, 6, 12, 30)
"""A handler makes a few calls of ports, a training three dozen."""


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
        sim.while_training = lambda: self.tape.pick(3) and self._meanwhile()
        self.emphasis = self.tape.pick(3)
        self.actions = _weighted(*self._choices()[self.emphasis])

    def _choices(self) -> list[list[tuple[Callable[[], None], int]]]:
        """What may happen next and how often: anything, mostly trainings, mostly arrivals."""
        return [
            [(self.deliver, 10), (self.train, 5), (self.pass_time, 3), (self.sweep, 2), (self.late_sweep, 4),
             (self.submit, 2), (self.cancel, 1), (self.retry, 1), (self.repeat, 2), (self.platform, 2),
             (self.upload, 1), (self.outage, 1), (self.spoil, 1)],
            [(self.deliver, 6), (self.train, 6), (self.platform, 4), (self.pass_time, 3), (self.sweep, 3),
             (self.repeat, 2), (self.late_sweep, 1), (self.cancel, 1), (self.end_by_cancel, 3),
             (self.retry, 1)],
            [(self.deliver, 8), (self.upload, 5), (self.submit, 3), (self.late_sweep, 1), (self.cancel, 1),
             (self.retry, 1)],
        ]  # fmt: skip

    def run(self) -> None:
        """Everything on the tape, then peace, then what must be true in the end."""
        self.sim.request(0)
        for _ in range(
            (self.tape.pick(16), 7, 0)[self.emphasis]
        ):  # calm at first, so that misfortune finds jobs in every state
            self._go_on()
        while not self.tape.ended:
            self._step()
        self._come_to_rest()
        self.sim.invariants.check_rest()

    def _go_on(self) -> None:
        due, tasks = self.sim.embedded.bus.due(), self.sim.tasks()
        if due:
            self.sim.deliver(due[0].id, Frame(due[0].subscription, "", generation=self._generation()))
        elif tasks:
            self.sim.train(tasks[0], Frame("trainer", ""))

    def _generation(self) -> int:
        (row,) = self.sim.embedded._database.rows("SELECT value FROM last_generation")
        return int(row["value"])

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
        generation = self._generation()
        if fault == "none":
            return Frame(actor, state, generation=generation)
        at, length = 1 + self.tape.pick(_REACH[self.tape.pick(len(_REACH))]), 1 + self.tape.pick(3)
        return Frame(actor, state, fault, at, length, generation=generation)

    def _state(self, *names: str) -> str:
        jobs = [job for job in self.sim.jobs() if any(job.job_id in name for name in names)]
        return jobs[0].state.value if len(jobs) == 1 else "/".join(sorted({j.state.value for j in jobs}))

    def deliver(self) -> None:
        """Any message that is not being delivered at this moment, due or not."""
        pending = self._deliverable()
        if pending:
            self._deliver(pending[self.tape.pick(len(pending))])

    def _deliverable(self) -> list[Delivery]:
        now = self.sim.clock.now()
        return [d for d in self.sim.embedded.bus.pending() if not (self._leased(d) and d.due > now)]

    def _leased(self, delivery: Delivery) -> bool:
        row = self.sim.embedded._database.row("SELECT leased FROM deliveries WHERE id = ?", (delivery.id,))
        return bool(row and row["leased"])

    def _deliver(self, delivery: Delivery) -> None:
        about = delivery.attributes.get("objectId", ""), delivery.data.decode(errors="replace")
        frame = self._frame(delivery.subscription, self._state(*about))
        self.sim.deliver(delivery.id, frame, lose_ack=self.tape.pick(8) == 7)

    def train(self) -> None:
        tasks = [
            task
            for task in self.sim.tasks()
            if task["execution"] not in self.sim.dead and task["execution"] not in self.sim.executing
        ]
        if tasks and len(self.sim.executing) < 2:
            task = tasks[self.tape.pick(len(tasks))]
            self.sim.train(task, self._frame("trainer", self._state(task["job_id"])))

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
        number = self.tape.pick(3)
        kind = self.tape.pick(8)
        if kind == 7:
            self._submit_garbage()
        elif kind in (5, 6):
            self.sim.request(9, table=CURSED)
        elif kind == 4:
            self.sim.request(8, validate_only=True)
        else:
            self.sim.request(number, revision="r2" if kind == 3 else "r1")

    def _submit_garbage(self) -> None:
        data = b"no request"
        self.sim.raw.bus.publish((TRAIN_REQUESTS, TRAINING_READY)[0], data)
        self.sim.invariants.garbage.add(base64.b64encode(data).decode())

    def cancel(self) -> None:
        self._act(actions.cancel)

    def retry(self) -> None:
        self._act(actions.retry)

    def end_by_cancel(self) -> None:
        """A job is cancelled, and all that follows from it happens at once."""
        self.cancel()
        self.sweep()
        for delivery in self._deliverable():
            if delivery.subscription == "finalize-outcomes":
                self._deliver(delivery)

    def _act(self, act: Callable[..., object]) -> None:
        """A person's click, which the web process may not survive."""
        jobs = self.sim.jobs()
        if jobs:
            job = jobs[self.tape.pick(len(jobs))]
            frame = self._frame(act.__name__, job.state.value)
            with self.sim.faults.process(frame), suppress(Refused, Unavailable, Crash):
                act(self.sim.ports, job.job_id)

    def upload(self) -> None:
        self.sim.upload(("data.csv", "data.request.yaml", "request.yaml", "more.csv")[self.tape.pick(4)])
        if self.tape.pick(2):
            self._deliver(self.sim.embedded.bus.pending()[-1])

    # misfortunes

    def repeat(self) -> None:
        """A message that was handled before comes again, however old."""
        names = [
            info.name for prefix in ("outcomes/", "datasets/") for info in self.sim.raw.objects.list(prefix)
        ]
        if names:
            self.sim.announce_again(names[self.tape.pick(len(names))])

    def platform(self) -> None:
        what = self.tape.pick(4)
        if what == 0:
            self.sim.reap()
            return
        tasks = self.sim.tasks()
        if not tasks:
            return
        task = tasks[self.tape.pick(len(tasks))]
        if what == 1:
            self.sim.embedded.launcher.start(task["job_id"], task["attempt"], "auto", 1)
        elif what == 2:
            self.sim.kill(task)
        elif task["execution"] not in self.sim.executing:
            self.sim.vanish(task["execution"])

    def outage(self) -> None:
        self.sim.faults.outage = ("", "launcher", "bus", "warehouse", "objects", "jobs")[self.tape.pick(6)]

    def spoil(self) -> None:
        """A file of a result is lost before finalize looks."""
        jobs = [job for job in self.sim.jobs() if job.state in (JobState.QUEUED, JobState.RUNNING)]
        if jobs and not self.depth:
            self.sim.spoil(jobs[self.tape.pick(len(jobs))])

    # the end

    def _come_to_rest(self) -> None:
        sim = self.sim
        sim.faults.outage, sim.clock.skew, sim.deliveries = "", timedelta(0), 0
        for _ in range(MAX_ROUNDS):
            sim.reap()
            self._deliver_all()
            while tasks := [task for task in sim.tasks() if task["execution"] not in sim.dead]:
                sim.train(tasks[0], Frame("trainer", ""))
                self._deliver_all()
                sim.invariants.check()
            if sim.invariants.at_rest() and not sim.dead:
                break
            sim.clock.time += timedelta(minutes=16)
            sim.sweep()
        sim.sweep()  # what only a sweep frees
        self._deliver_all()
        most = 100 + 60 * len(sim.jobs())
        promise(sim.deliveries <= most, f"{sim.deliveries} deliveries to come to rest")

    def _deliver_all(self) -> None:
        generation = self._generation()
        while due := self.sim.embedded.bus.due():
            self.sim.deliver(due[0].id, Frame(due[0].subscription, "", generation=generation))


def _weighted(*choices: tuple[Callable[[], None], int]) -> list[Callable[[], None]]:
    return [action for action, weight in choices for _ in range(weight)]


def run(sim: Simulation, numbers: Sequence[int]) -> set[tuple[str, str, str]]:
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
