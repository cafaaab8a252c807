"""What an engine cannot do is known before data are read; r/R/config.R, Robyn's own guard, says the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from contracts.engines import request_problems
from contracts.model import ModelConfig
from trainer.engines.robyn import space

R = Path(__file__).resolve().parents[2] / "r" / "R"
ASK = """
for (file in list.files(commandArgs(TRUE)[1], pattern = "[.]R$", full.names = TRUE)) source(file)
configs <- jsonlite::fromJSON(commandArgs(TRUE)[2], simplifyVector = FALSE)
cat(jsonlite::toJSON(lapply(configs, function(config) as.list(config_problems(config))), auto_unbox = TRUE))
"""
"""Prints what R says of each configuration in a file."""

COLUMNS: dict[str, Any] = {
    "date": "day",
    "dependent": "sales",
    "dependent_type": "revenue",
    "paid_media": ["tv", {"spend": "web", "exposure": "clicks"}],
    "organic": ["mails"],
    "context": ["price"],
    "factors": ["promo"],
}
FIXED = {"lambda": 0.5} | {
    f"{name}_{kind}": value
    for name in ("tv", "clicks", "mails")
    for kind, value in {"alphas": 1, "gammas": 0.5, "thetas": 0.3}.items()
}
JOB = "de-weekly-0123456789ab"


def named(name: str) -> dict[str, Any]:
    return {"columns": COLUMNS | {"context": [name]}}


REQUESTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "plain": ({}, []),
    "a solver": ({"search": {"solver": "converged"}}, ["search.solver"]),
    "best by": ({"search": {"best_by": "nrmse"}}, ["search.best_by"]),
    "stop": ({"search": {"stop": {"seconds": 5}}}, ["search.stop"]),
    "start from": ({"search": {"start_from": JOB}}, ["search.start_from"]),
    "partial trials": ({"search": {"allow_partial_trials": True}}, []),
    "one iteration": ({"search": {"iterations": 1}}, ["search.iterations"]),
    "two iterations": ({"search": {"iterations": 2}}, []),
    "all fixed": ({"hyperparameters": {"ranges": FIXED}}, ["hyperparameters.ranges"]),
    "a split is searched": (
        {
            "hyperparameters": {"ranges": FIXED},
            "search": {"time_series_validation": True, "train_size": [0.6, 0.8]},
        },
        [],
    ),
    "lambda is searched": (
        {"hyperparameters": {"ranges": {name: at for name, at in FIXED.items() if name != "lambda"}}},
        [],
    ),
    "factors without Prophet": ({"prophet": {"components": []}}, ["columns.factors"]),
    "nothing of Prophet": (
        {"prophet": {"components": []}, "columns": COLUMNS | {"factors": []}},
        [],
    ),
    "factors alike": ({"columns": COLUMNS | {"factors": ["promo", "promo_2"]}}, ["promo"]),
    "a factor like Prophet's": ({"columns": COLUMNS | {"factors": ["hol"]}}, ["hol"]),
    "every role": (
        {
            "columns": COLUMNS
            | {
                "date": "the day",
                "dependent": "1st sales",
                "paid_media": [{"spend": "tv spend", "exposure": "tv-views"}],
                "organic": ["_mails"],
                "context": ["price%"],
                "factors": ["if"],
            }
        },
        ["the day", "1st sales", "tv spend", "tv-views", "_mails", "price%", "if"],
    ),
    "several at once": (
        {"search": {"iterations": 1, "solver": "converged"}, **named("a b")},
        ["search.solver", "search.iterations", "a b"],
    ),
    **{
        name: (named(name), [])
        for name in ("Price.2", "pre_is", ".hidden", "größe", "日本", "._", "...", "x٣", "Inf_", "na")
    },
    **{
        name: (named(name), [name])
        for name in ("a b", "2nd", ".2nd", "_x", "a²", "a-b", "preis€", "TRUE", "NA_character_", "function")
    },
}
"""A request's fields → what the engine robyn refuses of it: paths, or for names the column."""


def config(changes: dict[str, Any]) -> ModelConfig:
    return ModelConfig.model_validate({"columns": COLUMNS, **changes})


def refused(lines: list[str]) -> list[str]:
    """What lines are about: the column where one is in quotation marks, otherwise the path."""
    found = []
    for line in lines:
        path, _, rest = line.partition(":")
        column = re.match(r"(?:column|factor) '([^']+)'$", path) or re.search(r"'([^']+)'", rest)
        about_name = path.startswith(("column '", "factor '", "columns.")) and path != "columns.factors"
        found.append(column[1] if column and about_name else path)
    return sorted(found)


@pytest.mark.parametrize(("changes", "problems"), REQUESTS.values(), ids=REQUESTS)
def test_what_robyn_cannot_do_is_told(changes: dict[str, Any], problems: list[str]):
    assert refused(list(request_problems(config(changes), "robyn"))) == sorted(problems)


def test_r_says_the_same(tmp_path: Path):
    rscript = shutil.which("Rscript")
    has_json = "quit(status = !requireNamespace('jsonlite', quietly = TRUE))"
    if rscript is None or subprocess.run([rscript, "-e", has_json], check=False).returncode:
        pytest.skip("R with jsonlite is not installed (`make test-deps`)")
    configs = [config(changes) for changes, _ in REQUESTS.values()]
    asked = [
        {"model": one.model_dump(mode="json"), "space": space(one), "data_sha256": "0"} for one in configs
    ]
    (tmp_path / "configs.json").write_text(json.dumps(asked))
    (tmp_path / "ask.R").write_text(ASK)
    answer = subprocess.run(
        [rscript, str(tmp_path / "ask.R"), str(R), str(tmp_path / "configs.json")],
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = [refused(lines) for lines in json.loads(answer.stdout)]
    ours = [refused(list(request_problems(one, "robyn"))) for one in configs]
    assert dict(zip(REQUESTS, theirs, strict=True)) == dict(zip(REQUESTS, ours, strict=True))


def test_the_native_engine_takes_any_name_and_refuses_what_only_robyn_can():
    assert list(request_problems(config(named("a b")), "native")) == []
    (line,) = request_problems(config({"search": {"allow_partial_trials": True}}), "native")
    assert line == "search.allow_partial_trials: needs the engine robyn; this request has the engine native"


def test_penalties_that_are_all_0_are_refused_whatever_the_engine():
    names = [f"{name}_penalty" for name in ("trend", "season", "price", "promo", "tv", "clicks", "mails")]
    ranges: dict[str, Any] = dict.fromkeys(names, 0)
    search = {"penalty_factors": True}
    with pytest.raises(ValueError, match="every penalty is fixed to 0"):
        config({"search": search, "hyperparameters": {"ranges": ranges}})
    assert config({"search": search, "hyperparameters": {"ranges": ranges | {"tv_penalty": [0, 1]}}})
