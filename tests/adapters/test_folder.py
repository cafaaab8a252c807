"""What is special about keeping everything in one folder of a machine."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from contracts.job import Job, Queue, Upload
from functions.adapters.embedded import Embedded, FolderInUse
from functions.adapters.embedded.database import DamagedFolder
from functions.errors import Unavailable
from functions.ports import NotFound, Ports
from tests.adapters.families import StepClock, crash, die, embedded_ports, race
from tests.adapters.test_job_store import NOW, a_job
from tests.adapters.test_object_store import _write_half

OUTCOME = "outcomes/j/attempt-1.json"


def test_only_one_host_runs_on_a_folder(tmp_path: Path) -> None:
    first, second = Embedded(tmp_path), Embedded(tmp_path)
    first.lock()
    with pytest.raises(FolderInUse, match=str(os.getpid())):
        second.lock()
    first.close()
    second.lock()


def _lock_and_die(folder: Path) -> None:
    embedded = Embedded(folder)
    embedded.lock()
    die()


def test_a_dead_host_does_not_keep_its_folder(tmp_path: Path) -> None:
    crash(_lock_and_die, tmp_path)
    Embedded(tmp_path).lock()


def test_content_is_a_plain_file_that_others_may_read(tmp_path: Path) -> None:
    Embedded(tmp_path).objects.create("robyn/r/DE/x/model_summary.json", b"{}")
    path = tmp_path / "bucket" / "robyn" / "r" / "DE" / "x" / "model_summary.json"
    assert path.read_bytes() == b"{}"
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert list((tmp_path / "partial").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        ("/etc/passwd", "slash"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("../state.db", r"`\.\.`"),
        ("a/../../state.db", r"`\.\.`"),
        ("./a", r"`\.`"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("x" * 256, "255 bytes"),
        ("ü" * 128, "255 bytes"),
        ("/".join(["abcdefghi"] * 110), "1024 bytes"),
        ("\ud800", "Unicode"),
    ],
)
def test_a_name_that_cannot_be_a_file_is_refused(tmp_path: Path, name: str, said: str) -> None:
    objects = Embedded(tmp_path).objects
    for write in (
        lambda: objects.create(name, b"1"),
        lambda: objects.replace(name, b"1", None),
        lambda: objects.writer(name).__enter__(),
    ):
        with pytest.raises(ValueError, match=said):
            write()
    assert list((tmp_path / "partial").iterdir()) == []
    for unknown in (name, f"drop-zone/DE/{name}"):
        if unknown.isprintable():
            assert objects.stat(unknown) is None
            with pytest.raises(NotFound):
                objects.read(unknown)


def test_links_lead_nowhere(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("secret")
    objects = Embedded(tmp_path).objects
    (tmp_path / "bucket" / "folder").symlink_to(outside)
    with pytest.raises(ValueError, match="symbolic link"):
        objects.create("folder/new", b"1")
    objects.create("file", b"1")
    (tmp_path / "bucket" / "file").unlink()
    (tmp_path / "bucket" / "file").symlink_to(outside / "secret")
    assert objects.stat("file") is None
    with pytest.raises(NotFound):
        objects.read("file")
    objects.create("file", b"mine")
    assert (outside / "secret").read_text() == "secret"
    assert objects.read("file") == b"mine"


def test_a_file_and_a_folder_of_one_name_are_refused_clearly(tmp_path: Path) -> None:
    objects = Embedded(tmp_path).objects
    objects.create("a/b", b"1")
    for name in ("a", "a/b/c"):
        with pytest.raises(ValueError, match="both a file and a folder"):
            objects.create(name, b"2")
    assert [info.name for info in objects.list("")] == ["a/b"]


def test_a_file_changed_by_hand_is_a_new_generation(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    first = embedded.objects.create(OUTCOME, b"1", {"k": "v"})
    (tmp_path / "bucket" / OUTCOME).write_bytes(b"22")
    assert embedded.objects.read(OUTCOME) == b"22"
    second = embedded.objects.stat(OUTCOME)
    assert second
    assert second.generation > first.generation
    assert (second.size, second.metadata) == (2, {})
    assert second.crc32c != first.crc32c
    assert len(embedded.bus.pending()) == 2
    with pytest.raises(NotFound):
        embedded.objects.read(OUTCOME, first.generation)


def test_a_file_removed_by_hand_is_no_object(tmp_path: Path) -> None:
    objects = Embedded(tmp_path).objects
    first = objects.create("a", b"1")
    (tmp_path / "bucket" / "a").unlink()
    assert objects.stat("a") is None
    assert list(objects.list("")) == []
    assert objects.create("a", b"1").generation > first.generation


def _rename_and_die(folder: Path, content: bytes) -> None:
    """Dies after the file was renamed, before its row and its message were committed."""
    embedded = Embedded(folder)
    embedded.bus.enqueue = die  # type: ignore[assignment, method-assign]
    embedded.objects.replace(OUTCOME, content, None)


def test_a_creation_that_dies_half_way_is_no_object_and_can_be_done_again(tmp_path: Path) -> None:
    crash(_rename_and_die, tmp_path, b"1")
    embedded = Embedded(tmp_path)
    assert (tmp_path / "bucket" / OUTCOME).exists(), "it died where it was meant to"
    assert embedded.objects.stat(OUTCOME) is None
    with pytest.raises(NotFound):
        embedded.objects.read(OUTCOME)
    assert list(embedded.objects.list("")) == []
    assert embedded.bus.pending() == []
    embedded.objects.create(OUTCOME, b"2")
    assert embedded.objects.read(OUTCOME) == b"2"
    assert len(embedded.bus.pending()) == 1


def test_a_replacement_that_dies_half_way_is_a_new_generation_that_is_told(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    first = embedded.objects.create(OUTCOME, b"1")
    crash(_rename_and_die, tmp_path, b"22")
    second = embedded.objects.stat(OUTCOME)
    assert second
    assert second.generation > first.generation
    assert embedded.objects.read(OUTCOME, second.generation) == b"22"
    assert len(embedded.bus.pending()) == 2


def test_beside_an_older_index_newer_files_are_not_there_and_are_written_anew(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    embedded.objects.create("robyn/old", b"old")
    embedded.objects.create("robyn/changed", b"old")
    embedded.close()
    backup = (tmp_path / "state.db").read_bytes()
    newer = Embedded(tmp_path)
    newer.objects.replace("robyn/changed", b"newer", None)
    newer.objects.create(OUTCOME, b"newer")
    newer.close()
    (tmp_path / "state.db").write_bytes(backup)
    restored = Embedded(tmp_path).objects
    assert [info.name for info in restored.list("")] == ["robyn/changed", "robyn/old"]
    assert (restored.read("robyn/old"), restored.read("robyn/changed")) == (b"old", b"newer")
    for read in (restored.read, lambda name: restored.copy(name, "elsewhere")):
        with pytest.raises(NotFound):
            read(OUTCOME)
    restored.create(OUTCOME, b"anew")
    assert restored.read(OUTCOME) == b"anew"


def test_a_writer_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        _write_half(Embedded(tmp_path).objects, lambda: 1 // 0)
    assert [path for path in tmp_path.rglob("*") if path.stat().st_size > 1_000_000] == []


def _write_and_die(folder: Path) -> None:
    _write_half(Embedded(folder).objects, die)


def test_what_a_dead_writer_left_is_removed_later(tmp_path: Path) -> None:
    crash(_write_and_die, tmp_path)
    [left] = (tmp_path / "partial").iterdir()
    embedded = Embedded(tmp_path)
    embedded.lock()
    assert left.exists(), "a training that outlived its host may still be writing it"
    embedded.close()
    day_ago = time.time() - 25 * 3600
    os.utime(left, (day_ago, day_ago))
    Embedded(tmp_path).lock()
    assert not left.exists()


def test_writing_a_large_object_takes_little_memory(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from functions.adapters.embedded import Embedded
objects = Embedded(Path(sys.argv[1])).objects
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with objects.writer("large") as writer:
    for _ in range(200):
        writer.write(bytes(1 << 20))
objects.copy("large", "copy")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    grown = subprocess.check_output([sys.executable, "-c", program, str(tmp_path)], text=True)
    assert float(grown) < 50, "it is 200 MB large"


def test_no_list_is_cut_unless_asked_to(tmp_path: Path) -> None:
    jobs = Embedded(tmp_path).jobs
    for number in range(10_050):
        jobs.create(Upload(name=f"u{number}", generation=1, country="DE", since=NOW))
    assert len(jobs.find(Upload)) == len(jobs.find(Upload, state="WAITING")) == 10_050
    assert [upload.name for upload in jobs.find(Upload, limit=2)] == ["u10049", "u10048"]


def test_a_list_by_several_filters_looks_through_the_narrowest(tmp_path: Path) -> None:
    """Common values that no job has together, or one has: as few steps beside many jobs as beside few."""
    embedded = Embedded(tmp_path)

    def fill(first: int, last: int) -> None:
        for number in range(first, last):
            fields = {"state": "FAILED", "country": "FR"} if number < 3 else {"country": "DE"}
            embedded.jobs.create(a_job(f"j{number}", queue="bulk", **fields))

    def steps() -> list[int]:
        counts = []
        for wanted in ({"state": "FAILED", "queue": "bulk"}, {"revision": "none", "country": "DE"}):
            begun = itertools.count()
            connection = embedded._database.connection
            connection.set_progress_handler(lambda begun=begun: next(begun) and None, 1)  # type: ignore[misc]
            found = embedded.jobs.find(Job, limit=26, **wanted)
            connection.set_progress_handler(None, 1)
            assert len(found) == (3 if "state" in wanted else 0)
            counts.append(next(begun))
        return counts

    fill(0, 1200)
    few = steps()
    fill(1200, 2400)
    assert all(now <= 1.1 * before for now, before in zip(steps(), few, strict=True))


def test_a_folder_of_an_earlier_release_is_listed_and_goes_on_being_written_by_it(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    embedded.jobs.create(a_job("a", country="DE"))
    database = sqlite3.connect(tmp_path / "state.db")
    database.executescript(
        "DROP TRIGGER document_created; DROP TRIGGER document_changed; DROP TRIGGER document_removed; "
        "DROP TABLE listed; CREATE INDEX former ON documents (kind, json_extract(body, '$.state'));"
    )
    again = Embedded(tmp_path)
    assert [job.job_id for job in again.jobs.find(Job, country="DE")] == ["a"]
    assert not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'former'").fetchall()
    body = a_job("b", country="DE").model_dump_json()  # as an earlier release writes
    with database:
        database.execute(
            "INSERT INTO documents (kind, key, version, body) VALUES ('jobs', 'b', 1, ?)", (body,)
        )
    assert [job.job_id for job in again.jobs.find(Job, country="DE")] == ["b", "a"]


def test_what_may_go_is_removed_when_its_time_has_come(tmp_path: Path) -> None:
    jobs = Embedded(tmp_path).jobs
    for name, expires in {"gone": NOW, "later": NOW + timedelta(seconds=1), "never": None}.items():
        jobs.create(Upload(name=name, generation=1, country="DE", since=NOW, expires=expires))
    jobs.create(a_job("a"))
    jobs.remove_expired(NOW)
    assert [upload.name for upload in jobs.find(Upload)] == ["never", "later"]
    assert jobs.get(Job, "a")


def _open(folder: Path, _: Ports, number: int) -> list[Queue]:
    return Embedded(folder).jobs.find(Queue)


def test_processes_that_open_a_new_folder_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    for number in range(3):
        new = tmp_path / str(number)
        assert race(6, partial(_open, new), partial(embedded_ports, tmp_path / "other")) == [[]] * 6


def test_a_locked_database_is_a_transient_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.adapters.embedded.database._BUSY_TIMEOUT_S", 0.05)
    embedded = Embedded(tmp_path)
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        embedded.jobs.create(Queue(name="default"))
    other.execute("ROLLBACK")
    other.close()
    assert embedded.jobs.create(Queue(name="default"))


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    Embedded(tmp_path).close()
    other = sqlite3.connect(tmp_path / "state.db")
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(RuntimeError, match="layout 99"):
        Embedded(tmp_path)


def test_a_folder_whose_database_is_gone_or_damaged_is_not_begun_anew(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    embedded.objects.create(OUTCOME, b"1")
    embedded.close()
    state = tmp_path / "state.db"
    whole = state.read_bytes()
    for content, said in ((None, "missing"), (b"", "empty"), (b"x" * 8192, "damaged")):
        state.unlink(missing_ok=True)
        for path in tmp_path.glob("state.db-*"):
            path.unlink()
        if content is not None:
            state.write_bytes(content)
        with pytest.raises(DamagedFolder, match=said):
            Embedded(tmp_path)
        assert (state.read_bytes() if state.exists() else None) == content, "nothing was changed"
    state.write_bytes(whole)
    assert Embedded(tmp_path).objects.read(OUTCOME) == b"1"


def _overwrite_pages(state: Path) -> None:
    """The header and the schema stay as they are."""
    pages = state.stat().st_size // 4096
    with state.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"x" * (pages - 2) * 4096)


def _overwrite_texts(state: Path) -> None:
    state.write_bytes(state.read_bytes().replace(b'"job_id"', b"\0" * 8))


def _put_another_in_its_place(state: Path) -> None:
    other = state.with_name("other")
    other.write_bytes(state.read_bytes())
    other.replace(state)


def _go_through(embedded: Embedded) -> None:
    """Read and write what there is."""
    for number in range(30):
        found = embedded.jobs.get(Job, f"j{number}")
        assert found
        embedded.jobs.replace(found, found.version)


@pytest.mark.parametrize(
    "damage",
    [
        _overwrite_pages,
        _overwrite_texts,
        _put_another_in_its_place,
        lambda state: os.truncate(state, 5 * 4096),
        lambda state: os.truncate(state, 0),
        lambda state: state.write_bytes(b"x" * 8192),
        Path.unlink,
        lambda state: shutil.rmtree(state.parent),
    ],
)
def test_damage_while_the_system_runs_is_said_in_every_process(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    folder = tmp_path / "folder"
    embedded = Embedded(folder)
    embedded.lock()
    for number in range(30):
        embedded.jobs.create(a_job(f"j{number}"))
    embedded.close()  # all is in the file now
    host, helper = Embedded(folder), Embedded(folder)
    host.lock()
    host.look()
    damage(folder / "state.db")
    with pytest.raises(DamagedFolder, match=r"state\.db is damaged"):
        _go_through(helper)
    with pytest.raises(DamagedFolder, match=r"put a backup of state\.db in its place"):
        host.look()


def test_a_restored_database_is_as_good_as_new(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    embedded.lock()
    embedded.jobs.create(a_job("j"))
    embedded.close()
    state = tmp_path / "state.db"
    backup = state.read_bytes()
    helper = Embedded(tmp_path)
    state.unlink()
    with pytest.raises(DamagedFolder):
        helper.jobs.create(a_job("k"))
    state.write_bytes(backup)
    for path in tmp_path.glob("state.db-*"):
        path.unlink()
    restored = Embedded(tmp_path)
    restored.lock()
    restored.look()
    assert restored.jobs.get(Job, "j")


def test_a_folder_in_which_there_were_only_uploads_is_not_begun_anew_either(tmp_path: Path) -> None:
    upload = tmp_path / "bucket/drop-zone/DE/sales.csv"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"1")
    embedded = Embedded(tmp_path)  # the files may be put there first
    embedded.lock()
    embedded.close()
    (tmp_path / "state.db").write_bytes(b"")
    with pytest.raises(DamagedFolder, match="used before"):
        Embedded(tmp_path)


def test_time_comes_from_the_clock(tmp_path: Path, clock: StepClock) -> None:
    objects = Embedded(tmp_path, clock).objects
    first = objects.create("a", b"1")
    assert first.updated == clock.now()
    second = objects.replace("a", b"2", None)
    assert second.generation > first.generation, "although no time passed"


def test_trainings_and_handlers_load_quickly() -> None:
    program = "import functions.adapters.embedded, sys; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["duckdb", "pyarrow", "pandas", "numpy", "requests", "flask"]
    assert subprocess.check_output([sys.executable, "-c", program, *heavy], text=True).strip() == "[]"
