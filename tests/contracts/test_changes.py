"""When a change of what a channel earns is called one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.changes import changes, probability_of_change
from contracts.posterior import PosteriorDocument, Quantiles

EXAMPLE = Path(__file__).parents[2] / "contracts" / "examples" / "posterior.json"


@pytest.mark.parametrize("factor", [1.0, 1.2, 2.0])
def test_the_probability_is_that_of_draws(factor: float) -> None:
    random = np.random.default_rng(1)
    before = 2.0 * np.exp(0.2 * random.standard_normal(400_000))
    now = 2.0 * factor * np.exp(0.35 * random.standard_normal(400_000))
    low = [tuple(float(q) for q in np.quantile(one, (0.05, 0.5, 0.95))) for one in (before, now)]
    assert probability_of_change(low[0], low[1]) == pytest.approx((now > before).mean(), abs=0.005)
    assert probability_of_change(low[1], low[0]) == pytest.approx((now > before).mean(), abs=0.005)


def test_a_change_is_called_one_only_if_it_is_sure_and_both_posteriors_can_be_used() -> None:
    before = PosteriorDocument.model_validate_json(EXAMPLE.read_bytes())
    tv, search = (channel.name for channel in before.channels if channel.paid)
    assert not any(one.changed for one in changes(before, before))

    def times(found: Quantiles | None, factor: float) -> Quantiles:
        assert found
        return Quantiles(**{name: value * factor for name, value in found.model_dump().items()})

    moved = [
        channel.model_copy(update={"roas": times(channel.roas, 20.0)}) if channel.name == tv else channel
        for channel in before.channels
    ]
    now = before.model_copy(update={"channels": moved})
    assert {one.name: one.changed for one in changes(before, now)} == {tv: True, search: False}
    assert changes(before, now.model_copy(update={"converged": False})) == []
