"""Each part of `make bench` runs, on tiny inputs, and its figures hold together."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.bench import batch, extract, hypervolume, job, outputs, pipeline, search, tasks
from infra.local.bench.figures import Figure
from infra.local.demo_data import demo_csv, demo_settings, generate


def value(figures: list[Figure], what: str) -> float:
    return next(float(figure.value.replace(",", "")) for figure in figures if figure.what.strip() == what)


def test_search():
    figures = search.measure(40, 2, arithmetic=100_000, usual=(60, 2), growth=((120, 4),), baseline="")
    parts = value(figures, "evaluation of a candidate") + value(figures, "evolution")
    assert abs(value(figures, "CPU per iteration") - parts) <= 1  # each is rounded
    assert value(figures, "evolution") < value(figures, "nevergrad in its place")
    assert {figure.unit for figure in figures} == {"µs", "s", "CPU s", "×"}
    (first,) = [figure for figure in figures if figure.what == "first candidate"]
    assert first.beside == "0 functions compiled"


def test_less_than_a_whole_search_is_compared_with_a_whole_one():
    figures = hypervolume.measure(80, 2, seeds=1)
    assert len(figures) == 3 * (3 + 4 + 4)
    for data in ("weekly, 209 rows", "generated, 208 rows"):
        shorter, started = (value(figures, f"{data}: {way}40 iterations") for way in ("", "start_from, "))
        assert 0 < shorter < started < 2


def test_outputs_and_memory_of_a_whole_result(tmp_path: Path):
    figures = outputs.measure(tmp_path / "result", iterations=30, trials=1)
    assert value(figures, "all files of a result") > 0
    assert 100 < value(figures, "peak memory of both") < 2_000
    assert (tmp_path / "result" / "allocator.png").is_file()


def test_the_whole_job_on_an_upload_counts_every_step(tmp_path: Path):
    data, settings = tmp_path / "sales.csv", tmp_path / "settings.yaml"
    data.write_bytes(demo_csv(generate(weeks=104, country="AT")))
    settings.write_text(demo_settings(iterations=2_000, trials=5))
    figures = job.measure(tmp_path / "job", (data, settings), iterations=5, trials=1)
    total, *steps = [float(figure.value) for figure in figures]
    assert "sales.csv; 1 × 5 iterations" in figures[0].beside
    assert abs(total - sum(steps)) < 0.1
    assert min(steps) >= 0


def test_tasks_are_measured_and_the_large_job_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tasks, "LARGE", (6, 2))
    figures = tasks.measure(tmp_path / "tasks", iterations=5, trials=2, counts=(2,))
    assert float(figures[0].value) > 0
    assert [figure.what.split(", ")[-2] for figure in figures[1:]] == ["native", "robyn"]
    costs = tasks.Timeline(start=10, prepare=5, iteration=0.1, merge=20)
    assert costs.total(iterations=500, trials=10, tasks=10) == 10 + 5 + 50 + 20
    assert costs.total(iterations=500, trials=10, tasks=4) == 10 + 5 + 3 * 50 + 20


def test_a_batch_is_trained_in_forked_processes(tmp_path: Path):
    figures = batch.measure(tmp_path / "batch", jobs=2, iterations=10, trials=1)
    assert value(figures, "training forked from a warm server") < value(figures, "training in a new process")
    assert value(figures, "files of a result") < 4


def test_the_pipeline_loses_nothing(tmp_path: Path):
    figures = pipeline.measure(tmp_path / "pipeline", requests=30, one_by_one=2)
    assert [value(figures, f"burst: {what}") for what in ("lost", "twice", "dead letters")] == [0, 0, 0]
    assert value(figures, "burst: faults") > 0


def test_extract_measures_both_ways_in_processes_of_their_own(tmp_path: Path):
    figures = extract.measure(tmp_path / "extract", few=2_000, many=4_000)
    assert [figure.unit for figure in figures] == ["rows/s", "rows/s", "MB", "MB", "MB", "MB"]
    assert all(float(figure.value.replace(",", "")) > 0 for figure in figures)
