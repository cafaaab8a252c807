"""What a training found, on a terminal: what each channel cost and earned, how well it fits, what warns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from contracts.job import Finding
from contracts.result import Allocation, Gain, ModelInBrief
from contracts.summary import ModelSummary
from contracts.trust import TrustLine


def channels_table(
    best: ModelInBrief, dependent: str, beside: Mapping[str, Sequence[str]] | None = None
) -> Table:
    """A row per channel: spend, contribution in units of `dependent`, ROAS or CPA, its interval if any.

    `beside` adds columns, a cell per channel of `best` in its order.
    """
    metric = "CPA" if any(channel.cpa is not None for channel in best.channels) else "ROAS"
    columns = {
        "spend": [amount(channel.spend) for channel in best.channels],
        f"contribution to {dependent}": [amount(channel.response) for channel in best.channels],
        metric: [ratio(channel.cpa if metric == "CPA" else channel.roas) for channel in best.channels],
        **_intervals(best),
        **(beside or {}),
    }
    table = Table(title=f"model {best.sol_id}", title_justify="left")
    table.add_column("channel")
    for name in columns:
        table.add_column(name, justify="right")
    for channel, *cells in zip(best.channels, *columns.values(), strict=True):
        table.add_row(channel.name, *cells)
    return table


def _intervals(best: ModelInBrief) -> dict[str, list[str]]:
    """The posterior's interval of each channel's ROAS or CPA, where there is one to rely on."""
    if best.posterior is None or not best.posterior.converged:
        return {}
    known = {one.name: f"{ratio(one.q05)} – {ratio(one.q95)}" for one in best.posterior.channels}
    return {"90 % interval": [known.get(channel.name, "") for channel in best.channels]}


def fit(summary: ModelSummary) -> str:
    """How well the best model fits, in one line."""
    best = summary.best_model
    return (
        f"R² {ratio(best.train.r2)}   NRMSE {best.nrmse:.4f}   DECOMP.RSSD {ratio(best.rssd)}"
        f"   of {summary.candidates:,} candidates"
    )


def warning_lines(findings: Sequence[Finding]) -> list[str]:
    """The findings of a job that warn, and what to do about each."""
    lines = []
    for finding in findings:
        if finding.severity == "warning":
            column = finding.column
            named = f"{column}: " if column and column not in finding.message else ""
            lines += [f"  ! {named}{finding.message}"]
            lines += [f"    {finding.advice}"] if finding.advice else []
    return lines


def trust_lines(lines: Sequence[TrustLine]) -> list[str]:
    """How many checks are good, and each of those that are not: what was found and what to do."""
    if not lines:
        return []
    others = sorted((line for line in lines if line.word != "good"), key=lambda line: line.word)
    told = [f"  {line.word}: {line.figure}: {line.reason}; {line.advice}" for line in others]
    return [f"  trust: {len(lines) - len(others)} of {len(lines)} checks are good", *told]


def budget_lines(answers: Sequence[Allocation]) -> list[str]:
    """What each answer to a budget question proposes and gains, and what its plans gain."""
    lines = []
    for answer in answers:
        name = f"budget {answer.name}" if answer.name else "budget"
        if not answer.feasible:
            lines.append(f"  {name}: no answer: {answer.reason}")
            continue
        head = f"  {name}, {answer.start} to {answer.end}"
        if answer.before and answer.after:
            spends = ", ".join(
                f"{one.name} {amount(one.after.spend)}" for one in answer.channels if one.after
            )
            moved = f"{amount(answer.before.spend)} → {amount(answer.after.spend)}"
            lines.append(f"{head}: {moved}{_gained(answer.gain)}: {spends}")
        lines += [
            f"{head}: plan {plan.name}: {amount(plan.after.spend)}{_gained(plan.gain)}"
            for plan in answer.plans
        ]
    return lines


def _gained(gain: Gain | None) -> str:
    if gain is None:
        return ""
    interval = f"{gain.q05:+,.0f} to {gain.q95:+,.0f}"
    return f", gain {gain.mean:+,.0f} ({interval} with 90 %, above 0 with {100 * gain.above_zero:.0f} %)"


def amount(value: float | None) -> str:
    """A sum without digits after the point; nothing where there is none."""
    return "" if value is None else f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """A number with two digits after the point; nothing where there is none."""
    return "" if value is None else f"{value:.2f}"
