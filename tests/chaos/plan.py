"""Who asks for what, and when: drawn from a seed."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import Any, Literal

from infra.local.demo_data import demo_request, demo_settings, generate

Kind = Literal["table", "object", "upload", "conflict", "validate", "invalid", "broken", "garbage"]
WEIGHTS: dict[Kind, int] = {
    "table": 45, "object": 10, "upload": 20, "conflict": 6,
    "validate": 4, "invalid": 5, "broken": 5, "garbage": 5,
}  # fmt: skip
What = Literal["publish", "conflict", "upload", "cancel", "retry"]
DATA = "sources/DE/data.csv"


@dataclass(frozen=True)
class Request:
    """One thing that is asked for, and what kind of thing."""

    number: int
    kind: Kind
    trials: int
    large: bool

    @property
    def request_id(self) -> str:
        """Of a request that is published; an upload has none."""
        return f"chaos-{self.number}"

    @property
    def file(self) -> str:
        """The name of its data file."""
        return f"drop-zone/AT/u{self.number}.csv"

    @property
    def settings_file(self) -> str:
        """The name of the settings beside it."""
        return f"drop-zone/AT/u{self.number}.request.yaml"

    @property
    def is_upload(self) -> bool:
        """Whether files are laid into the drop-zone instead of a message published."""
        return self.kind in ("upload", "broken")

    def body(self, tables: bool, revision: str = "r1") -> dict[str, Any]:
        """What is published. `tables`: whether there is a warehouse."""
        body = {**demo_request(self.request_id, 5, self.trials), "revision": revision}
        if self.large:
            body["size"] = "large"
        if self.kind == "object" or not tables:
            body["source"] = {"kind": "object", "name": DATA}
        elif self.number % 2:
            body["cache"] = "refresh"
        if self.kind == "invalid":
            body["colour"] = "red"
        if self.kind == "validate":
            body["validate_only"] = True
        return body

    def files(self) -> dict[str, bytes]:
        """Name and content of what is uploaded, in the order of arrival."""
        content = b"date;revenue\n2024-01-01;much\n" if self.kind == "broken" else data()
        both = [(self.file, content), (self.settings_file, demo_settings(5, self.trials).encode())]
        return dict(both if self.number % 2 else reversed(both))


@dataclass(frozen=True)
class Step:
    """At a time (seconds since the start) somebody does something about a request."""

    at: float
    what: What
    request: Request


@functools.cache
def data() -> bytes:
    """A table as CSV."""
    return generate().table.iloc[:110].to_csv(index=False, date_format="%Y-%m-%d").encode()


def draw(seed: int, count: int, over_s: float) -> list[Step]:
    """So many requests over so many seconds; some come twice, some are cancelled, some retried."""
    rng = random.Random(f"plan-{seed}")  # noqa: S311
    kinds = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    steps: list[Step] = []
    for number, kind in enumerate(kinds):
        request = Request(number, kind, rng.randint(1, 3), rng.random() < 0.25)
        steps += _steps(rng, request, rng.uniform(0, over_s))
    return sorted(steps, key=lambda step: step.at)


def _steps(rng: random.Random, request: Request, at: float) -> list[Step]:
    if request.is_upload:
        return [Step(at, "upload", request), *_second_thoughts(rng, request, at)]
    steps = [Step(at, "publish", request)]
    if request.kind == "garbage":
        return steps
    if rng.random() < 0.3:
        steps.append(Step(at + rng.expovariate(1 / 10), "publish", request))
    if request.kind == "conflict":
        steps.append(Step(at + rng.expovariate(1 / 10), "conflict", request))
    return [*steps, *_second_thoughts(rng, request, at)]


def _second_thoughts(rng: random.Random, request: Request, at: float) -> list[Step]:
    steps = [Step(at, "retry", request)] if rng.random() < 0.5 else []
    return [Step(at + rng.uniform(0, 20), "cancel", request), *steps] if rng.random() < 0.12 else steps
