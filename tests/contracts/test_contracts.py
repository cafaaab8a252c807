"""The contracts: their schemas, examples, and how they refuse what is wrong."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from pydantic import BaseModel, ValidationError

from contracts.base import RELEASE, canonical_json, error_lines
from contracts.budget import BudgetQuestion
from contracts.job import IllegalTransition, Job, JobState
from contracts.model import ModelConfig
from contracts.request import SettingsError, TrainRequest, job_id_for, parse_settings
from infra import generate


def example(name: str) -> dict:
    folder = generate.ROOT / generate.EXAMPLES
    path = next(p for p in (folder / f"{name}.yaml", folder / f"{name}.json") if p.exists())
    return parse_settings(path.read_bytes())


def fields(name: str) -> list[tuple[str, dict]]:
    """Path and definition of every field in the schema of a contract."""
    schema = generate.MODELS[name].model_json_schema(by_alias=True)
    parts = [schema, *schema.get("$defs", {}).values()]
    return [
        (f"{part['title']}.{field}", definition)
        for part in parts
        for field, definition in part.get("properties", {}).items()
    ]


def test_generated_files_are_as_the_code_says():
    assert generate.drifted() == [], "run `make schemas`"


@pytest.mark.parametrize(("name", "model"), generate.MODELS.items())
def test_every_contract_has_an_example_that_loads(name: str, model: type[BaseModel]):
    loaded = model.model_validate(example(name))
    again = model.model_validate_json(loaded.model_dump_json(by_alias=True))
    assert again == loaded


@pytest.mark.parametrize("name", generate.MODELS)
def test_every_field_is_described(name: str):
    assert [path for path, field in fields(name) if not field.get("description", "").strip()] == []


def test_a_field_of_a_request_says_what_it_is_when_left_out():
    optional = [(path, field) for path, field in fields("train_request") if "default" in field]
    assert [
        path
        for path, field in optional
        if field["default"] is None and "left out:" not in field["description"]
    ] == []


def test_the_example_request_shows_every_field():
    shown = example("train_request")
    assert set(shown) == set(TrainRequest.model_fields)
    for name, field in TrainRequest.model_fields.items():
        if isinstance(shown[name], dict) and hasattr(field.annotation, "model_fields"):
            assert set(shown[name]) == set(field.annotation.model_fields), name
    assert set(shown["budget"]) == set(BudgetQuestion.model_fields)


def test_all_problems_of_a_request_are_told_at_once_with_their_paths():
    body = example("train_request")
    body["columns"]["dependent_type"] = "sales"
    body["columns"]["paid_media"][1] = {"spent": "x"}
    body["search"]["trials"] = 0
    body["colour"] = "red"
    del body["country"]
    with pytest.raises(ValidationError) as caught:
        TrainRequest.model_validate(body)
    lines = error_lines(caught.value)
    assert [line.split(":")[0] for line in lines] == [
        "columns.dependent_type",
        "columns.paid_media[1].spend",
        "columns.paid_media[1].spent",
        "search.trials",
        "country",
        "colour",
    ]


COLUMNS = {"date": "d", "dependent": "y", "dependent_type": "revenue"}
SENT = {"calibration": [], "budget": None}
JOB_ID = "de-weekly-0123456789ab"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"hyperparameters": {"ranges": {"radio_gammas": [0.9, 0.1]}}},
            {"hyperparameters.ranges.radio_gammas": "low 0.9 is above high 0.1"},
        ),
        (
            {
                **SENT,
                "columns": {**COLUMNS, "paid_media": [{"spend": "tv", "exposure": "grp"}]},
                "hyperparameters": {"ranges": {"tv_alphas": [0.5, 3]}},
                "refresh_of": JOB_ID,
                "search": {"start_from": JOB_ID},
                "posterior": "on",
                "window": {},
            },
            {
                "hyperparameters.ranges.tv_alphas": "did you mean grp_alphas?",
                "refresh_of": "leave search.start_from out",
            },
        ),
        (
            {"refresh_of": "Weekly job"},
            {"refresh_of.job": "such as de-weekly-0123456789ab, which the job's page shows"},
        ),
        ({"search": {"start_from": "x"}}, {"search.start_from": "'x' is not a job id, such as"}),
        ({"country": "Deutschland (neu)"}, {"country": "a short name such as DE"}),
        ({"country_value": "x", "country_column": None}, {"country_value": "without country_column"}),
        ({"budget": {"scenario": "historical", "total": 2}}, {"budget.total": "not used with scenario"}),
        ({"adstock": "geo"}, {"adstock": "must be 'geometric'"}),
        ({"duplicates": "sum"}, {"duplicates": "must be 'reject', 'aggregate' or a mapping"}),
        ({"duplicates": {"aggregate": {"a": "median"}}}, {"duplicates.aggregate.a": "must be 'sum'"}),
        ({"source": {"kind": "tabel"}}, {"source": "there is no kind 'tabel'; choose one of 'table'"}),
        ({"columns": "tv"}, {"columns": "must be a mapping"}),
    ],
)
def test_a_problem_stands_at_its_field_in_words(change: dict, told: dict[str, str]):
    with pytest.raises(ValidationError) as caught:
        TrainRequest.model_validate({**example("train_request"), **change})
    lines = error_lines(caught.value)
    assert len(lines) == len(told), lines
    for line, (path, words) in zip(lines, told.items(), strict=True):
        assert line.startswith(f"{path}: ")
        assert words in line
        assert "^" not in line


STUDY = {"channels": ["radio"], "start": "2024-01-01", "end": "2024-02-01", "lift": 1, "spend": 1}
JOB = job_id_for("de-weekly-2026-w46")
DAY = {"date": "2024-11-29", "name": "black week"}
SMALL = {"date": "d", "dependent": "y", "dependent_type": "revenue", "paid_media": ["tv"]}
TABLE = {"kind": "table", "connection": "demo", "database": "a", "schema": "b", "table": "c;drop"}


def small(**columns: object) -> dict:
    return {"columns": {**SMALL, **columns}, "calibration": [], "hyperparameters": {}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prophet": {"components": ["holiday"]}}, "holiday_country"),
        ({"prophet": {"components": ["trend"], "holidays": [DAY]}}, "not among the components"),
        ({"prophet": {"components": ["holiday"], "holidays": [DAY, DAY]}}, "given twice"),
        ({"annotations": [{"date": "2024-01-01", "text": "a" * 61}]}, "annotations[0].text"),
        ({"annotations": [{"date": "2024-01-01", "text": "two\nlines"}]}, "annotations[0].text"),
        ({"hyperparameters": {"ranges": {"tv_spend_shapes": [1, 2]}}}, "_alphas, <modelled column>_gammas"),
        ({"hyperparameters": {"ranges": {"tv_spend_thetas": [0.2, 1.0]}}}, "0 <= theta < 1"),
        ({"hyperparameters": {"ranges": {"tv_spend_penalty": [0, 1]}}}, "penalty_factors"),
        ({"window": {"start": "2025-01-01", "end": "2024-01-01"}}, "before it starts"),
        ({"search": {"train_size": [0.05, 0.9]}}, "train_size"),
        ({"search": {"train_size": [0.6, 0.7]}}, "time_series_validation"),
        ({"search": {"seed": 1.5}}, "integer"),
        ({"calibration": [{**STUDY, "confidence": 0.9}]}, "neither a spend nor an organic column"),
        ({"budget": {"target": 2}}, "target: not used with scenario max_response"),
        ({"budget": {"scenario": "historical", "total": 2}}, "total: not used with scenario historical"),
        ({"budget": {"channel_budgets": {"radio": 5}}}, "budget.channel_budgets.radio: not a spend column"),
        ({"budget": {"channel_budgets": {"tv_spend": [5, 4]}}}, "0 <= low <= high"),
        (
            {
                "budget": {
                    "channel_bounds": {"tv_spend": {"low": 1, "high": 1}},
                    "channel_budgets": {"tv_spend": 5},
                }
            },
            "tv_spend: has channel_bounds and channel_budgets",
        ),
        ({"refresh_of": "weekly"}, "refresh_of.job"),
        ({"refresh_of": {"job": JOB, "bounds_freedom": 0}}, "refresh_of.bounds_freedom"),
        ({"refresh_of": JOB, "window": {"start": "2024-01-01"}}, "leave window.start out"),
        ({"refresh_of": JOB, "search": {"start_from": JOB}}, "leave search.start_from out"),
        ({"refresh_of": JOB, "search": {"best_by": "nrmse"}}, "leave search.best_by out"),
        (small(paid_media=["y"]), "named twice"),
        (small(context=["season"]), "columns.context[0]: 'season'"),
        ({"source": TABLE}, "source.table.table"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_a_request_that_cannot_work_is_refused_with_the_reason(change: dict, words: str):
    with pytest.raises(ValidationError) as caught:
        TrainRequest.model_validate({**example("train_request"), **change})
    assert words in "\n".join(error_lines(caught.value))


def test_a_bare_column_name_stands_for_the_object_with_its_defaults():
    body = example("train_request")
    long = {
        **body,
        "columns": {**body["columns"], "organic": [{"name": "newsletter_sends", "sign": "positive"}]},
    }
    assert TrainRequest.model_validate(body).columns == TrainRequest.model_validate(long).columns


def test_yaml_has_the_values_of_json():
    text = b"country: NO\nstart: 2026-01-31\nflag: true\nnumber: 1.5\nnothing: null\n"
    values = {"country": "NO", "start": "2026-01-31", "flag": True, "number": 1.5, "nothing": None}
    assert parse_settings(text) == values


@pytest.mark.parametrize(
    "text",
    [
        b'{\n\t"name": "\\ud83d\\udcfa TV",\n\t"numbers": [1, 2.5, null, true]\n}',
        b'\xef\xbb\xbf  {"name": "\\ud83d\\udcfa TV", "numbers": [1, 2.5, null, true]}\r\n',
        '{"name": "\U0001f4fa TV", "numbers": [1, 2.5, null, true],}  # as YAML'.encode(),
        "name: \U0001f4fa TV\r\nnumbers: [1, 2.5, ~, true]\r\n".encode("utf-16"),
    ],
)
def test_settings_are_read_as_json_or_as_yaml(text: bytes):
    assert parse_settings(text) == {"name": "\U0001f4fa TV", "numbers": [1, 2.5, None, True]}


def test_names_that_look_the_same_are_the_same_column():
    body = example("train_request")
    plain = TrainRequest.model_validate({**body, "columns": {**body["columns"], "date": "Tag im Köln"}})
    for name in ("Tag\nim  Ko\u0308ln", " Tag\u00a0im\tKöln ", "\ufeffTag im\u200b K\u00adöln\r\n"):
        other = TrainRequest.model_validate({**body, "columns": {**body["columns"], "date": name}})
        assert other.columns == plain.columns


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": 1 "b": 2}', "not valid JSON: .* line 1 column 9"),
        (b'{"a": 1, "a": 2}', "'a' is given twice"),
        (b"a:\n\tb: 1", "spaces, not with tabs"),
        (b"a: [1", "not valid YAML"),
        (b"- a\n- b", "mapping"),
        (b"", "mapping"),
        ("ä".encode("latin-1"), "UTF-8"),
        (b"a: &x [1]\nb: *x", "aliases"),
        (b"a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        (b"[" * 5000, "deeply"),
    ],
)
def test_settings_that_are_no_mapping_are_refused_with_the_reason(text: bytes, words: str):
    with pytest.raises(SettingsError, match=words):
        parse_settings(text)


def test_a_job_id_is_readable_safe_and_as_unique_as_its_key():
    first, second = job_id_for("sales/../DE ü 1"), job_id_for("sales/../DE ü 2")
    assert first.startswith("sales-de-1-")
    assert first.rsplit("-", 1)[1] != second.rsplit("-", 1)[1]


def test_canonical_json_does_not_depend_on_the_order_of_fields():
    assert canonical_json({"b": 1, "a": [1.0, "ü"]}) == canonical_json(json.loads('{"a":[1.0,"ü"],"b":1}'))
    assert canonical_json({"a": 1}) != canonical_json({"a": 1.0})


def test_a_job_document_keeps_the_fields_of_a_newer_version():
    newer = {**example("job"), "shiny": {"new": 1}}
    assert json.loads(Job.model_validate(newer).model_dump_json())["shiny"] == {"new": 1}


def test_only_the_table_s_transitions_are_possible():
    job = Job.model_validate(example("job"))
    assert job.moved(JobState.TRAINED, job.updated_at, None).timeline[-1].state is JobState.TRAINED
    with pytest.raises(IllegalTransition, match="RUNNING to ACCEPTED"):
        job.moved(JobState.ACCEPTED, job.updated_at, None)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("tv_thetas", "did you mean imp_thetas?"), ("serch_alphas", "did you mean search_alphas?")],
)
def test_a_hyperparameter_that_is_not_there_is_answered_with_the_one_that_is_meant(asked: str, meant: str):
    columns = {"date": "d", "dependent": "y", "dependent_type": "revenue"}
    paid = [{"spend": "tv", "exposure": "imp"}, "search"]
    with pytest.raises(ValidationError, match=re.escape(meant)):
        ModelConfig.model_validate(
            {"columns": columns | {"paid_media": paid}, "hyperparameters": {"ranges": {asked: [0.5, 0.7]}}}
        )


def test_the_release_is_that_of_the_packages() -> None:
    root = generate.ROOT
    for path in (root / "pyproject.toml", root / "client" / "pyproject.toml"):
        assert tomllib.loads(path.read_text(encoding="utf-8"))["project"]["version"] == RELEASE
