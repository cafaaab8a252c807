"""What cannot be handled is kept once, whatever it holds, and never goes in circles."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from contracts.events import DEAD_LETTERS, TRAIN_REQUESTS
from contracts.job import DeadLetter, Job
from functions.entry import deliver
from functions.errors import Permanent, Unavailable
from functions.message import Message
from functions.runtime import Runtime
from tests.adapters.families import FAMILIES, skipped_if_missing
from tests.pipeline.world import World

LARGEST = b"x" * 9_000_000


def refusing(*_: Any, **__: Any) -> Any:
    raise Permanent("creating is not allowed")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("letter", ["x", '"', "\x01", "ü"])
def test_the_largest_message_of_all_is_kept_with_what_fits_and_said_to_be_cut(
    family: str, letter: str, world: World, tmp_path: Path
):
    attributes = {f"{number:0256}": letter * (1024 // len(letter.encode())) for number in range(97)}
    told = {"reason": "no", "message_id": "m", "subscription": "sweep-requests"}
    message = Message(LARGEST, {**attributes, **told}, "1", "bury-dead-letters", 1)
    with skipped_if_missing(), FAMILIES[family](tmp_path / "store") as adapters:
        runtime = Runtime(adapters.ports, world.settings, world.runtime.log)
        assert deliver("bury", message, runtime) == (204, "")
        [kept] = adapters.ports.jobs.find(DeadLetter)
    assert (kept.letter_id, kept.attributes) == ("m", {})
    assert LARGEST.startswith(base64.b64decode(kept.data))
    assert "only the first 614400 of its 9000000 bytes are kept" in kept.reason
    assert "its attributes are too long to be kept" in kept.reason


def test_what_two_subscriptions_give_up_is_kept_for_each_and_only_once(world: World):
    for subscription in ("launch-finished", "summarize-finished") * 2:
        world.ports.bus.publish(DEAD_LETTERS, b"x", {"message_id": "m", "subscription": subscription})
    world.deliver()
    letters = world.ports.jobs.find(DeadLetter)
    assert sorted(letter.subscription for letter in letters) == ["launch-finished", "summarize-finished"]
    assert len({letter.letter_id for letter in letters}) == 2


def test_a_dead_letter_that_cannot_be_kept_now_waits_and_is_not_published_again(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    world.publish(b"lost?", DEAD_LETTERS)
    with monkeypatch.context() as patch:
        patch.setattr(world.ports.jobs, "create", refusing)
        world.deliver()
    [waiting] = world.embedded.bus.pending()
    assert (waiting.data, waiting.attempt) == (b"lost?", 1)
    assert "503 creating is not allowed" in waiting.last_error
    world.clock.pass_(minutes=10)
    world.deliver()
    assert len(world.ports.jobs.find(DeadLetter)) == 1
    assert world.embedded.bus.pending() == []


@pytest.mark.parametrize("error", [Permanent("the message is too large"), Unavailable("the topic is away")])
def test_without_a_dead_letter_a_message_is_not_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def publish(*_: Any) -> Any:
        raise error

    world.publish(b"no request", TRAIN_REQUESTS)
    with monkeypatch.context() as patch:
        patch.setattr(world.ports.bus, "publish", publish)
        world.deliver()
    [waiting] = world.embedded.bus.pending()
    assert f"503 no dead letter, because {error}" in waiting.last_error
    assert "the data are not JSON" in waiting.last_error
    world.clock.pass_(minutes=10)
    world.deliver()
    [kept] = world.ports.jobs.find(DeadLetter)
    assert "the data are not JSON" in kept.reason
    assert world.ports.jobs.find(Job) == []
