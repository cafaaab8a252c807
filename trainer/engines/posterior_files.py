"""The files of a result that tell of the posterior, the same for both engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts.posterior import ChosenModel, PosteriorDocument
from trainer.engines.choice import chosen
from trainer.engines.pictures import posterior_picture, regions_picture


def write(
    document: PosteriorDocument, best: ChosenModel, folder: Path, *, draw: bool = True
) -> PosteriorDocument:
    """Write posterior.json and, with `draw`, posterior.png, the best model in them; returns that document.

    Of data by region also posterior_regions.png.
    """
    document = document.model_copy(update={"best_model": best})
    (folder / "posterior.json").write_text(document.model_dump_json(indent=1), encoding="utf-8")
    if draw:
        posterior_picture.draw(document, folder / "posterior.png")
    if draw and document.regions:
        regions_picture.draw(document, folder / "posterior_regions.png")
    return document


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
