"""When a schedule comes.

Times of day are those of the schedule's zone, and each occurrence comes once: what the clock skips in spring
comes when it goes on, what it shows twice in autumn comes the first time. Only what comes every hour, or more
often (minute or hour begin with `*`), follows the time that really passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

IN_TIME = timedelta(minutes=15)
"""An occurrence that is seen later than this was missed."""
_SPANS = [IN_TIME, *(timedelta(days=days) for days in (0.1, 1.5, 9, 40, 400, 4000))]


class NoSuchTime(ValueError):
    """A cron expression or a time zone is none; the message says why."""


def zone(name: str) -> ZoneInfo:
    """The time zone of a name.

    Raises:
        NoSuchTime: there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, a folder of zones, no name at all
        raise NoSuchTime(f"there is no time zone '{name}'; write one such as Europe/Berlin") from error


def occurrences(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """Every occurrence after a time, in UTC, for ever; nothing if there is none in 50 years.

    Raises:
        NoSuchTime: the expression or the time zone is none.
    """
    its = zone(time_zone)
    try:
        every = CronSim(cron, after.astimezone(its))
    except CronSimError as error:
        raise NoSuchTime(f"'{cron}' is no time that comes again: {error}") from error
    last = after
    for local in every:
        found = local.astimezone(UTC)
        if found > last:  # where the clock is put back its times come twice
            yield found
            last = found


def last_until(cron: str, time_zone: str, after: datetime, until: datetime) -> datetime | None:
    """The last occurrence after a time, and not later than another; None if there is none.

    It looks at ever longer spans before `until`, so that it is fast however long ago `after` is.
    """
    for span in _SPANS:
        begin = max(after, until - span)
        found = None
        for one in occurrences(cron, time_zone, begin):
            if one > until:
                break
            found = one
        if found or begin == after:
            return found
    return None
