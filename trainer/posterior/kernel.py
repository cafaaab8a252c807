"""The sampler, compiled: Metropolis within Gibbs with baseline and trend integrated out.

For a position (ρ, κ) of the grid, L whitens an AR(1) with ρ, Q and U are orthonormal columns of the whitened
baseline and trend, and K = I − QQᵀ − U diag(s) Uᵀ, s = κ²λ / (1 + κ²λ), so that vᵀKv is the sum of squares
that is left of v when baseline and trend are integrated out. Loops keep a fixed order of summation (never
fastmath): a seed gives the same draws on any number of cores.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.engines.native.search import kernel
from trainer.engines.native.search.machine_code import compiled, compiled_without_lock

Floats = NDArray[np.float64]

HALF_CAUCHY, LOG_NORMAL = 0, 1
PROPOSALS, C_STEPS, GRID_STEPS = 3, 4, 3
_LEAST = 1e-9
"""The share of a whitened effect that must be outside the baseline; below, the data say nothing of it."""


class Problem(NamedTuple):
    """What stays the same over all sweeps: n rows of the window, N of the data, m media, d columns."""

    family: int
    media: Floats  # (m, N), each divided by its largest value
    first: int  # first row of the window
    dependent: Floats  # (n,), divided by its mean
    low: Floats  # (2, m, 4) alpha, gamma, theta | shape, scale: with the family asked for, and delayed
    width: Floats  # (2, m, 4)
    delayed: Floats  # (m,) prior probability that the effect is delayed: Weibull PDF beside what is asked for
    prior: NDArray[np.int64]  # (m,) HALF_CAUCHY or LOG_NORMAL of the contribution over the window
    prior_location: Floats  # (m,) scale of the half-Cauchy, or mean of the logarithm
    prior_spread: Floats  # (m,) sd of the logarithm
    rho: Floats  # (R,)
    columns: Floats  # (R, n, d + k): Q, then U
    directions: Floats  # (R, d + k, n): the same, transposed
    eigenvalues: Floats  # (R, k)
    kappa: Floats  # (K,); 0 alone where there is no trend
    log_weight: Floats  # (R, K)
    baseline: int  # d
    sigma: float  # fixed; 0: drawn
    alike: NDArray[np.int64]  # (pairs, 2) channels whose series are nearly the same
    study_weight: Floats  # (s, n) share of each period that a study covers
    study_media: NDArray[np.bool_]  # (s, m)
    study_immediate: NDArray[np.bool_]  # (s,)
    study_lift: Floats  # (s,)
    study_error: Floats  # (s,) standard error


class State(NamedTuple):
    """Where a chain is; every array is changed in place."""

    eta: Floats  # (m, 5) hyperparameters, then the family
    c: Floats  # (m,) contribution over the window, in units of the scaled dependent
    effect: Floats  # (m, n) share of the contribution that a period has
    whitened: Floats  # (m, n)
    inside: Floats  # (m, d + k) inner products of `whitened` with the columns
    outside: Floats  # (m, n) K times `whitened`
    square: Floats  # (m,) whitenedᵀ K whitened
    lift: Floats  # (m, s) share of the contribution that a study measures
    residual: Floats  # (n,) K times the whitened residual
    missed: Floats  # (s,) measured lift that the media do not explain
    step: Floats  # (m,) of the random walk of log c
    taken: Floats  # (m,) accepted steps of it in the burn-in
    at: NDArray[np.int64]  # (2,) position of rho and of kappa
    sigma: Floats  # (1,)


class Work(NamedTuple):
    """Arrays to write over."""

    eta: Floats  # (5,)
    raw: Floats  # (N,)
    weights: Floats  # (N,)
    effect: Floats  # (n,)
    whitened: Floats  # (n,)
    inside: Floats  # (d + k,)
    lift: Floats  # (s,)
    rest: Floats  # (n,)
    effects: Floats  # (2, n)
    lifts: Floats  # (2, s)


@compiled
def effect(problem: Problem, i: int, eta: Any, work: Work, out: Any, lift: Any) -> None:
    """Fill `out` (n,) with channel i's effect, summing to 1, and `lift` (s,) with what studies see of it."""
    series, first, rows = problem.media[i], problem.first, len(out)
    adstocked, family = work.raw, int(eta[4])
    if family == kernel.GEOMETRIC:
        carried = 0.0
        for t in range(first + rows):
            carried = series[t] + eta[2] * carried
            adstocked[t] = carried
        own = 1.0
    else:
        own = kernel.adstock(family, series, eta[2], eta[3], work.weights, adstocked)
    largest = 0.0
    for t in range(first, first + rows):
        largest = max(largest, adstocked[t])
    inflexion = eta[1] * largest
    total = _saturate(adstocked[first : first + rows], eta[0], inflexion, work.whitened, out)
    if total == 0.0:
        out[:] = 0.0
        lift[:] = 0.0
        return
    for t in range(rows):
        out[t] /= total
    for s in range(len(lift)):
        lift[s] = 0.0
        if problem.study_media[s, i]:
            for t in range(rows):
                weight = problem.study_weight[s, t]
                if weight > 0.0:
                    seen = out[t]
                    if problem.study_immediate[s]:
                        carried = max(adstocked[first + t] - own * series[first + t], 0.0)
                        seen -= kernel.hill(carried, eta[0], inflexion ** eta[0]) / total
                    lift[s] += weight * seen


@compiled
def _saturate(adstocked: Any, alpha: float, inflexion: float, work: Any, out: Any) -> float:
    """Hill, each value over the inflexion; returns the sum. `work` is as long as `out`."""
    if inflexion == 0.0:
        out[:] = 0.0
        return 0.0
    for t in range(len(out)):
        out[t] = adstocked[t] / inflexion
    power(out, alpha, work)
    for t in range(len(out)):  # a power of 0 is only next to nothing
        out[t] = out[t] if adstocked[t] > 0.0 else 0.0
    return _saturation(out)


@compiled
def whiten(series: Any, rho: float, out: Any) -> None:
    """L times a series: what is left of an AR(1) with ρ, of equal variance in every row."""
    out[0] = series[0] * math.sqrt(1.0 - rho * rho)
    for t in range(1, len(series)):
        out[t] = series[t] - rho * series[t - 1]


@compiled
def project(columns: Any, vector: Any, out: Any) -> float:
    """Inner products with the columns into `out`; returns the sum of squares of the vector."""
    out[:] = 0.0
    square = 0.0
    for t in range(len(vector)):
        value = vector[t]
        if value != 0.0:
            square += value * value
            for j in range(len(out)):
                out[j] += columns[t, j] * value
    return square


@compiled
def shrunk(problem: Problem, rho: int, kappa: int, inside: Any) -> float:
    """The sum of squares that baseline and trend take away."""
    taken = 0.0
    for j in range(len(inside)):
        taken += _factor(problem, rho, kappa, j) * inside[j] * inside[j]
    return taken


@compiled
def _factor(problem: Problem, rho: int, kappa: int, j: int) -> float:
    if j < problem.baseline:
        return 1.0
    scaled = problem.kappa[kappa] ** 2 * problem.eigenvalues[rho, j - problem.baseline]
    return float(scaled / (1.0 + scaled))


@compiled
def _take_out(problem: Problem, rho: int, kappa: int, vector: Any, inside: Any, out: Any) -> None:
    """K times a whitened vector."""
    directions = problem.directions[rho]
    out[:] = vector
    for j in range(len(inside)):
        weight = _factor(problem, rho, kappa, j) * inside[j]
        for t in range(len(vector)):
            out[t] -= weight * directions[j, t]


@compiled
def _dot(a: Any, b: Any) -> float:
    one = two = three = four = 0.0
    whole = len(a) - len(a) % 4
    for t in range(0, whole, 4):
        one += a[t] * b[t]
        two += a[t + 1] * b[t + 1]
        three += a[t + 2] * b[t + 2]
        four += a[t + 3] * b[t + 3]
    for t in range(whole, len(a)):
        one += a[t] * b[t]
    return float((one + two) + (three + four))


@compiled
def log_prior(problem: Problem, i: int, c: float) -> float:
    """Of a contribution, up to a constant."""
    if problem.prior[i] == HALF_CAUCHY:
        ratio = c / problem.prior_location[i]
        return float(-math.log1p(ratio * ratio))
    z = (math.log(c) - problem.prior_location[i]) / problem.prior_spread[i]
    return float(-math.log(c) - 0.5 * z * z)


@compiled
def log_phi(z: float) -> float:
    """Logarithm of the normal distribution function."""
    if z > -10.0:
        return float(math.log(0.5 * math.erfc(-z / math.sqrt(2.0))))
    inverse = 1.0 / (z * z)
    series = 1.0 - inverse * (1.0 - inverse * (3.0 - 15.0 * inverse))
    return float(-0.5 * z * z - math.log(-z * math.sqrt(2.0 * math.pi)) + math.log(series))


@compiled
def log_evidence(precision: float, pull: float) -> float:
    """log of ∫ exp(−½Ac² + Bc) dc over c > 0, up to a constant."""
    z = pull / math.sqrt(precision)
    return 0.5 * z * z - 0.5 * math.log(precision) + log_phi(z)


@compiled
def positive_normal(random: Any, precision: float, pull: float) -> float:
    """A draw from N(B/A, 1/A) cut to above 0 (Robert, Simulation of truncated normal variables, 1995)."""
    low = -pull / math.sqrt(precision)
    if low < 0.5:
        z = random.standard_normal()
        while z <= low:
            z = random.standard_normal()
    else:
        rate = 0.5 * (low + math.sqrt(low * low + 4.0))
        z = low + random.standard_exponential() / rate
        while math.log(random.random()) > -0.5 * (z - rate) ** 2:
            z = low + random.standard_exponential() / rate
    return float(max((z - low) / math.sqrt(precision), 1e-300))


@compiled
def _from_prior(problem: Problem, i: int, first: int, chance: float, random: Any, out: Any) -> None:
    """The family of channel i, delayed with this chance, and its hyperparameters from number `first` on."""
    delayed = int(chance > 0.0 and random.random() < chance)
    out[4] = kernel.WEIBULL_PDF if delayed else problem.family
    for k in range(first, 4):
        out[k] = problem.low[delayed, i, k] + problem.width[delayed, i, k] * random.random()


@compiled
def used(family: float) -> int:
    """How many hyperparameters a family has."""
    return 3 if family == kernel.GEOMETRIC else 4


@compiled
def _propose(problem: Problem, i: int, eta: Any, steps: Any, random: Any, out: Any) -> float:
    """From the prior, or a step; -inf if it leads out of the range.

    Another adstock is proposed as often delayed as not, as chains find no other way across; what is returned
    makes up for that (logarithm of the ratio of prior over proposal).
    Steps are independent, of all hyperparameters or of one, and reflected at the ends of the range; or they
    are correlated as `steps` (2, 4, 4) says, a factor of the covariance of what the chain has seen, for each
    family. Reflected, these would not be as likely there as back. Steps keep the family.
    """
    kind = random.random()
    out[:] = eta
    if kind >= 0.4:
        return 0.0 if _step_along(problem, i, eta, steps, random, out) else -math.inf
    if kind < 0.15:
        _from_prior(problem, i, 0, problem.delayed[i], random, out)
        return 0.0
    if kind < 0.27 and problem.delayed[i] > 0.0:
        _from_prior(problem, i, 2, 0.5, random, out)
        odds = math.log(problem.delayed[i] / (1.0 - problem.delayed[i]))
        return float(odds * (int(out[4] != problem.family) - int(eta[4] != problem.family)))
    delayed, count = int(eta[4] != problem.family), used(eta[4])
    one = int(random.random() * count) if kind >= 0.3 else -1
    size = 0.15 if kind < 0.3 else 0.1
    for k in range(count):
        low, width = problem.low[delayed, i, k], problem.width[delayed, i, k]
        if width == 0.0 or (one >= 0 and k != one):
            continue
        position = (eta[k] - low) / width + size * random.standard_normal()
        position -= 2.0 * math.floor(position / 2.0)
        out[k] = low + width * (2.0 - position if position > 1.0 else position)
    return 0.0


@compiled
def _step_along(problem: Problem, i: int, eta: Any, steps: Any, random: Any, out: Any) -> bool:
    delayed, count = int(eta[4] != problem.family), used(eta[4])
    size = 2.38 / math.sqrt(count) * (1.0 if random.random() < 0.5 else 0.4)
    for j in range(count):
        z = size * random.standard_normal()
        for k in range(count):
            out[k] += problem.width[delayed, i, k] * steps[delayed, k, j] * z
    for k in range(count):
        low, width = problem.low[delayed, i, k], problem.width[delayed, i, k]
        if not low <= out[k] <= low + width:
            return False
    return True


@compiled
def _moments(
    problem: Problem, square: float, inner: float, sigma: float, lift: Any, missed: Any
) -> tuple[float, float]:
    """Precision A and pull B of a contribution, given the rest."""
    precision, pull = square / sigma**2, inner / sigma**2
    for s in range(len(lift)):
        error = problem.study_error[s] ** 2
        precision += lift[s] ** 2 / error
        pull += lift[s] * missed[s] / error
    return precision, pull


@compiled
def _outside_square(square: float, taken: float) -> float:
    """What is left outside baseline and trend; 0 where it is no more than a rounding error."""
    left = square - taken
    return left if left > _LEAST * square else 0.0


@compiled
def _visit(
    problem: Problem, state: State, i: int, steps: Any, random: Any, work: Work, burning: bool
) -> None:
    """Draw the hyperparameters and the contribution of channel i, given everything else."""
    rho, kappa = state.at
    sigma, c = state.sigma[0], state.c[i]
    rest = work.rest
    for t in range(len(rest)):
        rest[t] = state.residual[t] + c * state.outside[i, t]
    for s in range(len(state.missed)):
        state.missed[s] += c * state.lift[i, s]
    precision, pull = _channel(problem, state, i, rest)
    evidence = log_evidence(precision, pull)
    for _ in range(PROPOSALS):
        correction = _propose(problem, i, state.eta[i], steps, random, work.eta)
        if correction == -math.inf:
            continue
        effect(problem, i, work.eta, work, work.effect, work.lift)
        whiten(work.effect, problem.rho[rho], work.whitened)
        square = project(problem.columns[rho], work.whitened, work.inside)
        if square == 0.0:
            continue
        left = _outside_square(square, shrunk(problem, rho, kappa, work.inside))
        inner = _dot(work.whitened, rest) if left > 0.0 else 0.0
        new = _moments(problem, max(left, _LEAST * square), inner, sigma, work.lift, state.missed)
        new_evidence = log_evidence(new[0], new[1])
        new_c = positive_normal(random, new[0], new[1])
        gain = log_prior(problem, i, new_c) + new_evidence - log_prior(problem, i, c) - evidence
        if math.log(random.random()) < gain + correction:
            c, precision, pull, evidence = new_c, new[0], new[1], new_evidence
            state.eta[i] = work.eta
            state.effect[i] = work.effect
            state.lift[i] = work.lift
            state.whitened[i] = work.whitened
            state.inside[i] = work.inside
            _keep_outside(problem, state, i, left)
    c = _walk(problem, state, i, c, precision, pull, random, burning)
    put_back(state, i, c, rest)


@compiled
def put_back(state: State, i: int, c: float, rest: Any) -> None:
    """Channel i contributes c, of what the others leave, `rest`, and of the lifts that they miss."""
    state.c[i] = c
    for t in range(len(rest)):
        state.residual[t] = rest[t] - c * state.outside[i, t]
    for s in range(len(state.missed)):
        state.missed[s] -= c * state.lift[i, s]


@compiled
def _channel(problem: Problem, state: State, i: int, rest: Any) -> tuple[float, float]:
    """Precision and pull of the contribution of channel i, as it is."""
    inner = _dot(state.whitened[i], rest) if state.square[i] > 0.0 else 0.0
    square = state.square[i]
    if square == 0.0:
        square = _LEAST * _dot(state.whitened[i], state.whitened[i])
    return _moments(problem, square, inner, state.sigma[0], state.lift[i], state.missed)


@compiled
def _keep_outside(problem: Problem, state: State, i: int, left: float) -> None:
    state.square[i] = left
    if left > 0.0:
        rho, kappa = state.at
        _take_out(problem, rho, kappa, state.whitened[i], state.inside[i], state.outside[i])
    else:
        state.outside[i] = 0.0


@compiled
def _walk(
    problem: Problem,
    state: State,
    i: int,
    c: float,
    precision: float,
    pull: float,
    random: Any,
    burning: bool,
) -> float:
    """Steps of log c, of a size that the burn-in adapts to 44 % of them being taken."""
    for _ in range(C_STEPS):
        new = c * math.exp(state.step[i] * random.standard_normal())
        taken = False
        if 1e-300 < new < 1e300:
            gain = log_prior(problem, i, new) - log_prior(problem, i, c) + math.log(new / c)
            gain += -0.5 * precision * (new * new - c * c) + pull * (new - c)
            taken = math.log(random.random()) < gain
        if taken:
            c = new
        if burning:
            state.taken[i] += 1.0
            factor = math.exp((0.56 if taken else -0.44) / math.sqrt(state.taken[i] / 10.0 + 1.0))
            state.step[i] = min(max(state.step[i] * factor, 1e-3), 5.0)
    return c


@compiled
def _least_told(a: float, b: float, cross: float) -> tuple[float, float, float]:
    """Smallest eigenvalue of [[a, cross], [cross, b]], at least 0, and its vector."""
    smallest = max(0.5 * (a + b) - math.sqrt(0.25 * (a - b) ** 2 + cross**2), 0.0)
    x, y = cross, smallest - a
    if abs(smallest - b) > abs(y):
        x, y = smallest - b, cross
    length = math.sqrt(x * x + y * y)
    if length == 0.0:
        return smallest, 1.0, 0.0
    return smallest, x / length, y / length


@compiled
def _shift_pairs(problem: Problem, state: State, random: Any) -> None:
    """Move pairs of contributions along the direction that the data tell least about."""
    media, studies = state.lift.shape
    sigma = state.sigma[0]
    for _ in range(media):
        i = int(random.random() * media)
        j = int(random.random() * (media - 1))
        j += j >= i
        if state.c[i] == 0.0 or state.c[j] == 0.0:  # a region without the channel
            continue
        a, b = state.square[i] / sigma**2, state.square[j] / sigma**2
        cross = _dot(state.whitened[i], state.outside[j]) / sigma**2
        for s in range(studies):
            error = problem.study_error[s] ** 2
            a += state.lift[i, s] ** 2 / error
            b += state.lift[j, s] ** 2 / error
            cross += state.lift[i, s] * state.lift[j, s] / error
        smallest, x, y = _least_told(a, b, cross)
        reach = 2.4 / math.sqrt(smallest + 1.0 / float(len(state.residual)) ** 2)
        shift = reach * 10.0 ** (-1.5 * random.random()) * random.standard_normal()
        new_i, new_j = state.c[i] + shift * x, state.c[j] + shift * y
        if new_i <= 0.0 or new_j <= 0.0:
            continue
        pull = (
            x * _dot(state.whitened[i], state.residual) + y * _dot(state.whitened[j], state.residual)
        ) / sigma**2
        for s in range(studies):
            along = x * state.lift[i, s] + y * state.lift[j, s]
            pull += along * state.missed[s] / problem.study_error[s] ** 2
        gain = shift * pull - 0.5 * shift**2 * (a * x * x + 2.0 * cross * x * y + b * y * y)
        gain += log_prior(problem, i, new_i) - log_prior(problem, i, state.c[i])
        gain += log_prior(problem, j, new_j) - log_prior(problem, j, state.c[j])
        if math.log(random.random()) < gain:
            state.c[i], state.c[j] = new_i, new_j
            for t in range(len(state.residual)):
                state.residual[t] -= shift * (x * state.outside[i, t] + y * state.outside[j, t])
            for s in range(studies):
                state.missed[s] -= shift * (x * state.lift[i, s] + y * state.lift[j, s])


@compiled
def _rest(problem: Problem, state: State, out: Any) -> None:
    """The dependent variable without the media, before whitening."""
    out[:] = problem.dependent
    for i in range(len(state.c)):
        for t in range(len(out)):
            out[t] -= state.c[i] * state.effect[i, t]


@compiled
def _swap(problem: Problem, state: State, random: Any, work: Work) -> None:
    """Exchange all that two channels of nearly the same series have: chains find no other way across.

    Leaves the residual to `_move_on_grid`.
    """
    i, j = problem.alike[int(random.random() * len(problem.alike))]
    for one, other in ((i, j), (j, i)):
        delayed = int(state.eta[other, 4] != problem.family)
        if delayed and problem.delayed[one] == 0.0:
            return
        for k in range(used(state.eta[other, 4])):
            position = state.eta[other, k] - problem.low[delayed, one, k]
            if not 0.0 <= position <= problem.width[delayed, one, k]:
                return
    effect(problem, i, state.eta[j], work, work.effects[0], work.lifts[0])
    effect(problem, j, state.eta[i], work, work.effects[1], work.lifts[1])
    if work.effects[0].max() == 0.0 or work.effects[1].max() == 0.0:
        return
    rho, kappa = state.at
    a, b = state.c[i], state.c[j]
    gain = log_prior(problem, i, b) + log_prior(problem, j, a)
    gain -= log_prior(problem, i, a) + log_prior(problem, j, b)
    _rest(problem, state, work.rest)
    for new in range(2):
        whiten(work.rest, problem.rho[rho], work.whitened)
        square = project(problem.columns[rho], work.whitened, work.inside)
        left = square - shrunk(problem, rho, kappa, work.inside)
        gain += (0.5 - new) * left / state.sigma[0] ** 2
        for t in range(len(work.rest)):
            work.rest[t] += a * state.effect[i, t] + b * state.effect[j, t]
            work.rest[t] -= b * work.effects[0, t] + a * work.effects[1, t]
    for s in range(len(state.missed)):
        shift = a * state.lift[i, s] + b * state.lift[j, s] - b * work.lifts[0, s] - a * work.lifts[1, s]
        work.lift[s] = state.missed[s] + shift
        gain += 0.5 * (state.missed[s] ** 2 - work.lift[s] ** 2) / problem.study_error[s] ** 2
    if math.log(random.random()) < gain:
        state.c[i], state.c[j] = b, a
        work.eta[:] = state.eta[i]
        state.eta[i] = state.eta[j]
        state.eta[j] = work.eta
        state.effect[i], state.effect[j] = work.effects[0], work.effects[1]
        state.lift[i], state.lift[j] = work.lifts[0], work.lifts[1]
        state.missed[:] = work.lift
        refresh(problem, state, i)
        refresh(problem, state, j)


@compiled
def _move_on_grid(problem: Problem, state: State, random: Any, work: Work) -> None:
    """Draw sigma, then step to neighbours of (rho, kappa); leaves everything as it is there."""
    rows, (rho, kappa) = len(problem.dependent), state.at
    _rest(problem, state, work.rest)
    whiten(work.rest, problem.rho[rho], work.whitened)
    inside, other = work.inside, np.empty(len(work.inside))
    square = project(problem.columns[rho], work.whitened, inside)
    left = square - shrunk(problem, rho, kappa, inside)
    if problem.sigma == 0.0:
        half = 0.5 * max(left, 1e-20)
        state.sigma[0] = math.sqrt(half / random.standard_gamma(0.5 * (rows - problem.baseline)))
    sigma = state.sigma[0]
    moved = False
    for _ in range(GRID_STEPS):
        along_rho = random.random() < 0.5
        step = 1 if random.random() < 0.5 else -1
        new_rho, new_kappa = rho + step * along_rho, kappa + step * (not along_rho)
        chance = random.random()
        if not (0 <= new_rho < len(problem.rho) and 0 <= new_kappa < len(problem.kappa)):
            continue
        new_square = square
        if along_rho:
            whiten(work.rest, problem.rho[new_rho], work.effect)
            new_square = project(problem.columns[new_rho], work.effect, other)
        else:
            other[:] = inside
        new_left = new_square - shrunk(problem, new_rho, new_kappa, other)
        gain = problem.log_weight[new_rho, new_kappa] - problem.log_weight[rho, kappa]
        if math.log(chance) < gain - 0.5 * (new_left - left) / sigma**2:
            rho, kappa, square, left, moved = new_rho, new_kappa, new_square, new_left, True
            inside[:] = other
            if along_rho:
                work.whitened[:] = work.effect
    _take_out(problem, rho, kappa, work.whitened, inside, state.residual)
    if moved:
        state.at[0], state.at[1] = rho, kappa
        for i in range(len(state.c)):
            refresh(problem, state, i)


@compiled
def refresh(problem: Problem, state: State, i: int) -> None:
    """Whiten the effect of channel i anew, where the chain is on the grid."""
    rho, kappa = state.at
    whiten(state.effect[i], problem.rho[rho], state.whitened[i])
    square = project(problem.columns[rho], state.whitened[i], state.inside[i])
    taken = shrunk(problem, rho, kappa, state.inside[i])
    _keep_outside(problem, state, i, _outside_square(square, taken))


@compiled
def begin(problem: Problem, state: State, random: Any, work: Work) -> None:
    """Hyperparameters from their prior, contributions near the middle of theirs."""
    media = len(state.c)
    for i in range(media):
        _from_prior(problem, i, 0, problem.delayed[i], random, state.eta[i])
        middle = problem.prior_location[i]
        if problem.prior[i] == LOG_NORMAL:
            middle = math.exp(middle)
        state.c[i] = middle * math.exp(0.3 * random.standard_normal())
        effect(problem, i, state.eta[i], work, state.effect[i], state.lift[i])
        refresh(problem, state, i)
    state.missed[:] = problem.study_lift
    for i in range(media):
        for s in range(len(state.missed)):
            state.missed[s] -= state.c[i] * state.lift[i, s]
    if problem.sigma > 0.0:
        state.sigma[0] = problem.sigma
    _move_on_grid(problem, state, random, work)


@compiled_without_lock
def run(
    problem: Problem,
    state: State,
    steps: Any,
    random: Any,
    work: Work,
    burning: bool,
    draws: Any,
    noise: Any,
) -> None:
    """Sweep as often as `draws` has rows; the steps of contributions are adapted while `burning`.

    `steps` (m, 2, 4, 4) are those of hyperparameters, in units of their ranges. `draws` (sweeps, m, 6) takes
    contribution, hyperparameters and family, `noise` (sweeps, 3) sigma, rho, kappa.
    """
    media = len(state.c)
    for sweep in range(len(draws)):
        for i in range(media):
            _visit(problem, state, i, steps[i], random, work, burning)
        if media > 1:
            _shift_pairs(problem, state, random)
        if len(problem.alike):
            _swap(problem, state, random, work)
        _move_on_grid(problem, state, random, work)
        for i in range(media):
            draws[sweep, i, 0] = state.c[i]
            draws[sweep, i, 1:] = state.eta[i]
        noise[sweep, 0] = state.sigma[0]
        noise[sweep, 1] = problem.rho[state.at[0]]
        noise[sweep, 2] = problem.kappa[state.at[1]]


@compiled
def orthonormal(columns: Any, tolerance: float, out: Any, norms: Any) -> int:
    """Gram-Schmidt, twice for each column, into the first columns of `out`; returns how many there are.

    `norms` (d,) takes what is left of each column; 0 where that is no more than `tolerance` of it.
    """
    count = 0
    for j in range(columns.shape[1]):
        vector = columns[:, j].copy()
        before = math.sqrt(_dot(vector, vector))
        for _ in range(2):
            for k in range(count):
                inner = 0.0
                for t in range(len(vector)):
                    inner += out[t, k] * vector[t]
                for t in range(len(vector)):
                    vector[t] -= inner * out[t, k]
        left = math.sqrt(_dot(vector, vector))
        norms[j] = left if left > tolerance * before else 0.0
        if norms[j] > 0.0:
            out[:, count] = vector / left
            count += 1
    return count


@compiled
def respond(problem: Problem, i: int, eta: Any, c: Any, series: Any, out: Any) -> None:
    """Fill `out` (S, T) with what channel i earns if `series` (T,), scaled as `media`, is its input.

    Lags beyond the data's length count as 0; inflexion and norm are those of the window in training.
    """
    rows, everything = len(problem.dependent), problem.media.shape[1]
    weights, adstocked, trained = np.empty(everything), np.empty(len(series)), np.empty(everything)
    share, work, long = np.empty(rows), np.empty(rows), np.empty(len(series))
    for s in range(len(out)):
        first, second, family = eta[s, 2], eta[s, 3], int(eta[s, 4])
        kernel.adstock(family, problem.media[i], first, second, weights, trained)
        window = trained[problem.first : problem.first + rows]
        inflexion = eta[s, 1] * window.max()
        total = _saturate(window, eta[s, 0], inflexion, work, share)
        kernel.decay_weights(family, first, second, weights)
        adstocked[:] = 0.0
        for t in range(len(series)):
            if series[t] != 0.0:
                for lag in range(min(everything, len(series) - t)):
                    adstocked[t + lag] += series[t] * weights[lag]
        _saturate(adstocked, eta[s, 0], inflexion, long, out[s])
        for t in range(len(series)):
            out[s, t] *= c[s] / total


_ROOT_OF_HALF = int(np.array(math.sqrt(0.5)).view(np.int64))
"""Its bits."""
_LOG_2, _ROUNDING = math.log(2.0), 1.5 * 2.0**52
NEGLIGIBLE = 1e-16
"""Lags count up to the last one whose weight is more than this share of the largest."""


@compiled
def reach(weights: Any) -> int:
    """How many lags count, of the weights (N,) of an input 0, 1, ... periods later."""
    largest, count = 0.0, len(weights)
    for lag in range(len(weights)):
        largest = max(largest, weights[lag])
    while count > 1 and weights[count - 1] <= NEGLIGIBLE * largest:
        count -= 1
    return count


@compiled
def _carry(series: Any, first: int, weights: Any, lags: int, start: int, out: Any) -> None:
    """Fill `out` with the adstock from row `start` on of a series that begins in row `first`."""
    out[:] = 0.0
    for t in range(len(series)):
        if series[t] != 0.0:
            row = first + t - start
            for lag in range(max(-row, 0), min(lags, len(out) - row)):
                out[row + lag] += series[t] * weights[lag]


@compiled
def _decay(series: Any, theta: float, start: int, out: Any) -> None:
    """`_carry` of a geometric adstock: `start` rows of the series lie before those of `out`."""
    carried = 0.0
    for t in range(start):
        carried = series[t] + theta * carried
    for t in range(len(out)):
        carried = (series[start + t] if start + t < len(series) else 0.0) + theta * carried
        out[t] = carried


@compiled
def power(values: Any, exponent: float, work: Any) -> None:
    """Raise `values`, none below 0, in place; right to about 1e-14, and at most e^700.

    Taylor series of logarithm and exponential, in loops that the compiler turns into instructions for several
    values at once: three times as fast as a call of the C library for each. `work` is of the same length. A
    power of 0 is next to nothing.
    """
    bits, whole = values.view(np.int64), work.view(np.int64)
    for t in range(len(values)):  # a value is 2^whole times a rest between the roots of 1/2 and 2
        found = bits[t]
        twos = (found - _ROOT_OF_HALF) >> 52
        bits[t] = found - (twos << 52)
        whole[t] = twos
    for t in range(len(values)):
        s = (values[t] - 1.0) / (values[t] + 1.0)
        z = s * s
        sums = 1 / 15 + z * (1 / 17 + z * (1 / 19 + z * (1 / 21 + z * (1 / 23))))
        sums = 1 / 7 + z * (1 / 9 + z * (1 / 11 + z * (1 / 13 + z * sums)))
        sums = 1.0 + z * (1 / 3 + z * (1 / 5 + z * sums))
        logarithm = float(whole[t]) * _LOG_2 + 2.0 * s * sums
        work[t] = min(max(exponent * logarithm, -700.0), 700.0)
    for t in range(len(values)):
        near = work[t] / _LOG_2 + _ROUNDING  # whose last bits are the nearest integer
        x = work[t] - (near - _ROUNDING) * _LOG_2
        sums = 1 / 362880 + x * (1 / 3628800 + x * (1 / 39916800 + x * (1 / 479001600)))
        sums = 1 / 120 + x * (1 / 720 + x * (1 / 5040 + x * (1 / 40320 + x * sums)))
        values[t] = 1.0 + x * (1.0 + x * (1 / 2 + x * (1 / 6 + x * (1 / 24 + x * sums))))
        work[t] = near
    for t in range(len(values)):
        bits[t] += whole[t] << 52


@compiled
def _saturation(powers: Any) -> float:
    """The sum of x / (x + 1)."""
    one = two = three = four = 0.0
    whole = len(powers) - len(powers) % 4
    for t in range(len(powers)):
        x = min(powers[t], 1e300)
        powers[t] = x / (x + 1.0)
    for t in range(0, whole, 4):
        one += powers[t]
        two += powers[t + 1]
        three += powers[t + 2]
        four += powers[t + 3]
    for t in range(whole, len(powers)):
        one += powers[t]
    return float((one + two) + (three + four))


@compiled_without_lock
def train(problem: Problem, i: int, eta: Any, c: Any, out: Any) -> None:
    """Fill `out` (S, 2) with channel i's inflexion, and what it earns per period where it is saturated."""
    rows, everything = len(problem.dependent), problem.media.shape[1]
    weights, trained = np.empty(everything), np.empty(everything)
    share, work = np.empty(rows), np.empty(rows)
    for s in range(len(out)):
        kernel.adstock(int(eta[s, 4]), problem.media[i], eta[s, 2], eta[s, 3], weights, trained)
        window = trained[problem.first : problem.first + rows]
        out[s, 0] = eta[s, 1] * window.max()
        out[s, 1] = c[s] / _saturate(window, eta[s, 0], out[s, 0], work, share)


@compiled_without_lock
def earn(problem: Problem, eta: Any, trained: Any, before: Any, asked: Any, factors: Any, out: Any) -> None:
    """Fill `out` (S, F, 2) with what a channel earns if `asked` (P,) times a factor (F,) follows `before`.

    The first is earned in the P periods, what `before` carries into them included; the second in the periods
    after them, without media, over what `before` alone would still earn there. Both inputs are scaled as
    `media`; `before` begins with the data's first period. `trained` (S, 2) is what `train` says.
    """
    everything, start, periods = problem.media.shape[1], len(before), len(asked)
    weights = np.empty(everything)
    earlier, added = np.empty(periods + everything), np.empty(periods + everything)
    alone, powers, work = np.empty_like(added), np.empty_like(added), np.empty_like(added)
    for s in range(len(out)):
        alpha, half, scale = eta[s, 0], trained[s, 0], trained[s, 1]
        family = int(eta[s, 4])
        kernel.decay_weights(family, eta[s, 2], eta[s, 3], weights)
        lags = reach(weights)
        end, both = periods + lags - 1, lags - 1 if start else 0
        if family == kernel.GEOMETRIC and lags < everything:
            _decay(before, eta[s, 2], start, earlier[:both])
            _decay(asked, eta[s, 2], 0, added[:end])
        else:
            _carry(before, 0, weights, lags, start, earlier[:both])
            _carry(asked, start, weights, lags, start, added[:end])
        for t in range(end):
            alone[t] = added[t] / half
        power(alone[both:end], alpha, work[both:end])  # whatever the factor, one power is enough
        still = 0.0
        if both > periods:
            for t in range(both):
                powers[t] = earlier[t] / half
            power(powers[periods:both], alpha, work[periods:both])
            still = _saturation(powers[periods:both])
        for k in range(len(factors)):
            scaled = factors[k] ** alpha
            for t in range(both):
                powers[t] = (earlier[t] + factors[k] * added[t]) / half
            power(powers[:both], alpha, work[:both])
            for t in range(both, end):
                powers[t] = scaled * alone[t]
            out[s, k, 0] = scale * _saturation(powers[:periods])
            out[s, k, 1] = scale * max(_saturation(powers[periods:end]) - still, 0.0)
