"""What an analyst must not overlook stands in the result, in its summary, on the job, and on its page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts import names
from contracts.job import JobState
from infra.local.demo_data import generate
from tests.pipeline.conftest import EXAMPLE, QuickEngine
from tests.pipeline.world import World
from trainer.engines.refresh.report import worse_fit

TV = json.loads(EXAMPLE.read_text())["channels"][0]
UNCONVERGED = [{"objective": "NRMSE", "converged": False, "message": "not yet"}]


def trained(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    refresh: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    """A job whose engine finds the example's model with these changes."""

    class Finding(QuickEngine):
        def finish(self, shares: Sequence[Path], folder: Path) -> None:
            super().finish(shares, folder)
            best = json.loads((folder / "best_model.json").read_text()) | changes
            (folder / "best_model.json").write_text(json.dumps(best))
            if refresh:
                (folder / "refresh.json").write_text(json.dumps(refresh))

    monkeypatch.setattr("trainer.life.load", lambda _: Finding)
    job_id = world.submit("r1")
    world.run()
    assert world.job(job_id).state is JobState.SUCCEEDED
    return job_id


def told(world: World, job_id: str) -> list[str]:
    """The codes of the model's warnings, which stand everywhere in the same words."""
    job = world.job(job_id)
    best = json.loads(world.ports.objects.read(f"{names.results(job)}best_model.json"))
    summary = json.loads(world.ports.objects.read(names.model_summary(job)))
    assert summary["best_model"]["warnings"] == best["warnings"]
    page = world.web.get(f"/jobs/{job_id}").get_data(as_text=True)
    [event] = world.finished(job_id)
    warnings = [finding for finding in job.findings if finding.severity == "warning"]
    assert [(one["code"], one["message"]) for one in best["warnings"]] == [
        (one.code, one.message) for one in warnings
    ]
    for one in warnings:
        assert str(one.message).replace("'", "&#39;") in page
        assert one.message in [finding["message"] for finding in event["findings"]]
        assert one.advice
    return [one.code for one in warnings]


def test_a_good_model_warns_of_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    assert told(world, trained(world, monkeypatch)) == []


def test_a_poor_fit_an_unfinished_search_and_a_silent_channel(world: World, monkeypatch: pytest.MonkeyPatch):
    silent = TV | {"name": "radio", "modelled": "radio", "response": 0.0, "roas": 0.0}
    fit = {"r2": 0.59, "nrmse": 0.2, "rows": 53}
    job_id = trained(world, monkeypatch, train=fit, convergence=UNCONVERGED, channels=[TV, silent])
    assert told(world, job_id) == ["channel-without-effect", "low-r2", "not-converged"]
    silence, poor, search = [finding.message for finding in world.job(job_id).findings][:3]
    assert "nothing to radio" in silence
    assert "0.59" in poor
    assert "NRMSE" in search


def test_without_any_effect_the_job_says_so_first(world: World, monkeypatch: pytest.MonkeyPatch):
    job_id = trained(world, monkeypatch, channels=[TV | {"response": 0.0, "roas": 0.0}], rssd=None)
    assert told(world, job_id) == ["no-effect"]
    assert world.job(job_id).timeline[-1].note == "no paid channel has any effect in the best model"
    page = world.web.get(f"/jobs/{job_id}").get_data(as_text=True)
    assert page.index("no paid channel has any effect") < page.index('id="answer"')
    assert "no paid channel has any effect" in world.web.get("/").get_data(as_text=True)


def test_a_refresh_that_fits_worse_and_names_that_no_font_has(world: World, monkeypatch: pytest.MonkeyPatch):
    before, now = {"rsq_train": 0.92, "nrmse": 0.051}, {"rsq_train": 0.711, "nrmse": 0.09}
    assert list(worse_fit(before, now)) == list(worse_fit(now, {"rsq_train": 0.714, "nrmse": 0.088})) == []
    [worse] = worse_fit(now, before)
    report = json.loads((EXAMPLE.parent / "refresh_report.json").read_text())
    name = json.loads(EXAMPLE.read_text())["contributions"][1] | {"name": "\U00013000 \U0001fbc5\ufe0f"}
    refreshed = report | {"warnings": [worse.model_dump()]}
    job_id = trained(world, monkeypatch, refresh=refreshed, contributions=[name])
    assert told(world, job_id) == ["refresh-fits-worse", "names-without-font"]
    fit, font = [finding.message for finding in world.job(job_id).findings][:2]
    assert "R² 0.92 became 0.71, NRMSE 0.0510 became 0.0900" in fit
    assert "no installed font has Egyptian, emoji and symbols" in font
    console = world.ports.objects.read(f"{names.results(world.job(job_id))}console.log").decode()
    assert f"warning: {font}" in console


def test_what_the_data_warn_of_stands_in_the_result_too(world: World, monkeypatch: pytest.MonkeyPatch):
    table = generate().table
    world.fill_warehouse(table.assign(ooh_spend=table["tv_spend"]))
    job_id = trained(world, monkeypatch)
    assert "similar-columns" in told(world, job_id)
