"""The system's patience, shortened: what takes minutes in production must not take minutes here."""

from __future__ import annotations

SPEED = 15
"""Every deadline, back-off and period is so many times shorter; what comes after it is as in production."""

SWEEP_PERIOD_S = 60.0 / SPEED
ACK_DEADLINE_S = 600.0 / SPEED
MAX_BACK_OFF_S = 600.0 / SPEED


def hasten() -> None:
    """Shorten the deadlines of the functions in this process, before most handlers are imported."""
    from functions import steps

    steps.HANDLER_DEADLINE /= SPEED
    steps.HEARTBEAT_DEADLINE /= SPEED
    from functions.launch import handler as launch

    launch.ORPHANED_AFTER /= SPEED
