"""Formulas against vectors computed with Robyn's own R functions (robyn-spec, Appendix A)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.engines.native.explain.answers import saturate
from trainer.engines.native.records import Inputs
from trainer.engines.native.search import kernel
from trainer.engines.native.search.evaluator import Evaluator, lambda_range
from trainer.engines.native.select.pareto import error_score, pareto_fronts

SPEND = np.array([10.0, 0, 5, 20, 0, 0, 8, 3, 0, 12])
GEOMETRIC = [10, 5, 7.5, 23.75, 11.875, 5.9375, 10.96875, 8.484375, 4.2421875, 14.12109375]


def adstocked(family: int, first: float, second: float = 0.0) -> tuple[Any, Any, float]:
    out, weights = np.empty(10), np.empty(10)
    own = kernel.adstock(family, SPEND, first, second, weights, out)
    return out, weights, own


def test_geometric_adstock() -> None:
    out, _, own = adstocked(kernel.GEOMETRIC, 0.5)
    np.testing.assert_allclose(out, GEOMETRIC, rtol=1e-15)
    assert own == 1.0
    assert out.sum() / SPEND.sum() == pytest.approx(1.75653286638, rel=1e-11)


def test_weibull_pdf_adstock() -> None:
    out, weights, own = adstocked(kernel.WEIBULL_PDF, 2.2, 0.3)
    expected_weights = (
        "0.431774794597 0.840382082294 1 0.883153512982 0.611226188321 0.337912935708 0.149622557837"
    )
    expected_weights += " 0.0520019807597 0.0125866700947 0"
    expected = (
        "4.31774794597 8.40382082294 12.158873973 21.6689414332 27.9199035291 27.794896922 25.6696251364"
    )
    expected += " 22.4524892947 18.1533844512 18.4989866996"
    np.testing.assert_allclose(weights, np.array(expected_weights.split(), dtype=float), rtol=1e-10)
    np.testing.assert_allclose(out, np.array(expected.split(), dtype=float), rtol=1e-10)
    assert own == pytest.approx(0.431774794597, rel=1e-10)


def test_weibull_cdf_adstock() -> None:
    out, weights, own = adstocked(kernel.WEIBULL_CDF, 0.8, 0.25)
    expected_weights = "1 0.66017941068 0.320387260012 0.117863886172 0.0334732664307 0.00743312491333"
    expected_weights += " 0.00130322925188 0.000181814169168 2.03141159402e-05 1.82776027826e-06"
    expected = "10 6.6017941068 8.20387260012 24.4795359151 15.140257178 7.07139588024 10.5376763481"
    expected += " 8.98988438031 4.69901809782 13.9310648029"
    np.testing.assert_allclose(weights, np.array(expected_weights.split(), dtype=float), rtol=1e-10)
    np.testing.assert_allclose(out, np.array(expected.split(), dtype=float), rtol=1e-10)
    assert own == 1.0


@pytest.mark.parametrize("family", [kernel.WEIBULL_CDF, kernel.WEIBULL_PDF])
@pytest.mark.parametrize(("shape", "scale"), [(0.0, 0.3), (2.0, 0.0)])
def test_weibull_without_shape_or_scale_carries_nothing_over(family: int, shape: float, scale: float) -> None:
    out, _, _ = adstocked(family, shape, scale)
    np.testing.assert_array_equal(out, SPEND)


def test_hill_saturation() -> None:
    window = np.array(GEOMETRIC[2:])
    inflexion = 0.4 * window.max()
    assert inflexion == 9.5
    expected = [0.400865315435, 0.826022243024, 0.593714882954, 0.310238148934]
    expected += [0.560795084266, 0.45209453532, 0.202529116576, 0.662363005683]
    np.testing.assert_allclose(saturate(window, 1.7, inflexion), expected, rtol=1e-10)
    carryover = window - SPEND[2:]
    expected = [0.0936805019396, 0.170765582992, 0.593714882954, 0.310238148934]
    expected += [0.121600931903, 0.282121861719, 0.202529116576, 0.0724996209655]
    np.testing.assert_allclose(saturate(carryover, 1.7, inflexion), expected, rtol=1e-10)


def test_response_of_a_media_variable() -> None:
    response = 5e5 * saturate(np.array([12500.0]), 1.4, 9000.0)
    assert response[0] == pytest.approx(306495.90192, rel=1e-10)


def ridge_inputs(shift: float = 0.0) -> Inputs:
    first = [0.1, 0.5, 0.9, 0.2, 0.4, 0.8, 0.3, 0.6, 0.7, 0.15, 0.55, 0.95]
    second = [0.9, 0.1, 0.2, 0.8, 0.3, 0.4, 0.5, 0.95, 0.05, 0.6, 0.7, 0.25]
    dependent = np.array([131.0, 150, 171, 140, 147, 170, 148, 162, 168, 141, 165, 186])
    media = {f"m{i}_{kind}": (0.5, 1.0) for i in (1, 2) for kind in ("alphas", "gammas", "thetas")}
    return Inputs(
        dates=np.arange("2026-01-05", "2026-03-30", 7, dtype="datetime64[D]"),
        interval="week",
        dependent_name="sales",
        dependent_type="revenue",
        dependent=dependent + shift,
        prophet=("trend",),
        context=(),
        paid=("m1", "m2"),
        organic=(),
        values=np.column_stack([np.arange(100.0, 124.0, 2.0), first, second]),
        signs=("default", "positive", "positive"),
        spend_names=("m1", "m2"),
        spend=np.column_stack([first, second]),
        exposure=np.full((12, 2), np.nan),
        first=0,
        stop=12,
        adstock="geometric",
        bounds=media,
    )


def ridge(inputs: Inputs, penalty: float, factors: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Any:
    evaluator = Evaluator(inputs)  # its design matrix holds the raw columns until a candidate is evaluated
    kernel.ridge_fit(evaluator.problem, np.array(factors), penalty, 12, evaluator.work, evaluator.beta)
    return evaluator.beta


@pytest.mark.parametrize(
    ("penalty", "factors", "expected"),
    [
        (0.01, (1.0, 1.0, 1.0), (64.8948105714, 0.584207045289, 50.3563316044, 2.15774773055)),
        (1.0, (1.0, 1.0, 1.0), (66.6502612856, 0.597802720207, 46.0038441068, 0.0)),
        (20.0, (1.0, 1.0, 1.0), (99.9983706407, 0.408260728051, 21.9863841541, 0.0)),
        (0.01, (1.0, 0.2, 0.5), (64.9487512329, 0.583452471239, 50.3955111037, 2.1780696047)),
        (1.0, (1.0, 0.2, 0.5), (71.0803486703, 0.536960656984, 49.1943496542, 1.43634269232)),
        (20.0, (1.0, 0.2, 0.5), (112.435102473, 0.233581086935, 35.5526443128, 0.0)),
    ],
)
def test_ridge_stops_where_glmnet_stops(penalty: float, factors: tuple[float, ...], expected: Any) -> None:
    np.testing.assert_allclose(ridge(ridge_inputs(), penalty, factors), expected, rtol=1e-11)


def test_a_negative_intercept_is_dropped() -> None:
    expected = (0.0, 0.0939581591933, 50.6798189861, 0.830905961997)
    np.testing.assert_allclose(ridge(ridge_inputs(shift=-120.0), 1.0), expected, rtol=1e-11)


def test_the_largest_lambda() -> None:
    assert lambda_range(ridge_inputs())[1] == pytest.approx(0.1 * 14886.1691991, rel=1e-11)


def test_error_score_counts_an_infinite_error_as_one() -> None:
    errors = {
        "nrmse_train": [0.1, 0.2, 0.3],
        "nrmse_test": np.nan,
        "decomp.rssd": [0.5, np.inf, 0.2],
        "mape": 0.0,
    }
    expected = [0.125, 0.372677996250, 0.333333333333]
    np.testing.assert_allclose(error_score(pd.DataFrame(errors)), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0.0), (1.0, 1.0), (0.12345678905, 0.123456789), (0.00123456789049, 0.00123456789)],
)
def test_proposals_are_rounded_to_ten_digits(value: float, expected: float) -> None:
    assert kernel.round_significant(value) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("rows", "share", "expected"), [(100, 0.8, (80, 89)), (183, 1.0, (183, 183))])
def test_split(rows: int, share: float, expected: tuple[int, int]) -> None:
    assert kernel.split_rows(rows, share) == expected


errors = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40)


@settings(deadline=None)
@given(errors)
def test_the_first_front_is_what_no_model_beats_in_both_errors(pairs: list[tuple[int, int]]) -> None:
    nrmse, rssd = np.array(pairs, dtype=float).T
    unbeaten = [not any((a <= c and b <= d) and (a, b) != (c, d) for a, b in pairs) for c, d in pairs]
    np.testing.assert_array_equal(pareto_fronts(nrmse, rssd) == 1, unbeaten)
