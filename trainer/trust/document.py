"""trust.json: every check of a result, with its word, its reason and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from contracts.result import BestModel, ResultWarning
from contracts.trust import Backtest, ChannelStability, Placebo, Planted, TrustDocument, TrustLine
from trainer.engines.pictures.style import amount, percent
from trainer.engines.tables import read_table
from trainer.posterior.regions import ByRegion
from trainer.posterior.result import Posterior
from trainer.trust import refits
from trainer.trust.thresholds import THRESHOLDS

TOTALS = (
    "forecasts and refits are those of the totals: without the regions they are less sure; checks: full "
    "forecasts and refits by region"
)
SIMULATED = (
    "planted truth and placebos are those of the totals, because by region each refit would take as "
    "long as the draws did: without the regions they tell less apart"
)
NO_REFITS = (
    "no forecast and no refit: they would be those of the totals, on which the chains do not agree; "
    "checks: full forecasts and refits by region"
)
NO_PLANTED = (
    "no planted truth and no placebos: they would be those of the totals, on which the chains do not agree"
)
_ROBUST_SD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_OUTLIER = 4.0
"""Robust standard deviations beyond which a residual is an outlier."""


def judge(
    data: pd.DataFrame,
    config: ModelConfig,
    folder: Path,
    found: Posterior | None,
    cores: int = 1,
    tell: Callable[[str], None] = lambda _: None,
    warnings: Sequence[ResultWarning] = (),
    by_region: Posterior | None = None,
    regions: ByRegion | None = None,
) -> TrustDocument:
    """What speaks for and against the result in `folder`, whose tables and best_model.json are there.

    `found` is the posterior of the same data and configuration; without it nothing is forecast or refitted.
    Of data by region it is that of the totals, and `by_region` what was drawn of `regions`.
    `tell` is told what is being done; `warnings` are
    those of validation.
    """
    best = BestModel.model_validate_json((folder / "best_model.json").read_bytes())
    lines = [*_fit(best, folder), *_search(best), *_agreement(best, folder), *_data(data, config, best)]
    lines.append(_warnings(warnings))
    if found is None:
        return _document(config, lines, notes=["no forecast and no refit: there is no posterior to judge"])
    drawn, full = by_region or found, config.checks == "full"
    lines += _sampler(drawn)
    if not drawn.converged:
        return _document(config, lines, notes=["no forecast and no refit: the chains do not agree"])
    refitted = by_region if by_region and full else found
    notes: list[str] = []
    tried: list[Backtest] = []
    stability: list[ChannelStability] = []
    planted, placebos = None, []
    if refitted.converged:
        tell("backtests")
        of_regions = regions if refitted is by_region else None
        tried, stability, notes = refits.backtests(refitted, data, config, cores, of_regions)
        lines += [*_backtest(tried), *_stability(stability)]
    if full and found.converged:
        tell("planted truth")
        planted = refits.planted(found, cores)
        tell("placebos")
        placebos = refits.placebos(found, cores)
        lines += [*_planted(planted), *_placebos(placebos)]
    if by_region and found.converged:
        notes.append(SIMULATED if full else TOTALS)
    elif by_region:
        notes.append(NO_PLANTED if full else NO_REFITS)
    return _document(
        config,
        lines,
        backtests=tried,
        stability=stability,
        planted=planted,
        placebos=placebos,
        notes=notes,
    )


def _document(config: ModelConfig, lines: Iterable[TrustLine], **found: object) -> TrustDocument:
    order = list(dict.fromkeys(one.topic for one in THRESHOLDS.values()))
    ordered = sorted(lines, key=lambda line: order.index(line.topic))
    return TrustDocument.model_validate({"checks": config.checks, "lines": ordered, **found})


def _line(check: str, value: float, figure: str, reason: str, advice: str) -> TrustLine:
    threshold = THRESHOLDS[check]
    word = threshold.word(value)
    return TrustLine(
        topic=threshold.topic,
        check=check,
        word=word,
        value=value,
        figure=figure,
        reason=reason,
        advice="" if word == "good" else advice,
    )


@dataclass(frozen=True)
class _Residuals:
    autocorrelation: float
    outliers: float
    days: list[str]


def _residuals(best: BestModel, folder: Path) -> _Residuals:
    table = read_table(folder, "pareto_alldecomp_matrix")
    table = table[table["solID"] == best.sol_id]
    left = (table["dep_var"] - table["depVarHat"]).to_numpy(dtype=float)
    centred = left - left.mean()
    square = float(centred @ centred)
    middle = np.median(left)
    robust = _ROBUST_SD * float(np.median(np.abs(left - middle)))
    far = np.abs(left - middle) > _OUTLIER * robust if robust > 0 else np.zeros(len(left), dtype=bool)
    return _Residuals(
        autocorrelation=float(centred[1:] @ centred[:-1]) / square if square > 0 else 0.0,
        outliers=float(far.mean()),
        days=[str(day)[:10] for day in table["ds"].to_numpy()[far]],
    )


def _fit(best: BestModel, folder: Path) -> Iterator[TrustLine]:
    r2, left = best.train.r2, _residuals(best, folder)
    if r2 is not None:
        reason = f"the best model explains {percent(r2)} of how {best.dependent} moves"
        yield _line("r2", r2, f"R² {r2:.2f}", reason, "add what else moves it: prices, events, competitors")
    reason = f"a typical miss is {percent(best.nrmse)} of the range of {best.dependent}"
    yield _line("nrmse", best.nrmse, f"NRMSE {best.nrmse:.3f}", reason, "look at the periods it misses")
    size = abs(left.autocorrelation)
    yield _line(
        "autocorrelation",
        size,
        f"autocorrelation {left.autocorrelation:.2f}",
        "what the best model misses in a period, it "
        + ("hardly misses in the next" if size < 0.2 else "partly misses in the next too"),
        "something that lasts is missing: a trend, an event over several periods, a carry-over",
    )
    days = ", ".join(left.days[:5]) + (" and more" if len(left.days) > 5 else "")
    yield _line(
        "outliers",
        left.outliers,
        f"{len(left.days)} outliers",
        f"far from the model: {days}" if left.days else "no period is far from the model",
        "say what happened then: a factor, an event column, or correct the data",
    )


def _search(best: BestModel) -> Iterator[TrustLine]:
    if best.convergence:
        share = sum(one.converged for one in best.convergence) / len(best.convergence)
        missing = [one.objective for one in best.convergence if not one.converged]
        reason = f"not converged: {', '.join(missing)}" if missing else "every objective has converged"
        advice = "search longer: search.iterations, search.trials"
        figure = f"{len(best.convergence) - len(missing)} of {len(best.convergence)} objectives converged"
        yield _line("converged", share, figure, reason, advice)
    reason = f"{best.search.trials} trials of {best.search.iterations:,}"
    advice = "search more: search.iterations, search.trials"
    yield _line("candidates", best.candidates, f"{best.candidates:,} candidates", reason, advice)


def _sampler(found: Posterior) -> Iterator[TrustLine]:
    names = [channel.name for channel in found.channels]
    worst, fewest = int(found.r_hat.argmax()), int(found.ess.argmin())
    advice = "more rows, fewer or less similar channels, a lift study, or posterior.roas"
    r_hat, ess = float(found.r_hat[worst]), float(found.ess[fewest])
    reason = f"the chains of the posterior agree least on {names[worst]}"
    yield _line("r_hat", r_hat, f"R̂ {r_hat:.3f}", reason, advice)
    yield _line("ess", ess, f"{ess:.0f} draws", f"fewest effective draws: {names[fewest]}", advice)


def _agreement(best: BestModel, folder: Path) -> Iterator[TrustLine]:
    told = [one for one in best.posterior.channels if one.inside is not None] if best.posterior else []
    if told and best.posterior and best.posterior.converged:
        share = sum(bool(one.inside) for one in told) / len(told)
        values = {one.name: one.roas if one.cpa is None else one.cpa for one in best.channels}
        outside = ", ".join(
            f"{one.name} ({_metric(values[one.name])}, not {_metric(one.q05)} to {_metric(one.q95)})"
            for one in told
            if not one.inside
        )
        metric = "ROAS" if best.dependent_type == "revenue" else "CPA"
        reason = (
            f"the best model's {metric} is outside the 90 % interval of the posterior: {outside}"
            if outside
            else f"every {metric} of the best model is inside the 90 % interval of the posterior"
        )
        advice = "use the posterior's intervals for these channels, not the model's own values"
        yield _line("inside", share, f"{percent(share)} of the channels inside", reason, advice)
    if spread := _winners(best, folder):
        middle = float(np.median(list(spread.values())))
        widest = max(spread, key=lambda name: spread[name])
        reason = f"the {len(best.winners)} winners differ most on {widest}, × {amount(spread[widest])}"
        advice = "do not decide by one of these models alone; use the posterior"
        yield _line("winners", middle, f"winners × {amount(middle)} apart", reason, advice)
    models = [one for one in best.solvers.models if one.sol_id == best.sol_id] if best.solvers else []
    if models and models[0].distance is not None:
        away = models[0].distance
        reason = "how far Robyn's solver stops before it in the best model, worst channel"
        yield _line("solvers", away, f"{percent(away)} from the optimum", reason, "search.solver: converged")


def _metric(value: float | None) -> str:
    """A ROAS or CPA; a channel without effect has no CPA."""
    return "none" if value is None else f"{value:,.2f}" if abs(value) >= 1 else f"{value:.2g}"


def _winners(best: BestModel, folder: Path) -> dict[str, float]:
    """Highest over lowest ROAS of the winners, per paid channel; none if there are not two."""
    table = pd.read_csv(
        folder / "pareto_aggregated.csv", usecols=["solID", "rn", "roi_total"], dtype={"solID": str}
    )
    table = table[table["solID"].isin({one.sol_id for one in best.winners})]
    names = {one.modelled: one.name for one in best.channels if one.paid}
    found = {}
    for column, rows in table[table["rn"].isin(names)].groupby("rn"):
        values = rows["roi_total"].to_numpy(dtype=float)
        if len(values) > 1 and values.max() > 0:
            found[names[str(column)]] = float(values.max() / max(values.min(), 1e-3 * values.max()))
    return found


def _data(data: pd.DataFrame, config: ModelConfig, best: BestModel) -> Iterator[TrustLine]:
    variables = len(best.contributions) - 1
    per = best.window.rows / variables
    reason = f"{best.window.rows} periods for {variables} variables"
    yield _line("rows", per, f"{per:.1f} rows per variable", reason, "more periods, or fewer variables")
    dates = pd.to_datetime(data[config.columns.date]).dt.tz_localize(None)
    within = dates.between(pd.Timestamp(best.window.start), pd.Timestamp(best.window.end))
    media = data.loc[within.to_numpy(), config.columns.media].astype(float)
    media = media.loc[:, media.std() > 0]
    if media.shape[1] > 1:
        yield _collinearity(media)
    if media.shape[1]:
        variation = media.std() / media.mean()
        name, least = str(variation.idxmin()), float(variation.min())
        reason = f"{name} varies least"
        yield _line(
            "variation",
            least,
            f"sd {percent(least)} of the mean",
            reason,
            "vary its spend on purpose, or test it with a lift study",
        )


def _warnings(warnings: Sequence[ResultWarning]) -> TrustLine:
    first = "; ".join(warning.message for warning in warnings[:2])
    more = f"; and {len(warnings) - 2} more" if len(warnings) > 2 else ""
    reason = f"{first}{more}" if warnings else "validation found nothing to warn of"
    return _line(
        "warnings", len(warnings), f"{len(warnings)} warnings", reason, "see the findings of the job"
    )


def _collinearity(media: pd.DataFrame) -> TrustLine:
    correlation = media.corr().to_numpy(copy=True)
    np.fill_diagonal(correlation, 0)
    i, j = divmod(int(np.abs(correlation).argmax()), len(correlation))
    value = float(correlation[i, j])
    return _line(
        "collinearity",
        abs(value),
        f"correlation {value:.2f}",
        f"{media.columns[i]} and {media.columns[j]} move together the most",
        "only their sum is well known: add them up, move them apart, or test one with a lift study",
    )


def _backtest(tried: list[Backtest]) -> Iterator[TrustLine]:
    if not tried:
        return
    own = float(np.mean([one.error for one in tried]))
    naive = [np.mean([one.error_without_media for one in tried])]
    before = [one.error_year_before for one in tried if one.error_year_before is not None]
    naive += [np.mean(before)] if len(before) == len(tried) else []
    periods = ", ".join(str(one.periods) for one in tried)
    said = [f"{percent(float(naive[0]))} without media"]
    said += [f"{percent(float(naive[1]))} by the year before"] if len(naive) > 1 else []
    ratio = own / max(float(min(naive)), 1e-9)
    yield _line(
        "forecast",
        ratio,
        f"forecast error {percent(own)}",
        f"forecasts of the last {periods} periods; naive ones: {', '.join(said)}",
        "the media explain little of what came last: look for what changed, and decide in small steps",
    )
    held = float(np.average([one.covered for one in tried], weights=[one.periods for one in tried]))
    yield _line(
        "coverage",
        held,
        f"{percent(held)} of the periods held",
        "so many of those left out lie inside 90 % of their forecast",
        "the last periods are unlike those before: look for what changed; intervals are too narrow",
    )


def _stability(found: list[ChannelStability]) -> Iterator[TrustLine]:
    if found:
        worst = max(found, key=lambda one: one.moved)
        yield _line(
            "moved",
            worst.moved,
            f"moved by {worst.moved:.1f} sd",
            f"{worst.name} moves most when the last periods are taken away",
            "the last periods decide what it seems to earn: wait for more of them, or test it",
        )


def _planted(found: Planted) -> Iterator[TrustLine]:
    yield _line(
        "planted",
        found.holds,
        f"{percent(found.holds)} of the truth held",
        f"so many of the intervals hold what was planted in {found.worlds} worlds like this one",
        "read the intervals as narrower than they should be",
    )
    apart = sum(pair.worlds for pair in found.pairs)
    if apart:
        share = sum(pair.told for pair in found.pairs) / apart
        wrong = sum(pair.wrong for pair in found.pairs)
        reason = f"channels that differ, in worlds like this one; the worse one was named {wrong} times"
        yield _line(
            "told", share, f"{percent(share)} told apart", reason, "more variation in spend, or lift studies"
        )


def _placebos(found: list[Placebo]) -> Iterator[TrustLine]:
    if found:
        worst = max(found, key=lambda one: one.credit)
        yield _line(
            "placebo",
            worst.credit,
            f"placebo {percent(worst.credit)}",
            f"of what {worst.name} is given, a copy of it at the wrong time gets so much",
            "believe little of that channel without an experiment",
        )
