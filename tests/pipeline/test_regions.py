"""A request whose data have a row per period and region, from the upload to its result."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from contracts import names
from contracts.job import Job, JobState
from contracts.posterior import PosteriorDocument
from contracts.result import Allocation
from infra.local.demo_data import demo_settings, generate
from tests.pipeline.world import World

NAMES = {"Nord": 11, "Süd": 12}


def test_an_upload_by_region_gets_an_answer_for_each_and_for_all(tmp_path: Path) -> None:
    world = World(tmp_path)
    parts = [generate(seed=seed, country="AT").table.assign(area=name) for name, seed in NAMES.items()]
    parts[1]["promotion"] = parts[0]["promotion"]
    settings = yaml.safe_load(demo_settings(50, 2))
    settings["columns"]["region"] = "area"
    settings["posterior"] = {"draws": 200}
    plans = {"move": {"Süd": {"tv_spend": "+10 %"}}}
    settings["budgets"] = [
        {"name": "free", "by_region": True, "region_plans": plans},
        {"name": "south", "region": "Süd"},
    ]
    settings.pop("budget", None)
    put = world.ports.objects.replace
    put("drop-zone/AT/sales.csv", pd.concat(parts).to_csv(index=False).encode(), if_generation=None)
    put("drop-zone/AT/sales.request.yaml", yaml.safe_dump(settings).encode(), if_generation=None)
    world.deliver()
    world.run()
    [job] = world.ports.jobs.find(Job)
    assert job.state is JobState.SUCCEEDED, (job.error, job.findings)
    read = world.ports.objects.read
    result = names.results(job)
    told = PosteriorDocument.model_validate_json(read(f"{result}posterior.json"))
    assert [region.name for region in told.regions] == list(NAMES)
    draws = pd.read_parquet(io.BytesIO(read(f"{result}posterior_regions.parquet")))
    whole = pd.read_parquet(io.BytesIO(read(f"{result}posterior.parquet")))
    assert len(draws) == 2 * len(whole) == 400
    sums = draws.groupby("draw")["tv_spend_contribution"].sum().to_numpy()
    assert abs(sums / whole["tv_spend_contribution"].to_numpy() - 1).max() < 1e-9
    assert world.ports.objects.stat(f"{result}posterior_regions.png").size > 10_000
    table = pd.read_parquet(io.BytesIO(read(f"{result}regions.parquet"))).set_index("channel")
    for name, one in ((channel.name, channel) for channel in told.channels):
        rows = table.loc[[name]]
        assert set(rows["region"]) == set(NAMES)
        assert rows["contribution_mean"].sum() == pytest.approx(one.contribution.mean)
        assert rows["spend"].sum() == pytest.approx(one.spend or 0)
        assert one.spend is None or (rows["roas_q05"] < rows["roas_q95"]).all()
    best = json.loads(read(f"{result}best_model.json"))
    spent = sum(float(part["tv_spend"].sum()) for part in parts)
    spends = {channel["name"]: channel.get("spend") for channel in best["channels"]}
    assert abs(spends["tv_spend"] / spent - 1) < 1e-9
    free = Allocation.model_validate_json(read(f"{result}allocator.json"))
    assert [region.name for region in free.regions] == list(NAMES)
    assert world.ports.objects.stat(f"{result}allocator.png").size > 10_000
    table = pd.read_csv(io.BytesIO(read(f"{result}{free.sol_id}_max_response_reallocated.csv")))
    assert table["optmSpend"].sum() == pytest.approx(free.before.spend)
    assert list(table["region"].unique()) == list(NAMES)
    moved = pd.read_csv(io.BytesIO(read(f"{result}{free.sol_id}_plans.csv"))).set_index(
        ["region", "channels"]
    )
    assert moved.loc[("Süd", "tv_spend"), "planSpend"] == pytest.approx(1.1 * parts[1]["tv_spend"].sum())
    south = Allocation.model_validate_json(read(f"{result}allocator-2.json"))
    assert south.region == "Süd"
    media = [channel.name for channel in south.channels]
    assert south.before.spend == pytest.approx(float(parts[1][media].to_numpy().sum()))
    trust = json.loads(read(f"{result}trust.json"))
    assert any("of the totals" in note for note in trust["notes"])


def test_a_job_of_several_tasks_has_the_same_posterior(tmp_path: Path) -> None:
    parts = [generate(seed=seed, country="AT").table.assign(area=name) for name, seed in NAMES.items()]
    parts[1]["promotion"] = parts[0]["promotion"]
    data = pd.concat(parts).to_csv(index=False).encode()
    found = []
    for size in ("small", "large"):
        world = World(tmp_path / size)
        settings = yaml.safe_load(demo_settings(30, 2)) | {"size": size, "posterior": {"draws": 200}}
        settings["columns"]["region"] = "area"
        settings["pictures"] = "none"
        put = world.ports.objects.replace
        put("drop-zone/AT/sales.csv", data, if_generation=None)
        put("drop-zone/AT/sales.request.yaml", yaml.safe_dump(settings).encode(), if_generation=None)
        world.deliver()
        assert len(world.tasks()) == (1 if size == "small" else 2)
        world.run()
        [job] = world.ports.jobs.find(Job)
        assert job.state is JobState.SUCCEEDED, (job.error, job.findings)
        chains = [info.name for info in world.ports.objects.list(names.Attempt(job.job_id, 1).chains)]
        assert len(chains) == (0 if size == "small" else 2)
        result = names.results(job)
        found.append(
            [
                world.ports.objects.read(f"{result}{name}")
                for name in ("posterior_regions.parquet", "curves.json")
            ]
        )
    assert found[0] == found[1]
