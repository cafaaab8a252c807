"""Schedules in words: each leads straight to one place where a promise is at stake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from unittest import mock

from contracts.batch import Batch
from contracts.events import TRAIN_REQUESTS
from contracts.job import JobState
from contracts.mapping import MappingVersion
from functions.errors import Unavailable
from functions.web import actions, batch_actions
from functions.web.problems import Refused
from tests.property.faults import Crash, Frame
from tests.property.invariants import Violation, promise
from tests.property.simulation import CURSED, SHORT, Simulation
from trainer.engines.base import EngineError

S = JobState


class Script:
    """What happens, step by step. `fault` and `at`, a fault point, say what goes wrong in a step."""

    def __init__(self, sim: Simulation, everywhere: Frame) -> None:
        """`everywhere`: what goes wrong in `struck`."""
        self.sim, self.everywhere = sim, everywhere
        self.last: JobState | None = None  # what the only job comes to, if that is certain

    @contextmanager
    def struck(self) -> Iterator[None]:
        """In here a fault may strike every process."""
        self.sim.faults.everywhere = self.everywhere
        yield
        self.sim.faults.everywhere = Frame("", "")

    def _frame(
        self, actor: str, fault: str, at: str, meanwhile: Callable[[], None] | None, length: int = 1
    ) -> Frame:
        if meanwhile is not None:
            self.sim.faults.meanwhile = meanwhile
        return Frame(actor, "", fault, at, length, generation=self.sim.generation())

    def deliver(
        self,
        subscription: str,
        fault: str = "none",
        at: str = "",
        meanwhile: Callable[[], None] | None = None,
        length: int = 1,
    ) -> None:
        """Deliver the oldest message of a subscription."""
        waiting = [d for d in self.sim.embedded.bus.pending() if d.subscription == subscription]
        self.sim.deliver(waiting[0], self._frame(subscription, fault, at, meanwhile, length))
        self.sim.invariants.check()

    def give_up(self, subscription: str) -> None:
        """The platform gives the oldest message of a subscription up, without having delivered it."""
        bus = self.sim.embedded.bus
        delivery = next(d for d in bus.pending() if d.subscription == subscription)
        self.sim.taken[delivery.id] = delivery
        bus._give_up(delivery, "nobody was there")

    def train(
        self,
        fault: str = "none",
        at: str = "",
        meanwhile: Callable[[], None] | None = None,
        task: int = 0,
        twin: bool = False,
    ) -> None:
        """Start the process of a task, the first that may start, or one beside the one that lives."""
        tasks = self.sim.trainings.tasks() if twin else self.sim.trainings.startable()
        row = next(row for row in tasks if row["task_index"] >= task)
        self.sim.trainings.train(row, self._frame("trainer", fault, at, meanwhile), twin=twin)
        self.sim.invariants.check()

    def until(self, state: JobState, attempt: int = 1) -> None:
        """All goes on until a job is in a state, or has passed it."""
        for _ in range(200):
            if (state, attempt) in {(e.state, e.attempt) for job in self.sim.jobs() for e in job.timeline}:
                return
            if self.sim.deliver_due():
                continue
            self.sim.trainings.reap()
            if self.sim.trainings.startable():
                self.train()
            else:  # what died is delivered again
                self.sim.clock.time += timedelta(minutes=11)
                self.sim.sweep()
        raise Violation(f"no job is {state}")

    def sweep(self, fault: str = "none", at: str = "", minutes: float = 16) -> None:
        """A sweep, when everything has waited too long."""
        self.sim.clock.time += timedelta(minutes=minutes)
        self.sim.sweep()
        self.deliver("sweep-requests", fault, at)

    def click(self, act: Callable[..., Any]) -> None:
        """A person cancels or retries the only job, once more if no answer came."""
        for _ in range(2):
            (job,) = self.sim.jobs()
            frame = Frame(act.__name__, job.state.value)
            with self.sim.faults.process(frame), suppress(Crash, Unavailable, Refused):
                act(self.sim.runtime, job.job_id, "a person")
                return

    def cancel(self) -> None:
        """A person cancels the only job, and all that follows from it happens at once."""
        self.click(actions.cancel)
        self.deliver("sweep-requests")
        self.deliver("finalize-outcomes")

    @contextmanager
    def torn(self, prefix: str) -> Iterator[None]:
        """Whoever writes an object of this prefix dies when its file is there, but not yet in the index."""
        record = self.sim.embedded.objects._record

        def die(connection: Any, name: str, *rest: Any) -> Any:
            if name.startswith(prefix):
                raise Crash(f"{name} is half written")
            return record(connection, name, *rest)

        with mock.patch.object(self.sim.embedded.objects, "_record", die):
            yield

    def vanish(self) -> None:
        """The platform forgets the oldest execution."""
        self.sim.trainings.vanish(self.sim.trainings.tasks()[0])


def _the_news_of_the_end_is_lost(script: Script) -> None:
    script.sim.request(0)
    script.until(S.TRAINED)
    script.deliver("summarize-finished", "crash-after", "jobs.replace(jobs:SUCCEEDED)")


def _the_news_of_a_failure_is_lost_and_a_person_retries(script: Script) -> None:
    script.sim.request(0)
    _refuse(script)
    script.until(S.RUNNING)
    script.train()
    script.deliver("finalize-outcomes", "crash-after", "jobs.replace(jobs:FAILED)")
    script.sim.trainings.error = lambda _: None
    script.click(actions.retry)


def _refuse(script: Script) -> None:
    script.sim.invariants.failing.add("q0-341c0a3e67c3")
    script.sim.trainings.error = lambda _: EngineError("nothing can be made of this")


def _extract_dies_with_its_dataset_written(script: Script) -> None:
    script.sim.request(0)
    script.deliver("extract-requests", "crash-after", "objects.writer(datasets/data)")
    script.deliver("extract-requests")


def _launch_dies_with_a_slot_taken(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    script.until(S.QUEUED)
    script.deliver("launch-ready", "crash-after", "jobs.replace(queues:")


def _launch_can_neither_start_nor_give_its_slot_back(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    script.until(S.QUEUED)
    script.deliver("launch-ready", "error-before", "launcher.start", length=2)
    script.deliver("launch-ready")


def _a_message_that_no_function_understands(script: Script) -> None:
    script.sim.garbage(TRAIN_REQUESTS, b"no request")


def _a_silent_training_is_ended_and_succeeds_at_last(script: Script) -> None:
    script.sim.request(0)
    script.until(S.RUNNING)
    script.train("meanwhile-after", "objects.writer(robyn/provenance)", script.sweep)


def _a_job_is_cancelled_before_its_training_claims(script: Script) -> None:
    script.sim.request(0)
    script.until(S.RUNNING)
    script.train("meanwhile-after", "objects.stat(outcomes/attempt)", script.cancel)


def _an_execution_is_started_twice(script: Script) -> None:
    script.sim.request(0)
    script.until(S.RUNNING)
    script.sim.trainings.start_again(script.sim.trainings.tasks()[0])
    script.train("meanwhile-after", "engine.works", script.train)


def _a_training_takes_long(script: Script) -> None:
    script.sim.request(0)
    script.until(S.RUNNING)
    script.sim.trainings.meanwhile = lambda: script.sweep(minutes=2)
    script.train()


def _a_file_of_a_result_is_lost(script: Script) -> None:
    script.sim.request(0)
    script.until(S.RUNNING)
    script.train()
    script.sim.spoil(script.sim.jobs()[0])


def _the_news_of_a_validation_is_lost(script: Script) -> None:
    script.sim.request(8, validate_only=True)
    script.deliver("extract-requests")
    script.deliver("validate-datasets", "crash-after", "jobs.replace(jobs:SUCCEEDED)")


def _the_news_of_a_rejection_is_lost(script: Script) -> None:
    script.sim.request(7, table=SHORT)
    script.deliver("extract-requests")
    script.deliver("validate-datasets", "crash-after", "jobs.replace(jobs:REJECTED)")


def _a_request_comes_again_and_is_another(script: Script) -> None:
    script.sim.request(0)
    script.until(S.SUCCEEDED)
    script.sim.request(0, revision="r2")


def _settings_die_with_an_upload_begun(script: Script) -> None:
    script.sim.upload("data.csv")
    script.deliver("extract-uploads")
    script.sim.upload("request.yaml")
    script.deliver("extract-uploads", "crash-after", "jobs.replace(uploads:WAITING)")


def _settings_are_replaced_with_an_upload_begun(script: Script) -> None:
    _settings_die_with_an_upload_begun(script)
    script.sim.upload("request.yaml")
    script.deliver("extract-uploads", "crash-after", "jobs.create(jobs:REJECTED)")


def _an_execution_vanishes_before_it_claims(script: Script) -> None:
    script.sim.request(0)
    script.until(S.RUNNING)
    script.vanish()
    script.sweep()


def _settings_come_while_an_upload_is_recorded(script: Script) -> None:
    def settings() -> None:
        script.sim.upload("request.yaml")
        newest = script.sim.embedded.bus.pending()[-1]
        script.sim.deliver(newest, Frame(newest.subscription, ""))

    script.sim.upload("data.csv")
    script.deliver("extract-uploads", "meanwhile-before", "jobs.create(uploads", settings)


def _every_message_of_a_job_is_given_up(script: Script, *last: str) -> None:
    script.sim.request(0)
    script.deliver("extract-requests")
    for _ in range(3):
        script.give_up("validate-datasets")
        script.sweep()
    script.give_up("validate-datasets")
    script.sweep(*last)


def _a_sweep_dies_having_failed_a_job(script: Script) -> None:
    _every_message_of_a_job_is_given_up(script, "crash-after", "jobs.replace(jobs:FAILED)")


def _no_source_answers_until_its_message_is_given_up(script: Script) -> None:
    script.sim.request(0, table=CURSED)
    for _ in range(20):
        script.deliver("extract-requests")
        script.sim.clock.time += timedelta(minutes=10)


def _a_dependency_is_away_for_hours(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    script.sim.faults.outage = "warehouse"
    for _ in range(12):
        while script.sim.deliver_due():
            pass
        script.sim.clock.time += timedelta(minutes=16)
        script.sim.sweep()
    script.sim.faults.outage = ""


def _others_go_before_for_hours(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    script.deliver("extract-requests")
    for _ in range(12):
        script.sweep()


def _three_tasks_share_a_training(script: Script) -> None:
    script.sim.request(1)
    script.until(S.RUNNING)
    for task in (2, 0, 1):
        script.train(task=task)


def _the_last_task_takes_long(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(1)
    script.until(S.RUNNING)
    script.train(task=0)
    script.train(task=1)
    script.sim.trainings.meanwhile = lambda: script.sweep(minutes=2)
    script.train(task=2)


def _two_tasks_see_all_shares(script: Script) -> None:
    script.last = S.SUCCEEDED

    def others() -> None:
        script.train(task=1)
        script.train(task=2)

    script.sim.request(1)
    script.until(S.RUNNING)
    script.train("meanwhile-after", "objects.writer(scratch/share)", others)


def _two_processes_of_a_task(script: Script) -> None:
    def twin() -> None:
        script.train(twin=True)

    script.sim.request(1)
    script.until(S.RUNNING)
    script.train("meanwhile-after", "objects.stat(scratch/share)", twin)


def _a_process_goes_on_past_the_merge(script: Script) -> None:
    def all_others() -> None:
        for task in (0, 1, 2):
            script.train(task=task, twin=task == 0)

    script.sim.request(1)
    script.until(S.RUNNING)
    script.train("meanwhile-before", "objects.writer(scratch/share)", all_others)


def _the_merger_is_killed(script: Script) -> None:
    script.sim.request(1)
    script.until(S.RUNNING)
    script.train(task=0)
    script.train(task=1)
    script.train("crash-after", "objects.create(scratch/merge)", task=2)
    script.sim.trainings.reap()
    script.train(task=2)


def _the_merger_is_killed_for_good(script: Script) -> None:
    script.sim.request(1)
    script.until(S.RUNNING)
    script.train(task=0)
    script.train(task=1)
    for _ in range(2):
        script.train("crash-after", "objects.writer(robyn/best_model)", task=2)
        script.sim.trainings.reap()


def _a_claim_is_half_written(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    script.until(S.RUNNING)
    with script.torn("scratch/"):
        for _ in range(2):
            script.train()
            script.sim.trainings.reap()


def _an_outcome_is_half_written(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    script.until(S.RUNNING)
    with script.torn("outcomes/"):
        script.train()


def _a_file_goes_on_growing(script: Script) -> None:
    script.sim.upload("request.yaml")
    script.sim.grow()
    script.until(S.EXTRACTED)
    script.sim.grow()


def _an_older_index_is_restored_beside_newer_files(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    script.until(S.EXTRACTED)
    script.sim.keep_or_restore_the_index()
    script.until(S.SUCCEEDED)
    script.sim.keep_or_restore_the_index()
    promise(script.sim.jobs()[0].state is S.EXTRACTED, "the index is not the older one")


def _other_versions_write_the_document_of_a_job(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    for state in (S.ACCEPTED, S.QUEUED, S.RUNNING, S.TRAINED):
        script.until(state)
        (job,) = script.sim.jobs()
        script.sim.written_by_an_older_version(job)
        script.sim.written_by_a_newer_version(job)


def _a_step_of_a_batch_dies_before_its_second_row(script: Script) -> None:
    script.sim.recurring.batch(0)
    script.deliver("extract-batches")
    script.deliver("extract-batch-steps", "crash-before", "jobs.create(jobs:REJECTED)")


def _a_step_of_a_batch_is_lost(script: Script) -> None:
    script.sim.recurring.batch(0)
    script.deliver("extract-batches")
    script.give_up("extract-batch-steps")


def _a_sweep_sees_a_batch_at_work(script: Script) -> None:
    script.sim.recurring.batch(0)
    script.until(S.RUNNING)
    for _ in range(2):  # the first one has the last row unfolded
        script.sweep(minutes=1)
        while script.sim.deliver_due():
            pass


def _a_sweep_dies_having_ended_a_batch(script: Script) -> None:
    a_batch_is_done(script)
    script.sweep("crash-after", "jobs.replace(batches:FINISHING)", minutes=1)
    script.sweep()


def _the_end_of_a_batch_is_told_twice(script: Script) -> None:
    a_batch_is_done(script)
    script.sweep("crash-after", "bus.publish(job-finished)", minutes=1)
    script.sweep()


def a_batch_is_done(script: Script) -> None:
    """All jobs of a batch have ended, and no sweep has seen it."""
    script.sim.recurring.batch(0)
    script.until(S.SUCCEEDED)
    while any(not job.state.terminal for job in script.sim.jobs()):
        if not script.sim.deliver_due():
            script.train()


def _a_batch_is_cancelled_with_a_row_half_told(script: Script) -> None:
    script.sim.recurring.batch(0)
    script.deliver("extract-batches")
    script.deliver("extract-batch-steps", "crash-after", "jobs.create(jobs:REJECTED)")
    (batch,) = script.sim.documents(Batch)
    batch_actions.cancel(script.sim.undisturbed, batch.batch_id, "a person")


def _a_cancelled_batch_is_retried(script: Script) -> None:
    _a_batch_is_cancelled_with_a_row_half_told(script)
    script.sim.come_to_rest()
    (batch,) = script.sim.documents(Batch)
    batch_actions.retry(script.sim.undisturbed, batch.batch_id, "a person")


def _a_sweep_dies_asking_for_an_occurrence(script: Script) -> None:
    script.sim.recurring.schedule(of_rows=False)
    script.sweep("crash-before", "bus.publish(train-requests)")
    script.sweep()


def _a_sweep_dies_having_asked_for_an_occurrence(script: Script) -> None:
    script.sim.recurring.schedule(of_rows=True)
    script.sweep("crash-after", "bus.publish(batch-requests)")
    script.sweep("crash-before", "bus.publish(batch-requests)", minutes=1)
    script.sweep()


def _occurrences_are_missed_for_an_hour(script: Script) -> None:
    script.sim.recurring.schedule(of_rows=False)
    script.sweep(minutes=70)


def _a_mapping_is_written_while_it_is_used(script: Script) -> None:
    script.sim.recurring.mapping("a")
    script.sim.recurring.batch(0)
    script.until(S.EXTRACTED)
    web = Frame("web", "", "crash-before", "jobs.replace(mappings")
    script.sim.frame_of_web = lambda: web
    script.sim.recurring.mapping("b")
    script.sim.frame_of_web = lambda: Frame("web", "")
    script.sim.recurring.mapping("c")
    promise(len(script.sim.documents(MappingVersion)) == 1, "a version that was not written is there")


SCRIPTS: dict[str, Callable[[Script], None]] = {
    script.__name__.strip("_").replace("_", " "): script
    for script in (
        _the_news_of_the_end_is_lost,
        _the_news_of_a_failure_is_lost_and_a_person_retries,
        _extract_dies_with_its_dataset_written,
        _launch_dies_with_a_slot_taken,
        _launch_can_neither_start_nor_give_its_slot_back,
        _a_message_that_no_function_understands,
        _a_silent_training_is_ended_and_succeeds_at_last,
        _a_job_is_cancelled_before_its_training_claims,
        _an_execution_is_started_twice,
        _a_training_takes_long,
        _a_file_of_a_result_is_lost,
        _the_news_of_a_validation_is_lost,
        _the_news_of_a_rejection_is_lost,
        _a_request_comes_again_and_is_another,
        _settings_die_with_an_upload_begun,
        _settings_are_replaced_with_an_upload_begun,
        _an_execution_vanishes_before_it_claims,
        _settings_come_while_an_upload_is_recorded,
        _every_message_of_a_job_is_given_up,
        _a_sweep_dies_having_failed_a_job,
        _no_source_answers_until_its_message_is_given_up,
        _a_dependency_is_away_for_hours,
        _others_go_before_for_hours,
        _three_tasks_share_a_training,
        _the_last_task_takes_long,
        _two_tasks_see_all_shares,
        _two_processes_of_a_task,
        _a_process_goes_on_past_the_merge,
        _the_merger_is_killed,
        _the_merger_is_killed_for_good,
        _a_claim_is_half_written,
        _an_outcome_is_half_written,
        _a_file_goes_on_growing,
        _an_older_index_is_restored_beside_newer_files,
        _other_versions_write_the_document_of_a_job,
        _a_step_of_a_batch_dies_before_its_second_row,
        _a_step_of_a_batch_is_lost,
        _a_sweep_sees_a_batch_at_work,
        _a_sweep_dies_having_ended_a_batch,
        _the_end_of_a_batch_is_told_twice,
        _a_batch_is_cancelled_with_a_row_half_told,
        _a_cancelled_batch_is_retried,
        _a_sweep_dies_asking_for_an_occurrence,
        _a_sweep_dies_having_asked_for_an_occurrence,
        _occurrences_are_missed_for_an_hour,
        _a_mapping_is_written_while_it_is_used,
    )
}


def breaks(sim: Simulation, name: str) -> str:
    """How a script breaks a promise; empty if it does not."""
    return troubles(sim, SCRIPTS[name], Frame("", ""))


def troubles(sim: Simulation, script: Callable[[Script], None], everywhere: Frame) -> str:
    """How a promise is broken in a script, or when everything has come to rest after it; empty if none is."""
    sim.reset()
    try:
        told = Script(sim, everywhere)
        script(told)
        sim.come_to_rest()
        if told.last:
            promise(sim.jobs()[0].state is told.last, f"the job is {sim.jobs()[0].state}, not {told.last}")
    except Violation as violation:
        return str(violation)
    return ""
