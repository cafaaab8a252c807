"""The pictures of a result: readable by people who see nothing else of it."""

from __future__ import annotations

import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from matplotlib import get_data_path, rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from PIL import Image

from contracts.model import Annotation, ModelConfig
from tests.engine.golden import trained
from trainer.engines.native import outputs
from trainer.engines.native.pictures import onepager, search_picture
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.training import fit
from trainer.engines.pictures import notes, style


def test_the_one_pager_opens_and_is_large_enough_to_read(tmp_path):
    result, config = trained("weekly_geometric_split")
    path = tmp_path / "onepager.png"
    onepager.draw(result, config, path, "Germany, 2024")
    with Image.open(path) as picture:
        picture.verify()
        assert picture.format == "PNG"
        assert picture.width >= 2000
        assert 1.4 < picture.width / picture.height < 1.9
    darkest, lightest = Image.open(path).convert("L").getextrema()
    assert (darkest < 60, lightest) == (True, 255)


def test_the_one_pager_grows_with_many_channels_of_any_name(tmp_path):
    rng = np.random.default_rng(1)
    names = [f"Display_Programmatic_Retargeting_{i}_Northern_Germany_$cost$_{{i}}^" for i in range(20)]
    data = pd.DataFrame({name: rng.gamma(2, 1000, 120) for name in names})
    data["week"] = pd.date_range("2022-01-03", periods=120, freq="W-MON")
    data["sales"] = 50_000 + 2 * data[names[3]] + data[names[7]] + rng.normal(0, 500, 120)
    columns = {"date": "week", "dependent": "sales", "dependent_type": "revenue", "paid_media": names}
    config = ModelConfig.model_validate(
        {"columns": columns, "prophet": {"components": ["trend"]}, "search": {"iterations": 40, "trials": 1}}
    )
    result = fit(data, config, prophet=ProphetColumns({"trend": np.linspace(1, 2, 120)}, {}))
    onepager.draw(
        result, config, tmp_path / "onepager.png", "A title that is much longer than the page is wide " * 3
    )
    with Image.open(tmp_path / "onepager.png") as picture:
        assert picture.height > picture.width * 0.9


def small_world(dependent: str) -> tuple[pd.DataFrame, ModelConfig]:
    rng, names = np.random.default_rng(1), ["tv", "search"]
    data = pd.DataFrame({name: rng.gamma(2, 1000, 60) for name in names})
    data["month"] = pd.date_range("2018-01-01", periods=60, freq="MS")
    data[dependent] = 5000 + 2 * data["tv"] + data["search"] + rng.normal(0, 500, 60)
    columns = {"date": "month", "dependent": dependent, "dependent_type": "revenue", "paid_media": names}
    search = {"iterations": 30, "trials": 1}
    return data, ModelConfig.model_validate(
        {"columns": columns, "prophet": {"components": ["trend"]}, "search": search}
    )


@pytest.mark.parametrize(("dependent", "scale"), [("revenue", 1e-6), ("conversion", 1.0), ("revenue", 1e12)])
def test_nothing_is_written_beyond_the_edge_of_a_picture_or_over_its_header(
    tmp_path, monkeypatch, dependent, scale
):
    rng, total = np.random.default_rng(1), "Total_Online_Revenue_Including_Returns"
    names = [f"Online_Video_YouTube_{aim}_Germany_spend" for aim in ("Prospecting", "Retargeting", "Loyalty")]
    data = pd.DataFrame({name: rng.gamma(2, 1000, 60) for name in names})
    data["month"] = pd.date_range("2018-01-01", periods=60, freq="MS")
    data[total] = scale * (5000 + 2 * data[names[0]] + data[names[1]] + rng.normal(0, 500, 60))
    columns = {"date": "month", "dependent": total, "dependent_type": dependent, "paid_media": names}
    config = ModelConfig.model_validate(
        {
            "columns": columns,
            "prophet": {"components": ["trend"]},
            "search": {"iterations": 40, "trials": 1},
            "budget": {},
            "pictures": "winners",
        }
    )
    result = fit(data, config, prophet=ProphetColumns({"trend": scale * np.linspace(1, 2, 60)}, {}))
    drawn: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, *_: drawn.append(figure))
    outputs.write(result, config, tmp_path)
    others = len(result.other_winners)
    assert len(drawn) == 4 + others + 5 * (1 + others)  # five panels of each winner besides
    for figure in drawn:
        used, page = figure.get_tightbbox(), figure.bbox_inches
        assert page.x0 <= used.x0
        assert used.x1 <= page.x1
        assert page.y0 <= used.y0
        assert used.y1 <= page.y1
        header = [text.get_window_extent() for text in figure.texts]
        assert not any(one.overlaps(other) for one, other in combinations(header, 2))


def test_twenty_channels_have_twenty_colours_whatever_the_model():
    channels = [f"channel {i}" for i in range(20)]
    colours = style.channel_colours(channels)
    assert len(set(colours.values())) == 20


AMOUNTS = {
    0: "0",
    -0.001: "-0.001",
    0.842: "0.84",
    12.34: "12.3",
    345_678: "346k",
    999_900: "1M",
    1.2e6: "1.2M",
}
AMOUNTS |= {
    -0.0: "0",
    0.9996: "1",
    99.96: "100",
    0.00416: "0.0042",
    3.21e-4: "3.2e-4",
    -2e-10: "-2e-10",
    1.1e12: "1.1T",
    4e15: "4e15",
}


@pytest.mark.parametrize(("value", "text"), [*AMOUNTS.items(), (-785_000, "-785k"), (float("inf"), "–")])
def test_amounts_are_short(value, text):
    assert style.amount(value) == text


def test_characters_that_the_usual_font_lacks_are_drawn_with_a_font_that_has_them(tmp_path, monkeypatch):
    """A font for Chinese, as far as its name and one character go."""
    font = TTFont(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    for table in font["cmap"].tables:
        table.cmap[ord("広")] = "A"
    for record in font["name"].names:
        record.string = "Droid Sans Fallback"
    font.save(tmp_path / "fallback.ttf")
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    fontManager.addfont(tmp_path / "fallback.ttf")
    with rc_context(style.settings()):
        figure = Figure()
        figure.text(0, 0, "広")
        with warnings.catch_warnings(action="error"):
            figure.draw_without_rendering()
    assert set(style.settings()["font.family"]) <= set(fontManager.get_font_names())


@pytest.mark.parametrize("span", [(0, 1e-6), (12_380, 12_610), (2.4181e9, 2.4189e9), (-3e15, 9e15), (0, 1)])
def test_no_two_numbers_of_an_axis_read_alike(span):
    axes = Figure().add_subplot()
    axes.set_xlim(*span)
    style.amounts(axes.xaxis, "revenue per week")
    axes.figure.draw_without_rendering()
    texts = [tick.get_text() for tick in axes.get_xticklabels()]
    assert len(texts) > 2
    assert len(set(texts)) == len(texts)
    assert max(map(len, texts)) <= 9


def test_long_names_are_shortened_and_stay_different():
    names = [
        f"Online_Video_YouTube_{aim}_{market}_spend"
        for aim in ("Prospecting", "Retargeting")
        for market in "AB"
    ]
    short = {style.label(name) for name in names}
    assert len(short) == 4
    assert max(map(len, short)) <= 34
    assert style.label("オンライン動画広告" * 9) == ("オンライン動画広告" * 9)[:17]
    assert style.heading("品" * 50, 9) == "品品品品…"


def test_names_beside_curves_do_not_overlap():
    placed = style.spread([0.5, 0.51, 0.52, 9.9, 10.0], 1.0, 0.0, 10.0)
    assert np.diff(placed).min() >= 1.0 - 1e-12
    assert min(placed) >= 0
    assert max(placed) <= 10


def note(day: str, text: str) -> Annotation:
    return Annotation.model_validate({"date": day, "text": text})


FEW = [
    note("2022-03-07", "relaunch of the shop, new prices for everything we sell"),
    note("2022-03-14", "5 $ off, then 10 $ off"),
    note("2023-12-28", "a text at the edge that has no room on its right"),
    note("2024-06-01", "after the axis"),
]
MANY = [note(f"2023-{month:02d}-{day:02d}", f"event {day}") for month in range(1, 13) for day in range(1, 28)]


@pytest.mark.parametrize(("annotations", "drawn"), [([], 0), (FEW, 3), (FEW + MANY, 3 + len(MANY))])
def test_annotations_are_lines_on_the_time_axis_with_labels_that_do_not_overlap(annotations, drawn):
    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    dates = pd.date_range("2022-01-03", "2024-01-01", freq="W-MON")
    (line,) = axes.plot(dates, np.sin(np.arange(len(dates))))
    notes.labelled(axes, annotations, 0.3)
    assert len(axes.get_lines()) == 1 + drawn
    figure.draw_without_rendering()
    labels = [label.get_window_extent() for label in axes.texts]
    texts = [label.get_text() for label in axes.texts]
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))
    frame, data = axes.get_window_extent(), line.get_window_extent()
    for label in labels:
        assert frame.x0 <= label.x0
        assert label.x1 <= frame.x1 + 1
        assert data.y1 <= label.y0
        assert label.y1 <= frame.y1 - 0.3 * figure.dpi + 1
    assert len(labels) == (3 if annotations == FEW else len(labels))
    assert any("more in annotations.csv" in text for text in texts) == (drawn > 3)
    assert "after the axis" not in texts


def test_a_short_name_of_the_dependent_variable_stays_as_it_is(monkeypatch):
    data, config = small_world("Umsatz (netto)")
    result = fit(data, config, prophet=ProphetColumns({"trend": np.linspace(1, 2, 60)}, {}))
    drawn: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, *_: drawn.append(figure))
    onepager.draw(result, config, Path("unused.png"), title="sales")
    texts = [text.get_text() for text in drawn[0].findobj(Text)]
    assert "Umsatz (netto),\npredicted" in texts
    assert not any("Umsa (" in text for text in texts)


def test_the_best_model_is_marked_among_the_candidates(monkeypatch):
    data, config = small_world("sales")
    result = fit(data, config, prophet=ProphetColumns({"trend": np.linspace(1, 2, 60)}, {}))
    drawn: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, *_: drawn.append(figure))
    search_picture.draw(result, Path("unused.png"))
    texts = [text.get_text() for text in drawn[0].findobj(Text)]
    assert sum(text.startswith(result.best.solution) and text.endswith(", the best") for text in texts) == 1
    assert not any("sd@qt" in text for text in texts)
