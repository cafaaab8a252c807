"""Writes every file and every part of the docs that is generated from the code.

`python -m infra.generate` (`make schemas`) writes; with `--check` it only compares, and exits with 1 on a
difference.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from contracts import (
    attempt,
    batch,
    changes,
    cloud,
    curves,
    deletion,
    events,
    figures,
    history,
    job,
    mapping,
    old_system,
    posterior,
    preview,
    problem,
    request,
    result,
    schedule,
    summary,
    trust,
    validation,
)
from functions.settings import env_example
from functions.web.v1.table import openapi
from infra.fields import fields_tables
from infra.house import house_map, rules_table
from infra.way import way_table
from trainer.trust.thresholds import thresholds_table

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("contracts/schemas")
NAMES = Path("infra/terraform/names.json")
"""What Terraform loops over."""
OPENAPI = Path("contracts/openapi.json")
"""The description of the JSON API."""
EXAMPLES = Path("contracts/examples")

MODELS: dict[str, type[BaseModel]] = {
    "train_request": request.TrainRequest,
    "job": job.Job,
    "upload": job.Upload,
    "queue": job.Queue,
    "dead_letter": job.DeadLetter,
    "extract": job.Extract,
    "training_ready": events.TrainingReady,
    "training_finished": events.TrainingFinished,
    "sweep_request": events.SweepRequest,
    "job_finished": events.JobFinished,
    "request_refused": events.RequestRefused,
    "training_config": attempt.TrainingConfig,
    "claim": attempt.Claim,
    "merge": attempt.Merge,
    "heartbeat": attempt.Heartbeat,
    "manifest": attempt.Manifest,
    "outcome": attempt.Outcome,
    "validation_report": validation.ValidationReport,
    "best_model": result.BestModel,
    "model_file": result.ModelFile,
    "allocation": result.Allocation,
    "refresh_report": result.RefreshReport,
    "timings": result.Timings,
    "model_figures": figures.ModelFigures,
    "model_summary": summary.ModelSummary,
    "country_summary": summary.CountrySummary,
    "country_month": summary.CountryMonth,
    "posterior": posterior.PosteriorDocument,
    "trust": trust.TrustDocument,
    "changes": changes.ChangesDocument,
    "source_check": preview.SourceCheck,
    "preview": preview.Preview,
    "mapping": mapping.MappingDocument,
    "mapping_version": mapping.MappingVersion,
    "mapping_check": mapping.MappingCheck,
    "effective_request": mapping.EffectiveRequest,
    "results_deletion": deletion.ResultsDeletion,
    "old_run": old_system.OldRunDocument,
    "import_report": old_system.ImportReport,
    "curves": curves.CurvesDocument,
    "schedule": schedule.ScheduleText,
    "stored_schedule": schedule.Schedule,
    "batch_request": batch.BatchRequest,
    "batch": batch.Batch,
    "frozen_batch": batch.FrozenBatch,
    "batch_step": batch.BatchStep,
    "batch_finished": batch.BatchFinished,
    "curves_regions": curves.RegionCurvesDocument,
    "history_row": history.HistoryRow,
    "problem": problem.Problem,
}
"""Every contract by the name of its schema and of its example."""


def history_columns() -> str:
    """The columns of the history, as a Markdown table."""
    lines = ["| column | meaning |", "|---|---|"]
    lines += [
        f"| `{name}` | {field.description} |" for name, field in history.HistoryRow.model_fields.items()
    ]
    return "\n".join(lines) + "\n"


def state_diagram() -> str:
    """The states and transitions of a job, as a Mermaid diagram."""
    lines = ["stateDiagram-v2", "    [*] --> ACCEPTED"]
    for before, targets in job.TRANSITIONS.items():
        lines += [f"    {before} --> {after}" for after in sorted(targets, key=list(job.JobState).index)]
    lines += [f"    {state} --> [*]" for state in job.JobState if state.terminal]
    return "\n".join(lines) + "\n"


def subscriptions_table() -> str:
    """Which message wakes which function, as a Markdown table."""
    lines = ["| subscription | topic | function |", "|---|---|---|"]
    lines += [
        f"| {name} | {topic} | {function} |" for name, (topic, function) in events.SUBSCRIPTIONS.items()
    ]
    return "\n".join(lines) + "\n"


def access_matrix() -> str:
    """What each identity may do, as a Markdown table."""
    lines = [
        "| identity | publishes | reads | creates | lists | documents | trainings | else |",
        "|" + "---|" * 8,
    ]
    for identity, one in cloud.RIGHTS.items():
        told = [", ".join(f"`{name}`" for name in names) or "–" for names in _named(one)]
        more = [
            text
            for given, text in (
                (one.warehouses, "warehouses"),
                (one.signs, "signs its links"),
            )
            if given
        ]
        runs = {"none": "–", "stops": "looks, stops", "starts": "looks, stops, starts"}[one.runs]
        lines.append(f"| {' | '.join([identity, *told, runs, ', '.join(more) or '–'])} |")
    return "\n".join(lines) + "\n"


def _named(one: cloud.Rights) -> tuple[tuple[str, ...], ...]:
    return one.publishes, one.reads, one.creates, one.lists, one.documents


def rare_rights() -> str:
    """The rights that are needed seldom, and what for, as a Markdown table."""
    lines = ["| identity | right | for |", "|---|---|---|"]
    for identity, one in cloud.RIGHTS.items():
        lines += [f"| {identity} | {right.replace(':', ' ')} | {why} |" for right, why in one.seldom.items()]
    return "\n".join(lines) + "\n"


def generated() -> dict[Path, str]:
    """The content of every generated file, by its path relative to the project."""
    schemas = {
        FOLDER / f"{name}.json": json.dumps(model.model_json_schema(by_alias=True), indent=2, sort_keys=True)
        + "\n"
        for name, model in MODELS.items()
    }
    return {
        **schemas,
        OPENAPI: json.dumps(openapi(), indent=2) + "\n",
        NAMES: cloud.names_json(),
        Path(".env.example"): env_example(),
        **_pages(),
    }


def _pages() -> dict[Path, str]:
    """The pages of the docs with generated parts."""
    parts = {
        "contracts.md": {
            "state diagram": f"```mermaid\n{state_diagram()}```\n",
            "subscriptions": subscriptions_table(),
        },
        "guarantees.md": {"way": way_table(ROOT)},
        "develop.md": {"house map": f"```mermaid\n{house_map(ROOT)}```\n", "house rules": rules_table()},
        "recurring.md": {"history columns": history_columns()},
        "security.md": {"access matrix": access_matrix(), "rare rights": rare_rights()},
        "trust.md": {"thresholds": thresholds_table()},
        "request.md": {"fields": f"\n{fields_tables(request.TrainRequest.model_json_schema())}\n"},
    }
    pages = {}
    for name, contents in parts.items():
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        for mark, content in contents.items():
            text = _between(text, mark, content)
        pages[Path("docs") / name] = text
    return pages


def _between(text: str, name: str, content: str) -> str:
    """The text with the part between the two markers of a name replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{content}{end}{after}"


def drifted() -> list[Path]:
    """The generated files that are missing or out of date."""
    return [
        path
        for path, text in generated().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write or check."""
    if "--check" in sys.argv:
        for path in drifted():
            sys.stderr.write(f"{path} is out of date: run `make schemas`\n")
        return 1 if drifted() else 0
    for path, text in generated().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
