"""The names of everything in the bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contracts.job import Job, ListedJob

PARTS_MARK = "_SUCCESS"
"""File that is written into a folder of parts when all of them are there."""
PREVIEWS = "scratch/previews/"
"""Prefix of what is told of a source before a request asks for it."""


def preview(check_id: str) -> str:
    """What extract found in a source that somebody looks into."""
    return f"{PREVIEWS}{check_id}.json"


BATCHES = "scratch/batches/"
"""Prefix of batches as they were accepted, until all their rows have become jobs."""


def frozen_batch(batch_id: str) -> str:
    """A batch as it was accepted."""
    return f"{BATCHES}{batch_id}.json"


SELFTEST = "scratch/selftest/"
"""Prefix of the objects that the page writes, reads and deletes to see whether the bucket works."""


def parts_mark(folder: str) -> str:
    """The mark of a folder of parts."""
    return f"{folder}/{PARTS_MARK}"


def dataset(country: str, job_id: str) -> str:
    """What was extracted."""
    return f"datasets/{country}/{job_id}/data.parquet"


def prepared(country: str, job_id: str) -> str:
    """What validate made of it."""
    return f"prepared/{country}/{job_id}/data.parquet"


def prepared_regions(country: str, job_id: str) -> str:
    """The same of each region, where the data have regions."""
    return f"prepared/{country}/{job_id}/regions.parquet"


def validation(country: str, job_id: str) -> str:
    """What validate found, changed and dropped."""
    return f"prepared/{country}/{job_id}/validation.json"


def summary(country: str) -> str:
    """All runs of a country, best first."""
    return f"model_summary/{country}/summary.json"


def country_runs(country: str, month: str) -> str:
    """Prefix of the runs of a country that succeeded in a month, YYYY-MM, until it is closed."""
    return f"model_summary/{country}/runs/{month}/"


def country_month(country: str, month: str) -> str:
    """All runs of a country that succeeded in a month, YYYY-MM, once it is closed."""
    return f"model_summary/{country}/runs/{month}.json"


def country_run(job: Job) -> str:
    """The line of a succeeded job among the runs of its country."""
    return f"{country_runs(job.country, f'{job.updated_at:%Y-%m}')}{job.job_id}.json"


@dataclass(frozen=True)
class Attempt:
    """The names that belong to one attempt of a job."""

    job_id: str
    attempt: int

    @property
    def config(self) -> str:
        """Exactly what the attempt trains."""
        return f"training-configs/{self.job_id}/attempt-{self.attempt}.json"

    @property
    def claim(self) -> str:
        """Which execution is the attempt."""
        return f"{self.scratch}claim.json"

    @property
    def scratch(self) -> str:
        """Prefix of what may be deleted after weeks."""
        return f"scratch/{self.job_id}/attempt-{self.attempt}/"

    @property
    def outcome(self) -> str:
        """The attempt's end."""
        return f"outcomes/{self.job_id}/attempt-{self.attempt}.json"

    @property
    def heartbeats(self) -> str:
        """Prefix of every task's sign of life."""
        return f"{self.scratch}heartbeat-"

    def heartbeat(self, task: int) -> str:
        """A task's sign of life."""
        return f"{self.heartbeats}{task}.json"

    @property
    def shares(self) -> str:
        """Prefix of what every task found."""
        return f"{self.scratch}share-"

    def share(self, task: int, suffix: str) -> str:
        """What a task found; also the sign that it is done."""
        return f"{self.shares}{task}.{suffix}"

    @property
    def chains(self) -> str:
        """Prefix of the chains of the posterior by region that tasks have drawn."""
        return f"{self.scratch}chain-"

    def chain(self, number: int) -> str:
        """A chain, drawn to its first length by one of several tasks."""
        return f"{self.chains}{number}.npz"

    @property
    def merge(self) -> str:
        """Which task makes the result from the shares."""
        return f"{self.scratch}merge.json"

    @property
    def logs(self) -> str:
        """Prefix of the logs of all tasks; sorted by name they are in order."""
        return f"{self.scratch}log-"

    def log(self, task: int, task_attempt: int) -> str:
        """The log of one start of a task, so far."""
        return f"{self.logs}{task:04}-{task_attempt:02}.txt"

    @staticmethod
    def of_outcome(name: str) -> Attempt:
        """The attempt that an outcome's name speaks of.

        Raises:
            ValueError: the name is not that of an outcome.
        """
        match = re.fullmatch(r"outcomes/([^/]+)/attempt-([1-9][0-9]{0,8})\.json", name)
        if match:
            return Attempt(match[1], int(match[2]))
        raise ValueError(f"'{name}' is not the name of an outcome (outcomes/<job>/attempt-<n>.json)")


def attempt_of(job: Job | ListedJob) -> Attempt:
    """The names of a job's present attempt."""
    return Attempt(job.job_id, job.attempt)


def results(job: Job) -> str:
    """Prefix of the files that a job's present attempt leaves."""
    return f"robyn/{job.revision}/{job.country}/{job.stamp}-{job.job_id}/attempt-{job.attempt}/"


def all_results(job: Job) -> str:
    """Prefix of the files that all attempts of a job leave."""
    return results(job).rsplit("attempt-", 1)[0]


def model_summary(job: Job) -> str:
    """The summary of a job's result."""
    return f"{results(job)}model_summary.json"


def job_of_dataset(name: str) -> str:
    """The job that a dataset's name speaks of.

    Raises:
        ValueError: the name is not that of a dataset.
    """
    match name.split("/"):
        case ["datasets", _, job_id, "data.parquet"]:
            return job_id
    raise ValueError(f"'{name}' is not the name of a dataset (datasets/<country>/<job>/data.parquet)")
