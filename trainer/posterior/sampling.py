"""Chains, in threads, until they agree: split-R̂ and effective sample size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from trainer.posterior import kernel
from trainer.posterior.kernel import Floats

CHAINS = 2
"""Chains, each with a seed of its own."""
SWEEPS, BURN_IN = 1500, 500
LONGEST = 8
"""How many times the base length chains may become."""
R_HAT, ESS = 1.05, 200.0
"""What every channel's log contribution must reach: split-R̂ below, effective draws at least."""
_FIRST_STEP, _LEAST_STEP = 0.0375, 0.005
"""Of hyperparameters, in units of their range: before a chain has seen anything, and ever."""
_ENOUGH = 50
"""Sweeps in which a family must have been seen, for its steps to follow."""
_CHUNK = 250
"""Sweeps between two reports of progress."""

Progress = Callable[[int, int], None]
"""Called with sweeps done and sweeps planned so far, over all chains."""


@dataclass(frozen=True, eq=False)
class Samples:
    """What the chains drew after burn-in, scaled as the sampler has it."""

    draws: Floats
    """(chains, sweeps, m, 6) contribution, hyperparameters and family."""
    noise: Floats
    """(chains, sweeps, 3) sigma, rho, kappa."""
    sweeps: int
    """Of each chain, burn-in and what was dropped included."""
    r_hat: Floats
    """(m,)."""
    ess: Floats
    """(m,)."""

    @property
    def converged(self) -> bool:
        """Whether the chains agree on every channel."""
        return bool(self.agreed.all())

    @property
    def agreed(self) -> Floats:
        """(m,) 1 where the chains agree on the channel."""
        return ((self.r_hat < R_HAT) & (self.ess >= ESS)).astype(float)


class _Chain:
    def __init__(self, problem: kernel.Problem, seed: Sequence[int]) -> None:
        self.problem = problem
        self.random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        self.state, self.work = _state(problem), _work(problem)
        media = len(problem.media)
        self.draws, self.noise = np.empty((0, media, 6)), np.empty((0, 3))
        self.steps = np.tile(_FIRST_STEP * np.eye(4), (media, 2, 1, 1))
        kernel.begin(problem, self.state, self.random, self.work)

    def go_on(self, sweeps: int, burning: bool, told: Callable[[int], None]) -> None:
        """Sweep, and keep the draws."""
        draws, noise = np.empty((sweeps, *self.draws.shape[1:])), np.empty((sweeps, 3))
        for start in range(0, sweeps, _CHUNK):
            part = slice(start, start + _CHUNK)
            kernel.run(
                self.problem,
                self.state,
                self.steps,
                self.random,
                self.work,
                burning,
                draws[part],
                noise[part],
            )
            told(len(draws[part]))
        self.draws, self.noise = np.concatenate([self.draws, draws]), np.concatenate([self.noise, noise])
        self.adapt(draws[len(draws) // 3 :, :, 1:])

    def adapt(self, seen: Floats) -> None:
        """Let the steps of hyperparameters be as large, and as correlated, as what a chain has just seen.

        `seen` is (sweeps, m, 5). This happens a few times only, between runs of sweeps, each of which leaves
        the posterior as it is (Haario, Saksman and Tamminen, An adaptive Metropolis algorithm, 2001).
        """
        for i, of_channel in enumerate(seen.transpose(1, 0, 2)):
            delayed = of_channel[:, 4] != self.problem.family
            for place, part in enumerate((of_channel[~delayed, :4], of_channel[delayed, :4])):
                if len(part) >= _ENOUGH:
                    self.steps[i, place] = _factor(part, self.problem.width[place, i])


def _factor(seen: Floats, width: Floats) -> Floats:
    """(4, 4) of the covariance of what was `seen` (sweeps, 4), in units of the `width` (4,) of the ranges."""
    centred = (seen - seen.mean(axis=0)) / np.where(width > 0, width, 1.0)
    # einsum, not @: the order of summation does not depend on the number of cores
    covariance = np.einsum("tk,tl->kl", centred, centred) / len(seen)
    factor: Floats = np.linalg.cholesky(covariance + _LEAST_STEP**2 * np.eye(4)) * (width > 0)[:, None]
    return factor


def sample(
    problem: kernel.Problem,
    seed: int,
    *,
    cores: int = 1,
    sweeps: int = SWEEPS,
    longest: int = LONGEST,
    progress: Progress = lambda *_: None,
) -> Samples:
    """Draw from the posterior; equal for equal arguments, whatever `cores` is.

    Chains of `sweeps` are made twice as long, at most `longest` times, until they agree; a third of what they
    have is burn-in.
    """
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress(done, CHAINS * length)

    burn_in, length = sweeps // 3, sweeps
    with ThreadPoolExecutor(max(1, min(cores, CHAINS))) as pool:
        chains = list(pool.map(lambda k: _Chain(problem, (seed, k)), range(CHAINS)))
        for part in (burn_in // 2, burn_in - burn_in // 2):
            list(pool.map(partial(_Chain.go_on, sweeps=part, burning=True, told=told), chains))
        list(pool.map(partial(_Chain.go_on, sweeps=sweeps - burn_in, burning=False, told=told), chains))
        while True:
            found = _samples(chains, length)
            if found.converged or 2 * length > longest * sweeps:
                return found
            more, length = length, 2 * length
            list(pool.map(partial(_Chain.go_on, sweeps=more, burning=False, told=told), chains))


def _samples(chains: Sequence[_Chain], length: int) -> Samples:
    dropped = length // 3
    draws = np.array([chain.draws[dropped:] for chain in chains])
    logs = np.log(draws[:, :, :, 0])
    return Samples(
        draws=draws,
        noise=np.array([chain.noise[dropped:] for chain in chains]),
        sweeps=length,
        r_hat=np.array([split_r_hat(logs[:, :, i]) for i in range(logs.shape[2])]),
        ess=np.array([effective_size(logs[:, :, i]) for i in range(logs.shape[2])]),
    )


def _state(problem: kernel.Problem) -> kernel.State:
    media, rows = len(problem.media), len(problem.dependent)
    studies, columns = len(problem.study_lift), problem.columns.shape[2]
    return kernel.State(
        eta=np.zeros((media, 5)),
        c=np.zeros(media),
        effect=np.zeros((media, rows)),
        whitened=np.zeros((media, rows)),
        inside=np.zeros((media, columns)),
        outside=np.zeros((media, rows)),
        square=np.zeros(media),
        lift=np.zeros((media, studies)),
        residual=np.zeros(rows),
        missed=np.zeros(studies),
        step=np.ones(media),
        taken=np.zeros(media),
        at=np.array([0, len(problem.kappa) // 2]),
        sigma=np.ones(1),
    )


def _work(problem: kernel.Problem) -> kernel.Work:
    rows, everything = len(problem.dependent), problem.media.shape[1]
    return kernel.Work(
        eta=np.zeros(5),
        raw=np.zeros(everything),
        weights=np.zeros(everything),
        effect=np.zeros(rows),
        whitened=np.zeros(rows),
        inside=np.zeros(problem.columns.shape[2]),
        lift=np.zeros(len(problem.study_lift)),
        rest=np.zeros(rows),
        effects=np.zeros((2, rows)),
        lifts=np.zeros((2, len(problem.study_lift))),
    )


def split_r_hat(draws: Floats) -> float:
    """Split-R̂ of one number over chains (chains, draws); Gelman and others, Bayesian Data Analysis, 11.4."""
    half = draws.shape[1] // 2
    parts = np.concatenate([draws[:, :half], draws[:, -half:]])
    within = parts.var(axis=1, ddof=1).mean()
    between = parts.mean(axis=1).var(ddof=1)
    return float(np.sqrt((half - 1) / half + between / within)) if within > 0 else np.inf


def effective_size(draws: Floats) -> float:
    """Effective number of draws of one number (chains, draws), by Geyer's initial monotone sequence.

    As in Bayesian Data Analysis, 11.5, over split chains.
    """
    half = draws.shape[1] // 2
    parts = np.concatenate([draws[:, :half], draws[:, -half:]])
    covariance = _autocovariance(parts).mean(axis=0)
    within = covariance[0] * half / (half - 1)
    total = within * (half - 1) / half + parts.mean(axis=1).var(ddof=1)
    if not total > 0:
        return 0.0
    correlation = 1 - (within - covariance) / total
    pairs = correlation[: half // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs < 0)
    pairs = np.minimum.accumulate(pairs[: negative[0] if len(negative) else len(pairs)])
    return float(parts.size / max(2 * pairs.sum() - 1, 1 / np.log10(parts.size)))


def _autocovariance(parts: Floats) -> Floats:
    """(chains, draws) of every lag, by FFT."""
    count = parts.shape[1]
    centred = parts - parts.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred, 2 * count, axis=1)) ** 2
    found: Floats = np.fft.irfft(spectrum, axis=1)[:, :count] / count
    return found
