"""Columns that say the same, so that no model can tell their effects apart: warnings, with the figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from contracts.model import ModelConfig
from functions.validate.columns import Floats, Numbers
from functions.validate.findings import Findings

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


@np.errstate(invalid="ignore")  # of infinite sums, which are a finding of another check
def check_collinear(inside: Numbers, model: ModelConfig, findings: Findings) -> None:
    """Columns of the window that are the same, a sum of others, or the dependent variable in disguise."""
    columns = model.columns
    context = [variable.name for variable in columns.context]
    left_out = {*inside.constant(), *inside.where(lambda values: ~np.isfinite(values))}
    varied = inside.only(name for name in (*columns.media, *context) if name not in left_out)
    lines = _standard(varied.values)
    twins = _report_twins(varied, lines, findings)
    _report_sums(varied, lines, twins, findings)
    if inside.varies(columns.dependent):
        _report_disguises(columns.dependent, inside, varied, lines, context, findings)


def _report_twins(varied: Numbers, lines: Floats, findings: Findings) -> set[str]:
    """The later columns of every pair that is the same."""
    names, correlation = varied.names, lines.T @ lines
    twins = set()
    for i, j in np.argwhere(np.triu(np.abs(correlation) >= _SAME, 1)):
        if names[i] not in twins:
            twins.add(names[j])
            equal = (varied.values[:, i] == varied.values[:, j]).all()
            findings.warning(
                "similar-columns",
                f"columns '{names[i]}' and '{names[j]}' {'are equal' if equal else 'are nearly the same'}: "
                f"their correlation is {correlation[i, j]:.4g}",
                _APART,
                names[j],
            )
    return twins


def _report_sums(varied: Numbers, lines: Floats, twins: set[str], findings: Findings) -> None:
    """Go through the columns, and keep what those before do not explain as a basis for those behind."""
    rows = len(lines)
    basis, kept = np.empty((rows, 0)), list[str]()
    for name, line in zip(varied.names, lines.T, strict=True):
        if name in twins:
            continue
        if rows - len(kept) < _SPARE_ROWS:
            return
        rest = line
        for _ in range(2):  # the second time for what rounding left
            rest = rest - basis @ (basis.T @ rest)
        if rest @ rest * (rows - 1) / (rows - 1 - len(kept)) > _UNEXPLAINED:
            basis = np.column_stack([basis, rest / np.sqrt(rest @ rest)])
            kept.append(name)
            continue
        relation = varied.only([name, *_coefficients(varied.column(name), varied.only(kept))])
        made = _whole(relation)
        terms = _coefficients(relation.column(made), _without(relation, made))
        findings.warning(
            "sum-of-columns",
            f"column '{made}' is made of others: {_written(terms)}",
            "remove it, or the others: a model cannot tell their effects apart",
            made,
        )


def _report_disguises(
    dependent: str, inside: Numbers, varied: Numbers, lines: Floats, context: list[str], findings: Findings
) -> None:
    sold, rows = inside.column(dependent), len(lines)
    disguised = []
    for name, r in zip(varied.names, _standard(sold) @ lines, strict=True):
        if abs(r) >= (_DISGUISED if name in context else _SAME):
            disguised.append(name)
            _report_disguise(dependent, [name], f"their correlation is {r:.4g}", findings)
    others = varied.only(name for name in context if name not in disguised)
    if len(others.names) > 1 and rows - len(others.names) >= _SPARE_ROWS:
        terms = _coefficients(sold, others)
        rest = sold - others.only(terms).values @ np.array([*terms.values()])
        share = np.sum((rest - rest.mean()) ** 2) / np.sum((sold - sold.mean()) ** 2)
        if share * (rows - 1) / (rows - 1 - len(others.names)) < _UNEXPLAINED:
            _report_disguise(dependent, list(terms), f"it is {_written(terms)}", findings)


def _report_disguise(dependent: str, names: Sequence[str], why: str, findings: Findings) -> None:
    listed = f"column{'s' * (len(names) > 1)} " + " and ".join(f"'{name}'" for name in names)
    findings.warning(
        "dependent-in-disguise",
        f"{listed} may be the dependent variable '{dependent}' in another form: {why}",
        "leave out what is counted or computed from the same sales: it would explain all, and media nothing",
        names[0],
    )


def _standard(values: Floats) -> Floats:
    """(N,) or (N, C) around the mean of each column, of length 1."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred / np.sqrt(np.sum(centred**2, axis=0)), dtype=np.float64)


def _coefficients(made: Floats, others: Numbers) -> dict[str, float]:
    """Least squares with a constant, fitted again with the columns that matter."""
    factors = np.empty(0)
    for _ in range(2):
        values = others.values
        design = np.column_stack([values - values.mean(axis=0), np.ones(len(values))])
        factors = np.linalg.lstsq(design, made, rcond=None)[0][:-1]
        matter = np.abs(factors) * values.std(axis=0, ddof=1) > _NEGLIGIBLE * made.std(ddof=1)
        others = others.only(name for name, counts in zip(others.names, matter, strict=True) if counts)
        factors = factors[matter]
    return dict(zip(others.names, factors.tolist(), strict=True))


def _without(numbers: Numbers, name: str) -> Numbers:
    return numbers.only(other for other in numbers.names if other != name)


def _whole(related: Numbers) -> str:
    """Of columns that explain each other the one that is a sum of the others, or else the first."""
    for name in related.names:
        terms = _coefficients(related.column(name), _without(related, name))
        if terms and min(terms.values()) > 0:
            return name
    return related.names[0]


def _written(terms: dict[str, float]) -> str:
    return " + ".join(f"{factor:.3g} × '{name}'" for name, factor in terms.items()).replace("+ -", "− ")
