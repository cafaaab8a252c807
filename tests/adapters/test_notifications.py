from __future__ import annotations

from datetime import UTC, datetime

import pytest

from functions.errors import BadMessage
from functions.notifications import notification, object_event
from functions.ports import ObjectInfo

INFO = ObjectInfo(
    "outcomes/j ü/attempt-1.json", 7, 9, "4waSgw==", datetime(2026, 1, 5, tzinfo=UTC), {"k": "ü"}
)


def test_a_notification_tells_everything_about_its_object() -> None:
    topic, data, attributes = notification(INFO)
    assert topic == "objects-outcomes"
    assert object_event(attributes, data) == INFO


def test_the_resource_that_cloud_storage_sends_is_understood() -> None:
    data = b"""{"kind": "storage#object", "id": "b/drop-zone/DE/x.csv/1699000000000001",
        "name": "drop-zone/DE/x.csv", "bucket": "b", "generation": "1699000000000001",
        "contentType": "text/csv",
        "timeCreated": "2026-01-05T12:00:00.123Z", "updated": "2026-01-05T12:00:00.123Z", "size": "9",
        "crc32c": "4waSgw==", "etag": "x"}"""
    info = object_event({"eventType": "OBJECT_FINALIZE"}, data)
    assert (info.name, info.generation, info.size) == ("drop-zone/DE/x.csv", 1699000000000001, 9)
    assert (info.crc32c, info.metadata) == ("4waSgw==", {})
    assert info.updated == datetime(2026, 1, 5, 12, 0, 0, 123000, tzinfo=UTC)


def test_an_object_that_wakes_nobody_has_no_notification() -> None:
    with pytest.raises(ValueError, match="no notified prefix"):
        notification(ObjectInfo("prepared/x", 1, 1, "", INFO.updated))


NAMELESS = b'{"name": "", "generation": "1", "size": "1", "crc32c": "x", "updated": "2026-01-05T12:00:00Z"}'


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{}", b"\xff", b'{"name": "a", "generation": "x"}', NAMELESS]
)
def test_other_data_are_no_notification(data: bytes) -> None:
    with pytest.raises(BadMessage, match="object resource"):
        object_event({"eventType": "OBJECT_FINALIZE"}, data)


@pytest.mark.parametrize("attributes", [{}, {"eventType": "OBJECT_DELETE"}])
def test_other_events_are_no_notification_of_a_new_object(attributes: dict[str, str]) -> None:
    with pytest.raises(BadMessage, match="OBJECT_FINALIZE"):
        object_event(attributes, notification(INFO)[1])
