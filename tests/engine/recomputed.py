"""What the tables and documents of a result must hold, computed once more from the data.

Nothing of the engine is used here: only the data, what the request says, and what was fitted
(hyperparameters, coefficients, Prophet's columns). The formulas are those of docs/robyn-spec.md and
docs/results.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from scipy.stats import weibull_min

Floats = NDArray[np.float64]
Row = dict[str, Any]
METRICS = ("rsq_train", "rsq_val", "rsq_test", "nrmse_train", "nrmse_val", "nrmse_test")
OBJECTIVES = ("nrmse", "decomp.rssd", "mape")


@dataclass(frozen=True)
class Study:
    """A lift study: media columns, its periods as rows of the data, and the share of each that it covers."""

    media: tuple[str, ...]
    rows: slice
    covered: Floats
    lift: float
    immediate: bool


@dataclass(frozen=True)
class World:
    """The data and the request, in numbers."""

    data: pd.DataFrame
    window: slice
    conversion: bool
    adstock: str
    prophet: dict[str, Floats]
    """Columns that Prophet separated, for all rows."""
    context: dict[str, Floats]
    """Context columns, and factors in units of the dependent variable."""
    paid: dict[str, str]
    """Spend column by modelled column."""
    organic: tuple[str, ...]
    validated: bool
    studies: tuple[Study, ...] = ()

    @property
    def dates(self) -> list[str]:
        """First days of the window's periods."""
        return list(self.data["date"][self.window])

    @property
    def actual(self) -> Floats:
        return self.data["revenue"][self.window].to_numpy(dtype=float)

    def spend(self, channel: str) -> Floats:
        """Raw spend of a modelled column in the window."""
        return self.data[self.paid[channel]][self.window].to_numpy(dtype=float)

    @cached_property
    def values(self) -> dict[str, Floats]:
        """Every design column before adstock, all rows; exposures at the window's price (§2.3)."""
        media = {}
        for name, spend in self.paid.items():
            price = self.data[spend][self.window].sum() / self.data[name][self.window].sum()
            media[name] = self.data[name].to_numpy(dtype=float) * price
        media |= {name: self.data[name].to_numpy(dtype=float) for name in self.organic}
        return {**self.prophet, **self.context, **media}

    @property
    def media(self) -> list[str]:
        return [*self.paid, *self.organic]

    def kind(self, name: str) -> str:
        """What a variable is, as best_model.json calls it."""
        kinds = {"prophet": self.prophet, "context": self.context, "paid": self.paid, "organic": self.organic}
        return next((kind for kind, names in kinds.items() if name in names), "intercept")

    def per_money(self, response: Any, spend: Any) -> Any:
        """ROAS, or the CPA of conversions."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.divide(spend, response) if self.conversion else np.divide(response, spend)

    @cached_property
    def lambda_max(self) -> float:
        """§4: from all rows, before adstock and saturation."""
        revenue = self.data["revenue"].to_numpy(dtype=float)
        standard = [(x - x.mean()) / x.std() for x in self.values.values()]
        return 0.1 * max(abs(float(z @ revenue)) for z in standard) / (0.001 * len(revenue))


def weights(adstock: str, rows: int, first: float, second: float) -> Floats:
    """What is left of one period's input in the same period, and in those after it (§3.1)."""
    if adstock == "geometric":
        return first ** np.arange(rows)
    if first == 0 or second == 0:
        return np.eye(rows)[0]
    scale = round(1 + (rows - 1) * second)
    if adstock == "weibull_cdf":
        return np.cumprod(np.append(1.0, weibull_min.sf(np.arange(1, rows), first, scale=scale)))
    density = weibull_min.pdf(np.arange(1, rows + 1), first, scale=scale)
    spread = density.max() - density.min()
    return (density - density.min()) / spread if spread else np.eye(rows)[0]


class Channel:
    """One media column in one model (§3, §14)."""

    def __init__(self, world: World, row: Row, name: str) -> None:
        self.world, self.name = world, name
        kinds = ["theta"] if world.adstock == "geometric" else ["shape", "scale"]
        self.own = {kind: row[f"{name}_{kind}s"] for kind in kinds}
        self.alpha, self.gamma = row[f"{name}_alphas"], row[f"{name}_gammas"]
        self.coefficient = row[f"{name}_coef"]
        self.raw = world.values[name]
        adstocked, immediate = self.adstock(self.raw)
        self.inflation = adstocked.sum() / self.raw.sum()
        self.all_rows = adstocked
        self.adstocked, self.immediate = adstocked[world.window], immediate[world.window]
        self.carryover = self.adstocked - self.immediate
        self.inflexion = self.gamma * self.adstocked.max()
        self.saturated = self.saturate(self.adstocked)
        self.response = self.coefficient * self.saturated
        total = self.response.sum()
        late = (self.coefficient * self.saturate(self.carryover)).sum()
        self.carryover_share = late / total if total else math.nan

    def adstock(self, x: Floats) -> tuple[Floats, Floats]:
        """The input as it works, and the part of it that works at once."""
        left = weights(self.world.adstock, len(x), *[*self.own.values(), 0.0][:2])
        return np.convolve(x, left)[: len(x)], left[0] * x

    def saturate(self, x: Floats) -> Floats:
        return x**self.alpha / (x**self.alpha + self.inflexion**self.alpha)

    def curve(self, value: Any) -> Any:
        """Response to one period's input, upon the average carry-over."""
        return self.coefficient * self.saturate(np.maximum(value + self.carryover.mean(), 0.0))

    @property
    def marginal(self) -> float:
        """Response to one more unit at the average input."""
        mean = self.immediate.mean()
        return float(self.curve(mean + 1) - self.curve(mean))

    def lift(self, study: Study) -> tuple[float, float]:
        """Predicted lift in the study's scope, and in total (§10.2, periods as docs/robyn-parity.md says)."""
        adstocked, inside = self.all_rows[study.rows], self.raw[study.rows]
        total = self.coefficient * self.saturate(adstocked)
        before = np.maximum(adstocked - self.adstock(inside)[0], 0.0)
        rest = self.coefficient * self.saturate(before) if study.immediate else 0.0
        return float(study.covered @ (total - rest)), float(study.covered @ total)


class Model:
    """One candidate: `row` has its hyperparameters and, as `<column>_coef`, its coefficients."""

    def __init__(self, world: World, row: Row) -> None:
        self.world, self.row = world, row
        self.channels = {name: Channel(world, row, name) for name in world.media}
        design = {name: values[world.window] for name, values in world.values.items()}
        self.design = design | {name: channel.saturated for name, channel in self.channels.items()}
        self.intercept = row["(Intercept)_coef"]
        own = {name: column * row[f"{name}_coef"] for name, column in self.design.items()}
        self.contributions = {"(Intercept)": np.full(len(world.actual), self.intercept), **own}
        self.fitted = sum(self.contributions.values())
        self.total = {name: float(part.sum()) for name, part in self.contributions.items()}
        rows, share = len(world.actual), row["train_size"]
        train = math.floor(1 + (rows - 1) * share) if world.validated else rows
        validated = train + math.floor((1 - share) / 2 * rows) if world.validated else rows
        self.ends = (0, train, validated, rows)

    @property
    def paid_effect(self) -> float:
        return sum(self.total[name] for name in self.world.paid)

    def effect_share(self, name: str) -> float:
        return self.total[name] / self.paid_effect

    def spend_share(self, name: str) -> float:
        return self.world.spend(name).sum() / sum(self.world.spend(each).sum() for each in self.world.paid)

    def metrics(self) -> Row:
        """§5.4 for each part, §8, §9 and the objective."""
        found: Row = {}
        freedom = self.ends[1] - len(self.design) - 1
        degrees = self.ends[1] - (1 if self.intercept else 0)
        for part, (first, stop) in zip(("train", "val", "test"), pairwise(self.ends), strict=True):
            y, fitted = self.world.actual[first:stop], self.fitted[first:stop]
            apart = ((y - fitted) ** 2).sum() if len(y) else math.nan
            spread = ((y - y.mean()) ** 2).sum() if len(y) else math.nan
            found[f"rsq_{part}"] = 1 - apart / spread * degrees / freedom
            found[f"nrmse_{part}"] = math.sqrt(apart / len(y)) / np.ptp(y) if len(y) else math.nan
        found["nrmse"] = found["nrmse_val" if self.world.validated else "nrmse_train"]
        found["decomp.rssd"] = self._distance_of_shares()
        errors = [study["mape_lift"] for study in self.studies()]
        found["mape"] = float(np.mean(errors)) if errors else 0.0
        found["lambda_max"], found["lambda_min_ratio"] = self.world.lambda_max, 1e-4
        low = 1e-4 * self.world.lambda_max
        found["lambda"] = low + (self.world.lambda_max - low) * self.row["lambda_hp"]
        found["coef0"] = min(self.row[f"{name}_coef"] for name in self.world.paid) == 0
        for name, channel in self.channels.items():
            found |= {f"{name}_inflexion": channel.inflexion, f"{name}_inflation": channel.inflation}
        return found

    def _distance_of_shares(self) -> float:
        if not self.paid_effect:
            return math.inf
        apart = sum((self.effect_share(name) - self.spend_share(name)) ** 2 for name in self.world.paid)
        silent = np.mean([round(self.effect_share(name), 4) == 0 for name in self.world.paid])
        return float(math.sqrt(apart) * (1 + silent))

    def studies(self) -> list[Row]:
        """A row of pareto_calibration.csv per study, without its days."""
        rows = []
        for study in self.world.studies:
            parts = [self.channels[name].lift(study) for name in study.media]
            predicted, total = (sum(part) for part in zip(*parts, strict=True))
            scale = max(abs(study.lift), 0.001 * abs(self.world.data["revenue"][study.rows].sum()))
            rows.append(
                {
                    "solID": self.row["solID"],
                    "rn": "+".join(study.media),
                    "liftAbs": study.lift,
                    "decompStart": self.world.data["date"][study.rows].iloc[0],
                    "decompEnd": self.world.data["date"][study.rows].iloc[-1],
                    "decompAbsScaled": predicted,
                    "decompAbsTotalScaled": total,
                    "calibrated_pct": predicted / total if total else math.nan,
                    "mape_lift": abs(predicted - study.lift) / scale,
                }
            )
        return rows

    def summary(self) -> pd.DataFrame:
        """A row per variable, without what compares models (§7)."""
        nonzero = {name: _mean_nonzero(part) for name, part in self.contributions.items()}
        return pd.DataFrame(
            [
                {
                    "rn": name,
                    "coef": self.row[f"{name}_coef"],
                    "xDecompAgg": self.total[name],
                    "xDecompPerc": self.total[name] / self.fitted.sum(),
                    "xDecompMeanNon0": nonzero[name],
                    "xDecompMeanNon0Perc": nonzero[name] / sum(nonzero.values()),
                    "pos": self.total[name] >= 0,
                    **self._of_media(name),
                    **self._of_paid(name),
                }
                for name in self.contributions
            ]
        )

    def _of_media(self, name: str) -> Row:
        names = ("mean_response", "mean_spend_adstocked", "mean_carryover", "carryover_pct", "mean_exposure")
        if name not in self.channels:
            return dict.fromkeys(names, math.nan)
        channel, raw = self.channels[name], self.world.data[name][self.world.window]
        by_spend = self.world.paid.get(name) == name
        means = [part.mean() for part in (channel.response, channel.adstocked, channel.carryover)]
        values = [*means, channel.carryover_share, math.nan if by_spend else raw.mean()]
        return dict(zip(names, values, strict=True))

    def _of_paid(self, name: str) -> Row:
        if name not in self.world.paid:
            shares = ("total_spend", "mean_spend", "spend_share", "effect_share")
            return dict.fromkeys([*shares, "roi_total", "roi_mean", "cpa_total", "cpa_mean"], math.nan)
        spend, response = self.world.spend(name), self.channels[name].response
        with np.errstate(divide="ignore"):
            return {
                "total_spend": spend.sum(),
                "mean_spend": spend.mean(),
                "spend_share": self.spend_share(name),
                "effect_share": self.effect_share(name),
                "roi_total": response.sum() / spend.sum(),
                "roi_mean": response.mean() / spend.mean(),
                "cpa_total": np.divide(spend.sum(), response.sum()),
                "cpa_mean": np.divide(spend.mean(), response.mean()),
            }

    def roas_at_the_optimum(self) -> list[float]:
        """ROAS per paid channel with the ridge's exact coefficients (§5.2), by bounded least squares."""
        beta = dict(zip(self.design, self._optimum(intercept=True), strict=True))
        return [
            float((beta[name] * self.design[name]).sum() / self.world.spend(name).sum())
            for name in self.world.paid
        ]

    def _optimum(self, intercept: bool) -> Floats:
        train = self.ends[1]
        design = np.column_stack(list(self.design.values()))[:train]
        y, sd = self.world.actual[:train], design.std(axis=0)
        scale = y.std() if intercept else math.sqrt((y**2).mean())
        penalties = np.array([self.row.get(f"{name}_penalty", 1.0) for name in self.design])
        ridge = self.row["lambda"] / scale * penalties * len(penalties) / penalties.sum()
        lower, upper = np.array([self._limits(name) for name in self.design]).T * sd / scale
        centre, middle = (design.mean(axis=0), y.mean()) if intercept else (0.0 * sd, 0.0)
        left = (design - centre) / sd / math.sqrt(train)
        target = np.concatenate([(y - middle) / scale / math.sqrt(train), 0.0 * sd])
        found = lsq_linear(np.vstack([left, np.diag(np.sqrt(ridge))]), target, (lower, upper), "bvls", 1e-15)
        beta: Floats = found.x * scale / sd
        return self._optimum(intercept=False) if intercept and middle < centre @ beta else beta

    def _limits(self, name: str) -> tuple[float, float]:
        """§5.1, with the signs that the request leaves as they are."""
        if name in self.world.prophet:
            falls = name == "trend" and self.design[name][: self.ends[1]].sum() < 0
            return (-1.0, 0.0) if falls else (0.0, 1.0)
        return (0.0, math.inf) if name in self.channels else (-math.inf, math.inf)


def _mean_nonzero(part: Floats) -> float:
    return float(part[part != 0].mean()) if (part > 0).any() else 0.0


def error_scores(candidates: pd.DataFrame, validated: bool) -> Floats:
    """§12.6: the combined errors, each scaled to [0, 1] over these candidates."""
    score = np.zeros(len(candidates))
    for name in ("nrmse_test" if validated else "nrmse_train", "decomp.rssd", "mape"):
        values = candidates[name].to_numpy(dtype=float)
        values = np.where(np.isinf(values), 1.0, values)
        if values.max() > values.min():
            values = (values - values.min()) / (values.max() - values.min())
        score += (values / 3) ** 2
    return np.sqrt(score)


def fronts(candidates: pd.DataFrame, calibrated: bool) -> tuple[NDArray[np.bool_], Floats]:
    """§12.2 and §12.3: who passes the quantiles, and the Pareto front of each (NaN: of none)."""
    errors = candidates[list(OBJECTIVES)].to_numpy(dtype=float)
    most = [np.quantile(errors[:, 0], 0.9), np.quantile(errors[:, 1], 0.9)]
    most.append(np.quantile(errors[:, 2], 0.1) if calibrated else np.inf)
    passed = (errors <= most).all(axis=1)
    front, number, left = np.full(len(errors), np.nan), 0, set(np.flatnonzero(passed))
    while left:
        number += 1
        best = [i for i in left if not any(_dominates(errors[j, :2], errors[i, :2]) for j in left)]
        front[best] = number
        left -= set(best)
    return passed, front


def _dominates(one: Floats, other: Floats) -> bool:
    return bool((one <= other).all() and (one < other).any())


def convergence(candidates: pd.DataFrame, objective: str) -> bool:
    """§11: spread and level of the last twentieth of the iterations against the first ones."""
    usable = candidates[(candidates[objective] > 0) & np.isfinite(candidates[objective])]
    number = usable.groupby("trial").cumcount() + 1
    part = np.ceil(20 * number / number.max())
    sd = [usable[objective][part == each].std() for each in (1, 2, 3, 20)]
    first, last = (usable[objective][part == each].median() for each in (1, 20))
    usual = np.mean(sd[:3])
    return bool(sd[3] < usual and abs(last) < abs(first - 2 * usual))


@dataclass(frozen=True)
class Budget:
    """A budget question about one model, and the answer's spend per period, by channel name."""

    model: Model
    rows: slice
    """Of the window: the periods asked about."""
    low: float
    high: float
    """Bounds as factors of today's spend."""

    @property
    def names(self) -> list[str]:
        return sorted(self.model.world.paid)

    @property
    def periods(self) -> int:
        return len(self.model.world.actual[self.rows])

    @property
    def today(self) -> Floats:
        """What is modelled, per period over the dates."""
        window = [self.model.world.values[name][self.model.world.window] for name in self.names]
        return np.array([values[self.rows].mean() for values in window])

    def response(self, spend: Floats) -> Floats:
        """Per period, read off the curves."""
        pairs = zip(self.names, spend, strict=True)
        return np.array([self.model.channels[name].curve(value) for name, value in pairs])

    def figures(self, spend: Any, response: Any, marginal: Any = None) -> Row:
        """Over the dates, from values per period."""
        metric = "cpa" if self.model.world.conversion else "roas"
        found = {"spend": spend * self.periods, "mean_spend": spend, "response": response * self.periods}
        found[metric] = self.model.world.per_money(response, spend)
        return found if marginal is None else found | {f"marginal_{metric}": marginal}

    def read_off(self, spend: Floats) -> list[Row]:
        """What allocator.json says of each channel at these spends."""
        responses, next_ones = self.response(spend), self.response(spend + 1)
        return [
            self.figures(each, response, self.model.world.per_money(next_one - response, 1.0))
            for each, response, next_one in zip(spend, responses, next_ones, strict=True)
        ]

    def past(self) -> tuple[Floats, Floats]:
        """Spend and contribution of the data, per period over the dates."""
        spend = [self.model.world.spend(name)[self.rows].mean() for name in self.names]
        return np.array(spend), np.array(
            [self.model.channels[n].response[self.rows].mean() for n in self.names]
        )


def scaled(table: pd.DataFrame, kept: Callable[[str], bool]) -> pd.DataFrame:
    """The columns that differ between the rows, scaled to [0, 1]."""
    names = [name for name in table if kept(name) and table[name].max() > table[name].min()]
    low, high = table[names].min(), table[names].max()
    return (table[names] - low) / (high - low)
