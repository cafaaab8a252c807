"""Marketing mix models in Python: what Robyn computes, without R, and without any job or cloud around it.

    from trainer.engines.native import ModelConfig, fit, write

    config = ModelConfig.model_validate({"columns": {...}})
    result = fit(data, config)        # a pandas DataFrame, a row per period
    write(result, config, folder)     # every table, document and picture

docs/notebook.md shows the way through a result.
"""

from contracts.budget import BudgetQuestion
from contracts.model import ModelConfig
from trainer.engines.native.budget import Infeasible, Reallocation, history, reallocate
from trainer.engines.native.fit import answer, begin, fit
from trainer.engines.native.outputs import write
from trainer.engines.native.prophet_columns import ProphetColumns
from trainer.engines.native.recreate import recreate
from trainer.engines.native.result import InvalidInputs, ModelAnswer, Result
from trainer.engines.native.solvers import compare_solvers

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
    "fit",
    "history",
    "reallocate",
    "recreate",
    "write",
]
