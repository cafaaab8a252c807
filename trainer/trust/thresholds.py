"""From which number on a check is good, doubtful or bad; docs/trust.md shows the table."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.trust import Word


@dataclass(frozen=True)
class Threshold:
    """The limits of one check. `good` itself is good, `bad` itself is still doubtful."""

    topic: str
    what: str
    good: float
    bad: float

    def word(self, value: float) -> Word:
        """What a value is; the order of the limits says whether more is better."""
        if self.good > self.bad:
            value, good, bad = -value, -self.good, -self.bad
        else:
            good, bad = self.good, self.bad
        return "good" if value <= good else "doubtful" if value <= bad else "bad"


THRESHOLDS: dict[str, Threshold] = {
    "r2": Threshold("fit", "adjusted R² of the best model on the rows trained on", 0.8, 0.6),
    "nrmse": Threshold("fit", "NRMSE of the best model", 0.1, 0.2),
    "autocorrelation": Threshold(
        "fit", "autocorrelation of the residuals from a period to the next", 0.6, 0.7
    ),
    "outliers": Threshold("fit", "share of periods with a residual beyond four robust sd", 0.01, 0.04),
    "converged": Threshold("search", "share of the objectives that converged by Robyn's rule", 1.0, 0.0),
    "candidates": Threshold("search", "candidates evaluated", 5000, 1000),
    "r_hat": Threshold("sampler", "largest split-R̂ of a channel", 1.05, 1.1),
    "ess": Threshold("sampler", "smallest effective number of draws of a channel", 200, 100),
    "inside": Threshold(
        "agreement", "share of paid channels whose ROAS in the best model is inside 90 %", 0.6, 0.2
    ),
    "winners": Threshold("agreement", "median over channels of the winners' highest / lowest ROAS", 2.0, 5.0),
    "solvers": Threshold("agreement", "how far the solver is from the optimum, worst channel", 0.05, 0.25),
    "rows": Threshold("data", "rows of the window per variable", 10, 5),
    "collinearity": Threshold("data", "largest correlation of two media columns", 0.7, 0.75),
    "variation": Threshold("data", "smallest sd / mean of a media column", 0.5, 0.3),
    "warnings": Threshold("data", "warnings about the data", 0, 5),
    "forecast": Threshold("backtest", "error of the forecast / error of the better naive one", 0.4, 0.85),
    "coverage": Threshold("backtest", "share of periods inside 90 % of their forecast", 0.75, 0.5),
    "moved": Threshold("stability", "largest move of a channel without the last periods, in sd", 1.0, 2.0),
    "planted": Threshold("simulation", "share of 90 % intervals that hold a planted truth", 0.8, 0.6),
    "told": Threshold(
        "simulation", "share of different pairs that are told apart surely and rightly", 0.6, 0.2
    ),
    "placebo": Threshold(
        "simulation", "largest credit of a channel that did nothing, over the real one's", 0.25, 0.5
    ),
}


def thresholds_table() -> str:
    """The thresholds as a Markdown table."""
    lines = ["| topic | check | number | good | bad |", "|---|---|---|---|---|"]
    for name, one in THRESHOLDS.items():
        better, worse = ("from", "below") if one.good > one.bad else ("to", "above")
        lines.append(
            f"| {one.topic} | `{name}` | {one.what} | {better} {one.good:,g} | {worse} {one.bad:,g} |"
        )
    return "\n".join(lines) + "\n"
