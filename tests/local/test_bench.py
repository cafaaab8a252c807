"""Each part of `make bench` runs, on tiny inputs, and its figures hold together."""

from __future__ import annotations

from pathlib import Path

from infra.local.bench import extract, job, pipeline, search
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


def test_the_whole_job_on_an_upload_counts_every_step(tmp_path: Path):
    data, settings = tmp_path / "sales.csv", tmp_path / "settings.yaml"
    data.write_bytes(demo_csv(generate(weeks=104, country="AT")))
    settings.write_text(demo_settings(iterations=2_000, trials=5))
    figures = job.measure(tmp_path / "job", (data, settings), iterations=5, trials=1)
    total, *steps = [float(figure.value) for figure in figures]
    assert "sales.csv; 1 × 5 iterations" in figures[0].beside
    assert abs(total - sum(steps)) < 0.1
    assert min(steps) >= 0


def test_the_pipeline_loses_nothing(tmp_path: Path):
    figures = pipeline.measure(tmp_path / "pipeline", requests=12, one_by_one=2)
    assert value(figures, "burst: SUCCEEDED") == 12
    assert value(figures, "burst: dead letters") == 0


def test_extract_measures_both_ways_in_processes_of_their_own(tmp_path: Path):
    figures = extract.measure(tmp_path / "extract", few=2_000, many=4_000)
    assert [figure.unit for figure in figures] == ["rows/s", "rows/s", "MB", "MB", "MB", "MB"]
    assert all(float(figure.value.replace(",", "")) > 0 for figure in figures)
