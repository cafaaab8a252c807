"""What a request leaves to its defaults, and what of that must not change after it was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.request import TrainRequest

_NO_NUMBERS = frozenset(
    {
        "schema_version",
        "request_id",
        "country",
        "revision",
        "source",
        "size",
        "queue",
        "priority",
        "cache",
        "validate_only",
        "requested_by",
        "schedule",
        "labels",
        "pictures",
    }
)
"""Fields of a request that change none of its result's numbers."""


def unsaid_numbers(request: TrainRequest) -> dict[str, Any]:
    """The defaults on which the numbers of a request depend and that it does not say itself.

    A default that means "none of it" (null, false, empty) is left out: a version that does not know the field
    computes the same.
    """
    whole = request.model_dump(mode="json", exclude=set(_NO_NUMBERS))
    return _unsaid(whole, request.model_dump(mode="json", exclude_unset=True))


def _unsaid(whole: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for name, value in whole.items():
        if isinstance(value, dict):
            its = said.get(name, {})
            value = _unsaid(value, its) if isinstance(its, dict) else {}
        elif name in said:
            continue
        if value not in (None, False, [], {}):
            left[name] = value
    return left
