from __future__ import annotations

import base64
import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.message import decode
from functions.notifications import object_event
from functions.ports import AlreadyExists, Conflict, NotFound, ObjectStore, Ports
from tests.adapters.families import Family, crash, die, race


def test_an_object_is_read_back_with_what_describes_it(object_store: ObjectStore) -> None:
    info = object_store.create("a/b.json", b"123456789", {"job": "7", "größe": "ü"})
    assert object_store.read("a/b.json") == b"123456789"
    assert object_store.stat("a/b.json") == info
    assert (info.name, info.size, info.metadata) == ("a/b.json", 9, {"job": "7", "größe": "ü"})
    assert (
        info.crc32c == base64.b64encode(struct.pack(">I", 0xE3069283)).decode()
    )  # the check value of CRC-32C
    assert info.updated.utcoffset() is not None
    assert info.generation > 0


def test_what_is_not_there(object_store: ObjectStore) -> None:
    assert object_store.stat("a") is None
    assert list(object_store.list("")) == []
    with pytest.raises(NotFound):
        object_store.read("a")
    with pytest.raises(NotFound), object_store.reader("a"):
        pass
    with pytest.raises(NotFound):
        object_store.copy("a", "b")


def test_create_never_overwrites(object_store: ObjectStore) -> None:
    first = object_store.create("a", b"1", {"by": "first"})
    with pytest.raises(AlreadyExists):
        object_store.create("a", b"2")
    with pytest.raises(AlreadyExists), object_store.writer("a"):
        pass
    object_store.create("b", b"4")
    with pytest.raises(AlreadyExists):
        object_store.copy("b", "a")
    assert object_store.stat("a") == first
    assert object_store.read("a") == b"1"


def test_replace_only_over_the_generation_that_was_read(object_store: ObjectStore) -> None:
    first = object_store.replace("a", b"1", if_generation=0)
    with pytest.raises(Conflict):
        object_store.replace("a", b"x", if_generation=0)
    second = object_store.replace("a", b"2", if_generation=first.generation)
    assert second.generation > first.generation
    with pytest.raises(Conflict) as lost:
        object_store.replace("a", b"x", if_generation=first.generation)
    assert not isinstance(lost.value, AlreadyExists)
    third = object_store.replace("a", b"3", if_generation=None)
    assert object_store.read("a") == b"3"
    assert object_store.stat("a") == third
    with pytest.raises(Conflict):
        object_store.replace("b", b"x", if_generation=third.generation)
    assert object_store.stat("b") is None


def test_only_the_generation_that_was_seen_is_deleted(object_store: ObjectStore) -> None:
    first = object_store.create("a/b", b"1")
    other = object_store.create("a/c", b"2")
    second = object_store.replace("a/b", b"3", if_generation=None)
    with pytest.raises(Conflict):
        object_store.delete("a/b", first.generation)
    assert object_store.read("a/b") == b"3"
    object_store.delete("a/b", second.generation)
    object_store.delete("a/b", second.generation)  # twice is once
    assert object_store.stat("a/b") is None
    assert list(object_store.list("")) == [other]
    with pytest.raises(NotFound):
        object_store.read("a/b", second.generation)
    again = object_store.create("a/b", b"4")
    assert again.generation > second.generation
    with pytest.raises(Conflict):
        object_store.delete("a/b", second.generation)


def _delete_or_replace(generation: int, ports: Ports, number: int) -> str:
    try:
        if number % 2:
            ports.objects.delete("a", generation)
            return "deleted"
        ports.objects.replace("a", b"new", generation)
    except Conflict:
        return "lost"
    return "replaced"


def test_what_is_replaced_at_the_same_moment_is_not_deleted(family: Family) -> None:
    info = family.ports.objects.create("a", b"old")
    ends = race(8, partial(_delete_or_replace, info.generation), family.reopen)
    assert ends.count("replaced") <= 1
    assert (family.ports.objects.stat("a") is not None) == ("replaced" in ends)


def test_an_old_generation_is_not_served_as_if_it_were_the_wanted_one(object_store: ObjectStore) -> None:
    first = object_store.create("a", b"1")
    assert object_store.read("a", first.generation) == b"1"
    second = object_store.replace("a", b"2", if_generation=None)
    with pytest.raises(NotFound):
        object_store.read("a", first.generation)
    with pytest.raises(NotFound), object_store.reader("a", first.generation):
        pass
    assert object_store.read("a", second.generation) == b"2"


def test_a_reader_keeps_its_content_while_the_object_is_replaced(object_store: ObjectStore) -> None:
    object_store.create("a", b"old content")
    with object_store.reader("a") as reader:
        assert reader.read(4) == b"old "
        object_store.replace("a", b"new", if_generation=None)
        assert reader.read() == b"content"
        reader.seek(0)
        assert reader.read() == b"old content"


def test_a_streamed_object_appears_when_it_is_whole(object_store: ObjectStore) -> None:
    with object_store.writer("a", {"k": "v"}) as writer:
        writer.write(b"12345")
        writer.write(b"")
        writer.write(b"6789")
        assert object_store.stat("a") is None
        assert list(object_store.list("")) == []
    info = object_store.stat("a")
    assert info
    assert (info.size, info.crc32c, info.metadata) == (9, "4waSgw==", {"k": "v"})


def test_arrow_writes_parquet_through_a_writer(object_store: ObjectStore) -> None:
    table = pa.table({"a": list(range(1000))})
    with object_store.writer("a") as writer, pq.ParquetWriter(writer, table.schema) as parquet:
        parquet.write_table(table)
    with object_store.reader("a") as reader:
        assert pq.read_table(reader).equals(table)


def test_a_block_that_raises_leaves_nothing(object_store: ObjectStore, family: Family) -> None:
    with pytest.raises(ZeroDivisionError):
        _write_half(object_store, lambda: 1 // 0)
    assert object_store.stat("datasets/DE/j/data.parquet") is None
    assert family.delivered() == []
    object_store.create("datasets/DE/j/data.parquet", b"later")


def test_an_empty_object(object_store: ObjectStore) -> None:
    info = object_store.create("a", b"")
    assert (info.size, info.crc32c) == (0, "AAAAAA==")
    assert object_store.read("a") == b""


def test_a_copy_has_content_and_metadata(object_store: ObjectStore) -> None:
    source = object_store.create("a", b"1", {"k": "v"})
    copy = object_store.copy("a", "b/c")
    other = object_store.copy("a", "b/d", {"x": "y"})
    assert copy.fingerprint == other.fingerprint == source.fingerprint
    assert (copy.metadata, other.metadata) == ({"k": "v"}, {"x": "y"})
    assert object_store.read("b/c") == b"1"


def test_a_large_object_is_copied_whole(object_store: ObjectStore) -> None:
    source = object_store.create("a", bytes(range(256)) * 12_000, {"k": "v"})
    copy = object_store.copy("a", "b")
    assert (copy.fingerprint, copy.metadata) == (source.fingerprint, {"k": "v"})
    assert object_store.read("b") == bytes(range(256)) * 12_000


def test_list_is_sorted_and_by_prefix(object_store: ObjectStore) -> None:
    names = ["a/1", "a/10", "a/2", "a/ü", "a-b", "a", "b", "A/1"]
    for name in names:
        if name != "a":  # a file and a folder of one name do not fit on a disk
            object_store.create(name, name.encode())
    assert [info.name for info in object_store.list("a/")] == ["a/1", "a/10", "a/2", "a/ü"]
    assert [info.name for info in object_store.list("a/1")] == ["a/1", "a/10"]
    assert [info.name for info in object_store.list("")] == ["A/1", "a-b", "a/1", "a/10", "a/2", "a/ü", "b"]
    assert [info.size for info in object_store.list("a/ü")] == [4]


def test_a_listing_tells_of_each_object_what_a_look_at_it_does(object_store: ObjectStore) -> None:
    told = [object_store.create("a/1", b"1", {"k": "v"}), object_store.create("a/2", b"")]
    assert list(object_store.list("a/")) == [object_store.stat("a/1"), object_store.stat("a/2")] == told


@pytest.mark.parametrize(
    "name", ["Ünï côdé/файл 1.csv", "a b/c d.csv", "x'; DROP TABLE objects; --", "%_*?[a]"]
)
def test_unusual_names_are_names(object_store: ObjectStore, name: str) -> None:
    object_store.create(name, b"1")
    assert object_store.read(name) == b"1"
    assert [info.name for info in object_store.list("")] == [name]
    assert [info.name for info in object_store.list(name[:2])] == [name]


def _create(ports: Ports, number: int) -> int | None:
    try:
        ports.objects.create("outcomes/j/attempt-1.json", str(number).encode() * 1000)
    except AlreadyExists:
        return None
    return number


def test_one_of_sixteen_racing_creators_wins(family: Family) -> None:
    winners = [number for number in race(16, _create, family.reopen) if number is not None]
    assert len(winners) == 1
    assert family.ports.objects.read("outcomes/j/attempt-1.json") == str(winners[0]).encode() * 1000
    assert len(family.delivered()) == 1


def _append(ports: Ports, number: int) -> int:
    wins = 0
    while wins < 10:
        info = ports.objects.stat("summary.json")
        try:
            before = ports.objects.read("summary.json", info.generation) if info else b""
            ports.objects.replace("summary.json", before + b"x", info.generation if info else 0)
            wins += 1
        except (Conflict, NotFound):
            continue
    return wins


def test_no_replacement_of_racing_processes_is_lost(family: Family) -> None:
    race(4, _append, family.reopen)
    assert family.ports.objects.read("summary.json") == b"x" * 40


def _write_half(objects: ObjectStore, then: Callable[[], object]) -> None:
    with objects.writer("datasets/DE/j/data.parquet") as writer:
        writer.write(b"x" * 3_000_000)
        then()


def _write_half_and_die(reopen: Callable[[], Ports]) -> None:
    _write_half(reopen().objects, die)


def test_a_writer_that_dies_leaves_no_object(family: Family) -> None:
    crash(_write_half_and_die, family.reopen)
    objects = family.ports.objects
    assert objects.stat("datasets/DE/j/data.parquet") is None
    assert list(objects.list("")) == []
    objects.create("datasets/DE/j/data.parquet", b"whole")
    assert objects.read("datasets/DE/j/data.parquet") == b"whole"


def test_every_new_generation_under_a_notified_prefix_is_told_once(family: Family) -> None:
    objects = family.ports.objects
    first = objects.create("outcomes/j/attempt-1.json", b"1", {"k": "v"})
    second = objects.replace("outcomes/j/attempt-1.json", b"2", None)
    objects.create("prepared/DE/j/data.parquet", b"nobody listens")
    envelopes = family.delivered()
    told = [
        object_event(envelope["message"]["attributes"], base64.b64decode(envelope["message"]["data"]))
        for envelope in envelopes
    ]
    assert told == [first, second]
    attributes = envelopes[0]["message"]["attributes"]
    assert attributes["eventType"] == "OBJECT_FINALIZE"
    assert attributes["objectId"] == "outcomes/j/attempt-1.json"
    assert attributes["objectGeneration"] == str(first.generation)
    assert attributes["payloadFormat"] == "JSON_API_V1"
    assert decode(envelopes[0]).subscription == "finalize-outcomes"


def test_a_large_object_passes_through_in_pieces(object_store: ObjectStore, tmp_path: Path) -> None:
    piece = bytes(range(256)) * 4096
    with object_store.writer("large") as writer:
        for _ in range(20):
            writer.write(piece)
    expected = base64.b64encode(google_crc32c.value(piece * 20).to_bytes(4, "big")).decode()
    info = object_store.stat("large")
    assert info
    assert (info.size, info.crc32c) == (20 * len(piece), expected)
    with object_store.reader("large") as reader:
        reader.seek(-len(piece), io.SEEK_END)
        assert reader.read() == piece
