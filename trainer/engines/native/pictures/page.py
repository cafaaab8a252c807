"""What the panels of the one-pager share: the model, its channels in their order, colours and words."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.model import Annotation
from trainer.engines.common import INTERCEPT
from trainer.engines.native.explain.efficiency import METRIC, efficiency, marginal_efficiency
from trainer.engines.native.records import MediaAnswer, ModelAnswer
from trainer.engines.native.result import Result
from trainer.engines.pictures import style


class Page:
    """A model of a result as the panels need it; paid channels before organic, best earner first."""

    def __init__(
        self,
        result: Result,
        model: ModelAnswer,
        annotations: Sequence[Annotation] = (),
    ) -> None:
        self.result, self.model, self.inputs = result, model, result.inputs
        self.annotations = annotations
        self.total = float(self.model.fitted.sum())
        self.kind = self.inputs.dependent_type
        self.revenue = self.kind == "revenue"
        self.metric = METRIC[self.kind].upper()
        self.period = self.inputs.interval
        self.input = "immediate part of spend" if self.inputs.adstock == "weibull_pdf" else "spend"
        self.dependent = style.label(self.inputs.dependent_name, 24)
        self.brief = style.label(self.inputs.dependent_name, 10)
        self.colours = style.channel_colours(self.inputs.media)
        earned = sorted(self.model.media, key=lambda media: -media.response.sum())
        self.paid = [media for media in earned if media.spend_name]
        self.channels = self.paid + [media for media in earned if not media.spend_name]
        channels = dict(zip(self.inputs.paid, self.inputs.spend_names, strict=True))
        self.names = {name: style.label(channels.get(name, name)) for name in self.inputs.columns}
        self.names[INTERCEPT] = "base level"
        self._summary = self.model.summary.set_index("rn").to_dict("index")

    def figure(self, name: str, column: str) -> float:
        """One number of the model's summary."""
        return float(self._summary[name][column])

    def spend(self, media: MediaAnswer) -> float:
        """What a paid channel cost over the window, in currency."""
        return self.figure(media.name, "total_spend")

    def efficiency(self, media: MediaAnswer) -> float:
        """ROAS or CPA of a paid channel over the window."""
        return efficiency(float(media.response.sum()), self.spend(media), self.kind)

    def marginal(self, media: MediaAnswer) -> float:
        """ROAS or CPA of the next unit spent on a paid channel."""
        return marginal_efficiency(media, self.kind)

    def per_period(self, noun: str) -> str:
        """`noun` per day, week or month."""
        return f"{noun} per {self.period}"
