from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from functions.settings import EmbeddedSettings, GcpSettings, Settings
from functions.trace import FIELD, trace

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
COMMON = {"engines": ["native"], "queues": {"default": 1}}
GCP = GcpSettings(family="gcp", project="p", region="r", bucket="b", trainer_jobs={"native": "t"}, **COMMON)
LOCAL = EmbeddedSettings(family="embedded", folder="/none", **COMMON)


@pytest.mark.parametrize(
    ("settings", "headers", "field"),
    [
        (GCP, {"traceparent": f"00-{ID}-00f067aa0ba902b7-01"}, {FIELD: f"projects/p/traces/{ID}"}),
        (GCP, {"X-Cloud-Trace-Context": f"{ID}/123;o=1"}, {FIELD: f"projects/p/traces/{ID}"}),
        (GCP, {"X-Cloud-Trace-Context": ID}, {FIELD: f"projects/p/traces/{ID}"}),
        (GCP, {"traceparent": "whatever\nelse"}, {}),
        (GCP, {}, {}),
        (LOCAL, {"traceparent": f"00-{ID}-00f067aa0ba902b7-01"}, {}),
    ],
)  # fmt: skip
def test_lines_of_one_request_are_joined_where_there_is_cloud_logging(
    settings: Settings, headers: dict[str, str], field: dict[str, str]
) -> None:
    assert trace(Headers({k: v.replace("\n", " ") for k, v in headers.items()}), settings) == field
