"""A batch: a table of dotted paths over a base request, which may be the one in the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from contracts.request import TrainRequest
from mmm.reading import read_requests

README = Path(__file__).parents[2] / "README.md"


def batch(folder: Path, header: str, row: str, more: str = "") -> dict[str, Any]:
    """The one request of a table over the README's request, which lacks only its request_id."""
    [base] = re.findall(r"```yaml\nrequest_id: .*?\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    (folder / "base.yaml").write_text(base + more, encoding="utf-8")
    (folder / "batch.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    [one] = read_requests(folder / "batch.csv", folder / "base.yaml")
    return TrainRequest.model_validate(one.body).model_dump(mode="json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("columns.paid_media.0.spend", "print_spend"),
        ("columns.paid_media.0.exposure", "tv_ratings"),
        ("columns.paid_media.1.spend", "sea_spend"),
        ("columns.organic.0.sign", "negative"),
        ("columns.context.0.name", "price"),
        ("search.trials", 3),
        ("posterior.draws", 400),
    ],
)
def test_a_path_reaches_into_the_short_forms_of_the_base(tmp_path: Path, path: str, value: object):
    asked: Any = batch(tmp_path, path, str(value))
    for part in path.split("."):
        asked = asked[int(part)] if part.isdecimal() else asked[part]
    assert asked == value


def test_what_a_short_form_says_is_kept(tmp_path: Path):
    asked = batch(tmp_path, "columns.paid_media.0.exposure,columns.organic.0.sign", "tv_ratings,default")
    assert asked["columns"]["paid_media"][0] == {
        "spend": "tv_spend",
        "exposure": "tv_ratings",
        "sign": "positive",
    }
    assert asked["columns"]["organic"] == [{"name": "newsletter_sends", "sign": "default"}]
    again = batch(tmp_path, "refresh_of.bounds_freedom", "0.2", "refresh_of: de-weekly-0123456789ab\n")
    assert (again["refresh_of"]["job"], again["refresh_of"]["bounds_freedom"]) == (
        "de-weekly-0123456789ab",
        0.2,
    )


@pytest.mark.parametrize(
    "path", ["columns.paid_media.7.spend", "columns.paid_media.tv.spend", "country.name"]
)
def test_a_path_that_leads_nowhere_is_told(tmp_path: Path, path: str):
    [base] = re.findall(r"```yaml\nrequest_id: .*?\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    (tmp_path / "base.yaml").write_text(base, encoding="utf-8")
    (tmp_path / "batch.csv").write_text(f"{path}\nx\n", encoding="utf-8")
    [one] = read_requests(tmp_path / "batch.csv", tmp_path / "base.yaml")
    assert one.problems == [f"{path}: does not fit the base request"]
