"""`python -m infra.local.truth`: how close models come to the known truth of generated data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from contracts.request import TrainRequest
from infra.local import kinds
from infra.local.demo_data import CHANNELS, PAID, Channel, DemoData, demo_request, generate
from infra.local.money import Followed, followed
from infra.local.public import BY_REGION, SMALL, public_world
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.records import Inputs, ModelAnswer
from trainer.engines.native.result import candidate_of
from trainer.engines.native.search.trials import Plan, search
from trainer.engines.native.select.pareto import select
from trainer.engines.native.training import conclude, prepare
from trainer.posterior import Posterior, document, posterior, posterior_by_region
from trainer.posterior.sentences import SURE

SEPARATE = (1.5, 2.0, 3.0)
"""Two channels differ in truth if the better one's ROAS is at least this many times the other's."""

STUDY_WEEKS = 12
_SPENDS = [channel.name for channel in PAID]


def world(seed: int) -> DemoData:
    """Four years of weekly data with another truth for every seed.

    ROAS from 0.5 to 4, equally likely on a logarithmic scale, adstock from 0 to 0.6, curves from concave to
    S-shaped; baseline and noise are those of the demo data.
    """
    return generate(seed, channels=channels_of(seed))


def channels_of(seed: int) -> tuple[Channel, ...]:
    """The truth of the channels of `world(seed)`."""
    random = np.random.default_rng(seed)
    return tuple(_drawn(channel, random) for channel in CHANNELS)


def _drawn(channel: Channel, random: np.random.Generator) -> Channel:
    effect = 0.5 * 8 ** random.uniform() if channel.name in _SPENDS else channel.effect
    theta, alpha, gamma = random.uniform((0.0, 0.7, 0.4), (0.6, 2.0, 0.9))
    return replace(channel, effect=float(effect), theta=float(theta), alpha=float(alpha), gamma=float(gamma))


def lift_studies(data: DemoData) -> list[dict[str, Any]]:
    """A perfect experiment of each paid channel, over the weeks in which it spent most."""
    studies = []
    for name in _SPENDS:
        last = int(np.nanargmax(data.table[name].rolling(STUDY_WEEKS).sum()))
        rows = slice(last + 1 - STUDY_WEEKS, last + 1)
        mondays = data.table["date"][rows].dt.date
        studies.append(
            {
                "channels": [name],
                "start": str(mondays.iloc[0]),
                "end": str(mondays.iloc[-1] + timedelta(days=6)),
                "lift": float(data.components[name][rows].sum()),
                "spend": float(data.table[name][rows].sum()),
                "confidence": 0.95,
                "scope": "total",
            }
        )
    return studies


def study(seed: int, iterations: int = 2000, trials: int = 5) -> dict[str, pd.DataFrame]:
    """Fit models in several ways to the data of one seed, and compare each with the truth (see `compare`)."""
    data = world(seed)
    request = demo_request("truth", iterations, trials)
    request["search"]["seed"] = seed
    config = _config(request)
    inputs, plan = prepare(data.table, config), Plan.of(config.search)
    design = dict(zip(inputs.columns, inputs.values.T, strict=True))
    prophet = ProphetColumns(
        {name: design[name] for name in inputs.prophet}, {"promotion": design["promotion"]}
    )
    calibrated = prepare(data.table, _config({**request, "calibration": lift_studies(data)}), prophet=prophet)
    best, by_nrmse = _models(inputs, plan)
    converged, _ = _models(replace(inputs, solver="converged"), plan)
    _, alone = _models(inputs, replace(plan, weights=(1.0, 0.0)))
    with_studies, _ = _models(calibrated, plan)
    found = posterior(data.table, config, inputs=inputs)
    studied = posterior(
        data.table, _config({**request, "calibration": lift_studies(data)}), inputs=calibrated
    )
    candidates = search(inputs, plan)
    nearest = conclude(inputs, candidates, posterior=document(found)).best
    models = {
        "best model": best,
        "best model, solver converged": converged,
        "best model by NRMSE": by_nrmse,
        "best model by NRMSE, searched for it alone": alone,
        "best model, a lift study of each channel": with_studies,
    }
    return {
        **{name: compare(model, data) for name, model in models.items()},
        "best model by posterior": compare(nearest, data),
        "posterior": judged(found, data.table, data.contributions),
        "posterior, a lift study of each channel": judged(studied, data.table, data.contributions),
    }


def money(seed: int) -> Followed:
    """What it is worth to follow the budget answer of one seed's posterior."""
    data = world(seed)
    request = demo_request("truth")
    request["search"]["seed"] = seed
    return followed(posterior(data.table, _config(request)), data, channels_of(seed))


def money_row(answers: list[Followed]) -> list[str]:
    """One line of the table of what it is worth to follow an answer."""
    shares = np.array([answer.share for answer in answers])
    promises = np.array([answer.promised / answer.gained for answer in answers])
    held = sum(answer.held for answer in answers)
    return [
        f"{np.median(shares):.0%}, {shares.min():.0%}",
        f"{(shares < 0.8).sum()} of {len(shares)}",
        f"{np.median(promises):.2f}, {np.quantile(promises, 0.9):.2f}",
        f"{held} of {len(shares)}",
    ]


def _config(request: dict[str, Any]) -> ModelConfig:
    return TrainRequest.model_validate(request).model_spec()


def _models(inputs: Inputs, plan: Plan) -> tuple[ModelAnswer, ModelAnswer]:
    """The best Pareto model of a search by error score, and the best by NRMSE."""
    table, answers = search(inputs, plan).table, Answers(inputs)

    def best(by: str) -> ModelAnswer:
        solution = select(table, calibrated=bool(inputs.studies), best_by=by).best
        return answers.model(candidate_of(table, solution))

    return best("error_score"), best("nrmse")


def compare(model: ModelAnswer, data: DemoData) -> pd.DataFrame:
    """Per paid channel `share` of the paid effect and `roas`, and what is true of both."""
    found = {media.spend_name: float(media.response.sum()) for media in model.media if media.spend_name}
    earned, true = pd.Series(found)[_SPENDS], pd.Series(data.contributions)[_SPENDS]
    spend = data.table[_SPENDS].sum()
    return pd.DataFrame(
        {
            "share": earned / earned.sum(),
            "true_share": true / true.sum(),
            "roas": earned / spend,
            "true_roas": true / spend,
        }
    )


def judged(found: Posterior, table: pd.DataFrame, contributions: Mapping[str, float]) -> pd.DataFrame:
    """Like `compare`, by the posterior's medians; and `low`, `high` of 90 %, `sure_right`, `sure` of pairs.

    `contributions` are true, of the whole `table`. The last two columns count, per channel, the channels of
    which it is said with 90 % or more that they earn less, and of how many that is true.
    """
    names = [channel.name for channel in found.paid]
    true, spend = pd.Series(contributions)[names], table[names].sum()
    roas = pd.DataFrame(found.roas, columns=names)
    earned, true_roas = roas.median() * spend, true / spend
    said = found.better >= SURE
    right = true_roas.to_numpy()[:, None] > true_roas.to_numpy()
    return pd.DataFrame(
        {
            "share": earned / earned.sum(),
            "true_share": true / true.sum(),
            "roas": earned / spend,
            "true_roas": true_roas,
            "low": roas.quantile(0.05),
            "high": roas.quantile(0.95),
            "sure": said.sum(axis=1),
            "sure_right": (said & right).sum(axis=1),
        }
    )


def interval_row(tables: list[pd.DataFrame]) -> list[str]:
    """How many 90 % intervals hold the truth, how wide they are, how often what is said surely is right."""
    together = pd.concat(tables)
    if "low" not in together:
        return ["–"] * 3
    holds = together["true_roas"].between(together["low"], together["high"])
    width = (together["high"] / together["low"]).median()
    sure, right = together["sure"].sum(), together["sure_right"].sum()
    said = f"{sure}, {right / sure:.0%}" if sure else "0"
    return [f"{holds.mean():.0%}", f"× {width:.1f}", said]


def of_kind(name: str, seed: int) -> pd.DataFrame:
    """The posterior of a world of one of `infra.local.kinds`, beside its truth (see `judged`)."""
    data = kinds.world(kinds.KINDS[name], seed)
    return judged(posterior(data.table, _config(demo_request("truth"))), data.table, data.contributions)


def of_public(name: str, *, by_region: bool = False) -> pd.DataFrame:
    """The posterior of a world of the public generator, of its totals or by region (see `judged`)."""
    world = public_world(name)
    data, totals, config = world.regions, world.totals, world.config
    found = (
        posterior_by_region(data, totals, config, column="geo") if by_region else posterior(totals, config)
    )
    return judged(found, totals, world.contributions)


def ranked(tables: Iterable[pd.DataFrame], factor: float) -> tuple[int, int]:
    """Pairs of channels that are ranked right by ROAS, of those that the truth separates by `factor`."""
    right = pairs = 0
    for table in tables:
        for pair in combinations(table.sort_values("true_roas").index, 2):
            (low, high), (less, more) = table.loc[list(pair), ["roas", "true_roas"]].to_numpy().T
            if more >= factor * less:
                pairs += 1
                right += bool(high > low)
    return right, pairs


def row(tables: list[pd.DataFrame]) -> list[str]:
    """One line of the table of figures."""
    together = pd.concat(tables)
    share = (together["share"] - together["true_share"]).abs()
    roas = (together["roas"] / together["true_roas"] - 1).abs()
    ranks = [ranked(tables, factor) for factor in SEPARATE]
    return [
        *(f"{right} of {pairs}, {right / pairs:.0%}" if pairs else "–" for right, pairs in ranks),
        f"{share.median():.1%}, {share.max():.0%}",
        f"{roas.median():.0%}, {roas.max():.0%}",
    ]


def main() -> int:
    """Study as many seeds as asked for, and print a table."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(prog="infra.local.truth", description=__doc__)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--kinds", type=int, default=6, help="worlds of each other kind")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    with ProcessPoolExecutor(args.processes) as pool:
        found = list(pool.map(study, range(1, args.seeds + 1)))
        others = {
            name: list(pool.map(of_kind, [name] * args.kinds, range(101, 101 + args.kinds)))
            for name in kinds.KINDS
        }
        public = {
            "3 small businesses": list(pool.map(of_public, SMALL)),
            **{f"{name}, totals": [of_public(name)] for name in BY_REGION},
            **{f"{name}, by region": [of_public(name, by_region=True)] for name in BY_REGION},
        }
        followed_answers = list(pool.map(money, range(1, args.seeds + 1)))
    table = Table(title=f"{args.seeds} worlds of {len(_SPENDS)} paid channels")
    columns = [f"ranked right from {factor:g} ×" for factor in SEPARATE]
    errors = ("error of shares, median and worst", "of ROAS, median and worst")
    for column in ("way", *columns, *errors, "90 % holds", "width", "said surely, right"):
        table.add_column(column)
    for name in found[0]:
        of_way = [tables[name] for tables in found]
        table.add_row(name, *row(of_way), *interval_row(of_way))
    for name, of_way in others.items():
        title = f"posterior, {args.kinds} worlds of the kind {name}"
        table.add_row(title, *row(of_way), *interval_row(of_way))
    for name, of_way in public.items():
        table.add_row(f"posterior, public generator: {name}", *row(of_way), *interval_row(of_way))
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)
    worth = Table(
        title="Following the posterior's budget answer: as much money, each channel 0.5 to 1.5 times"
    )
    for column in ("of the attainable gain, median and worst", "below 80 %"):
        worth.add_column(column)
    for column in ("promised over gained, median and 90th percentile", "90 % holds"):
        worth.add_column(column)
    worth.add_row(*money_row(followed_answers))
    console.print(worth)
    return 0


if __name__ == "__main__":
    sys.exit(main())
