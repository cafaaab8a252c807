"""`python -m infra.local.verdicts`: what the words of trust.json are worth in worlds whose truth is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import pandas as pd

from contracts.request import TrainRequest
from contracts.result import BestModel
from contracts.trust import Checks, TrustDocument
from infra.local.demo_data import demo_request
from infra.local.kinds import KINDS, world
from infra.local.truth import SEPARATE, judged, ranked
from trainer.engines.base import Host, Material
from trainer.engines.native.engine import NativeEngine
from trainer.posterior.job import Asked
from trainer.trust.job import Judge
from trainer.trust.thresholds import THRESHOLDS

SEARCHES = ((2000, 5), (300, 2))
"""Iterations and trials, in turn, so that the checks of the search have something to find."""


@dataclass(frozen=True)
class Tried:
    """A job of a world, and how right it is."""

    kind: str
    trust: TrustDocument
    best: pd.DataFrame
    """Per paid channel `roas` of the best model and `true_roas`."""
    posterior: pd.DataFrame
    """See `infra.local.truth.judged`."""


def tried(kind: str, seed: int, checks: str) -> Tried:
    """A whole job of one world, without pictures."""
    data = world(KINDS[kind], seed)
    iterations, trials = SEARCHES[seed % len(SEARCHES)]
    request = demo_request("verdicts", iterations, trials) | {"checks": checks}
    request |= {"pictures": "none", "budget": None}
    config = TrainRequest.model_validate(request).model_spec()
    asked = Asked(1, _step, _silent)
    host = Host(1, _step, _silent, _silent, asked, Judge(asked))
    with TemporaryDirectory(prefix="verdicts-") as scratch:
        folder, results = Path(scratch), Path(scratch) / "results"
        results.mkdir()
        data.table.to_parquet(folder / "prepared.parquet")
        engine = NativeEngine(Material(folder / "prepared.parquet", config, None), host)
        engine.search(range(1, trials + 1), folder / "share")
        engine.finish([folder / "share"], results)
        trust = TrustDocument.model_validate_json((results / "trust.json").read_bytes())
        best = BestModel.model_validate_json((results / "best_model.json").read_bytes())
    if asked.found is None:
        raise RuntimeError(f"world {seed} of the kind {kind} has no posterior")
    of_posterior = judged(asked.found, data.table, data.contributions)
    of_best = pd.DataFrame({"roas": {one.name: one.roas for one in best.channels if one.paid}}, dtype=float)
    return Tried(kind, trust, of_best.assign(true_roas=of_posterior["true_roas"]), of_posterior)


@contextmanager
def _step(_name: str) -> Iterator[None]:
    yield


def _silent(_told: object) -> None:
    pass


def table(jobs: list[Tried]) -> str:
    """As Markdown: per check and word how many jobs there are, and how right they are."""
    lines = [
        "| check | word | jobs | best model: pairs right from 1.5 ×; error of ROAS "
        "| posterior: error of ROAS; 90 % holds |",
        "|---|---|---|---|---|",
    ]
    for check in THRESHOLDS:
        for word in ("good", "doubtful", "bad"):
            of_word = [job for job in jobs if (check, word) in {(x.check, x.word) for x in job.trust.lines}]
            if of_word:
                lines.append(f"| `{check}` | {word} | {len(of_word)} | {_right(of_word)} |")
    return "\n".join(lines)


def _right(jobs: list[Tried]) -> str:
    """Errors are medians over the jobs of each job's median over channels."""
    right, pairs = ranked([job.best for job in jobs], SEPARATE[0])
    told = pd.concat([job.posterior for job in jobs])
    holds = told["true_roas"].between(told["low"], told["high"]).mean()
    of_best, of_posterior = (
        np.median([(one["roas"] / one["true_roas"] - 1).abs().median() for one in frames])
        for frames in ([job.best for job in jobs], [job.posterior for job in jobs])
    )
    ranks = f"{right / max(pairs, 1):.0%} of {pairs}"
    return f"{ranks}; {of_best:.0%} | {of_posterior:.0%}; {holds:.0%} of {len(told)}"


def main() -> int:
    """Train as many worlds of each kind as asked for, and print the table."""
    parser = argparse.ArgumentParser(prog="infra.local.verdicts", description=__doc__)
    parser.add_argument("--worlds", type=int, default=6, help="of each kind")
    parser.add_argument("--first", type=int, default=101, help="the first world's seed")
    parser.add_argument("--checks", default="quick", choices=get_args(Checks))
    args = parser.parse_args()
    jobs = []
    for seed in range(args.first, args.first + args.worlds):
        for kind in KINDS:
            jobs.append(tried(kind, seed, args.checks))
            values = {line.check: round(line.value, 3) for line in jobs[-1].trust.lines}
            print(f"{kind} {seed}: {_right(jobs[-1:])} {values}", file=sys.stderr, flush=True)
    print(table(jobs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
