"""The compiled kernel's arrays for one set of inputs, and the names of the hyperparameter vector."""

from __future__ import annotations

import numpy as np

from contracts.model import HYPERPARAMETERS
from trainer.engines.common import INTERCEPT, Floats
from trainer.engines.native.records import Inputs, Study
from trainer.engines.native.search import kernel
from trainer.engines.native.search.kernel import Problem, Work

_VECTORS = (
    *("means", "sds", "products", "penalty", "curvature", "penalised", "lower", "upper", "coefficients"),
    *("gradient", "gradient_at_zero", "before", "target", "direction", "effects"),
)
"""The arrays of `Work` that have an entry per design column."""


class Evaluator:
    """Evaluates candidates one after another; every array is allocated once.

    `hyper`, `outcome` and `beta` are the vectors that `kernel.evaluate` describes; `names` names the
    entries of `hyper`. Not for use by several threads at once.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.names = hyperparameter_names(inputs)
        self.problem = _problem(inputs)
        self.work = _work(inputs)
        self.hyper = np.ones(len(self.names))
        self.outcome = np.zeros(len(kernel.METRICS) + 2 * len(inputs.media))
        self.beta = np.zeros(1 + len(inputs.columns))

    def evaluate(self) -> None:
        """Evaluate `hyper` into `outcome` and `beta`."""
        kernel.evaluate(self.problem, self.hyper, self.work, self.outcome, self.beta)


def hyperparameter_names(inputs: Inputs) -> list[str]:
    """The entries of the hyperparameter vector, in the kernel's order."""
    media = [f"{name}_{kind}" for kind in HYPERPARAMETERS[inputs.adstock] for name in inputs.media]
    return [*media, "lambda_hp", "train_size", *(f"{name}_penalty" for name in inputs.columns)]


def lambda_range(inputs: Inputs) -> tuple[float, float]:
    """Smallest and largest lambda of the search, from all rows of the raw columns (robyn-spec §4)."""
    centred = inputs.values - inputs.values.mean(axis=0)
    sds = np.sqrt((centred**2).mean(axis=0))
    sds[np.ptp(inputs.values, axis=0) == 0] = np.inf
    products = np.abs((centred / sds).T @ inputs.dependent)
    largest = 0.1 * float(products.max()) / (0.001 * len(inputs.dependent))
    return kernel.LAMBDA_MIN_RATIO * largest, largest


def _problem(inputs: Inputs) -> Problem:
    lower, upper = _limits(inputs)
    lambda_low, lambda_high = lambda_range(inputs)
    spend = inputs.spend[inputs.window].sum(axis=0)
    studies = inputs.studies
    return Problem(
        family=kernel.FAMILY[inputs.adstock],
        media=np.ascontiguousarray(inputs.values[:, -len(inputs.media) :].T),
        dependent=np.ascontiguousarray(inputs.dependent[inputs.window]),
        first=inputs.first,
        spend_share=spend / spend.sum(),
        former_shares=_former_shares(inputs),
        moved=inputs.reference.steps / (inputs.stop - inputs.first) if inputs.reference else 0.0,
        lower=lower,
        upper=upper,
        trend=inputs.columns.index("trend") if "trend" in inputs.prophet else -1,
        exact=inputs.solver == "converged",
        non_negative=inputs.intercept_sign == "non_negative",
        lambda_low=lambda_low,
        lambda_high=lambda_high,
        study_rows=np.array([(s.first, s.stop) for s in studies], dtype=np.int64).reshape(-1, 2),
        study_media=np.array(
            [[name in s.media for name in inputs.media] for s in studies], dtype=bool
        ).reshape(-1, len(inputs.media)),
        study_immediate=np.array([s.scope == "immediate" for s in studies], dtype=bool),
        study_lift=np.array([s.lift for s in studies], dtype=float),
        study_weights=_study_weights(studies),
        study_error_scale=np.array([s.error_scale for s in studies], dtype=float),
    )


def _former_shares(inputs: Inputs) -> Floats:
    shares = inputs.reference.shares if inputs.reference else {}
    return np.array([shares[name] for name in (INTERCEPT, *inputs.columns)] if shares else [], dtype=float)


def _limits(inputs: Inputs) -> tuple[Floats, Floats]:
    """Limits of the coefficients: Prophet columns within [0, 1], others by their sign (robyn-spec §5.1)."""
    prophet = len(inputs.prophet)
    lower = np.array([0.0 if sign == "positive" else -np.inf for sign in inputs.signs])
    upper = np.array([0.0 if sign == "negative" else np.inf for sign in inputs.signs])
    lower[:prophet], upper[:prophet] = 0.0, 1.0
    return lower, upper


def _study_weights(studies: tuple[Study, ...]) -> Floats:
    weights = np.zeros((len(studies), max((len(study.weights) for study in studies), default=0)))
    for row, study in zip(weights, studies, strict=True):
        row[: len(study.weights)] = study.weights
    return weights


def _work(inputs: Inputs) -> Work:
    rows, columns, periods = inputs.stop - inputs.first, len(inputs.columns), len(inputs.dates)
    vectors = {name: np.zeros(columns) for name in _VECTORS}
    matrices = {name: np.zeros((columns, columns)) for name in ("covariances", "gram", "factor")}
    return Work(
        design=np.array(inputs.values[inputs.window], order="C"),  # a copy: its media columns are written
        adstocked=np.zeros((len(inputs.media), periods)),
        adstocked_alone=np.zeros(periods),
        weights=np.zeros(periods),
        centred=np.zeros((rows, columns)),
        fitted=np.zeros(rows),
        member=np.zeros(columns, dtype=bool),
        free=np.zeros(columns, dtype=bool),
        active=np.zeros(columns, dtype=np.int64),
        **vectors,
        **matrices,
    )
