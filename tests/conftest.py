"""What every test run says at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator

import pytest
from hypothesis import settings

# The same examples in every run, so that a red run is a change's fault; `make chaos` looks for new ones.
settings.register_profile("same-every-time", derandomize=True)
settings.load_profile("same-every-time")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """After everything else: how many tests were skipped, and why."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in skipped)
    terminalreporter.write_sep(
        "=", f"{len(skipped)} tests were skipped" if skipped else "no test was skipped"
    )
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"{number:5d} × {reason}")


def _reason(report: pytest.TestReport) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return told.removeprefix("Skipped: ")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names hold no bytes: compressed ones contain the time, and all workers must collect the same tests."""
    return argname if isinstance(val, bytes) else None
