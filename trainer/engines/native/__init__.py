"""Marketing mix models in Python: what Robyn computes, without R, and without any job or cloud around it.

    from trainer.engines.native import ModelConfig, fit, write

    config = ModelConfig.model_validate({"columns": {...}})
    result = fit(data, config)        # a pandas DataFrame, a row per period
    write(result, config, folder)     # every table, document and picture

docs/notebook.md shows the way through a result.
"""

from contracts.budget import BudgetQuestion
from contracts.model import ModelConfig
from trainer.engines.beginning import begin
from trainer.engines.common import InvalidInputs
from trainer.engines.native.budget.reallocation import Infeasible, Reallocation, history, reallocate
from trainer.engines.native.explain.solvers import compare_solvers
from trainer.engines.native.outputs import write
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.records import ModelAnswer
from trainer.engines.native.recreate import recreate
from trainer.engines.native.reopen import draw
from trainer.engines.native.result import Result
from trainer.engines.native.training import answer, fit

__all__ = [
    "BudgetQuestion",
    "Infeasible",
    "InvalidInputs",
    "ModelAnswer",
    "ModelConfig",
    "ProphetColumns",
    "Reallocation",
    "Result",
    "answer",
    "begin",
    "compare_solvers",
    "draw",
    "fit",
    "history",
    "reallocate",
    "recreate",
    "write",
]
