"""Convergence by Robyn's rule, responses to other inputs, and the pictures of search and decomposition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.engine.golden import read
from tests.engine.test_golden import searched
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.pictures import prophet_picture, search_picture
from trainer.engines.native.select.convergence import convergence

CASE = "weekly_search"


def test_the_messages_are_robyns():
    messages = [one.message for one in convergence(searched(CASE).candidates)]
    assert messages == read(CASE)["convergence"]


def settling(noise: float) -> pd.DataFrame:
    """Two trials of 400 candidates whose errors fall from 1 to 0.1 with less and less noise."""
    rng = np.random.default_rng(1)
    step = np.tile(np.linspace(0, 1, 400), 2)
    error = 1 - 0.9 * step + rng.normal(0, 0.1, 800) * np.where(step < 0.5, 1, noise)
    return pd.DataFrame({"trial": np.repeat([1, 2], 400), "nrmse": error, "decomp.rssd": error, "mape": 0.0})


def test_a_search_whose_errors_fall_and_quieten_has_converged():
    found = convergence(settling(noise=0.1))
    assert [one.objective for one in found] == ["DECOMP.RSSD", "NRMSE"]
    assert all(one.converged and " converged: " in one.message for one in found)


def test_a_search_that_ends_as_noisy_as_it_began_has_not():
    assert not any(one.converged for one in convergence(settling(noise=3.0)))


def test_the_calibration_error_counts_where_there_is_one():
    candidates = settling(noise=0.1).assign(mape=0.5)
    candidates.loc[3, "mape"] = np.inf
    assert [one.objective for one in convergence(candidates)] == ["DECOMP.RSSD", "MAPE", "NRMSE"]


@pytest.mark.parametrize("iterations", [1, 7, 25])
def test_too_few_iterations_tell_nothing(iterations: int):
    few = settling(noise=0.1).groupby("trial").head(iterations).query("trial == 1")
    for one in convergence(few):
        assert not one.converged
        assert "too few" in one.message


def test_responses_to_other_inputs_are_robyns():
    recorded = read("weekly_outputs")
    result = searched(CASE)
    model = result.candidates.set_index("solID", drop=False).loc[recorded["best"]].to_dict()
    answers = Answers(result.inputs)
    asked = pd.DataFrame(recorded["responses"])
    ours = [answers.response(model, row.channel, row.value, 10) for row in asked.itertuples()]
    np.testing.assert_allclose(ours, asked["response"], rtol=1e-9)
    totals = {media.name: media.response.sum() for media in answers.model(model).media}
    np.testing.assert_allclose(asked["channel"].map(totals), asked["response_total"], rtol=1e-9)


@pytest.mark.parametrize("picture", ["search", "prophet"])
def test_the_pictures_open_and_are_wide_enough_to_read(tmp_path, picture):
    path = tmp_path / "picture.png"
    if picture == "search":
        search_picture.draw(searched(CASE), path)
    else:
        prophet_picture.draw(searched(CASE).inputs, [], path)
    with Image.open(path) as opened:
        assert opened.width >= 2000
        assert 1.4 < opened.width / opened.height < 2.3
        darkest, lightest = opened.convert("L").getextrema()
    assert (darkest < 60, lightest) == (True, 255)


@pytest.mark.parametrize("shown", [0, 1, 800])
def test_the_search_can_be_drawn_when_few_models_have_an_effect(tmp_path, shown: int):
    result = searched(CASE)
    errors = result.candidates["decomp.rssd"].where(result.candidates.index < shown, np.inf)
    search_picture.draw(
        replace(result, candidates=result.candidates.assign(**{"decomp.rssd": errors})),
        tmp_path / "search.png",
    )
    with Image.open(tmp_path / "search.png") as opened:
        opened.verify()
