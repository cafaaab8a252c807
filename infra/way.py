"""Which event wakes which function, and which states it commits: read from the functions' source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from contracts.events import SUBSCRIPTIONS
from contracts.job import JobState

_COMMITTING = ("commit", "commit_end", "end", "moved", "TimelineEntry", "Job")
_ACCEPTING = ("extract", "web")
_REFUSING = (JobState.REJECTED, JobState.FAILED)  # what `refuse` commits, by the kind of error


def way_table(root: Path) -> str:
    """Event → function → states committed, as a Markdown table."""
    topics: dict[str, list[str]] = {}
    for topic, function in SUBSCRIPTIONS.values():
        topics.setdefault(function, []).append(f"`{topic}`")
    lines = ["| woken by | function | commits |", "|---|---|---|"]
    for function, names in [*topics.items(), ("web", ["people"])]:
        packages = [function, *(["acceptance"] if function in _ACCEPTING else [])]
        found = {state for package in packages for state in committed(root / "functions" / package)}
        states = sorted(found, key=list(JobState).index)
        lines.append(f"| {', '.join(names)} | {function} | {', '.join(states) or '–'} |")
    return "\n".join(lines) + "\n"


def committed(package: Path) -> set[JobState]:
    """The states that the functions of a package commit."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.glob("*.py"))]
    functions = {
        node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {state for call in calls for state in _by(call, functions)}


def _by(call: ast.Call, functions: dict[str, ast.FunctionDef]) -> Iterator[JobState]:
    name = _name(call.func)
    if name == "refuse":
        yield from _REFUSING
    if name not in _COMMITTING:
        return
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        yield from _states(argument)
        if isinstance(argument, ast.Call) and _name(argument.func) in functions:  # it returns the state
            answers = ast.walk(functions[_name(argument.func)])
            yield from (
                state
                for node in answers
                if isinstance(node, ast.Return) and node.value
                for state in _states(node.value)
            )


def _states(argument: ast.expr) -> Iterator[JobState]:
    """The states that an argument can be: `JobState.X`, or `JobState.X if … else JobState.Y`."""
    if isinstance(argument, ast.IfExp):
        yield from _states(argument.body)
        yield from _states(argument.orelse)
    elif isinstance(argument, ast.Attribute) and argument.attr in JobState.__members__:
        yield JobState[argument.attr]


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
