"""One-pagers of models whose pictures were not drawn in the training: `pictures: best` leaves them out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from contracts import names
from contracts.attempt import Manifest, TrainingConfig
from contracts.job import Job, JobState
from contracts.result import BestModel
from functions.ports import ObjectStore
from functions.versions import read_ours
from infra import pictures
from infra.ops.place import Place
from infra.ops.report import Report, Usage


def draw(place: Place, job_id: str, solutions: Sequence[str], into: Path) -> Report:
    """Draw the one-pagers of these models, or of every winner but the best, as `<solID>.png` in a folder.

    Raises:
        Usage: there is no such result or model, or R draws the pictures of this engine.
    """
    job = place.ports.jobs.get(Job, job_id)
    if job is None or job.state is not JobState.SUCCEEDED:
        raise Usage(f"there is no job {job_id} that has succeeded")
    objects, prefix = place.ports.objects, names.results(job)
    config = read_ours(TrainingConfig, objects.read(names.attempt_of(job).config))
    if config.engine != "native":
        raise Usage(f"job {job_id} has the engine {config.engine}, which draws every winner in the training")
    with TemporaryDirectory(prefix="draw-") as scratch:
        folder = Path(scratch)
        _fetch(objects, config.prepared, folder / "prepared.parquet")
        for file in read_ours(Manifest, objects.read(f"{prefix}manifest.json")).files:
            if pictures.needed(file.name) or file.name == "best_model.json":
                _fetch(objects, f"{prefix}{file.name}", folder / file.name)
        best = BestModel.model_validate_json((folder / "best_model.json").read_bytes())
        wanted = solutions or [one.sol_id for one in best.winners if one.sol_id != best.sol_id]
        into.mkdir(parents=True, exist_ok=True)
        drawn = [_drawn(folder, solution, into / f"{solution}.png") for solution in map(_checked, wanted)]
    return Report([{"model": path.stem, "picture": str(path)} for path in drawn], f"{len(drawn)} drawn")


def _checked(solution: str) -> str:
    if not re.fullmatch(r"\d+_\d+_\d+", solution, re.ASCII):
        raise Usage(f"{solution} is no model; one looks like 3_812_1")
    return solution


def _drawn(folder: Path, solution: str, path: Path) -> Path:
    try:
        pictures.draw(folder, solution, path)
    except KeyError as error:
        raise Usage(f"the result has no model {solution}") from error
    return path


def _fetch(objects: ObjectStore, name: str, path: Path) -> None:
    path.write_bytes(objects.read(name))
