"""The files of a result that tell of the posterior, the same for both engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.posterior import ChosenModel, PosteriorDocument, PosteriorRegion, Quantiles, RegionChannel
from trainer.engines.choice import chosen
from trainer.engines.pictures import posterior_picture, regions_picture
from trainer.engines.tables import write_csv


def write(
    document: PosteriorDocument, best: ChosenModel, folder: Path, *, draw: bool = True
) -> PosteriorDocument:
    """Write posterior.json and, with `draw`, posterior.png, the best model in them; returns that document.

    Of data by region also regions.csv and, with `draw`, posterior_regions.png.
    """
    document = document.model_copy(update={"best_model": best})
    (folder / "posterior.json").write_text(document.model_dump_json(indent=1), encoding="utf-8")
    if draw:
        posterior_picture.draw(document, folder / "posterior.png")
    if document.regions:
        write_csv(regions_table(document), folder / "regions.csv")
        if draw:
            regions_picture.draw(document, folder / "posterior_regions.png")
    return document


def regions_table(document: PosteriorDocument) -> pd.DataFrame:
    """A row per region and channel: spend, contribution, share, ROAS or CPA; see docs/results.md."""
    return pd.DataFrame([_row(region, one) for region in document.regions for one in region.channels])


def _row(region: PosteriorRegion, channel: RegionChannel) -> dict[str, object]:
    spent = sum(one.spend or 0.0 for one in region.channels)
    metric = "cpa" if any(one.cpa for one in region.channels) else "roas"
    return {
        "region": region.name,
        "channel": channel.name,
        "paid": channel.paid,
        "spend": channel.spend,
        "spend_share": channel.spend / spent if channel.spend else None,
        **_intervals("contribution", channel.contribution),
        **_intervals("share", channel.share),
        **_intervals(metric, channel.cpa or channel.roas),
        "converged": channel.converged,
    }


def _intervals(figure: str, found: Quantiles | None) -> dict[str, float | None]:
    names = ("mean", "q05", "q50", "q95")
    return {f"{figure}_{name}": getattr(found, name) if found else None for name in names}


def short(document: PosteriorDocument | None) -> dict[str, Any] | None:
    """What best_model.json tells of the posterior, if there is one."""
    return document.short().model_dump(exclude_none=True) if document else None


def add(document: PosteriorDocument, folder: Path, *, draw: bool = True) -> PosteriorDocument:
    """`write` beside the best_model.json of a folder, and tell of it there."""
    path = folder / "best_model.json"
    best: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    paid = [channel for channel in best["channels"] if channel["paid"]]
    roas = {channel["name"]: channel["response"] / channel["spend"] for channel in paid}
    told = write(document, chosen(document, best["sol_id"], roas), folder, draw=draw)
    path.write_text(json.dumps(best | {"posterior": short(told)}, indent=1), encoding="utf-8")
    return told
