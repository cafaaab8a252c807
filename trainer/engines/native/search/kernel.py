"""One candidate, compiled: adstock, window, Hill, ridge, metrics, objectives (Robyn 3.12.1).

The loops keep a fixed order of summation (never fastmath), so that a candidate has the same objectives in
every process. `evaluate` is the search's hot loop; it allocates nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts import series
from trainer.engines.common import Floats
from trainer.engines.native.search.machine_code import compiled


class Problem(NamedTuple):
    """What stays the same over a search. Rows of the whole data N, of the window n."""

    family: int
    media: Floats  # (m, N), before adstock
    dependent: Floats  # (n,)
    first: int  # first row of the window
    spend_share: Floats  # (paid,), of the window
    former_shares: Floats  # (1 + p,), of a refresh: the former model's shares, the intercept first; else (0,)
    moved: float  # of a refresh: the share of the window that is new
    lower: Floats  # (p,), limits of the coefficients
    upper: Floats
    trend: int  # column whose limits flip to [-1, 0] if its sum over the train rows is negative; -1: none
    exact: bool  # whether the ridge goes on to its optimum
    non_negative: bool  # refit without intercept if it comes out negative
    lambda_low: float
    lambda_high: float
    study_rows: NDArray[np.int64]  # (s, 2), first row and one past the last, of the whole data
    study_media: NDArray[np.bool_]  # (s, m)
    study_immediate: NDArray[np.bool_]  # (s,)
    study_lift: Floats  # (s,)
    study_weights: Floats  # (s, rows of the longest study), covered share of the days of each period
    study_error_scale: Floats  # (s,), what the distance from the lift is divided by


class Work(NamedTuple):
    """Arrays that `evaluate` writes over."""

    design: Floats  # (n, p); the columns before the media hold the window's values and stay
    adstocked: Floats  # (m, N)
    adstocked_alone: Floats  # (N,), of a study's rows without what came before them
    weights: Floats  # (N,), adstock by lag
    centred: Floats  # (n, p), train rows less their means
    fitted: Floats  # (n,)

    # of the train rows, as shares of the population
    means: Floats  # (p,)
    sds: Floats  # (p,), 0: the column is constant, and has coefficient 0
    covariances: Floats  # (p, p)
    products: Floats  # (p,), covariances with the dependent variable

    # the ridge, on standardised columns
    gram: Floats  # (p, p)
    penalty: Floats  # (p,), penalty factors with a mean of 1
    curvature: Floats  # (p,), diagonal of the Gram matrix
    penalised: Floats  # (p,), curvature plus penalty
    lower: Floats  # (p,), limits of the coefficients
    upper: Floats  # (p,)
    coefficients: Floats  # (p,)
    gradient: Floats  # (p,), at the coefficients, without the penalty
    gradient_at_zero: Floats  # (p,)
    before: Floats  # (p,), coefficients before the active ones were cycled through
    member: NDArray[np.bool_]  # (p,), whether a column is among the active ones
    active: NDArray[
        np.int64
    ]  # (p,), columns: in the descent those that have moved, after it those within limits

    # on to the optimum
    free: NDArray[np.bool_]  # (p,), within the limits
    factor: Floats  # (p, p), Cholesky factor of the free columns
    target: Floats  # (p,), optimum of the free columns, in the order of `active`
    direction: Floats  # (p,), from the coefficients to it

    effects: Floats  # (p,), contributions over the window


GEOMETRIC, WEIBULL_CDF, WEIBULL_PDF = 0, 1, 2
FAMILY = {"geometric": GEOMETRIC, "weibull_cdf": WEIBULL_CDF, "weibull_pdf": WEIBULL_PDF}
METRICS = (
    "nrmse",
    "decomp.rssd",
    "mape",
    "rsq_train",
    "rsq_val",
    "rsq_test",
    "nrmse_train",
    "nrmse_val",
    "nrmse_test",
    "lambda",
)
"""What `evaluate` writes first into `outcome`; then m inflexions and m inflations."""

NRMSE, RSSD, MAPE, LAMBDA = (METRICS.index(name) for name in ("nrmse", "decomp.rssd", "mape", "lambda"))
"""Places in `outcome`."""
RSQ_PARTS, NRMSE_PARTS = METRICS.index("rsq_train"), METRICS.index("nrmse_train")
"""Places of train in `outcome`; validation and test follow."""
INFLEXIONS = len(METRICS)
"""Place of the first inflexion in `outcome`."""

LAMBDA_MIN_RATIO = 0.0001
"""Smallest over largest lambda (Robyn: lambda_min_ratio)."""
_CONVERGED = 1e-7
"""Largest change of the loss in a pass that ends the descent (glmnet: thresh)."""
_MAX_PASSES = 100_000
"""Passes after which the descent gives up (glmnet: maxit)."""
_NO_PULL = 1e-12
"""Gradient, over the penalised curvature, below which a coefficient at its limit is optimal there."""
_SINGULAR = 1e-15
"""Smallest pivot of the Cholesky factor, as a share of the penalised curvature."""
_MOST_STEPS = 100
"""Steps to the optimum per column, after which it counts as not found; a handful is usual."""
_ZERO_SHARE = 0.00005
"""Below it an effect share counts as zero: Robyn rounds to four digits."""
_SIGNIFICANT = 10
"""Digits to which Robyn rounds a proposal."""


@compiled
def round_significant(value: float) -> float:
    """Round to 10 significant digits in R's arithmetic (signif); `value` in [0, 1]."""
    if value == 0.0:
        return 0.0
    scale = 1.0
    for _ in range(_SIGNIFICANT - 1 - int(np.floor(np.log10(value)))):
        scale *= 10.0
    return float(np.rint(value * scale) / scale)


@compiled
def scale_proposal(proposal: Any, positions: Any, low: Any, width: Any, hyper: Any) -> None:
    """Write a proposal in [0, 1]^d into its positions of the hyperparameter vector (robyn-spec §4)."""
    for i in range(len(positions)):
        hyper[positions[i]] = low[i] + round_significant(proposal[i]) * width[i]


@compiled
def _weibull_weights(family: int, shape: float, scale: float, weights: Any) -> None:
    """Weights for lags 0 .. N-1; `scale` is a share of N, turned into a quantile of 1..N (§3.1)."""
    size = len(weights)
    weights[0] = 1.0
    weights[1:] = 0.0
    if shape == 0.0 or scale == 0.0:
        return
    position = np.rint(1.0 + (size - 1) * scale)
    if family == WEIBULL_CDF:
        for lag in range(1, size):
            survival = 1.0 - (-np.expm1(-((lag / position) ** shape)))
            weights[lag] = weights[lag - 1] * survival
        return
    for lag in range(size):
        ratio = (lag + 1.0) / position
        power = ratio ** (shape - 1.0)
        weights[lag] = shape * power * np.exp(-power * ratio) / position
    low, high = weights.min(), weights.max()
    if high > low:
        for lag in range(size):
            weights[lag] = (weights[lag] - low) / (high - low)
    else:
        weights[0] = 1.0
        weights[1:] = 0.0


@compiled
def decay_weights(family: int, first: float, second: float, weights: Any) -> None:
    """Fill `weights` with the weight of an input 0, 1, ... periods later, for a series of that length."""
    if family == GEOMETRIC:
        weights[0] = 1.0
        for lag in range(1, len(weights)):
            weights[lag] = weights[lag - 1] * first
    else:
        _weibull_weights(family, first, second, weights)


@compiled
def adstock(family: int, series: Any, first: float, second: float, weights: Any, out: Any) -> float:
    """Adstock `series` into `out`; `first` is theta or shape, `second` the scale. All of one length.

    Returns the weight of the input's own period: the immediate part is the series times it.
    """
    size = len(series)
    if family == GEOMETRIC:
        carried = 0.0
        for t in range(size):
            carried = series[t] + first * carried
            out[t] = carried
        return 1.0
    _weibull_weights(family, first, second, weights)
    out[:] = 0.0
    reach = size
    while reach > 1 and weights[reach - 1] == 0.0:
        reach -= 1
    for t in range(size):
        if series[t] != 0.0:
            value = series[t]
            for lag in range(min(reach, size - t)):
                out[t + lag] += value * weights[lag]
    return float(weights[0])


@compiled
def hill(value: float, alpha: float, inflexion_power: float) -> float:
    """Saturation in [0, 1): value^alpha / (value^alpha + inflexion^alpha); 0 stays 0 (robyn-spec §3.2)."""
    if value == 0.0:
        return 0.0
    power = value**alpha
    return float(power / (power + inflexion_power))


@compiled
def _transform(
    problem: Problem, hyper: Any, design: Any, everything: Any, weights: Any, outcome: Any
) -> None:
    """Adstock on all rows, cut to the window, saturate into the design matrix."""
    media, size = problem.media.shape
    rows, columns = design.shape
    for i in range(media):
        series, adstocked = problem.media[i], everything[i]
        scale = hyper[3 * media + i] if problem.family != GEOMETRIC else 0.0
        adstock(problem.family, series, hyper[2 * media + i], scale, weights, adstocked)
        raw, total = 0.0, 0.0
        for t in range(size):
            raw += series[t]
            total += adstocked[t]
        window = adstocked[problem.first : problem.first + rows]
        alpha = hyper[i]
        inflexion = hyper[media + i] * window.max()
        power = inflexion**alpha
        for t in range(rows):
            design[t, columns - media + i] = hill(window[t], alpha, power)
        outcome[INFLEXIONS + i] = inflexion
        outcome[INFLEXIONS + media + i] = total / raw


@compiled
def _train_moments(dependent: Any, train: int, work: Work) -> tuple[float, float]:
    """Write moments of the train rows into `work`; return mean and variance of `dependent`."""
    design, columns = work.design, len(work.means)
    centred, covariances = work.centred, work.covariances
    means, products = work.means, work.products
    mean = 0.0
    for t in range(train):
        mean += dependent[t]
    mean /= train
    means[:] = 0.0
    products[:] = 0.0
    for t in range(train):
        for j in range(columns):
            means[j] += design[t, j]
    for j in range(columns):
        means[j] /= train
    covariances[:] = 0.0
    variance = 0.0
    for t in range(train):
        residual = dependent[t] - mean
        variance += residual * residual
        for j in range(columns):
            centred[t, j] = design[t, j] - means[j]
        for j in range(columns):
            value = centred[t, j]
            products[j] += value * residual
            for k in range(j + 1):
                covariances[j, k] += value * centred[t, k]
    for j in range(columns):
        products[j] /= train
        for k in range(j + 1):
            covariances[j, k] /= train
            covariances[k, j] = covariances[j, k]
        work.sds[j] = np.sqrt(covariances[j, j]) if _varies(design, j, train) else 0.0
    return mean, variance / train


@compiled
def _varies(design: Any, column: int, train: int) -> bool:
    t = 1
    while t < train and design[t, column] == design[0, column]:
        t += 1
    return t < train


@compiled
def _descend(work: Work) -> bool:
    """Cyclic coordinate descent exactly as glmnet 4.1's covariance mode does it (robyn-spec §5.2, 4-5).

    glmnet stops well short of the optimum; a more exact solver would find other models. Leaves coefficients
    and gradient in `work`; False: not converged.
    """
    gram, curvature, gradient = work.gram, work.curvature, work.gradient
    coefficients, before = work.coefficients, work.before
    member, active = work.member, work.active
    columns = len(active)
    coefficients[:] = 0.0
    member[:] = False
    count = 0
    passes = 0
    while passes <= _MAX_PASSES:
        passes += 1
        change = 0.0
        for k in range(columns):
            if work.sds[k] == 0.0:
                continue
            step = _step(work, k)
            if step == 0.0:
                continue
            if not member[k]:
                member[k] = True
                active[count] = k
                count += 1
            change = max(change, curvature[k] * step * step)
            for j in range(columns):
                gradient[j] -= gram[k, j] * step
        if change < _CONVERGED:
            return True
        for i in range(count):
            before[active[i]] = coefficients[active[i]]
        while passes <= _MAX_PASSES:
            passes += 1
            change = 0.0
            for i in range(count):
                k = active[i]
                step = _step(work, k)
                if step != 0.0:
                    change = max(change, curvature[k] * step * step)
                    for other in range(count):
                        gradient[active[other]] -= gram[k, active[other]] * step
            if change < _CONVERGED:
                break
        for j in range(columns):
            if not member[j]:
                for i in range(count):
                    gradient[j] += (before[active[i]] - coefficients[active[i]]) * gram[j, active[i]]
    return False


@compiled
def _step(work: Work, k: int) -> float:
    """Move coefficient k to its optimum within its limits; return by how much it moved."""
    old = work.coefficients[k]
    gradient = work.gradient[k] + old * work.curvature[k]
    new = 0.0
    if gradient != 0.0:
        new = min(max(gradient / work.penalised[k], work.lower[k]), work.upper[k])
    work.coefficients[k] = new
    return float(new - old)


@compiled
def _reach_optimum(work: Work) -> bool:
    """Go on from where `_descend` stopped to the optimum within the limits; False: not found.

    As in Stark and Parker, Bounded-variable least squares, 1995: solve for the free coefficients, stop at the
    first limit, free again the one that the gradient pulls inside most.
    """
    coefficients, lower, upper = work.coefficients, work.lower, work.upper
    free, active, target = work.free, work.active, work.target
    columns = len(active)
    for j in range(columns):
        free[j] = work.sds[j] > 0.0 and lower[j] < coefficients[j] < upper[j]
    for _ in range(_MOST_STEPS * columns):
        count = 0
        for j in range(columns):
            if free[j]:
                active[count] = j
                count += 1
        _solve_free(work, count)
        step, hit = 1.0, -1
        for i in range(count):
            j, goal = active[i], target[i]
            limit = min(max(goal, lower[j]), upper[j])
            if limit != goal and (limit - coefficients[j]) / (goal - coefficients[j]) < step:
                step, hit = (limit - coefficients[j]) / (goal - coefficients[j]), j
        for i in range(count):
            coefficients[active[i]] += step * (target[i] - coefficients[active[i]])
        if hit >= 0:
            coefficients[hit] = lower[hit] if work.direction[hit] < 0.0 else upper[hit]
            free[hit] = False
            continue
        freed = _most_pulled(work)
        if freed < 0:
            return True
        free[freed] = True
    return False


@compiled
def _solve_free(work: Work, count: int) -> None:
    """Write the optimum of the first `count` active coefficients, the others kept, and the way to it."""
    gram, factor, active = work.gram, work.factor, work.active
    penalised, target, coefficients = work.penalised, work.target, work.coefficients
    for i in range(count):
        j = active[i]
        target[i] = work.gradient_at_zero[j]
        for k in range(len(active)):
            if not work.free[k] and work.sds[k] > 0.0:
                target[i] -= gram[j, k] * coefficients[k]
        for h in range(i + 1):
            value = penalised[j] if h == i else gram[j, active[h]]
            for g in range(h):
                value -= factor[i, g] * factor[h, g]
            factor[i, h] = value / factor[h, h] if h < i else np.sqrt(max(value, _SINGULAR * penalised[j]))
        for h in range(i):
            target[i] -= factor[i, h] * target[h]
        target[i] /= factor[i, i]
    for i in range(count - 1, -1, -1):
        for h in range(i + 1, count):
            target[i] -= factor[h, i] * target[h]
        target[i] /= factor[i, i]
        work.direction[active[i]] = target[i] - coefficients[active[i]]


@compiled
def _most_pulled(work: Work) -> int:
    """The coefficient at a limit that the gradient pulls inside most; -1: none."""
    coefficients, penalised = work.coefficients, work.penalised
    strongest, found = _NO_PULL, -1
    for j in range(len(coefficients)):
        if work.free[j] or work.sds[j] == 0.0:
            continue
        pull = work.gradient_at_zero[j] - penalised[j] * coefficients[j]
        for k in range(len(coefficients)):
            if k != j and work.sds[k] > 0.0:
                pull -= work.gram[j, k] * coefficients[k]
        if coefficients[j] == work.upper[j]:
            pull = -pull
        if pull / penalised[j] > strongest:
            strongest, found = pull / penalised[j], j
    return found


@compiled
def _solve(problem: Problem, work: Work, moments: Any, ridge: float, intercept: bool, beta: Any) -> bool:
    """Fit with or without an intercept; False: not converged.

    `moments` are mean and variance of the dependent variable's train rows, and whether the trend's limits
    flip; `beta` (1 + p,) takes the intercept, then the coefficients.
    """
    means, sds, coefficients = work.means, work.sds, work.coefficients
    columns = len(coefficients)
    mean, variance, flip_trend = moments
    offset = 0.0 if intercept else 1.0
    scale = np.sqrt(variance + offset * mean * mean)
    for j in range(columns):
        sd, centre = sds[j], offset * means[j]
        if sd == 0.0:
            coefficients[j] = 0.0
            continue
        work.gradient[j] = (work.products[j] + centre * mean) / (sd * scale)
        for k in range(columns):
            other = sds[k]
            if other > 0.0:
                work.gram[j, k] = (work.covariances[j, k] + centre * means[k]) / (sd * other)
            else:
                work.gram[j, k] = 0.0
        work.curvature[j] = 1.0 + centre * centre / (sd * sd)
        work.penalised[j] = work.curvature[j] + work.penalty[j] * ridge / scale
        flip = flip_trend and j == problem.trend
        work.lower[j] = (-1.0 if flip else problem.lower[j]) * sd / scale
        work.upper[j] = (0.0 if flip else problem.upper[j]) * sd / scale
    work.gradient_at_zero[:] = work.gradient
    converged = _descend(work)
    if problem.exact:
        converged = _reach_optimum(work)
    beta[0] = mean if intercept else 0.0
    for j in range(columns):
        beta[1 + j] = coefficients[j] * scale / sds[j] if sds[j] > 0.0 else 0.0
        if intercept:
            beta[0] -= beta[1 + j] * means[j]
    return converged


@compiled
def ridge_fit(
    problem: Problem, penalties: Any, ridge: float, train: int, work: Work, beta: Any
) -> tuple[bool, bool]:
    """The ridge fit with Robyn's rule for the intercept (robyn-spec §5.3): (converged, has an intercept)."""
    columns = len(work.active)
    mean, variance = _train_moments(problem.dependent, train, work)
    total = 0.0
    for j in range(columns):
        total += max(0.0, penalties[j])
    for j in range(columns):
        work.penalty[j] = max(0.0, penalties[j]) * columns / total
    flip = problem.trend >= 0 and work.means[problem.trend] < 0.0
    moments = (mean, variance, flip)
    converged = _solve(problem, work, moments, ridge, True, beta)
    if converged and problem.non_negative and beta[0] < 0.0:
        return _solve(problem, work, moments, ridge, False, beta), False
    return converged, True


@compiled
def _fit_errors(actual: Any, fitted: Any, freedom: float) -> tuple[float, float]:
    """NRMSE and adjusted R² of some rows; `freedom` is (n_train - df) / (n_train - p - 1) (§5.4)."""
    rows = len(actual)
    mean, squares, total = 0.0, 0.0, 0.0
    for t in range(rows):
        mean += actual[t]
    mean /= rows
    for t in range(rows):
        squares += (actual[t] - fitted[t]) ** 2
        total += (actual[t] - mean) ** 2
    nrmse = np.sqrt(squares / rows) / (actual.max() - actual.min())
    return nrmse, 1.0 - squares / total * freedom


@compiled
def _drift(problem: Problem, design: Any, effects: Any, beta: Any) -> float:
    """DECOMP.RSSD of a refresh: how far all shares are from the former model's (robyn-spec §8).

    Paid channels and everything else count as two root mean squares; the more of the window is new, the more
    the latter counts. inf if nothing has an effect.
    """
    rows, columns = design.shape
    first = columns - problem.media.shape[0]
    paid = len(problem.spend_share)
    total = rows * beta[0]
    for j in range(columns):
        effects[j] = 0.0
        for t in range(rows):
            effects[j] += design[t, j]
        effects[j] *= beta[1 + j]
        total += effects[j]
    if total == 0.0:
        return float(np.inf)
    channels, others = 0.0, (rows * beta[0] / total - problem.former_shares[0]) ** 2
    for j in range(columns):
        squared = (effects[j] / total - problem.former_shares[1 + j]) ** 2
        if first <= j < first + paid:
            channels += squared
        else:
            others += squared
    return float(np.sqrt(channels / paid) + np.sqrt(others / (1 + columns - paid)) / (1.0 - problem.moved))


@compiled
def _rssd(problem: Problem, design: Any, effects: Any, beta: Any) -> float:
    """DECOMP.RSSD over the paid channels with the zero penalty (robyn-spec §8); inf if none has an effect."""
    rows, columns = design.shape
    media, paid = problem.media.shape[0], len(problem.spend_share)
    total = 0.0
    for i in range(paid):
        column = columns - media + i
        effect = 0.0
        for t in range(rows):
            effect += design[t, column]
        effects[i] = effect * beta[1 + column]
        total += effects[i]
    if total == 0.0:
        return float(np.inf)
    squares, zeros = 0.0, 0
    for i in range(paid):
        share = effects[i] / total
        squares += (share - problem.spend_share[i]) ** 2
        if abs(share) < _ZERO_SHARE:
            zeros += 1
    return float(np.sqrt(squares) * (1.0 + zeros / paid))


@compiled
def study_effect(
    problem: Problem, hyper: Any, work: Work, outcome: Any, beta: Any, s: int
) -> tuple[float, float]:
    """Effect that the model sees on the days of study s, in its scope and in total.

    The effect of a period counts by the share of its days that the study covers; Robyn scales the
    sum by other numbers of days (robyn-spec §10.2). A study of scope `immediate` leaves out what
    earlier periods still earn: the saturated difference between the adstock of all data and that of
    the study's periods alone. Where that difference is negative (possible with weibull_pdf) the
    effect is NaN, as in Robyn.
    """
    media = problem.media.shape[0]
    first, stop = problem.study_rows[s]
    rows = stop - first
    predicted, everything = 0.0, 0.0
    for i in range(media):
        if not problem.study_media[s, i]:
            continue
        alpha, power = hyper[i], outcome[INFLEXIONS + i] ** hyper[i]
        coefficient = beta[1 + len(problem.lower) - media + i]
        scale = hyper[3 * media + i] if problem.family != GEOMETRIC else 0.0
        alone = work.adstocked_alone[:rows]
        series = problem.media[i, first:stop]
        adstock(problem.family, series, hyper[2 * media + i], scale, work.weights[:rows], alone)
        for t in range(rows):
            adstocked = work.adstocked[i, first + t]
            weighted = coefficient * problem.study_weights[s, t]
            effect = weighted * hill(adstocked, alpha, power)
            everything += effect
            predicted += effect
            if problem.study_immediate[s]:
                predicted -= weighted * hill(adstocked - alone[t], alpha, power)
    return predicted, everything


@compiled
def _mape(problem: Problem, hyper: Any, work: Work, outcome: Any, beta: Any) -> float:
    """Mean distance to the calibration studies' lifts, relative to their size, NaN left out."""
    total, count = 0.0, 0
    for s in range(len(problem.study_lift)):
        predicted, _ = study_effect(problem, hyper, work, outcome, beta, s)
        distance = abs(predicted - problem.study_lift[s]) / problem.study_error_scale[s]
        if not np.isnan(distance):
            total += distance
            count += 1
    return total / count if count else np.nan


split_rows = compiled(series.split)


@compiled
def saturated_sums(problem: Problem, hypers: Any, work: Work, outcome: Any, sums: Any) -> None:
    """Fill `sums` (k, m): what each media column after adstock and saturation adds up to over the window.

    `hypers` (k, …) are vectors as `evaluate` takes them.
    """
    rows, columns = work.design.shape
    media = sums.shape[1]
    for k in range(len(hypers)):
        _transform(problem, hypers[k], work.design, work.adstocked, work.weights, outcome)
        for i in range(media):
            sums[k, i] = 0.0
            for t in range(rows):
                sums[k, i] += work.design[t, columns - media + i]


@compiled
def evaluate(problem: Problem, hyper: Any, work: Work, outcome: Any, beta: Any) -> None:
    """Fit and judge one candidate.

    `hyper`: alphas (m), gammas (m), thetas or shapes (m), with Weibull scales (m); then lambda_hp, train_size
    and p penalty factors. Writes `outcome` (10 + 2 m; see METRICS) and `beta` (1 + p), and leaves the
    adstocked media, the design matrix and the fitted values in `work`. A fit that does not converge has an
    infinite nrmse.
    """
    rows, columns = work.design.shape
    tail = len(hyper) - columns
    _transform(problem, hyper, work.design, work.adstocked, work.weights, outcome)
    ridge = problem.lambda_low + (problem.lambda_high - problem.lambda_low) * hyper[tail - 2]
    train, validated = split_rows(rows, hyper[tail - 1])
    converged, intercept = ridge_fit(problem, hyper[tail:], ridge, train, work, beta)
    for t in range(rows):
        fitted = beta[0]
        for j in range(columns):
            fitted += work.design[t, j] * beta[1 + j]
        work.fitted[t] = fitted
    freedom = (train - (1.0 if intercept else 0.0)) / (train - columns - 1.0)
    edges = (0, train, validated, rows)
    for part in range(3):
        start, stop = edges[part], edges[part + 1]
        nrmse, rsq = np.nan, np.nan
        if stop > start:
            nrmse, rsq = _fit_errors(problem.dependent[start:stop], work.fitted[start:stop], freedom)
        outcome[NRMSE_PARTS + part], outcome[RSQ_PARTS + part] = nrmse, rsq
    outcome[NRMSE] = outcome[NRMSE_PARTS + 1] if validated > train else outcome[NRMSE_PARTS]
    if not converged:
        outcome[NRMSE] = np.inf
    if len(problem.former_shares):
        outcome[RSSD] = _drift(problem, work.design, work.effects, beta)
    else:
        outcome[RSSD] = _rssd(problem, work.design, work.effects, beta)
    outcome[MAPE] = _mape(problem, hyper, work, outcome, beta) if len(problem.study_lift) else 0.0
    outcome[LAMBDA] = ridge
