"""One-pagers that were left out of a result are drawn by a command."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from contracts import names
from contracts.job import Job
from contracts.result import BestModel
from infra.local.host import LocalHost
from tests.ops.conftest import Run


def test_the_other_winners_of_a_job_are_drawn_when_they_are_asked_for(
    host: LocalHost, ops: Run, tmp_path: Path
) -> None:
    folder = str(host.settings.folder)
    assert ops("smoke", "--folder", folder)[0] == 0
    job, objects = host.embedded.jobs.find(Job)[0], host.embedded.objects
    best = BestModel.model_validate_json(objects.read(f"{names.results(job)}best_model.json"))
    winners = {one.sol_id for one in best.winners} - {best.sol_id}
    status, rows = ops("draw", "--folder", folder, job.job_id, "--into", str(tmp_path))
    assert (status, {row["model"] for row in rows}) == (0, winners)
    assert {path.stem for path in tmp_path.iterdir()} == winners
    assert (
        ops("draw", "--folder", folder, job.job_id, "--into", str(tmp_path), "--model", best.sol_id)[0] == 0
    )
    with Image.open(tmp_path / f"{best.sol_id}.png") as picture:
        assert picture.width == 2240
    for model, said in (("9_9_9", "no model 9_9_9"), ("../x", "is no model")):
        status, told = ops("draw", "--folder", folder, job.job_id, "--model", model)
        assert (status, said in told) == (2, True)
    assert "no job" in ops("draw", "--folder", folder, "nothing-0123456789ab")[1]
