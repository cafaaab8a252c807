"""Uploads that wait for their settings."""

from __future__ import annotations

from datetime import timedelta

from contracts.job import Upload
from functions.runtime import Runtime

PATIENCE = timedelta(days=7)


def sweep_uploads(runtime: Runtime) -> None:
    """Reject uploads whose settings did not come within `PATIENCE`."""
    now = runtime.ports.clock.now()
    for upload in runtime.ports.jobs.find(Upload, state="WAITING"):
        if now - upload.since >= PATIENCE:
            reason = f"no settings came within {PATIENCE.days} days; upload the file again, with its settings"
            changed = upload.model_copy(update={"state": "REJECTED", "reason": reason})
            runtime.ports.jobs.replace(changed, upload.version)
            runtime.log("WARNING", f"upload rejected: {reason}", object=upload.name)
