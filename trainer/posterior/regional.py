"""The sampler of several regions at once, compiled: their effects are drawn from a common distribution.

Every region has its own baseline, trend, noise and contributions; log ROAS of channel i in region r is normal
around mu_i with sd tau_i, both learnt. So are the logits of its hyperparameters, as shares of their ranges:
normal around those of the common ones, with a learnt sd. Each region goes through the steps of `kernel`, on
views of the stacked arrays; what regions have in common is moved for all of them at once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.engines.native.search.machine_code import compiled, compiled_without_lock
from trainer.posterior import kernel
from trainer.posterior.kernel import Floats, Problem, State, Work

SHAPE_PROPOSALS, SCALE_STEPS, APART_STEPS = 3, 3, 3
TAU = np.geomspace(0.02, 3.0, 30)
"""The grid of how much a channel's log ROAS differs between regions (sd)."""
TAU_SCALE = 0.5
"""Scale of its half-normal prior."""


APART_SCALE = 1.0
"""Scale of the half-normal prior of how far hyperparameters of regions are apart (sd of their logits)."""


class Problems(NamedTuple):
    """Like `kernel.Problem`, for R regions; what has no axis of R is common to them."""

    family: int
    media: Floats  # (R, m, N), each divided by its largest value; 0 where a region has no such channel
    first: int
    dependent: Floats  # (R, n), all divided by the same number
    low: Floats  # (2, m, 4)
    width: Floats  # (2, m, 4)
    delayed: Floats  # (m,) 0: all regions have the family asked for
    apart: bool  # whether hyperparameters of regions differ; otherwise all have the common ones
    kind: NDArray[np.int64]  # (m,) of the prior of the common ROAS: HALF_CAUCHY or LOG_NORMAL
    location: Floats  # (m,) logarithm of the half-Cauchy's scale, or mean of the logarithm
    spread: Floats  # (m,) sd of the logarithm
    volume: Floats  # (R, m) logarithm of what a ROAS of 1 contributes; -inf where there is no such channel
    rho: Floats  # (P,)
    columns: Floats  # (R, P, n, w)
    directions: Floats  # (R, P, w, n)
    eigenvalues: Floats  # (R, P, w)
    kappa: Floats  # (K,)
    log_weight: Floats  # (R, P, K)
    baseline: NDArray[np.int64]  # (R,)
    study_weight: Floats  # (s, n)
    study_media: NDArray[np.bool_]  # (R, s, m)
    study_immediate: NDArray[np.bool_]  # (s,)
    study_lift: Floats  # (s,)
    study_error: Floats  # (s,)


class States(NamedTuple):
    """Like `kernel.State`, for R regions; what studies miss is common."""

    common: Floats  # (m, 5) hyperparameters that regions are around
    apart: Floats  # (m,) sd of the logits around them
    own: Floats  # (R, m, 4) how far a region's logits are from the common ones, over that sd
    eta: Floats  # (R, m, 5) what follows
    c: Floats  # (R, m)
    effect: Floats  # (R, m, n)
    whitened: Floats  # (R, m, n)
    inside: Floats  # (R, m, w)
    outside: Floats  # (R, m, n)
    square: Floats  # (R, m)
    lift: Floats  # (R, m, s)
    residual: Floats  # (R, n)
    missed: Floats  # (s,)
    step: Floats  # (R, m)
    taken: Floats  # (R, m)
    at: NDArray[np.int64]  # (R, 2)
    sigma: Floats  # (R, 1)
    mu: Floats  # (m,) common log ROAS
    tau: Floats  # (m,) how much regions differ from it
    locations: Floats  # (R, m) of the prior of log contributions
    spreads: Floats  # (R, m)
    scale_step: Floats  # (m,) of the moves of all regions' contributions at once
    scale_taken: Floats  # (m,)


class Works(NamedTuple):
    """Like `kernel.Work`, with what was proposed in every region."""

    common: Floats  # (5,)
    own: Floats  # (4,)
    eta: Floats  # (R, 5)
    raw: Floats  # (N,)
    weights: Floats  # (N,)
    effect: Floats  # (R, n)
    whitened: Floats  # (R, n)
    inside: Floats  # (R, w)
    lift: Floats  # (R, s)
    rest: Floats  # (n,)
    effects: Floats  # (2, n)
    lifts: Floats  # (2, s)
    alike: NDArray[np.int64]  # (0, 2)
    moved: Floats  # (s,)
    were: Floats  # (s,)


@compiled
def _problem(problems: Problems, states: States, works: Works, r: int) -> Problem:
    log_normal = problems.kind * 0 + kernel.LOG_NORMAL
    return Problem(
        problems.family,
        problems.media[r],
        problems.first,
        problems.dependent[r],
        problems.low,
        problems.width,
        problems.delayed,
        log_normal,
        states.locations[r],
        states.spreads[r],
        problems.rho,
        problems.columns[r],
        problems.directions[r],
        problems.eigenvalues[r],
        problems.kappa,
        problems.log_weight[r],
        problems.baseline[r],
        0.0,
        works.alike,
        problems.study_weight,
        problems.study_media[r],
        problems.study_immediate,
        problems.study_lift,
        problems.study_error,
    )


@compiled
def _state(states: States, r: int) -> State:
    return State(
        states.eta[r],
        states.c[r],
        states.effect[r],
        states.whitened[r],
        states.inside[r],
        states.outside[r],
        states.square[r],
        states.lift[r],
        states.residual[r],
        states.missed,
        states.step[r],
        states.taken[r],
        states.at[r],
        states.sigma[r],
    )


@compiled
def _work(works: Works, r: int) -> Work:
    return Work(
        works.eta[r],
        works.raw,
        works.weights,
        works.effect[r],
        works.whitened[r],
        works.inside[r],
        works.lift[r],
        works.rest,
        works.effects,
        works.lifts,
    )


@compiled
def _log_common(problems: Problems, i: int, mu: float) -> float:
    """The prior of the common log ROAS, up to a constant."""
    away = mu - problems.location[i]
    if problems.kind[i] == kernel.HALF_CAUCHY:
        return float(away - math.log1p(math.exp(2.0 * away)))
    return float(-0.5 * (away / problems.spread[i]) ** 2)


@compiled
def _study_gain(problems: Problems, missed: Any, moved: Any) -> float:
    """What the likelihood of the studies gains if they see `moved` more of the media."""
    gain = 0.0
    for s in range(len(missed)):
        gain += 0.5 * (missed[s] ** 2 - (missed[s] - moved[s]) ** 2) / problems.study_error[s] ** 2
    return gain


@compiled
def _propose(problems: Problems, states: States, i: int, random: Any, out: Any) -> None:
    """A step of all hyperparameters of channel i or of one, long or short, reflected at the ends."""
    kinds = kernel.used(states.common[i, 4])
    one = int(random.random() * kinds) if random.random() < 0.5 else -1
    size = 0.3 * 10.0 ** (-1.7 * random.random())
    out[:] = states.common[i]
    for k in range(kinds):
        low, width = problems.low[0, i, k], problems.width[0, i, k]
        if width > 0.0 and (one < 0 or k == one):
            position = (out[k] - low) / width + size * random.standard_normal()
            position -= 2.0 * math.floor(position / 2.0)
            out[k] = low + width * (2.0 - position if position > 1.0 else position)


@compiled
def _of_region(problems: Problems, i: int, common: Any, apart: float, own: Any, out: Any) -> None:
    """Fill `out` (5,) with the hyperparameters of a region, `own` (4,) times `apart` from the common ones."""
    out[:] = common
    for k in range(kernel.used(common[4])):
        low, width = problems.low[0, i, k], problems.width[0, i, k]
        if width > 0.0:
            position = min(max((common[k] - low) / width, 1e-12), 1.0 - 1e-12)
            odds = position / (1.0 - position) * math.exp(apart * own[k])
            out[k] = low + width * odds / (1.0 + odds)


@compiled
def _log_apart(apart: float) -> float:
    """The prior of the logarithm of `apart`, up to a constant."""
    return float(math.log(apart) - 0.5 * (apart / APART_SCALE) ** 2)


@compiled
def _scaled(problem: Problem, state: State, i: int, work: Work) -> tuple[float, float]:
    """Precision and pull of a factor of channel i's contribution in a region, with the effect in `work`."""
    rho, kappa = state.at
    kernel.effect(problem, i, work.eta, work, work.effect, work.lift)
    kernel.whiten(work.effect, problem.rho[rho], work.whitened)
    square = kernel.project(problem.columns[rho], work.whitened, work.inside)
    square -= kernel.shrunk(problem, rho, kappa, work.inside)
    c, variance = state.c[i], state.sigma[0] ** 2
    inner = kernel._dot(work.whitened, state.residual) + c * kernel._dot(work.whitened, state.outside[i])
    return c * c * max(square, 0.0) / variance, c * inner / variance


@compiled
def _move_shape(problems: Problems, states: States, works: Works, i: int, random: Any) -> None:
    """Propose other common hyperparameters of channel i, or how far regions are apart, and a factor of its
    contributions, in all regions at once. As in `kernel`, the factor is drawn from what the likelihood says.
    """
    regions, studies = len(states.c), len(states.missed)
    old_precision = old_pull = precision = pull = 0.0
    apart = states.apart[i]
    if problems.apart and random.random() < 0.25:
        works.common[:] = states.common[i]
        apart *= math.exp(0.7 * random.standard_normal())
    else:
        _propose(problems, states, i, random, works.common)
    for r in range(regions):
        c = states.c[r, i]
        _of_region(problems, i, works.common, apart, states.own[r, i], works.eta[r])
        if c > 0.0:
            variance = states.sigma[r, 0] ** 2
            old_precision += c * c * states.square[r, i] / variance
            inner = kernel._dot(states.whitened[r, i], states.residual[r])
            old_pull += c * (inner + c * states.square[r, i]) / variance
            problem, state = _problem(problems, states, works, r), _state(states, r)
            more = _scaled(problem, state, i, _work(works, r))
            precision += more[0]
            pull += more[1]
    for s in range(studies):
        old = new = 0.0
        for r in range(regions):
            old += states.c[r, i] * states.lift[r, i, s]
            new += states.c[r, i] * works.lift[r, s] if states.c[r, i] > 0.0 else 0.0
        missed, variance = states.missed[s] + old, problems.study_error[s] ** 2
        old_precision += old * old / variance
        old_pull += old * missed / variance
        precision += new * new / variance
        pull += new * missed / variance
        works.moved[s] = new
        works.were[s] = old
    if not (precision > 0.0 and old_precision > 0.0):
        return
    factor = kernel.positive_normal(random, precision, pull)
    mu = states.mu[i] + math.log(factor)
    gain = kernel.log_evidence(precision, pull) - kernel.log_evidence(old_precision, old_pull)
    gain += _log_common(problems, i, mu) - math.log(factor) - _log_common(problems, i, states.mu[i])
    gain += _log_apart(apart) - _log_apart(states.apart[i])
    if not math.log(random.random()) < gain:
        return
    states.mu[i] = mu
    states.common[i], states.apart[i] = works.common, apart
    states.eta[:, i] = works.eta
    for s in range(studies):
        states.missed[s] += works.were[s] - factor * works.moved[s]
    for r in range(regions):
        c = states.c[r, i]
        if c > 0.0:
            for t in range(states.residual.shape[1]):
                states.residual[r, t] += c * states.outside[r, i, t]
            c *= factor
            states.c[r, i] = c
            states.effect[r, i] = works.effect[r]
            states.lift[r, i] = works.lift[r]
            kernel.refresh(_problem(problems, states, works, r), _state(states, r), i)
            for t in range(states.residual.shape[1]):
                states.residual[r, t] -= c * states.outside[r, i, t]


@compiled
def _move_own(problems: Problems, states: States, works: Works, r: int, i: int, random: Any) -> None:
    """Draw how far channel i in a region is from the common hyperparameters, and its contribution.

    A step leads from x to √(1 − b²) x + b z, which leaves a normal prior as it is.
    """
    problem, state, work = _problem(problems, states, works, r), _state(states, r), _work(works, r)
    (rho, kappa), c, rest = state.at, state.c[i], work.rest
    for t in range(len(rest)):
        rest[t] = state.residual[t] + c * state.outside[i, t]
    for s in range(len(state.missed)):
        state.missed[s] += c * state.lift[i, s]
    precision, pull = kernel._channel(problem, state, i, rest)
    count = kernel.used(states.common[i, 4])
    one = int(random.random() * count) if random.random() < 0.5 else -1
    long = 10.0 ** (-1.5 * random.random())
    works.own[:] = states.own[r, i]
    for k in range(count):
        if one < 0 or k == one:
            works.own[k] = math.sqrt(1.0 - long * long) * works.own[k] + long * random.standard_normal()
    _of_region(problems, i, states.common[i], states.apart[i], works.own, work.eta)
    kernel.effect(problem, i, work.eta, work, work.effect, work.lift)
    kernel.whiten(work.effect, problem.rho[rho], work.whitened)
    square = kernel.project(problem.columns[rho], work.whitened, work.inside)
    if square > 0.0:
        left = kernel._outside_square(square, kernel.shrunk(problem, rho, kappa, work.inside))
        inner = kernel._dot(work.whitened, rest) if left > 0.0 else 0.0
        least = max(left, kernel._LEAST * square)
        new = kernel._moments(problem, least, inner, state.sigma[0], work.lift, state.missed)
        new_c = kernel.positive_normal(random, new[0], new[1])
        gain = kernel.log_prior(problem, i, new_c) + kernel.log_evidence(new[0], new[1])
        gain -= kernel.log_prior(problem, i, c) + kernel.log_evidence(precision, pull)
        if math.log(random.random()) < gain:
            c = new_c
            states.own[r, i] = works.own
            state.eta[i] = work.eta
            state.effect[i] = work.effect
            state.lift[i] = work.lift
            state.whitened[i] = work.whitened
            state.inside[i] = work.inside
            kernel._keep_outside(problem, state, i, left)
    kernel.put_back(state, i, c, rest)


@compiled
def _move_middle(problems: Problems, states: States, i: int, random: Any) -> None:
    """Draw the common hyperparameters of channel i, those of the regions being what they are."""
    apart = states.apart[i]
    for k in range(kernel.used(states.common[i, 4])):
        low, width = problems.low[0, i, k], problems.width[0, i, k]
        count, total = 0, 0.0
        for r in range(len(states.c)):
            if states.c[r, i] > 0.0:
                count += 1
                total += apart * states.own[r, i, k]
        if count == 0 or width == 0.0:
            continue
        old = min(max((states.common[i, k] - low) / width, 1e-12), 1.0 - 1e-12)
        moved = total / count + apart / math.sqrt(count) * random.standard_normal()
        odds = old / (1.0 - old) * math.exp(moved)
        new = odds / (1.0 + odds)
        if 1e-9 < new < 1.0 - 1e-9:
            gain = math.log(new * (1.0 - new)) - math.log(
                old * (1.0 - old)
            )  # uniform, as a density of logits
            if math.log(random.random()) < gain:
                states.common[i, k] = low + width * new
                states.own[:, i, k] -= moved / apart


@compiled
def _move_apart(problems: Problems, states: States, i: int, random: Any) -> None:
    """Draw how far regions are apart, their hyperparameters being what they are."""
    count, square = 0, 0.0
    for r in range(len(states.c)):
        if states.c[r, i] > 0.0:
            for k in range(kernel.used(states.common[i, 4])):
                if problems.width[0, i, k] > 0.0:
                    count += 1
                    square += (states.apart[i] * states.own[r, i, k]) ** 2
    for _ in range(APART_STEPS):
        old = states.apart[i]
        new = old * math.exp(0.5 * random.standard_normal())
        gain = _log_apart(new) - _log_apart(old) - count * math.log(new / old)
        gain -= 0.5 * square * (1.0 / new**2 - 1.0 / old**2)
        if math.log(random.random()) < gain:
            states.apart[i] = new
            states.own[:, i] *= old / new


@compiled
def _move_contribution(
    problem: Problem, state: State, i: int, random: Any, work: Work, burning: bool
) -> None:
    """Draw the contribution of channel i in a region, given everything else."""
    c, rest = state.c[i], work.rest
    for t in range(len(rest)):
        rest[t] = state.residual[t] + c * state.outside[i, t]
    for s in range(len(state.missed)):
        state.missed[s] += c * state.lift[i, s]
    precision, pull = kernel._channel(problem, state, i, rest)
    new = kernel.positive_normal(random, precision, pull)
    if math.log(random.random()) < kernel.log_prior(problem, i, new) - kernel.log_prior(problem, i, c):
        c = new
    c = kernel._walk(problem, state, i, c, precision, pull, random, burning)
    kernel.put_back(state, i, c, rest)


@compiled
def _scale(problems: Problems, states: States, works: Works, i: int, random: Any, burning: bool) -> None:
    """Multiply all regions' contributions of channel i, and its common ROAS, by the same number."""
    regions, pull, square = len(states.c), 0.0, 0.0
    works.moved[:] = 0.0
    for r in range(regions):
        c = states.c[r, i]
        if c > 0.0 and states.square[r, i] > 0.0:
            variance = states.sigma[r, 0] ** 2
            pull += c * kernel._dot(states.whitened[r, i], states.residual[r]) / variance
            square += c * c * states.square[r, i] / variance
        works.moved[:] += c * states.lift[r, i]
    step = states.scale_step[i] * random.standard_normal()
    more = math.expm1(step)
    gain = pull * more - 0.5 * square * more * more
    gain += _study_gain(problems, states.missed, more * works.moved)
    gain += _log_common(problems, i, states.mu[i] + step) - _log_common(problems, i, states.mu[i])
    taken = math.log(random.random()) < gain
    if taken:
        states.mu[i] += step
        states.missed[:] -= more * works.moved
        for r in range(regions):
            change = more * states.c[r, i]
            states.c[r, i] += change
            for t in range(states.residual.shape[1]):
                states.residual[r, t] -= change * states.outside[r, i, t]
    if burning:
        states.scale_taken[i] += 1.0
        factor = math.exp((0.56 if taken else -0.44) / math.sqrt(states.scale_taken[i] / 10.0 + 1.0))
        states.scale_step[i] = min(max(states.scale_step[i] * factor, 1e-3), 3.0)


@compiled
def _move_common(problems: Problems, states: States, i: int, tau: Any, random: Any) -> None:
    """Draw what the regions' ROAS of channel i have in common, and how much they differ."""
    count, total = 0, 0.0
    for r in range(len(states.c)):
        if states.c[r, i] > 0.0:
            count += 1
            total += math.log(states.c[r, i]) - problems.volume[r, i]
    if count == 0:
        return
    new = total / count + states.tau[i] / math.sqrt(count) * random.standard_normal()
    if math.log(random.random()) < _log_common(problems, i, new) - _log_common(problems, i, states.mu[i]):
        states.mu[i] = new
    square = 0.0
    for r in range(len(states.c)):
        if states.c[r, i] > 0.0:
            square += (math.log(states.c[r, i]) - problems.volume[r, i] - states.mu[i]) ** 2
    weights, highest = np.empty(len(tau)), -math.inf
    for k in range(len(tau)):  # on a geometric grid the prior's density counts times tau
        weights[k] = -(count - 1) * math.log(tau[k]) - 0.5 * square / tau[k] ** 2
        weights[k] -= 0.5 * (tau[k] / TAU_SCALE) ** 2
        highest = max(highest, weights[k])
    whole = 0.0
    for k in range(len(tau)):
        whole += math.exp(weights[k] - highest)
        weights[k] = whole
    chosen = random.random() * whole
    k = 0
    while weights[k] < chosen:
        k += 1
    states.tau[i] = tau[k]
    for r in range(len(states.c)):
        states.locations[r, i] = states.mu[i] + problems.volume[r, i]
        states.spreads[r, i] = states.tau[i]


@compiled_without_lock
def begin(problems: Problems, states: States, random: Any, works: Works) -> None:
    """Hyperparameters from their prior, contributions near the middle of theirs."""
    regions, media = states.c.shape
    for i in range(media):
        states.common[i, 4] = problems.family
        for k in range(4):
            states.common[i, k] = problems.low[0, i, k] + problems.width[0, i, k] * random.random()
        states.mu[i] = problems.location[i] + 0.3 * random.standard_normal()
    states.missed[:] = problems.study_lift
    for r in range(regions):
        problem, state, work = _problem(problems, states, works, r), _state(states, r), _work(works, r)
        for i in range(media):
            states.locations[r, i] = states.mu[i] + problems.volume[r, i]
            states.spreads[r, i] = states.tau[i]
            states.c[r, i] = math.exp(states.locations[r, i] + 0.3 * random.standard_normal())
            if problems.apart:
                for k in range(4):
                    states.own[r, i, k] = random.standard_normal()
            eta = states.eta[r, i]
            _of_region(problems, i, states.common[i], states.apart[i], states.own[r, i], eta)
            if states.c[r, i] > 0.0:
                kernel.effect(problem, i, eta, work, states.effect[r, i], states.lift[r, i])
                if states.effect[r, i].max() == 0.0:  # an adstock that leaves nothing: another is proposed
                    states.effect[r, i] = 1.0 / states.effect.shape[2]
            kernel.refresh(problem, state, i)
            for s in range(len(states.missed)):
                states.missed[s] -= states.c[r, i] * states.lift[r, i, s]
        kernel._move_on_grid(problem, state, random, work)


@compiled_without_lock
def run(
    problems: Problems,
    states: States,
    random: Any,
    works: Works,
    tau: Any,
    burning: bool,
    draws: Any,
    shapes: Any,
    typical: Any,
    noise: Any,
    common: Any,
) -> None:
    """Sweep as often as `draws` has rows; steps are adapted while `burning`.

    `draws` (sweeps, R, m) takes contributions, `shapes` (sweeps, R, m, 5) hyperparameters and family,
    `typical` (sweeps, m, 5) the common ones, `noise` (sweeps, R, 3) sigma, rho, kappa, `common`
    (sweeps, 2, m) mu and tau.
    """
    regions, media = states.c.shape
    for sweep in range(len(draws)):
        for i in range(media):
            for _ in range(SHAPE_PROPOSALS - problems.apart):
                _move_shape(problems, states, works, i, random)
            for r in range(regions):
                if states.c[r, i] > 0.0:
                    if problems.apart:
                        _move_own(problems, states, works, r, i, random)
                    problem, state = _problem(problems, states, works, r), _state(states, r)
                    _move_contribution(problem, state, i, random, _work(works, r), burning)
            for _ in range(SCALE_STEPS):
                _scale(problems, states, works, i, random, burning)
            _move_common(problems, states, i, tau, random)
            if problems.apart:
                _move_middle(problems, states, i, random)
                _move_apart(problems, states, i, random)
        for r in range(regions):
            problem, state = _problem(problems, states, works, r), _state(states, r)
            if media > 1:
                kernel._shift_pairs(problem, state, random)
            kernel._move_on_grid(problem, state, random, _work(works, r))
            noise[sweep, r, 0] = states.sigma[r, 0]
            noise[sweep, r, 1] = problems.rho[states.at[r, 0]]
            noise[sweep, r, 2] = problems.kappa[states.at[r, 1]]
        draws[sweep] = states.c
        shapes[sweep], typical[sweep] = states.eta, states.common
        common[sweep, 0] = states.mu
        common[sweep, 1] = states.tau
