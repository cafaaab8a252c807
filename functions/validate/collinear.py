"""Columns that say the same, so that no model can tell their effects apart: warnings, with the figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.model import ModelConfig
from functions.validate.columns import Numbers
from functions.validate.findings import Findings

Floats = NDArray[np.float64]

_SAME = 0.98
"""Correlation from which on two columns say the same."""
_DISGUISED = 0.95
"""Correlation from which on a context column says the same as a medium."""
_UNEXPLAINED = 0.01
"""The share of a column's variance that others leave unexplained if it is made of them."""
_NEGLIGIBLE = 0.02
"""Share of a column's standard deviation below which another contributes nothing to it."""
_SPARE_ROWS = 10
"""Rows beyond the number of columns that such a finding needs."""

_APART = "keep one of them, or add them up in `derived`: a model cannot tell their effects apart"


def check_collinear(inside: pd.DataFrame, model: ModelConfig, findings: Findings) -> None:
    """Columns of the window that are the same, a sum of others, or the dependent variable in disguise."""
    columns = model.columns
    context = [variable.name for variable in columns.context]
    numbers = Numbers.of(inside, (*columns.media, *context))
    left_out = {*numbers.constant(), *numbers.where(lambda values: ~np.isfinite(values))}
    names = [name for name in numbers.names if name not in left_out]
    varied = inside[names]
    twins = _report_twins(varied, names, findings)
    _report_sums(varied, [name for name in names if name not in twins], findings)
    dependent = columns.dependent
    if dependent in inside and inside[dependent].notna().all() and inside[dependent].nunique() > 1:
        _report_disguises(inside[dependent], varied, [name for name in context if name in names], findings)


def _report_twins(frame: pd.DataFrame, names: list[str], findings: Findings) -> set[str]:
    """The later columns of every pair that is the same."""
    correlation = frame.corr().to_numpy() if names else np.empty((0, 0))
    twins = set()
    for i, j in np.argwhere(np.triu(np.abs(correlation) >= _SAME, 1)):
        if names[i] not in twins:
            twins.add(names[j])
            equal = "are equal" if frame[names[i]].equals(frame[names[j]]) else "are nearly the same"
            findings.warning(
                "similar-columns",
                f"columns '{names[i]}' and '{names[j]}' {equal}: "
                f"their correlation is {correlation[i, j]:.4g}",
                _APART,
                names[j],
            )
    return twins


def _report_sums(frame: pd.DataFrame, names: list[str], findings: Findings) -> None:
    """Go through the columns, and keep what those before do not explain as a basis for those behind."""
    rows = len(frame)
    basis, kept = np.empty((rows, 0)), list[str]()
    for name in names:
        if rows - len(kept) < _SPARE_ROWS:
            return
        rest = _standard(frame[name])
        for _ in range(2):  # the second time for what rounding left
            rest = rest - basis @ (basis.T @ rest)
        if rest @ rest * (rows - 1) / (rows - 1 - len(kept)) > _UNEXPLAINED:
            basis = np.column_stack([basis, rest / np.sqrt(rest @ rest)])
            kept.append(name)
            continue
        relation = [name, *_coefficients(frame[name], frame[kept])]
        made = _whole(frame[relation])
        terms = _coefficients(frame[made], frame[relation].drop(columns=made))
        findings.warning(
            "sum-of-columns",
            f"column '{made}' is made of others: {_written(terms)}",
            "remove it, or the others: a model cannot tell their effects apart",
            made,
        )


def _report_disguises(
    dependent: pd.Series[float], frame: pd.DataFrame, context: list[str], findings: Findings
) -> None:
    disguised = []
    line = _standard(dependent)
    for name in frame.columns.astype(str):
        r = float(line @ _standard(frame[name]))
        if abs(r) >= (_DISGUISED if name in context else _SAME):
            disguised.append(name)
            _report_disguise(str(dependent.name), [name], f"their correlation is {r:.4g}", findings)
    others = [name for name in context if name not in disguised]
    if len(others) > 1 and len(frame) - len(others) >= _SPARE_ROWS:
        terms = _coefficients(dependent, frame[others])
        rest = _standard(dependent - sum(frame[name] * factor for name, factor in terms.items()), dependent)
        if rest @ rest * (len(frame) - 1) / (len(frame) - 1 - len(others)) < _UNEXPLAINED:
            _report_disguise(str(dependent.name), list(terms), f"it is {_written(terms)}", findings)


def _report_disguise(dependent: str, names: Sequence[str], why: str, findings: Findings) -> None:
    listed = f"column{'s' * (len(names) > 1)} " + " and ".join(f"'{name}'" for name in names)
    findings.warning(
        "dependent-in-disguise",
        f"{listed} may be the dependent variable '{dependent}' in another form: {why}",
        "leave out what is counted or computed from the same sales: it would explain all, and media nothing",
        names[0],
    )


def _standard(values: pd.Series[float], unit: pd.Series[float] | None = None) -> Floats:
    """Values around their mean, of length 1; or in units of another column's length."""
    centred = values.to_numpy(np.float64) - values.mean()
    whole = centred if unit is None else unit.to_numpy(np.float64) - unit.mean()
    return np.asarray(centred / np.sqrt(whole @ whole), dtype=np.float64)


def _coefficients(made: pd.Series[float], others: pd.DataFrame) -> dict[str, float]:
    """Least squares with a constant, fitted again with the columns that matter."""
    for _ in range(2):
        design = np.column_stack([others - others.mean(), np.ones(len(others))])
        factors = np.linalg.lstsq(design, made.to_numpy(np.float64), rcond=None)[0][:-1]
        matter = np.abs(factors) * others.std().to_numpy() > _NEGLIGIBLE * made.std()
        others, factors = others.loc[:, matter], factors[matter]
    return {str(name): float(factor) for name, factor in zip(others.columns, factors, strict=True)}


def _whole(related: pd.DataFrame) -> str:
    """Of columns that explain each other the one that is a sum of the others, or else the first."""
    for name in map(str, related):
        terms = _coefficients(related[name], related.drop(columns=name))
        if terms and min(terms.values()) > 0:
            return name
    return str(related.columns[0])


def _written(terms: dict[str, float]) -> str:
    return " + ".join(f"{factor:.3g} × '{name}'" for name, factor in terms.items()).replace("+ -", "− ")
