"""A marketing mix model in a notebook or a script, without any job or cloud around it.

In the project's folder: `make setup`, then `PYTHONPATH=. .venv/bin/python examples/fit_in_a_notebook.py`, or
cell by cell in an editor that knows `# %%`. docs/notebook.md explains it.
"""

# %% Data: a row per week, with what was sold, what each channel cost, and what else moved sales
import json
import sys
from pathlib import Path

import pandas as pd

from infra.local.demo_data import generate
from trainer.engines.native import BudgetQuestion, ModelConfig, fit, reallocate, recreate, write

demo = generate()
data = demo.table

# %% What each column is, and how long to search (2,000 iterations in 5 trials take a second)
config = ModelConfig.model_validate(
    {
        "columns": {
            "date": "date",
            "dependent": "revenue",
            "dependent_type": "revenue",
            "paid_media": [
                *("tv_spend", "ooh_spend", "print_spend"),
                {"spend": "search_spend", "exposure": "search_clicks"},
                {"spend": "social_spend", "exposure": "social_impressions"},
            ],
            "organic": ["newsletter_sends"],
            "context": [{"name": "competitor_sales", "sign": "negative"}],
            "factors": ["promotion"],
        },
        "prophet": {"components": ["trend", "season", "holiday"], "holiday_country": "DE"},
        "search": {"iterations": 2000, "trials": 5},
        "annotations": [{"date": "2024-03-04", "text": "relaunch of the shop"}],
    }
)

# %% Fit; `result.best` is one of the models on the Pareto fronts
result = fit(data, config)
channels = result.best.summary.set_index("rn").loc[list(result.inputs.paid)]
table = channels[["total_spend", "xDecompAgg", "roi_total", "effect_share"]].set_axis(
    result.inputs.spend_names, axis=0
)
print(table.assign(true_roas=pd.Series(demo.roas)).round(2).to_string())

# %% Where should the money of the last year go?
answer = reallocate(result.inputs, result.best, BudgetQuestion(total=5_000_000, start="2025-01-06"))
split = pd.DataFrame({"today": answer.frame.today, "better": answer.spend}, index=answer.frame.spend_names)
print(split.round(0).to_string())

# %% Every table, document and picture of a result
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "my-model")
folder.mkdir(exist_ok=True)
write(result, config, folder)
print("look at", folder / "onepager.png")

# %% Later: the same model again, from its file and the data
again = recreate(data, json.loads((folder / "model.json").read_text(encoding="utf-8")))
print("the same model:", again.best.solution, abs(again.best.fitted - result.best.fitted).max() == 0)
