"""An example of a call for routes that take or answer more than an id; tests send each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """One call, as the reference shows it."""

    path: str
    """Under `/api/v1`, with its parameters."""
    body: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    """None where the answer is long; its model describes it."""


_REQUEST: dict[str, Any] = {
    "request_id": "de-weekly-2026-w46",
    "country": "DE",
    "revision": "r2026-11",
    "source": {"kind": "object", "name": "sources/DE/sales.csv"},
    "columns": {
        "date": "week",
        "dependent": "revenue",
        "dependent_type": "revenue",
        "paid_media": ["tv_spend", {"spend": "search_spend", "exposure": "search_clicks"}],
        "context": ["price"],
    },
    "budget": {"scenario": "max_response", "total": "+10 %"},
}
_SETTINGS: dict[str, Any] = {"revision": "r2026-11", "columns": _REQUEST["columns"]}
_ROW: dict[str, Any] = {
    "job_id": "weekly-2",
    "request_id": "weekly-2-request",
    "country": "DE",
    "revision": "q4",
    "queue": "default",
    "priority": 0,
    "requested_by": None,
    "labels": [],
    "state": "FAILED",
    "done": True,
    "attempt": 1,
    "accepted_at": "2026-11-21T12:00:00Z",
    "updated_at": "2026-11-21T12:00:00Z",
    "progress": None,
    "reason": "It ran out of memory",
    "result": None,
    "findings": 0,
}

EXAMPLES: dict[str, Example] = {
    "list_jobs": Example(
        "/jobs?country=DE&state=FAILED&page_size=1", answer={"jobs": [_ROW], "next_page_token": ""}
    ),
    "count_jobs": Example("/jobs:count?state=FAILED", answer={"count": 1, "more": False}),
    "create_job": Example("/jobs", _REQUEST),
    "validate_job": Example(
        "/jobs:validate",
        {**_REQUEST, "search": {"trials": 0}},
        {
            "valid": False,
            "violations": [
                {
                    "path": "search.trials",
                    "message": "must be greater than or equal to 1",
                    "advice": "",
                }
            ],
            "normalized": None,
        },
    ),
    "move_job": Example("/jobs/weekly-3:move", {"queue": "bulk", "priority": 10}),
    "use_country_model": Example("/countries/DE:use", {"job_id": "weekly-1"}),
    "put_settings": Example(
        "/countries/DE/settings",
        {"generation": 0, "settings": _SETTINGS},
        {"country": "DE", "generation": 1, "settings": _SETTINGS},
    ),
    "answer_plan": Example(
        "/jobs/weekly-1/plans",
        {"dates": "last-4", "scenario": "max_response", "total": "+10 %", "bounds": {"low": 0.5, "high": 2}},
    ),
    "list_queues": Example(
        "/queues",
        answer={
            "queues": [
                {"name": "default", "running": 0, "limit": 2, "paused": False},
                {"name": "bulk", "running": 0, "limit": 4, "paused": False},
            ]
        },
    ),
    "replay_dead_letters": Example(
        "/dead-letters:replay",
        {"subscription": "extract-requests", "reason": "the data are not JSON"},
    ),
    "list_uploads": Example(
        "/uploads?state=REJECTED", answer={"uploads": [], "ignored": [], "next_page_token": ""}
    ),
    "create_upload": Example(
        "/uploads",
        {"country": "DE", "name": "sales.csv", "place": "sources"},
        {
            "object": "sources/DE/sales.csv",
            "url": "/uploads/files/sources/DE/sales.csv",
            "fields": {},
        },
    ),
    "preview_source": Example("/sources:preview", {"source": _REQUEST["source"]}),
}
"""By the name of the route. One installation answers all of them, in this order."""
