"""Production code with a mistake in it, for as long as a test wants to see whether it is noticed."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any
from unittest import mock


@dataclass(frozen=True)
class Edit:
    """A piece of the source of a function (or a method of `owner`), and what stands there instead."""

    target: Callable[..., Any]
    old: str
    new: str
    owner: type | None = None


@contextmanager
def applied(mutation: Iterable[Edit]) -> Iterator[None]:
    """The production code with the edits of one mutation in it."""
    edits: dict[Callable[..., Any], list[Edit]] = {}
    for edit in mutation:
        edits.setdefault(edit.target, []).append(edit)
    with ExitStack() as stack:
        for target, its_edits in edits.items():
            mutant = _mutant(target, its_edits)
            for owner in _owners(target, its_edits[0].owner):
                stack.enter_context(mock.patch.object(owner, target.__name__, mutant))
        yield


def _mutant(target: Callable[..., Any], edits: list[Edit]) -> Callable[..., Any]:
    source = textwrap.dedent(inspect.getsource(target))
    for edit in edits:
        assert source.count(edit.old) == 1, f"{target.__qualname__} does not hold once: {edit.old}"
        source = source.replace(edit.old, edit.new)
    module = sys.modules[target.__module__]
    space = dict(module.__dict__)
    exec(compile("from __future__ import annotations\n" + source, str(module.__file__), "exec"), space)  # noqa: S102
    mutant = FunctionType(
        space[target.__name__].__code__, module.__dict__, target.__name__, target.__defaults__
    )
    mutant.__kwdefaults__ = target.__kwdefaults__
    return mutant


def _owners(target: Callable[..., Any], owner: type | None) -> list[Any]:
    """Every module that knows the function by its name, or the class that has the method."""
    if owner is not None:
        return [owner]
    ours = [m for name, m in sys.modules.items() if name.startswith(("functions", "trainer"))]
    return [module for module in ours if getattr(module, target.__name__, None) is target]
