"""Uploads that wait for their settings, or folders of parts for what is missing of them."""

from __future__ import annotations

from datetime import timedelta

from contracts.job import KEEP_ENDED, Upload
from functions.runtime import Runtime

PATIENCE = timedelta(days=7)


def sweep_uploads(runtime: Runtime) -> None:
    """Reject uploads that did not get what they wait for within `PATIENCE`."""
    now = runtime.ports.clock.now()
    for upload in runtime.ports.jobs.due(Upload, now - PATIENCE, by="since", state="WAITING"):
        reason = _reason(upload)
        rejected = {"state": "REJECTED", "reason": reason, "expires": now + KEEP_ENDED}
        runtime.ports.jobs.replace(upload.model_copy(update=rejected), upload.version)
        runtime.log("WARNING", f"upload rejected: {reason}", object=upload.name)


def _reason(upload: Upload) -> str:
    if upload.begun:
        return f"its job was not made within {PATIENCE.days} days; see the dead letters, then upload it again"
    if upload.generation:
        return f"no settings came within {PATIENCE.days} days; upload the file again, with its settings"
    return f"{upload.reason}; they did not come within {PATIENCE.days} days. Upload the folder again, whole"
