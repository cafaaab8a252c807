"""The posterior in a job: asked by the engine in the task that merges, and never a reason to fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.budget import BudgetQuestion
from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from trainer.engines.native.budget.reallocation import Infeasible
from trainer.engines.native.records import Inputs
from trainer.engines.tables import write_csv
from trainer.posterior.budget import allocate, picture, plans_picture, regions_picture
from trainer.posterior.budget import document as budget
from trainer.posterior.budget.curves import curves
from trainer.posterior.document import document
from trainer.posterior.fit import posterior
from trainer.posterior.model import NotOffered
from trainer.posterior.regions import ByRegion, chains_by_region, posterior_by_region
from trainer.posterior.result import Posterior


@dataclass(frozen=True)
class JobPosterior:
    """Implements `trainer.engines.base.JobPosterior`."""

    found: Posterior
    document: PosteriorDocument
    log: Callable[[str], None]
    draws: bool
    """Whether pictures are asked for."""

    def answer_budget(
        self, question: BudgetQuestion, solution: str, contributions: pd.DataFrame, folder: Path
    ) -> None:
        """Write allocator.json and, where something is proposed, its table and, if asked for, its picture.

        Plans of the question have a table and a picture too.
        """
        path = folder / "allocator.json"
        try:
            answer = allocate(self.found, question)
        except Infeasible as error:
            self.log(f"budget: {error}")
            refused = budget.refusal(question, solution, str(error))
            path.write_text(refused.model_dump_json(indent=1, exclude_none=True), encoding="utf-8")
            return
        written = budget.document(answer, solution, contributions)
        path.write_text(written.model_dump_json(indent=1, exclude_none=True), encoding="utf-8")
        if question.scenario != "historical":
            kind = self.found.model.inputs.dependent_type
            write_csv(budget.table(written, kind), folder / f"{solution}_{question.scenario}_reallocated.csv")
            if self.draws and question.by_region:
                regions_picture.draw(
                    written, self.found.model.inputs.dependent_name, folder / "allocator.png"
                )
            elif self.draws:
                picture.draw(answer, written, folder / "allocator.png")
        if written.plans:
            write_csv(budget.plans_table(written), folder / f"{solution}_plans.csv")
            if self.draws:
                plans_picture.draw(written, self.found.model.inputs.dependent_name, folder / "plans.png")


@dataclass
class Asked:
    """What `Host.posterior` is in a job."""

    cores: int
    step: Callable[[str], AbstractContextManager[Any]]
    log: Callable[[str], None]
    tell: Callable[[str], None] = lambda _: None
    """Is told how far it is."""
    regions: ByRegion | None = None
    """The same data by region, if there are regions."""
    chains: range = range(0)
    """Of several tasks: the chains by region that this one draws when it has searched."""
    begun: dict[int, bytes] = field(default_factory=dict, init=False)
    """Chains by region that are drawn already, here or by other tasks."""
    found: Posterior | None = field(default=None, init=False)
    """What was answered last."""
    totals: Posterior | None = field(default=None, init=False)
    """The posterior of the country's totals: what was answered, unless that is by region."""

    def begin(self, data: pd.DataFrame, config: ModelConfig, inputs: Inputs | None) -> None:
        """Draw the chains of this task, if there are any.

        Raises:
            InvalidInputs: data and configuration do not fit together, a line per problem.
        """
        if self.regions is None or config.posterior is None or not self.chains:
            return
        with self.step("posterior"):
            try:
                self.begun = chains_by_region(
                    self.regions.table,
                    data,
                    self.regions.asked(config),
                    column=self.regions.column,
                    numbers=self.chains,
                    inputs=inputs,
                    cores=self.cores,
                    progress=self._progressed,
                )
            except NotOffered as reason:  # which the task that merges will find too
                self.log(f"posterior: none by region: {reason}")

    def __call__(
        self, data: pd.DataFrame, config: ModelConfig, folder: Path, inputs: Inputs | None
    ) -> JobPosterior | None:
        """The posterior, its draws and curves left in `folder`; None if it is off or not offered.

        Raises:
            InvalidInputs: data and configuration do not fit together, a line per problem.
        """
        self.found = self.totals = None
        if config.posterior is None:
            self.log("posterior: off")
            return None
        with self.step("posterior"):
            try:
                self.totals = posterior(
                    data, config, inputs=inputs, cores=self.cores, progress=self._progressed
                )
                found = self._by_region(data, config, inputs) or self.totals
            except NotOffered as reason:
                self.log(f"posterior: none: {reason}")
                return None
            found.table().to_parquet(folder / "posterior.parquet", compression="zstd", index=False)
            if found.regions:
                table = found.regions_table()
                table.to_parquet(folder / "posterior_regions.parquet", compression="zstd", index=False)
            answer = document(found)
            if found.converged:
                written = curves(found)
                for name, one in (("curves", written.country), ("curves_regions", written.regions)):
                    if one:
                        (folder / f"{name}.json").write_text(one.model_dump_json(), encoding="utf-8")
        self.found = found
        for line in (*answer.notes, f"posterior: {found.sweeps:,} sweeps; {' '.join(answer.sentences)}"):
            self.log(line)
        return JobPosterior(found, answer, self.log, config.pictures != "none")

    def _by_region(self, data: pd.DataFrame, config: ModelConfig, inputs: Inputs | None) -> Posterior | None:
        """The posterior of all regions; None if that of the totals stands, which then says why."""
        if self.regions is None or self.totals is None:
            return None
        table, column = self.regions.table, self.regions.column
        try:
            found = posterior_by_region(
                table,
                data,
                self.regions.asked(config),
                column=column,
                inputs=inputs,
                cores=self.cores,
                progress=self._progressed,
                begun=self.begun,
            )
        except NotOffered as reason:
            self.totals = replace(self.totals, without_regions=str(reason))
            return None
        if found.converged or not self.totals.converged:
            return found
        reached = f"their chains did not agree after {found.sweeps:,} sweeps"
        self.totals = replace(self.totals, without_regions=reached)
        return None

    def _progressed(self, done: int, planned: int) -> None:
        self.tell(f"{done:,} of {planned:,} sweeps")
