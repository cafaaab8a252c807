"""Every file of a result: tables, documents and pictures, described in docs/results.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.budget import BudgetQuestion
from contracts.model import ModelConfig
from contracts.posterior import ChosenModel, PosteriorDocument
from contracts.result import Allocation
from contracts.trust import TrustDocument
from trainer.engines import figures, posterior_files, questions, robyn_answer
from trainer.engines.base import JobPosterior
from trainer.engines.choice import chosen
from trainer.engines.native import files
from trainer.engines.native.budget import files as reallocated
from trainer.engines.native.budget.reallocation import Infeasible, reallocate
from trainer.engines.native.pictures import allocator_picture, onepager, prophet_picture, search_picture
from trainer.engines.native.records import ModelAnswer
from trainer.engines.native.result import Result
from trainer.engines.pictures.conclusions import Conclusions
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
    told, draws = None, config.pictures != "none"
    if posterior:
        place = _place(result.best, result, posterior.document)
        told = posterior_files.write(posterior.document, place, folder, draw=draws)
    files.write(result, config, folder, told)
    if refresh:
        refresh_report.write(result.best.solution, refresh, folder)
    checked = trust()
    for number, (_, question) in enumerate(config.questions, 1):
        with questions.room(folder, number) as room:
            _answer_budget(result, question, room, log, posterior, draws=draws)
    if draws:
        _draw(result, config, folder, told, checked)
        if refresh:
            refresh_picture.draw(config, folder)
    add_parquet(folder)
    figures.write(folder, config.pictures)


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
    """One-pagers of the best model and, if asked for, the other winners; pictures of search and Prophet."""
    best, answers = result.best.solution, questions.answers(folder)
    draw_onepager(result, config, best, folder / "onepager.png", posterior, answers, trust)
    for solution in result.other_winners if config.pictures == "winners" else ():
        draw_onepager(result, config, solution, folder / f"{solution}.png", posterior)
    search_picture.draw(result, folder / "pareto_front.png")
    if result.inputs.prophet:
        prophet_picture.draw(result.inputs, config.annotations, folder / "prophet_decomp.png")


def draw_onepager(
    result: Result,
    config: ModelConfig,
    solution: str,
    path: Path,
    posterior: PosteriorDocument | None = None,
    answers: Sequence[Allocation] = (),
    trust: TrustDocument | None = None,
) -> None:
    """Write the one-pager of any candidate to `path` as a PNG; `answers` and `trust` are of the best only."""
    model, dependent = result.model(solution), config.columns.dependent
    told = posterior and posterior.model_copy(update={"best_model": _place(model, result, posterior)})
    conclusions = Conclusions(dependent, told, answers, trust)
    onepager.draw(result, config, path, f"What drove {dependent}?", model, conclusions)


def _answer_budget(
    result: Result,
    question: BudgetQuestion,
    folder: Path,
    log: Log,
    posterior: JobPosterior | None,
    *,
    draws: bool,
) -> None:
    """Write the answer to a budget question, or the reason why there is none, which fails no training."""
    reason = robyn_answer.answers(question, posterior)
    if posterior and not reason:
        posterior.answer_budget(question, result.best.solution, result.best.contributions, folder)
        return
    if question.of_regions:
        robyn_answer.refuse(folder, question, result.best.solution, f"{reason} {robyn_answer.NO_REGIONS}")
        return
    _answer_as_robyn(result, question, folder, log, draws=draws)
    robyn_answer.annotate(folder, question, str(reason))


def _answer_as_robyn(
    result: Result, question: BudgetQuestion, folder: Path, log: Log, *, draws: bool
) -> None:
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
    if draws:
        allocator_picture.draw(result, found, folder / "allocator.png")
