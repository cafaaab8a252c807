"""What the allocator may be asked about a model."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from contracts.base import Authored, ColumnName, FieldProblems, Range, RegionName, Slug


def _spend(value: float | str) -> float | str:
    """An amount, or a change in percent as a text such as `+10 %`.

    Raises:
        ValueError: it is neither, or less than nothing.
    """
    if amount_of(value, 1.0) < 0:
        raise ValueError(f"{value}: less than nothing cannot be spent")
    return value


def amount_of(value: float | str, today: float) -> float:
    """A spend in currency: an amount as it is, a change such as `+10 %` or `-5 %` applied to `today`.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(value, str):
        return float(value)
    sign, digits = value[:1], value[1:].rstrip().removesuffix("%").rstrip()
    number = digits.replace(".", "", 1)
    if sign not in "+-" or not value.endswith("%") or not (number.isascii() and number.isdigit()):
        raise ValueError(f"'{value}' is no amount in currency, and no change such as '+10 %' or '-5 %'")
    return today * (1 + float(sign + digits) / 100)


Spend = Annotated[float | str, AfterValidator(_spend)]
"""An amount in currency, or a change of what was spent, such as `+10 %`."""


class ChannelBounds(Authored):
    """How far the allocator may move a channel, as factors of its historical spend."""

    low: float = Field(ge=0, description="smallest spend, as a factor of the historical one")
    high: float = Field(ge=0, description="largest spend, as a factor of the historical one")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.high < self.low:
            raise ValueError(f"high ({self.high}) is below low ({self.low})")
        return self


_IGNORED: dict[str, tuple[str, ...]] = {
    "max_response": ("target",),
    "target_efficiency": ("total",),
    "historical": ("total", "target", "bounds", "channel_bounds", "channel_budgets"),
}
BOUNDS = {
    "max_response": ChannelBounds(low=0.5, high=2.0),
    "target_efficiency": ChannelBounds(low=0.1, high=10.0),
}
"""Robyn's default bounds by scenario, as multiples of today's spend."""
DEFAULT_TARGET: dict[Literal["revenue", "conversion"], float] = {"revenue": 0.8, "conversion": 1.2}
"""Robyn's default target, as a multiple of today's ROAS or CPA."""
_TOLERANCE = 1e-9
"""Relative tolerance for rounding when a question is checked."""
MOST_PLANS = 20
"""That one question may compare."""


class SplitQuestion(Authored):
    """How to divide a budget over the paid channels, and what plans of one's own would earn."""

    scenario: Literal["max_response", "target_efficiency", "historical"] = Field(
        "max_response",
        description="the largest response to a total budget; the largest response at a ROAS or CPA; or only "
        "what was spent and earned",
    )
    total: Spend | None = Field(
        None,
        description="total budget over the dates, in currency, or a change of what was spent, such as `+10 %`"
        "; left out: as spent, or if every channel has a budget, what is nearest to that",
    )
    target: float | None = Field(
        None,
        gt=0,
        description="only with target_efficiency: ROAS (response per unit of currency) or CPA (currency per "
        "unit of response) to reach; left out: 0.8 times the ROAS, or 1.2 times the CPA, of what was spent",
    )
    bounds: ChannelBounds | None = Field(
        None,
        description="bounds of every channel without its own; left out: 0.5 to 2, or with scenario "
        "target_efficiency 0.1 to 10",
    )
    channel_bounds: dict[ColumnName, ChannelBounds] = Field(
        {}, description="bounds by spend column, instead of `bounds`"
    )
    channel_budgets: dict[ColumnName, Range] = Field(
        {},
        description="spend over the dates by spend column, in currency, fixed or [low, high]; such a channel "
        "has no bounds. With by_region in all regions together",
    )
    plans: dict[Slug, dict[ColumnName, Spend]] = Field(
        {},
        max_length=MOST_PLANS,
        description="your own plans, by name: what would each earn? The spend over the dates by spend "
        "column, in currency or as a change such as `-5 %`; a channel left out stays as it was. With "
        "by_region in all regions together, divided among them as it was",
    )
    region_plans: dict[Slug, dict[RegionName, dict[ColumnName, Spend]]] = Field(
        {},
        max_length=MOST_PLANS,
        description="only with by_region: your own plans, by name, region and spend column; what is left out "
        "stays as it was",
    )
    region: RegionName | None = Field(
        None,
        description="name of a region, where the data have regions: only its money and what that earns; left "
        "out: all regions together",
    )
    by_region: bool = Field(
        False,
        description="only where the data have regions: true, money may also move between regions, and bounds "
        "are those of each channel in each region; false, a channel's money stays divided among the regions "
        "as it was",
    )

    @field_validator("total")
    @classmethod
    def _some(cls, total: float | str | None) -> float | str | None:
        if total is not None and amount_of(total, 1.0) <= 0:
            raise ValueError("must be greater than 0")
        return total

    @field_validator("channel_budgets")
    @classmethod
    def _possible(cls, budgets: dict[str, Range]) -> dict[str, Range]:
        for name, (low, high) in budgets.items():
            if not 0 <= low <= high:
                raise ValueError(f"{name}: [{low}, {high}] must satisfy 0 <= low <= high")
        return budgets

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        twice = sorted(self.channel_budgets.keys() & self.channel_bounds.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)}: has channel_bounds and channel_budgets; give one of them")
        ignored = [name for name in _IGNORED[self.scenario] if getattr(self, name)]
        if ignored:
            raise FieldProblems(f"{name}: not used with scenario {self.scenario}" for name in ignored)
        if self.by_region and self.region:
            raise FieldProblems(["region: not used with by_region; leave one of them out"])
        if self.region_plans and not self.by_region:
            raise FieldProblems(["region_plans: only used with by_region: true"])
        both = sorted(self.plans.keys() & self.region_plans.keys())
        if both:
            raise FieldProblems(
                [f"region_plans: {', '.join(both)}: plans has the name too; give each its own"]
            )
        return self

    def bounds_of(self, channel: str) -> ChannelBounds:
        """The bounds of a channel without a budget of its own."""
        return self.channel_bounds.get(channel, self.bounds or BOUNDS[self.scenario])

    @property
    def of_regions(self) -> bool:
        """Whether it is asked about a region, or about each of them."""
        return self.by_region or self.region is not None

    @property
    def bounding(self) -> str:
        """The fields that bound the channels, for messages."""
        fields = [name for name in ("channel_bounds", "channel_budgets") if getattr(self, name)]
        return " or ".join(f"budget.{name}" for name in ("bounds", *fields))

    def misfit(self, budget: float, least: float, most: float, span: str) -> str | None:
        """Why a total cannot be spent within the bounds of all channels together; None if it can.

        Money is in currency over the dates, which `span` names.
        """
        spent = "" if self.total else ", as was spent,"
        asked = f"budget.total {budget:,.2f}{spent} for the {span}"
        if budget < least * (1 - _TOLERANCE):
            return (
                f"{asked} is less than the lower bounds of all channels together, {least:,.2f}; "
                f"raise it, or lower {self.bounding}"
            )
        if budget > most * (1 + _TOLERANCE):
            return (
                f"{asked} is more than the upper bounds of all channels together, {most:,.2f}; "
                f"lower it, or raise {self.bounding}"
            )
        return None

    def unreached(self, target: float, best: float, span: str, *, revenue: bool) -> str:
        """That no split within the bounds reaches a target; `best` is the largest ROAS that one reaches."""
        reached = f"a ROAS of {best:.4g}" if revenue else f"a CPA of {1 / best:,.4g}"
        return (
            f"no split within the bounds is expected to be better than {reached}, but budget.target asks for "
            f"{target:,.4g} {span}; ask for less, or widen {self.bounding}"
        )


class BudgetQuestion(SplitQuestion):
    """How to divide a budget over the paid channels (Robyn: robyn_allocator).

    `max_response` asks for the largest response to a total budget, `target_efficiency` for the largest
    response at a ROAS or CPA, and `historical` only what was spent and earned. Dates may also lie after the
    data: then spends of the same periods a year before stand for what was spent.
    """

    name: Slug | None = Field(
        None,
        description="name of the answer, where there are several questions; left out: none",
    )

    method: Literal["posterior", "robyn"] = Field(
        "posterior",
        description="posterior: the split with the largest expected earnings over the posterior's draws, "
        "carry-over included, with intervals; robyn: Robyn's allocator on the best model, which does not "
        "charge for carry-over. A job without a posterior uses robyn, and says so",
    )

    start: date | None = Field(
        None,
        description="first day asked about, in the data or after them; left out: that of the window",
    )
    end: date | None = Field(
        None, description="last day asked about, inclusive; left out: that of the window"
    )
    pattern: Literal["last_year", "even"] | None = Field(
        None,
        description="only with dates after the data: how each channel's spend is spread over them, as in the "
        "same periods a year before, or evenly; left out: last_year",
    )

    @model_validator(mode="after")
    def _possible_dates(self) -> Self:
        if self.method == "robyn":
            unknown = [
                name
                for name in ("pattern", "plans", "region_plans", "region", "by_region")
                if getattr(self, name)
            ]
            if unknown:
                raise FieldProblems(f"{name}: not used with method robyn" for name in unknown)
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"budget dates end ({self.end}) before they start ({self.start})")
        return self

    def outside(self, first: date, last: date) -> str | None:
        """That no day asked about is in the model's window, `first` to `last`; None if one is."""
        after = self.start and self.start > last
        if after or (self.end and self.end < first):
            return (
                f"budget.start and budget.end lie outside the model's window, {first} to {last}; "
                "ask for dates within it, or train on a wider window"
                + (" (after the data only the posterior has an answer)" if after else "")
            )
        return None
