from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from unittest import mock

import pytest

from contracts.job import IgnoredFiles
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.files import Mark
from functions.errors import Unavailable
from functions.ports import AlreadyExists, NotFound
from tests.adapters.families import StepClock


@pytest.fixture
def embedded(tmp_path: Path, clock: StepClock) -> Embedded:
    return Embedded(tmp_path, clock)


def put(embedded: Embedded, name: str, content: bytes) -> Path:
    path = embedded.folder / "bucket" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def told(embedded: Embedded) -> list[tuple[str, str]]:
    return [
        (delivery.attributes["objectId"], delivery.attributes["objectGeneration"])
        for delivery in embedded.bus.pending()
    ]


def settle(embedded: Embedded, clock: StepClock) -> list[str]:
    """What becomes an object while nobody changes anything."""
    found = embedded.watcher.scan()
    clock.advance(2)
    return [info.name for info in [*found, *embedded.watcher.scan()]]


def test_a_file_becomes_an_object_when_it_has_been_unchanged_for_2_s(
    embedded: Embedded, clock: StepClock
) -> None:
    path = put(embedded, "drop-zone/DE/data ü.csv", b"half")
    assert embedded.watcher.scan(clock.now()) == []
    clock.advance(1.5)
    with path.open("ab") as file:
        file.write(b" whole")
    assert embedded.watcher.scan(clock.now()) == []
    clock.advance(1.9)
    assert embedded.watcher.scan(clock.now()) == []
    assert embedded.objects.stat("drop-zone/DE/data ü.csv") is None
    clock.advance(0.1)
    [info] = embedded.watcher.scan(clock.now())
    assert (info.name, info.size, info.updated) == ("drop-zone/DE/data ü.csv", 10, clock.now())
    assert embedded.objects.read(info.name, info.generation) == b"half whole"
    assert told(embedded) == [(info.name, str(info.generation))]
    assert settle(embedded, clock) == []
    assert len(told(embedded)) == 1


def test_a_restart_tells_of_nothing_twice(embedded: Embedded, clock: StepClock) -> None:
    put(embedded, "drop-zone/DE/data.csv", b"1")
    settle(embedded, clock)
    before = embedded.objects.stat("drop-zone/DE/data.csv")
    again = Embedded(embedded.folder, clock)
    assert settle(again, clock) == []
    assert again.objects.stat("drop-zone/DE/data.csv") == before
    assert len(told(again)) == 1


def test_a_file_that_came_while_nobody_watched_is_found_at_the_next_start(
    embedded: Embedded, clock: StepClock
) -> None:
    put(embedded, "drop-zone/DE/data.csv", b"1")
    assert settle(Embedded(embedded.folder, clock), clock) == ["drop-zone/DE/data.csv"]


def test_a_changed_file_is_a_new_generation(embedded: Embedded, clock: StepClock) -> None:
    put(embedded, "drop-zone/DE/data.csv", b"1")
    settle(embedded, clock)
    first = embedded.objects.stat("drop-zone/DE/data.csv")
    assert first
    put(embedded, "drop-zone/DE/data.csv", b"22")
    assert embedded.objects.stat("drop-zone/DE/data.csv") == first, "it may still be on its way"
    with pytest.raises(NotFound):
        embedded.objects.read("drop-zone/DE/data.csv", first.generation)
    with pytest.raises(Unavailable, match="is being changed"):
        embedded.objects.read("drop-zone/DE/data.csv")
    assert settle(embedded, clock) == ["drop-zone/DE/data.csv"]
    second = embedded.objects.stat("drop-zone/DE/data.csv")
    assert second
    assert second.generation > first.generation
    assert [generation for _, generation in told(embedded)] == [str(first.generation), str(second.generation)]
    assert embedded.objects.read("drop-zone/DE/data.csv", second.generation) == b"22"


def test_a_file_that_is_removed_and_restored_is_the_object_that_it_was(
    embedded: Embedded, clock: StepClock
) -> None:
    path = put(embedded, "drop-zone/DE/data.csv", b"1")
    settle(embedded, clock)
    first = embedded.objects.stat("drop-zone/DE/data.csv")
    path.unlink()
    settle(embedded, clock)
    assert embedded.objects.stat("drop-zone/DE/data.csv") is None
    assert list(embedded.objects.list("drop-zone/")) == []
    put(embedded, "drop-zone/DE/data.csv", b"1")
    assert settle(embedded, clock) == []
    assert embedded.objects.stat("drop-zone/DE/data.csv") == first
    put(embedded, "drop-zone/DE/data.csv", b"2")
    assert settle(embedded, clock) == ["drop-zone/DE/data.csv"]
    assert len({generation for _, generation in told(embedded)}) == 2


@pytest.mark.parametrize("times", [{"keep": True}, {"keep": False}])
def test_a_copy_of_the_folder_holds_the_same_objects(
    embedded: Embedded, clock: StepClock, tmp_path_factory: pytest.TempPathFactory, times: dict[str, bool]
) -> None:
    put(embedded, "drop-zone/DE/data.csv", b"1")
    settle(embedded, clock)
    embedded.objects.create("outcomes/j/attempt-1.json", b"{}", {"k": "v"})
    before, messages = list(embedded.objects.list("")), len(embedded.bus.pending())
    embedded.close()
    copy = tmp_path_factory.mktemp("restored") / "folder"
    shutil.copytree(embedded.folder, copy, copy_function=shutil.copy2 if times["keep"] else shutil.copy)
    restored = Embedded(copy, clock)
    assert restored.objects.read("drop-zone/DE/data.csv", before[0].generation) == b"1", "before any scan"
    assert settle(restored, clock) == []
    assert list(restored.objects.list("")) == before
    assert restored.objects.read("outcomes/j/attempt-1.json") == b"{}"
    assert len(restored.bus.pending()) == messages


def test_a_file_counts_as_uploaded_only_when_nobody_writes_it(embedded: Embedded, clock: StepClock) -> None:
    path = put(embedded, "drop-zone/DE/data.csv", b"")
    with path.open("ab") as writer:
        writer.write(b"half")
        writer.flush()
        for _ in range(5):
            assert settle(embedded, clock) == []
            clock.advance(60)
        writer.write(b" whole")
    assert settle(embedded, clock) == ["drop-zone/DE/data.csv"]
    assert embedded.objects.read("drop-zone/DE/data.csv") == b"half whole"


def test_where_nobody_knows_who_writes_a_file_rests_longer_than_others_paused(
    embedded: Embedded, clock: StepClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.adapters.embedded.watcher.open_for_writing", lambda _: None)
    path = put(embedded, "drop-zone/DE/slow.csv", b"1")
    assert settle(embedded, clock) == []
    clock.advance(6)
    with path.open("ab") as writer:
        writer.write(b"2")
    embedded.watcher.scan()
    clock.advance(10)
    assert embedded.watcher.scan() == [], "it has paused for 8 s before"
    clock.advance(6)
    assert [info.name for info in embedded.watcher.scan()] == ["drop-zone/DE/slow.csv"]


def test_a_file_that_goes_on_growing_says_what_it_continues(embedded: Embedded, clock: StepClock) -> None:
    path = put(embedded, "drop-zone/DE/data.csv", b"half")
    settle(embedded, clock)
    first = embedded.objects.stat("drop-zone/DE/data.csv")
    assert first
    with path.open("ab") as writer:
        writer.write(b" whole")
    settle(embedded, clock)
    second = embedded.objects.stat("drop-zone/DE/data.csv")
    assert second
    assert second.metadata == {"continues": str(first.generation)}
    put(embedded, "drop-zone/DE/data.csv", b"something else")
    settle(embedded, clock)
    third = embedded.objects.stat("drop-zone/DE/data.csv")
    assert third
    assert third.metadata == {}
    clock.advance(7200)
    put(embedded, "drop-zone/DE/data.csv", b"something else, and the next week")
    settle(embedded, clock)
    fourth = embedded.objects.stat("drop-zone/DE/data.csv")
    assert fourth
    assert fourth.generation > third.generation
    assert fourth.metadata == {}, "it was whole; somebody has added to it"


def test_an_upload_by_the_store_is_told_at_once_and_only_once(embedded: Embedded, clock: StepClock) -> None:
    info = embedded.objects.create("drop-zone/DE/data.csv", b"1")
    assert told(embedded) == [(info.name, str(info.generation))]
    assert settle(embedded, clock) == []
    assert settle(Embedded(embedded.folder, clock), clock) == []
    assert len(told(embedded)) == 1


def test_a_known_file_is_not_taken_again(embedded: Embedded) -> None:
    embedded.objects.create("drop-zone/DE/data.csv", b"1")
    mark = Mark.at(embedded.folder / "bucket" / "drop-zone" / "DE" / "data.csv")
    assert mark
    assert embedded.objects.adopt("drop-zone/DE/data.csv", mark) is None
    assert len(told(embedded)) == 1


def test_an_upload_does_not_overwrite_a_file_that_is_being_copied(
    embedded: Embedded, clock: StepClock
) -> None:
    path = put(embedded, "drop-zone/DE/data.csv", b"somebody's")
    with pytest.raises(AlreadyExists):
        embedded.objects.create("drop-zone/DE/data.csv", b"1")
    assert path.read_bytes() == b"somebody's"
    assert settle(embedded, clock) == ["drop-zone/DE/data.csv"]


@pytest.mark.parametrize(
    "name", [".hidden.csv", ".folder/data.csv", "data.csv~", "data.csv.part", "data.csv.tmp", "x.crdownload"]
)
def test_temporary_and_hidden_files_are_no_uploads(embedded: Embedded, clock: StepClock, name: str) -> None:
    put(embedded, f"drop-zone/DE/{name}", b"1")
    assert settle(embedded, clock) == []


def test_a_download_that_is_renamed_when_it_is_complete(embedded: Embedded, clock: StepClock) -> None:
    path = put(embedded, "drop-zone/DE/data.csv.part", b"1")
    settle(embedded, clock)
    path.rename(path.with_suffix(""))
    assert settle(embedded, clock) == ["drop-zone/DE/data.csv"]


def test_sources_are_taken_but_wake_nobody(embedded: Embedded, clock: StepClock) -> None:
    put(embedded, "sources/shop/data.csv", b"1")
    assert settle(embedded, clock) == ["sources/shop/data.csv"]
    assert embedded.objects.read("sources/shop/data.csv") == b"1"
    assert told(embedded) == []


def test_links_out_of_the_bucket_are_not_followed(
    embedded: Embedded, clock: StepClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.csv").write_text("secret")
    zone = embedded.folder / "bucket" / "drop-zone"
    (zone / "link.csv").symlink_to(outside / "secret.csv")
    (zone / "folder").symlink_to(outside)
    assert settle(embedded, clock) == []


def test_what_is_no_upload_is_listed_with_the_reason_until_it_is_gone(
    embedded: Embedded, clock: StepClock, caplog: pytest.LogCaptureFixture
) -> None:
    zone = os.fsencode(embedded.folder / "bucket" / "drop-zone")
    with open(zone + b"/not-\xff-utf8.csv", "wb") as file:
        file.write(b"1")
    os.mkfifo(zone + b"/pipe.csv")
    os.symlink("/etc", zone + b"/folder")
    os.symlink("/etc/passwd", zone + b"/link.csv")
    put(embedded, "drop-zone/data.csv.part", b"1")
    put(embedded, "drop-zone/z.csv", b"1")
    with caplog.at_level(logging.WARNING):
        assert settle(embedded, clock) == ["drop-zone/z.csv"]
        assert settle(embedded, clock) == []
    assert len(caplog.records) == 5, "each is reported once"
    found = embedded.jobs.get(IgnoredFiles, IgnoredFiles.KEY)
    assert found
    assert {file.name.removeprefix("drop-zone/"): file.reason[:12] for file in found.files} == {
        "data.csv.part": "names that e",
        "folder": "it is a symb",
        "link.csv": "it is a symb",
        "not-\\xff-utf8.csv": "'drop-zone/n",
        "pipe.csv": "it is no pla",
    }
    (embedded.folder / "bucket" / "drop-zone" / "data.csv.part").rename(
        embedded.folder / "bucket" / "drop-zone" / "data.csv"
    )
    assert settle(embedded, clock) == ["drop-zone/data.csv"]
    left = embedded.jobs.get(IgnoredFiles, IgnoredFiles.KEY)
    assert left
    assert len(left.files) == 4


def test_files_that_rest_are_looked_at_rarely_and_a_new_one_at_once(
    embedded: Embedded, clock: StepClock
) -> None:
    for number in range(200):
        put(embedded, f"drop-zone/DE/{number}.csv", b"1")
    embedded.watcher.look()
    clock.advance(2)
    assert len(embedded.watcher.look()) == 200
    embedded.watcher.look()
    with mock.patch.object(Mark, "of") as looked:
        for _ in range(20):
            embedded.watcher.look()
    assert looked.call_count == 0
    put(embedded, "drop-zone/DE/new.csv", b"1")
    embedded.watcher.look()
    clock.advance(2)
    assert [info.name for info in embedded.watcher.look()] == ["drop-zone/DE/new.csv"]


def test_many_files_at_once(embedded: Embedded, clock: StepClock) -> None:
    names = [f"drop-zone/c{number % 7}/{number}.csv" for number in range(300)]
    for name in names:
        put(embedded, name, name.encode())
    assert sorted(settle(embedded, clock)) == sorted(names)
    assert len(told(embedded)) == 300
    shutil.rmtree(embedded.folder / "bucket" / "drop-zone")
    assert settle(embedded, clock) == []
