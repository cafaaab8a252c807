"""The posterior in a job: it chooses the best model, leaves its files, and is never a reason to fail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from contracts.changes import changes
from contracts.curves import CurvesDocument
from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from contracts.result import BestModel
from contracts.trust import TrustDocument
from functions.summarize.handler import judged
from tests.engine.robyn import Heard
from tests.posterior.data import config, sales
from trainer.engines.base import Host, Material
from trainer.engines.choice import distances
from trainer.engines.native.engine import NativeEngine
from trainer.engines.native.recreate import recreate
from trainer.posterior import Posterior, posterior
from trainer.posterior.job import Asked
from trainer.trust.document import judge
from trainer.trust.job import Judge

SEARCH = {"iterations": 600, "trials": 2}


def trained(
    folder: Path,
    columns: dict[str, Any] | None = None,
    former: Path | None = None,
    rows: int = 120,
    judged: bool = False,
    **fields: Any,
) -> Heard:
    """What a job in one task leaves in `folder`."""
    heard, table = Heard(), sales(rows=126)[:rows]
    folder.mkdir()
    prepared, share = folder.parent / f"{folder.name}.parquet", folder.parent / f"{folder.name}-share"
    table.assign(date=table["date"].dt.date).to_parquet(prepared)
    asked = config(table, columns, **{"search": SEARCH, **fields})
    plain = heard.host()
    asks = Asked(1, plain.step, plain.log, plain.log)
    judge = {"trust": Judge(asks)} if judged else {}
    host = Host(1, plain.step, plain.progress, plain.log, asks, **judge)
    engine = NativeEngine(Material(prepared, asked, former), host)
    engine.search(range(1, asked.search.trials + 1), share)
    engine.finish([share], folder)
    return heard


def read(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def away(document: PosteriorDocument, folder: Path) -> pd.Series[float]:
    """The distance of every model in the tables from the posterior, by solID."""
    told = pd.read_csv(folder / "pareto_aggregated.csv", dtype={"solID": str})
    roas = told[told["rn"].isin(["c1", "c2", "c3"])].pivot(index="solID", columns="rn", values="roi_total")
    return pd.Series(distances(document, roas), index=roas.index)


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Heard]:
    folder = tmp_path_factory.mktemp("default") / "results"
    return folder, trained(folder, judged=True)


def test_the_best_model_is_the_candidate_nearest_to_the_posterior(default: tuple[Path, Heard]) -> None:
    folder, heard = default
    document = PosteriorDocument.model_validate(read(folder, "posterior.json"))
    best = read(folder, "best_model.json")
    assert document.converged
    assert document.best_model.sol_id == best["sol_id"]
    models = pd.read_parquet(folder / "models.parquet").set_index("solID")
    assert len(models) == 1200
    named = {channel["name"]: channel for channel in best["channels"]}
    for channel in document.channels:
        assert document.best_model.roas[channel.name] == pytest.approx(named[channel.name]["roas"], rel=1e-12)
    assert [channel["name"] for channel in best["posterior"]["channels"]] == ["c1", "c2", "c3"]
    assert best["posterior"]["channels"][0]["q50"] == document.channels[0].roas.q50
    assert any("earns" in line for line in heard.log)
    assert best["posterior"]["channels"][0]["verdict"].startswith("c1 earns ")
    assert "posterior" in heard.steps
    assert "3,000 of 3,000 sweeps" in heard.log
    draws = pd.read_parquet(folder / "posterior.parquet")
    assert len(draws) == 1000
    assert (folder / "posterior.png").stat().st_size > 10_000


def test_no_other_candidate_is_nearer(default: tuple[Path, Heard]) -> None:
    """Recomputed for the Pareto models from another file: contribution over spend."""
    folder, _ = default
    document = PosteriorDocument.model_validate(read(folder, "posterior.json"))
    found = away(document, folder)
    assert found.idxmin() == document.best_model.sol_id
    assert found.min() == pytest.approx(document.best_model.distance, rel=1e-6)


def test_a_best_model_beside_the_front_is_in_every_table(default: tuple[Path, Heard]) -> None:
    folder, _ = default
    solution = read(folder, "best_model.json")["sol_id"]
    hyper = pd.read_csv(folder / "pareto_hyperparameters.csv", dtype={"solID": str}).set_index("solID")
    clustered = set(pd.read_csv(folder / "pareto_clusters.csv", dtype={"solID": str})["solID"])
    assert solution not in clustered, "choose another seed: this one's best model is on the front"
    assert hyper.loc[solution, ["robynPareto", "cluster", "top_sol"]].isna().all()
    for name in ("pareto_aggregated", "pareto_alldecomp_matrix"):
        rows = pd.read_parquet(folder / f"{name}.parquet").query("solID == @solution")
        assert len(rows)
        assert rows["cluster"].isna().all()
    assert read(folder, "model.json")["ExportedModel"]["select_model"] == solution
    assert len(hyper) == read(folder, "best_model.json")["pareto_models"] + 1


def test_a_refresh_goes_on_from_a_best_model_beside_the_front_and_chooses_by_its_own_rule(
    default: tuple[Path, Heard], tmp_path: Path
) -> None:
    folder, _ = default
    asked = {"refresh_of": "weekly-0123456789ab", "search": {**SEARCH, "trials": 1}}
    heard = trained(tmp_path / "refresh", former=folder, rows=126, **asked)
    document = PosteriorDocument.model_validate(read(tmp_path / "refresh", "posterior.json"))
    moved = changes(PosteriorDocument.model_validate(read(folder, "posterior.json")), document)
    assert [one.name for one in moved] == ["c1", "c2", "c3"]
    assert not any(one.changed for one in moved)  # six weeks more of the same sales
    assert document.converged
    curves = CurvesDocument.model_validate(read(tmp_path / "refresh", "curves.json"))
    assert str(curves.dates[0].end) == "2024-05-27"  # of the weeks that it adds
    solution = read(tmp_path / "refresh", "best_model.json")["sol_id"]
    assert document.best_model.sol_id == solution
    models = pd.read_parquet(tmp_path / "refresh" / "models.parquet").set_index("solID")
    front = models[models["robynPareto"].notna()]
    assert models.loc[solution, "robynPareto"] >= 1
    assert models.loc[solution, "decomp.rssd"] <= 1.1 * front["decomp.rssd"].min() + 1e-12
    assert away(document, tmp_path / "refresh").min() < document.best_model.distance
    assert not any("no posterior to choose by" in line for line in heard.log)


def test_error_score_chooses_what_it_chose_and_off_leaves_no_file(
    default: tuple[Path, Heard], tmp_path: Path
) -> None:
    trained(tmp_path / "score", search={**SEARCH, "best_by": "error_score"})
    heard = trained(tmp_path / "off", posterior="off")
    assert not list((tmp_path / "off").glob("posterior*"))
    assert (tmp_path / "score" / "posterior.json").is_file()
    first, second = (read(tmp_path / name, "best_model.json") for name in ("score", "off"))
    assert first.pop("posterior")
    assert second.pop("posterior") is None
    assert first == second
    assert first["sol_id"] != read(default[0], "best_model.json")["sol_id"]
    assert any("smallest error_score" in line for line in heard.log)
    told, plain = (Image.open(folder / "onepager.png").height for folder in (default[0], tmp_path / "off"))
    assert told > plain + 300, "the one-pager has a panel of the posterior"


def test_a_job_whose_posterior_is_not_offered_says_so_and_keeps_its_result(tmp_path: Path) -> None:
    heard = trained(tmp_path / "free", {"paid_media": ["c1", "c2", {"spend": "c3", "sign": "default"}]})
    assert any(line.startswith("posterior: none: c3") for line in heard.log)
    assert read(tmp_path / "free", "best_model.json")["sol_id"]
    assert not (tmp_path / "free" / "posterior.json").exists()


def test_a_summary_tells_each_channel_beside_what_the_data_say(default: tuple[Path, Heard]) -> None:
    best = BestModel.model_validate(read(default[0], "best_model.json"))
    for channel, told in zip(judged(best).channels, best.posterior.channels, strict=True):
        assert (channel.name, channel.roas_low, channel.roas_high) == (told.name, told.q05, told.q95)
        assert channel.verdict == told.verdict
    unsure = best.posterior.model_copy(update={"converged": False})
    told = judged(best.model_copy(update={"posterior": unsure}))
    assert {channel.roas_low for channel in told.channels} == {None}


def test_a_job_is_checked_and_says_what_speaks_against_it(default: tuple[Path, Heard]) -> None:
    folder, heard = default
    told = TrustDocument.model_validate(read(folder, "trust.json"))
    lines = {line.check: line for line in told.lines}
    assert {line.topic for line in told.lines} == {
        *("fit", "search", "sampler", "agreement", "data", "backtest", "stability"),
    }
    best = read(folder, "best_model.json")
    assert lines["r2"].value == best["train"]["r2"]
    roas = {channel["name"]: channel["roas"] for channel in best["channels"]}
    outside = [one for one in best["posterior"]["channels"] if not one["inside"]]
    assert outside, "choose another seed: every channel of this best model is inside"
    for one in outside:
        named = f"{one['name']} ({roas[one['name']]:.2f}, not {one['q05']:.2f} to {one['q95']:.2f})"
        assert named in lines["inside"].reason
    assert (lines["candidates"].value, lines["candidates"].word) == (1200, "doubtful")
    assert any(line.startswith("doubtful: search: 1,200 candidates") for line in heard.log)
    assert all(bool(line.advice) == (line.word != "good") for line in told.lines)
    assert [one.periods for one in told.backtests] == [4, 8, 12]
    assert lines["forecast"].word == "good"
    assert (told.planted, told.placebos) == (None, [])
    assert heard.steps.index("trust") > heard.steps.index("outputs")


def test_nothing_is_refitted_where_the_chains_do_not_agree_and_it_is_said(
    default: tuple[Path, Heard],
) -> None:
    """Of data by region the totals and the regions may each agree without the other."""
    table = sales(rows=126)[:120]
    quick, full = (config(table, search=SEARCH, checks=checks) for checks in ("quick", "full"))
    agreed = posterior(table, quick, sweeps=600)
    torn = replace(agreed, r_hat=np.full(3, 1.3))
    assert (agreed.converged, torn.converged) == (True, False)

    def told(asked: ModelConfig, totals: Posterior | None, by_region: Posterior | None = None) -> Any:
        found = judge(table, asked, default[0], totals, by_region=by_region)
        words = {line.topic: line.word for line in found.lines if line.check != "ess"}
        return words.get("sampler"), len(found.backtests), found.planted is not None, " ".join(found.notes)

    assert told(quick, None) == (None, 0, False, "no forecast and no refit: there is no posterior to judge")
    assert told(full, torn) == ("bad", 0, False, "no forecast and no refit: the chains do not agree")
    assert told(full, agreed, torn) == told(full, torn)
    assert told(quick, agreed, agreed)[1:3] == (3, False)
    *of_quick, note = told(quick, torn, agreed)
    assert of_quick == ["good", 0, False]
    assert note.startswith("no forecast and no refit: they would be those of the totals, on which")
    *of_full, note = told(full, torn, agreed)
    assert of_full == ["good", 3, False]
    assert note.startswith("no planted truth and no placebos: they would be those of the totals, on which")


def test_trend_and_season_may_be_fitted_together_with_the_media(
    default: tuple[Path, Heard], tmp_path: Path
) -> None:
    search = {**SEARCH, "best_by": "nrmse"}
    trained(tmp_path / "joint", search={**search, "baseline": "joint"})
    trained(tmp_path / "prophet", search=search)
    best = BestModel.model_validate(read(tmp_path / "joint", "best_model.json"))
    kinds = {one.name: one.kind for one in best.contributions}
    assert {"trend", "trend bend 1", "season sin 1", "season cos 4"} <= kinds.keys()
    assert {kinds["trend"], kinds["season cos 4"]} == {"context"}

    def worst(name: str) -> float:
        """Of the channels, which earn 1, 2 and 3."""
        channels = read(tmp_path / name, "best_model.json")["channels"]
        return max(abs(one["roas"] / (i + 1) - 1) for i, one in enumerate(channels))

    assert worst("joint") < worst("prophet")
    again = recreate(pd.read_parquet(tmp_path / "joint.parquet"), read(tmp_path / "joint", "model.json"))
    assert again.best.candidate["nrmse"] == pytest.approx(best.nrmse, rel=1e-12)
    told = PosteriorDocument.model_validate(read(tmp_path / "joint", "posterior.json"))
    same = PosteriorDocument.model_validate(read(default[0], "posterior.json"))
    assert told.channels == same.channels  # the posterior has such a baseline anyway
