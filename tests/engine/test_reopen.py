from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.golden import load, trained
from trainer.engines.native import outputs
from trainer.engines.native.reopen import draw, reopen


@pytest.mark.parametrize("case", ["weekly_calibrated", "weekly_geometric_split"])
def test_a_picture_that_is_drawn_later_is_the_one_of_the_training(case: str, tmp_path: Path) -> None:
    result, config = trained(case)
    config = config.model_copy(update={"pictures": "winners"})
    outputs.write(result, config, tmp_path)
    again, _ = reopen(load(case).data, tmp_path)
    assert (again.pareto, again.best.solution) == (result.pareto, result.best.solution)
    for solution in (result.best.solution, *result.other_winners[:1]):
        draw(load(case).data, tmp_path, solution, tmp_path / "later.png")
        name = "onepager" if solution == result.best.solution else solution
        assert (tmp_path / "later.png").read_bytes() == (tmp_path / f"{name}.png").read_bytes()
    with pytest.raises(KeyError, match="9_9_9"):
        draw(load(case).data, tmp_path, "9_9_9", tmp_path / "later.png")
