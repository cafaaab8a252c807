"""Notifications of new objects, in the shape of Cloud Storage's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from contracts.base import storable
from contracts.events import NOTIFIED_PREFIXES
from functions.errors import BadMessage
from functions.ports import ObjectInfo

_CREATED = "OBJECT_FINALIZE"


def topic_of(name: str) -> str | None:
    """The topic that is notified of new objects with this name; None if there is none."""
    return next((topic for prefix, topic in NOTIFIED_PREFIXES.items() if name.startswith(prefix)), None)


def notification(info: ObjectInfo, bucket: str = "bucket") -> tuple[str, bytes, dict[str, str]]:
    """Topic, data and attributes of the notification of an object.

    Raises:
        ValueError: the object is under no notified prefix.
    """
    topic = topic_of(info.name)
    if topic is None:
        raise ValueError(f"'{info.name}' is under no notified prefix ({', '.join(NOTIFIED_PREFIXES)})")
    resource = {
        "kind": "storage#object",
        "name": info.name,
        "bucket": bucket,
        "generation": str(info.generation),
        "size": str(info.size),
        "crc32c": info.crc32c,
        "updated": info.updated.isoformat(),
        "metadata": dict(info.metadata),
    }
    attributes = {
        "eventType": _CREATED,
        "bucketId": bucket,
        "objectId": info.name,
        "objectGeneration": str(info.generation),
        "payloadFormat": "JSON_API_V1",
        "eventTime": info.updated.isoformat(),
    }
    return topic, json.dumps(resource, ensure_ascii=False).encode(), attributes


def object_event(attributes: Mapping[str, str], data: bytes) -> ObjectInfo:
    """The object that a notification is about.

    Raises:
        BadMessage: it is not the notification of a new object.
    """
    if attributes.get("eventType") != _CREATED:
        raise BadMessage(
            f"expected the notification of a new object (attribute eventType={_CREATED}), "
            f"got eventType={attributes.get('eventType')}"
        )
    try:
        resource, problems = storable(json.loads(data))
        if problems:
            raise ValueError("; ".join(problems))
        if not resource["name"]:
            raise ValueError("the object has no name")
        return ObjectInfo(
            name=str(resource["name"]),
            generation=int(resource["generation"]),
            size=int(resource["size"]),
            crc32c=str(resource["crc32c"]),
            updated=datetime.fromisoformat(resource["updated"]),
            metadata={str(key): str(value) for key, value in resource.get("metadata", {}).items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise BadMessage(f"the data of the notification are not an object resource: {error!r}") from error
