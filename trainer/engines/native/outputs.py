"""Every file of a result: tables, documents and pictures; docs/results.md says what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contracts.budget import BudgetQuestion
from contracts.model import ModelConfig
from contracts.posterior import ChosenModel, PosteriorDocument
from contracts.trust import TrustDocument
from trainer.engines import posterior_files, robyn_answer
from trainer.engines.base import JobPosterior
from trainer.engines.choice import chosen
from trainer.engines.native import files
from trainer.engines.native.budget import files as reallocated
from trainer.engines.native.budget.reallocation import Infeasible, reallocate
from trainer.engines.native.pictures import allocator_picture, onepager, prophet_picture, search_picture
from trainer.engines.native.records import ModelAnswer
from trainer.engines.native.result import Result
from trainer.engines.refresh import picture as refresh_picture
from trainer.engines.refresh import report as refresh_report
from trainer.engines.refresh.continuation import Continuation
from trainer.engines.tables import add_parquet

Log = Callable[[str], None]


def write(
    result: Result,
    config: ModelConfig,
    folder: Path,
    log: Log = lambda _: None,
    refresh: Continuation | None = None,
    posterior: JobPosterior | None = None,
    trust: Callable[[], TrustDocument | None] = lambda: None,
) -> None:
    """Write tables (CSV and Parquet), documents and pictures into `folder`, which must exist.

    `config` is the one that `result` was fitted with; if it asks a budget question, its answer is there too.
    `log` is told why a budget question has no answer. A `refresh` is reported with its former models. Without
    a `posterior` there are no intervals, and Robyn's allocator answers. `trust` is called when tables and
    documents are there, and checks them.
    """
    told = None
    if posterior:
        place = _place(result.best, result, posterior.document)
        told = posterior_files.write(posterior.document, place, folder)
    files.write(result, config, folder, told)
    if refresh:
        refresh_report.write(result.best.solution, refresh, folder)
        refresh_picture.draw(config, folder)
    _draw(result, config, folder, told, trust())
    if config.budget:
        _answer_budget(result, config.budget, folder, log, posterior)
    add_parquet(folder)


def _place(model: ModelAnswer, result: Result, posterior: PosteriorDocument) -> ChosenModel:
    """How a model lies in the posterior."""
    roas = model.summary.set_index("rn").loc[list(result.inputs.paid), "roi_total"]
    return chosen(posterior, model.solution, dict(zip(result.inputs.spend_names, roas, strict=True)))


def _draw(
    result: Result,
    config: ModelConfig,
    folder: Path,
    posterior: PosteriorDocument | None,
    trust: TrustDocument | None,
) -> None:
    """The best model's one-pager, those of the other winners, and the pictures of search and Prophet."""
    title = f"What drove {config.columns.dependent}?"
    drawn = {"onepager": result.best}
    drawn |= {solution: result.model(solution) for solution in result.other_winners}
    for name, model in drawn.items():
        told = posterior and posterior.model_copy(update={"best_model": _place(model, result, posterior)})
        onepager.draw(
            result,
            config,
            folder / f"{name}.png",
            title,
            model,
            told,
            trust if model is result.best else None,
        )
    search_picture.draw(result, folder / "pareto_front.png")
    if result.inputs.prophet:
        prophet_picture.draw(result.inputs, config.annotations, folder / "prophet_decomp.png")


def _answer_budget(
    result: Result, question: BudgetQuestion, folder: Path, log: Log, posterior: JobPosterior | None
) -> None:
    """Write the answer to a budget question, or the reason why there is none, which fails no training."""
    reason = robyn_answer.answers(question, posterior)
    if posterior and not reason:
        posterior.answer_budget(question, result.best.solution, result.best.contributions, folder)
        return
    _answer_as_robyn(result, question, folder, log)
    robyn_answer.annotate(folder, question, str(reason))


def _answer_as_robyn(result: Result, question: BudgetQuestion, folder: Path, log: Log) -> None:
    try:
        if question.scenario == "historical":
            reallocated.write_history(result.inputs, result.best, question, folder)
            return
        found = reallocate(result.inputs, result.best, question)
    except Infeasible as error:
        log(f"budget: {error}")
        reallocated.write_refusal(result.best, question, str(error), folder)
        return
    reallocated.write(found, folder)
    allocator_picture.draw(result, found, folder / "allocator.png")
