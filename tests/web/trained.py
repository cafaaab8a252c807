"""Jobs with a result as the trainer and summarize leave it, made from the examples of the contracts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts import names
from contracts.changes import ChangesDocument
from contracts.figures import ModelFigures
from contracts.job import Job, JobResult
from contracts.summary import CountryRun, CountrySummary, ModelSummary, RunChannel
from tests.web.harness import S, Site

EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"
PICTURE = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\xdac\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)
SINGLE = ("roas", "curves", "contributions", "fit", "allocation")
BEST, OTHER = "1_238_1", "1_209_1"
TRUST = [
    {"topic": "fit", "check": "r2", "word": "good", "value": 0.9, "figure": "R² 0.90", "reason": "it fits"},
    {
        "topic": "search",
        "check": "converged",
        "word": "bad",
        "value": 0,
        "figure": "0 % of the objectives",
        "reason": "not converged",
        "advice": "search longer",
    },
]


def figures(solution: str = BEST) -> ModelFigures:
    document = json.loads((EXAMPLES / "model_figures.json").read_bytes())
    return ModelFigures.model_validate(document | {"sol_id": solution})


def summary(job: Job, **changed: Any) -> ModelSummary:
    document = json.loads((EXAMPLES / "model_summary.json").read_bytes())
    posterior = {
        "converged": True,
        "channels": [
            {"name": "tv_spend", "metric": "roas", "q05": 2.16, "q50": 2.9, "q95": 3.9, "learned": 0.7}
        ],
        "sentences": ["tv_spend earns 2.16 to 3.9 per unit of currency (90 %)."],
    }
    document["best_model"] |= {"sol_id": BEST, "posterior": posterior}
    files = [
        "figures.json",
        f"figures-{OTHER}.json",
        "roas.png",
        "curves.png",
        "contributions.png",
        "fit.png",
    ]
    document |= {"job_id": job.job_id, "request_id": job.request_id, "trust": TRUST, "files": files}
    return ModelSummary.model_validate(document | {"results": names.results(job), **changed})


def trained(site: Site, job_id: str = "weekly-1", low: float = 2.16, **changed: Any) -> Job:
    """A job that has succeeded, with everything that its pages read; `low` moves what tv_spend earns."""
    line = JobResult(sol_id=BEST, r2=0.9, nrmse=0.06, rssd=0.1, worst="bad")
    changes = ChangesDocument.model_validate_json((EXAMPLES / "changes.json").read_bytes()).short()
    job = site.job(S.SUCCEEDED, job_id, result=line, changes=changes, **changed)
    site.result(
        job,
        **{
            "figures.json": figures().model_dump_json().encode(),
            f"figures-{OTHER}.json": figures(OTHER).model_dump_json().encode(),
            **{f"{name}.png": PICTURE for name in SINGLE},
            "console.log": b"trial 1\nwarning: tv is odd\n" + b"a line\n" * 50,
        },
    )
    told = summary(job).model_dump(mode="json")
    for channel in told["best_model"]["posterior"]["channels"]:
        channel |= {"q05": low, "q50": low * 1.3, "q95": low * 1.8}
    text = ModelSummary.model_validate(told).model_dump_json().encode()
    site.ports.objects.create(names.model_summary(job), text)
    return job


def country(site: Site, *jobs: Job, nrmse: tuple[float, ...] = (), worst: tuple[Any, ...] = ()) -> None:
    """The aggregate of DE with a run for each job, newest first."""
    runs = [
        CountryRun(
            job_id=job.job_id,
            attempt=1,
            revision="q4",
            accepted_at=job.accepted_at,
            succeeded_at=job.updated_at,
            engine="native",
            nrmse=nrmse[i] if nrmse else 0.06,
            rssd=0.1,
            r2=0.9,
            model_summary=names.model_summary(job),
            sol_id=BEST,
            metric="roas",
            worst=worst[i] if worst else "good",
            channels=[
                RunChannel(
                    name="tv_spend", share=0.1, efficiency=2, low=1 + 9 * i, middle=2 + 9 * i, high=3 + 9 * i
                )
            ],
        )
        for i, job in enumerate(jobs)
    ]
    document = CountrySummary(country="DE", counts={}, uncounted="", best=[], latest=runs)
    site.ports.objects.replace(names.summary("DE"), document.model_dump_json().encode(), None)
