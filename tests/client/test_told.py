"""What a terminal shows: no table is cut, and no text controls the terminal."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.table import Table

from contracts.posterior import PosteriorShort, ShortInterval
from contracts.summary import ModelSummary
from mmm.told import PlainConsole, channels_table, fits, printable, record_lines

SUMMARY = Path(__file__).parents[2] / "contracts" / "examples" / "model_summary.json"


def earned() -> Table:
    table = Table(title="model 1_2_3")
    table.add_column("channel")
    for name in ("spend", "contribution to revenue", "90 % interval"):
        table.add_column(name, justify="right")
    table.add_row("tv_spend", "8,901,171", "20,983,754", "2.24 – 2.67")
    table.add_row("newsletter_sends", "", "5,742,487", "")
    return table


@pytest.mark.parametrize("width", [200, 80, 70])
def test_a_table_fits_into_a_terminal_without_losing_a_digit(width: int) -> None:
    table, file = earned(), StringIO()
    assert fits(table, width)
    PlainConsole(file=file, width=width, force_terminal=True, color_system=None).print(table)
    for text in ("newsletter_sends", "8,901,171", "20,983,754", "2.24 – 2.67"):
        assert f" {text} " in file.getvalue()
    assert max(map(len, file.getvalue().splitlines())) <= width


def test_an_interval_that_the_model_is_outside_of_is_marked() -> None:
    best = ModelSummary.model_validate_json(SUMMARY.read_bytes()).best_model
    channel = best.channels[0]
    interval = ShortInterval(name=channel.name, metric="roas", q05=1, q50=1.5, q95=2, learned=1)
    posterior = PosteriorShort(converged=True, channels=[interval], sentences=[])
    for roas, told in ((1.5, "1.00 – 2.00"), (2.5, "! 1.00 – 2.00")):
        known = channel.model_copy(update={"roas": roas, "cpa": None})
        shown = best.model_copy(update={"channels": [known], "posterior": posterior})
        columns = {str(one.header): list(one.cells) for one in channels_table(shown, "revenue").columns}
        assert columns["90 % interval"] == [told]


def test_where_a_table_does_not_fit_its_rows_are_records() -> None:
    table = earned()
    assert not fits(table, 50)
    assert list(record_lines(table)) == [
        "model 1_2_3",
        "tv_spend",
        "  spend 8,901,171, contribution to revenue 20,983,754, 90 % interval 2.24 – 2.67",
        "newsletter_sends",
        "  contribution to revenue 5,742,487",
    ]


def test_what_would_control_a_terminal_is_shown_as_one_character() -> None:
    file, hostile = StringIO(), "a\x1b[2J\x9b31m\x07b"
    table = Table("name")
    table.add_row(hostile)
    console = PlainConsole(file=file, width=80, markup=False)
    console.print(table)
    console.print(hostile)
    assert file.getvalue().count("a�[2J�31m�b") == 2
    assert printable("two\n\tlines") == "two\n\tlines"


@pytest.mark.parametrize("converged", [True, False])
def test_what_is_expected_stands_beside_the_interval_and_the_model_s_own_values_apart(
    converged: bool,
) -> None:
    best = ModelSummary.model_validate_json(SUMMARY.read_bytes()).best_model
    low, middle, high = 2.3, 2.5, 2.8
    told = ShortInterval(
        name="tv_spend",
        metric="roas",
        contribution=1.1e7,
        mean=2.51,
        q05=low,
        q50=middle,
        q95=high,
        learned=1,
    )
    posterior = PosteriorShort(converged=converged, channels=[told], sentences=[])
    table = channels_table(best.model_copy(update={"posterior": posterior}), "revenue")
    shown = {str(column.header): list(column.cells) for column in table.columns}
    own = {"contribution": ["9,822,311"], "ROAS": ["2.23"]}
    if converged:
        assert shown == {
            "channel": ["tv_spend"],
            "spend": ["4,401,967"],
            "contribution to revenue": ["11,000,000"],
            "ROAS": ["2.51"],
            "90 % interval": ["! 2.30 – 2.80"],
            **{f"model {best.sol_id}: {name}": cells for name, cells in own.items()},
        }
    else:
        assert shown["contribution to revenue"] == own["contribution"]
        assert "90 % interval" not in shown
