"""A job that waits for hours because others go before it."""

from __future__ import annotations

from contracts.events import SWEEP_REQUESTS
from contracts.job import Queue
from tests.pipeline.world import World

MANY = 10_050


def end_the_oldest(world: World) -> None:
    execution, job_id, attempt = world.executions()[0]
    world.life(execution, job_id, attempt).live()
    world.embedded.launcher.finish_task(execution, 0, 0)


def sweep_between_finalize_and_launch(world: World) -> None:
    """A slot is free, but launch does not know yet."""
    [outcome] = [one for one in world.embedded.bus.due() if one.subscription == "finalize-outcomes"]
    assert world.embedded.bus.deliver(outcome.id)
    queue = world.ports.jobs.get(Queue, "default")
    assert queue
    assert len(queue.slots) == 1
    world.publish({}, SWEEP_REQUESTS)
    assert world.embedded.bus.deliver(world.embedded.bus.pending()[-1].id)


def test_a_slot_that_is_free_for_a_moment_is_no_fault_of_a_job_that_waits_for_hours(world: World) -> None:
    world.submit("before-1")
    world.submit("before-2")
    world.deliver()
    patient = world.submit("patient", priority=-1)
    for number in range(5):
        world.submit(f"next-{number}")
        world.submit(f"after-{number}")
        world.deliver()
        world.clock.pass_(minutes=8)
        end_the_oldest(world)
        world.deliver()
        world.clock.pass_(minutes=8)
        end_the_oldest(world)
        sweep_between_finalize_and_launch(world)
        world.deliver()
    assert world.states(patient) == ["ACCEPTED", "EXTRACTED", "QUEUED"]
    world.run()
    assert world.states(patient)[-1] == "SUCCEEDED"


def test_of_more_than_ten_thousand_that_wait_the_oldest_goes_first_and_every_one_is_listed(
    world: World,
) -> None:
    world.web.post("/api/v1/queues/default:pause")
    job_id = world.submit("template")
    world.deliver()
    template = world.job(job_id)
    body = template.model_dump_json()
    with world.embedded._database.transaction() as connection:
        connection.execute("DELETE FROM documents WHERE kind = 'jobs'")
        connection.executemany(
            "INSERT INTO documents (kind, key, version, body) VALUES ('jobs', ?, 1, ?)",
            [(f"w-{number}", body.replace(template.job_id, f"w-{number}")) for number in range(MANY)],
        )
    world.web.post("/api/v1/queues/default:resume")
    world.deliver()
    started = [job_id for _, job_id, _ in world.executions()]
    assert started == [f"w-{number}" for number in range(len(started))]
    assert len(started) == world.settings.queues["default"]
    listed, token = set(), ""
    while True:
        answer = world.web.get(f"/api/v1/jobs?page_size=100&page_token={token}").json
        listed |= {job["job_id"] for job in answer["jobs"]}
        token = answer["next_page_token"]
        if not token:
            break
    assert len(listed) == MANY
