"""The client: one method for each thing that the JSON API can do."""

from __future__ import annotations

import fnmatch
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import requests
from pydantic import BaseModel, TypeAdapter
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

from contracts.api import (
    AttemptAnswer,
    AttemptList,
    BatchAnswer,
    BatchList,
    BatchRow,
    CountrySettings,
    DeadLetterList,
    DeletedResults,
    File,
    FileList,
    JobAnswer,
    JobCount,
    JobList,
    JobRow,
    ListAnswer,
    QueueDetail,
    QueueList,
    QueueUse,
    ScheduleAnswer,
    ScheduleList,
    SchedulePreview,
    ScheduleRow,
    SelfTest,
    UploadList,
    UploadTarget,
    Validity,
    Version,
)
from contracts.batch import BatchRequest
from contracts.comparison import ComparisonAnswer, CountryList, CountryModels, ModelList
from contracts.deletion import DeletionAnswer, DeletionList, DeletionPreview, OldResults
from contracts.job import DeadLetter, JobState, ModelInUse, Queue
from contracts.mapping import (
    EffectiveRequest,
    MappingCheck,
    MappingDocument,
    MappingEntry,
    MappingHistory,
    MappingList,
    MappingRow,
)
from contracts.old_system import KeptOldRuns, OldRun, OldRunDocument, OldRunList
from contracts.plans import PlanOffer
from contracts.preview import Preview
from contracts.request import TrainRequest
from contracts.result import Allocation
from mmm.errors import MmmError, NoAnswer, refusal
from mmm.form import Form
from mmm.result import Result, write_files

M = TypeVar("M", bound=BaseModel)
L = TypeVar("L", bound=ListAnswer)
Request = TrainRequest | Mapping[str, Any]
BASE = "/api/v1"
PERIOD_S = 0.5
"""How often a job or a log that goes on is looked at."""
_AGAIN = (429, 502, 503, 504)


class Client:
    """A system that trains models, at an address.

    Reading, and sending a request, is tried again up to five times if the connection breaks or the system is
    busy; other changes once. Methods raise `NoAnswer`, `NotAllowed` or `Refused`.
    """

    def __init__(self, url: str, auth: AuthBase | None = None, timeout_s: float = 30) -> None:
        """`auth` signs each call, such as `mmm.iap.IapServiceAccount`.

        Raises:
            MmmError: `url` is no address.
        """
        if not re.match(r"https?://[^/]", url):
            raise MmmError(f"'{url}' is no address; write it as https://mmm.example.com")
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._often = retrying_session(auth, 5)
        self._once = retrying_session(auth, 1)

    # jobs

    def submit(self, request: Request) -> JobAnswer:
        """Send a train request; the job that it has, whether it is new or not."""
        return self._ask(JobAnswer, "POST", "/jobs", json=_body(request), often=True)

    def validate(self, request: Request) -> Validity:
        """What is wrong with a request, by its contract and by what the installation has."""
        return self._ask(Validity, "POST", "/jobs:validate", json=_body(request), often=True)

    def check_data(self, request: Request) -> JobAnswer:
        """Start a job that reads and checks the data of a request, and trains nothing."""
        query = {"data": "true"}
        return self._ask(JobAnswer, "POST", "/jobs:validate", json=_body(request), params=query, often=True)

    def job(self, job: JobAnswer | str) -> JobAnswer:
        """A job as it is now."""
        return self._ask(JobAnswer, "GET", f"/jobs/{_id(job)}")

    def jobs(self, **filters: Any) -> Iterator[JobRow]:
        """Jobs, newest first, by `state` (one or a list), `country`, `revision`, `queue`, `requested_by`,
        `request_id` (its beginning), `batch_id`, `schedule`, `label` (as `{"team": "growth"}`),
        `accepted_after`, `accepted_before`; read in parts, as far as it is asked."""
        for part in self._parts(JobList, "/jobs", filters):
            for row in part.jobs:
                if isinstance(row, JobRow):
                    yield row

    def history(self, target: BinaryIO, kind: Literal["csv", "parquet"] = "csv", **filters: Any) -> None:
        """Write the history of all jobs that match, newest first, as a table; by the filters of `jobs`."""
        with self._get(f"/jobs.{kind}", params=_given(filters), stream=True) as answer:
            try:
                for part in answer.iter_content(1 << 16):
                    target.write(part)
            except requests.RequestException as error:
                raise NoAnswer(f"the answer of {self.url} broke off: {innermost_reason(error)}") from error

    def count(self, **filters: Any) -> JobCount:
        """How many jobs there are."""
        return self._ask(JobCount, "GET", "/jobs:count", params=_given(filters))

    def cancel(self, job: JobAnswer | str) -> JobAnswer:
        """Stop a job."""
        return self._ask(JobAnswer, "POST", f"/jobs/{_id(job)}:cancel")

    def retry(self, job: JobAnswer | str) -> JobAnswer:
        """Start a failed or cancelled job again."""
        return self._ask(JobAnswer, "POST", f"/jobs/{_id(job)}:retry")

    def delete_results(self, job: JobAnswer | str, dry_run: bool = False) -> DeletedResults:
        """Delete the files of a job's result; with `dry_run` only say which."""
        query = {"dry_run": str(dry_run).lower()}
        return self._ask(DeletedResults, "POST", f"/jobs/{_id(job)}:delete_results", params=query)

    def preview_deletion(self, which: OldResults) -> DeletionPreview:
        """The old results that would be deleted, and those that would be kept, with what needs them."""
        body = which.model_dump(mode="json", exclude_none=True)
        return self._ask(DeletionPreview, "POST", "/deletions:preview", json=body, often=True)

    def delete_old_results(self, which: OldResults) -> DeletionAnswer:
        """Have old results deleted that nothing needs, up to 20 a minute; the jobs stay."""
        body = which.model_dump(mode="json", exclude_none=True)
        return self._ask(DeletionAnswer, "POST", "/deletions", json=body)

    def deletions(self) -> Iterator[DeletionAnswer]:
        """Deletions of old results, newest first, each with how far it is."""
        for part in self._parts(DeletionList, "/deletions", {}):
            yield from part.deletions

    def stop_deletion(self, deletion_id: str) -> DeletionAnswer:
        """Let a deletion of old results end where it is."""
        return self._ask(DeletionAnswer, "POST", f"/deletions/{deletion_id}:stop")

    def wait(self, job: JobAnswer | str, seen: Callable[[JobAnswer], None] | None = None) -> JobAnswer:
        """Wait until a job has ended; `seen` is called with each look at it. Without one, a bar is shown."""
        if seen is None:
            from mmm.follow import follow

            return follow(self, [_id(job)])[_id(job)]
        while True:
            now = self.job(job)
            seen(now)
            if now.done:
                return now
            time.sleep(PERIOD_S)

    # batches

    def submit_batch(self, batch: BatchRequest | Mapping[str, Any]) -> BatchAnswer:
        """Send many requests over one base; the batch that they are, whether it is new or not."""
        body = batch.model_dump(mode="json", exclude_unset=True) if isinstance(batch, BatchRequest) else batch
        return self._ask(BatchAnswer, "POST", "/batches", json=body, often=True)

    def batch(self, batch_id: str) -> BatchAnswer:
        """A batch as it is now; `jobs(batch_id=…)` lists its jobs."""
        return self._ask(BatchAnswer, "GET", f"/batches/{batch_id}")

    def batches(self) -> Iterator[BatchRow]:
        """Batches, newest first; read in parts, as far as the iterator is."""
        for part in self._parts(BatchList, "/batches", {}):
            yield from part.batches

    def cancel_batch(self, batch_id: str) -> BatchAnswer:
        """Stop every job of a batch."""
        return self._ask(BatchAnswer, "POST", f"/batches/{batch_id}:cancel")

    def retry_batch(self, batch_id: str) -> BatchAnswer:
        """Start the failed jobs of a batch again; of a cancelled one everything that was not done."""
        return self._ask(BatchAnswer, "POST", f"/batches/{batch_id}:retry")

    def pause_batch(self, batch_id: str) -> BatchAnswer:
        """Let no job of a batch be started."""
        return self._ask(BatchAnswer, "POST", f"/batches/{batch_id}:pause")

    def resume_batch(self, batch_id: str) -> BatchAnswer:
        """Let the jobs of a batch be started again."""
        return self._ask(BatchAnswer, "POST", f"/batches/{batch_id}:resume")

    def wait_for_batch(self, batch_id: str, seen: Callable[[BatchAnswer], None] | None = None) -> BatchAnswer:
        """Wait until a batch has ended; `seen` is called with each look at it."""
        while True:
            now = self.batch(batch_id)
            if seen is not None:
                seen(now)
            if now.ended:
                return now
            time.sleep(PERIOD_S)

    # attempts, logs and files

    def attempts(self, job: JobAnswer | str) -> list[AttemptAnswer]:
        """The attempts of a job, each with how it ended and why."""
        rows = self._ask(AttemptList, "GET", f"/jobs/{_id(job)}/attempts").attempts
        return [self._ask(AttemptAnswer, "GET", f"/jobs/{_id(job)}/attempts/{row.attempt}") for row in rows]

    def log(
        self, job: JobAnswer | str, attempt: int | None = None, task: int = 0, follow: bool = False
    ) -> Iterator[str]:
        """What a training has said, in pieces; with `follow` until its attempt has ended."""
        path = f"/jobs/{_id(job)}/attempts/{attempt or self.job(job).attempt}/log"
        known = 0
        while True:
            headers = {"Range": f"bytes={known}-"} if known else {}
            answer = self._send("GET", path, params={"task": task}, headers=headers, often=True)
            if answer.status_code != 416:
                _check(answer)
                known += len(answer.content)
                if answer.content:
                    yield answer.content.decode(errors="replace")
            if not follow or answer.headers.get("X-Log-Done") == "true":
                return
            time.sleep(PERIOD_S)

    def files(self, job: JobAnswer | str, attempt: int | None = None) -> list[File]:
        """The files of an attempt of a job, the last one unless another is named."""
        number = attempt or self.job(job).attempt
        return self._ask(FileList, "GET", f"/jobs/{_id(job)}/attempts/{number}/files").files

    def read(self, file: File) -> bytes:
        """The content of a file."""
        answer = self._request(self._often, "GET", f"{self.url}{file.url}")
        _check(answer)
        return answer.content

    def download(self, job: JobAnswer | str, folder: Path | str, only: str = "*") -> list[Path]:
        """Write the files of a job whose names match a pattern such as `*.csv` into a folder."""
        found = [file for file in self.files(job) if fnmatch.fnmatch(file.name, only)]
        return write_files({file.name: partial(self.read, file) for file in found}, folder)

    def result(self, job: JobAnswer | str) -> Result:
        """The result of a job that has succeeded, for notebooks.

        Raises:
            MmmError: it has none (yet, or any more).
        """
        now = self.job(job)
        if now.state is not JobState.SUCCEEDED or now.deletion is not None:
            why = f"it is {now.state}" if now.deletion is None else f"{now.deletion.by} had it deleted"
            raise MmmError(f"job {now.job_id} has no result: {why}")
        return Result(now, self.files(now), self.read)

    # models and sources

    def compare(self, *jobs: JobAnswer | str) -> ComparisonAnswer:
        """Two to five jobs side by side: what was asked differently, and which channels have changed."""
        return self._ask(ComparisonAnswer, "GET", "/compare", params={"job": [_id(job) for job in jobs]})

    def models(self, job: JobAnswer | str) -> ModelList:
        """The models of a job's result."""
        return self._ask(ModelList, "GET", f"/jobs/{_id(job)}/models")

    def countries(self) -> list[str]:
        """The countries that have had usable data."""
        return self._ask(CountryList, "GET", "/countries").countries

    def country(self, country: str, **weights: float) -> CountryModels:
        """The models of a country, the best first; `weights` of r2, nrmse, rssd and trust."""
        return self._ask(CountryModels, "GET", f"/countries/{country}/models", params=weights)

    def use_model(self, country: str, job: JobAnswer | str, sol_id: str | None = None) -> ModelInUse:
        """Mark a model as the one that a country uses, the best one of a job unless another is named."""
        body = {"job_id": _id(job), **_given({"sol_id": sol_id})}
        return self._ask(ModelInUse, "POST", f"/countries/{country}:use", json=body)

    def stop_using(self, country: str) -> ModelInUse:
        """Take back the mark of the model that a country uses."""
        return self._ask(ModelInUse, "POST", f"/countries/{country}:stop_using")

    def settings(self, country: str) -> CountrySettings:
        """The settings of a country: its mapping `default`."""
        return self._ask(CountrySettings, "GET", f"/countries/{country}/settings")

    def put_settings(self, country: str, settings: Mapping[str, Any], seen: int = 0) -> CountrySettings:
        """Write the settings of a country over the `generation` that was seen last; 0: there are none."""
        body = {"generation": seen, "settings": dict(settings)}
        return self._ask(CountrySettings, "PUT", f"/countries/{country}/settings", json=body)

    def upload(
        self, path: Path | str, country: str, name: str | None = None, place: str = "drop-zone"
    ) -> str:
        """Upload a file, straight into the bucket in the cloud; the name of its object.

        In the `drop-zone` it becomes a job with its settings, or with those of its country; among the
        `sources` a request can name it.
        """
        name = name or Path(path).name
        question = {"country": country, "name": name, "place": place}
        target = self._ask(UploadTarget, "POST", "/uploads", json=question)
        with Path(path).open("rb") as stream:
            body = Form(target.fields, name, stream)
            headers = {"Content-Type": body.content_type}
            form = {"data": body, "headers": headers, "allow_redirects": False}
            if target.url.startswith("/"):
                answer = self._request(self._once, "POST", self.url + target.url, **form)
            else:  # the form is signed: who asks is nobody's business there
                answer = self._request(retrying_session(None, 1), "POST", target.url, **form)
        if not answer.ok:
            raise refusal(answer)
        return target.object

    def uploads(self) -> UploadList:
        """Uploads that wait for settings, newest first, and files that nothing comes of, with the reason."""
        parts = list(self._parts(UploadList, "/uploads", {}))
        return parts[0].model_copy(
            update={"uploads": [one for part in parts for one in part.uploads], "next_page_token": ""}
        )

    def plan_offer(self, job: JobAnswer | str) -> PlanOffer:
        """What can be asked about the budget of a finished job: dates, channels, how far its curves go."""
        return self._ask(PlanOffer, "GET", f"/jobs/{_id(job)}/plans")

    def plan(self, job: JobAnswer | str, **question: Any) -> Allocation:
        """Answer a budget question about a finished job: `total`, `dates`, `bounds`, `plans`, …"""
        return self._ask(Allocation, "POST", f"/jobs/{_id(job)}/plans", json=question, often=True)

    def preview(self, source: Mapping[str, Any], sheet: str | None = None) -> Preview:
        """What is in a source, given as a request names it: columns, and the first rows."""
        question = {"source": dict(source), **({"sheet": sheet} if sheet else {})}
        return self._ask(Preview, "POST", "/sources:preview", json=question)

    # mappings

    def mappings(self, country: str | None = None) -> Iterator[MappingRow]:
        """Mappings that requests can refer to, the newest created first."""
        for part in self._parts(MappingList, "/mappings", {"country": country}):
            yield from part.mappings

    def mapping(self, country: str, name: str, version: int | None = None) -> MappingDocument:
        """A mapping in its newest version, or in another one."""
        params = _given({"version": version})
        return self._ask(MappingDocument, "GET", f"/mappings/{country}/{name}", params=params)

    def put_mapping(
        self, country: str, name: str, settings: Mapping[str, Any], note: str = "", version: int | None = None
    ) -> MappingDocument:
        """Write a mapping over the version that was seen last; None: there is none yet."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        body = {"settings": dict(settings), "note": note}
        path = f"/mappings/{country}/{name}"
        return self._ask(MappingDocument, "PUT", path, json=body, headers=headers)

    def delete_mapping(self, country: str, name: str, note: str = "") -> MappingDocument:
        """End a mapping that nothing uses; its versions stay."""
        path = f"/mappings/{country}/{name}:delete"
        return self._ask(MappingDocument, "POST", path, json={"note": note})

    def mapping_history(self, country: str, name: str) -> Iterator[MappingEntry]:
        """Who changed what: the versions of a mapping, newest first."""
        for part in self._parts(MappingHistory, f"/mappings/{country}/{name}/history", {}):
            yield from part.versions

    def check_mapping(
        self,
        country: str,
        name: str,
        source: Mapping[str, Any],
        sheet: str | None = None,
        version: int | None = None,
    ) -> MappingCheck:
        """Which columns of a mapping a source has: found, renamed, missing, new."""
        question = {"source": dict(source), **_given({"sheet": sheet, "version": version})}
        return self._ask(MappingCheck, "POST", f"/mappings/{country}/{name}:check", json=question)

    def effective_request(self, job: JobAnswer | str) -> EffectiveRequest:
        """What a job trains, with the origin of each value: request, mapping or default."""
        return self._ask(EffectiveRequest, "GET", f"/jobs/{_id(job)}/request")

    # schedules

    def schedules(self) -> Iterator[ScheduleRow]:
        """Schedules, newest first, each with its next and its last run."""
        for part in self._parts(ScheduleList, "/schedules", {}):
            yield from part.schedules

    def schedule(self, name: str) -> ScheduleAnswer:
        """A schedule: what it says, when it comes next, and what has come of it."""
        return self._ask(ScheduleAnswer, "GET", f"/schedules/{name}")

    def put_schedule(self, name: str, text: Mapping[str, Any], version: int = 0) -> ScheduleAnswer:
        """Write a schedule over a version of it; 0: there is none yet."""
        body = {"version": version, "schedule": dict(text)}
        return self._ask(ScheduleAnswer, "PUT", f"/schedules/{name}", json=body)

    def preview_schedule(self, text: Mapping[str, Any]) -> SchedulePreview:
        """When a schedule would come next, and what is wrong with it."""
        return self._ask(SchedulePreview, "POST", "/schedules:preview", json=dict(text), often=True)

    def enable_schedule(self, name: str) -> ScheduleAnswer:
        """Let a schedule come from now on."""
        return self._ask(ScheduleAnswer, "POST", f"/schedules/{name}:enable")

    def disable_schedule(self, name: str) -> ScheduleAnswer:
        """Let a schedule come no more until it is enabled."""
        return self._ask(ScheduleAnswer, "POST", f"/schedules/{name}:disable")

    def delete_schedule(self, name: str) -> ScheduleAnswer:
        """Let a schedule come no more; its jobs stay."""
        return self._ask(ScheduleAnswer, "POST", f"/schedules/{name}:delete")

    def run_schedule(self, name: str) -> ScheduleAnswer:
        """Let a schedule come once, now."""
        return self._ask(ScheduleAnswer, "POST", f"/schedules/{name}:run")

    # the old system

    def keep_old_runs(self, runs: Sequence[OldRun]) -> KeptOldRuns:
        """Have trainings of the old system listed here, at most 200 at once."""
        body = {"runs": [run.model_dump(mode="json", exclude_none=True) for run in runs]}
        return self._ask(KeptOldRuns, "POST", "/old-runs", json=body, often=True)

    def old_runs(self, country: str | None = None) -> Iterator[OldRunDocument]:
        """Trainings of the old system, the last imported first."""
        for part in self._parts(OldRunList, "/old-runs", {"country": country}):
            yield from part.runs

    # the system

    def queues(self) -> list[QueueUse]:
        """Every queue, with how full it is."""
        return self._ask(QueueList, "GET", "/queues").queues

    def queue(self, queue: str) -> QueueDetail:
        """One queue: what runs, and who waits, in the order in which they are started."""
        return self._ask(QueueDetail, "GET", f"/queues/{queue}")

    def move(self, job: JobAnswer | str, queue: str, priority: int = 0) -> JobAnswer:
        """Let a job that has not begun wait in another queue, or with another priority."""
        body = {"queue": queue, "priority": priority}
        return self._ask(JobAnswer, "POST", f"/jobs/{_id(job)}:move", json=body)

    def pause(self, queue: str) -> Queue:
        """Let a queue start nothing new."""
        return self._ask(Queue, "POST", f"/queues/{queue}:pause")

    def resume(self, queue: str) -> Queue:
        """Let a queue start attempts again."""
        return self._ask(Queue, "POST", f"/queues/{queue}:resume")

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Messages that could not be handled, newest first."""
        for part in self._parts(DeadLetterList, "/dead-letters", {}):
            yield from part.dead_letters

    def replay(self, letter_id: str) -> DeadLetter:
        """Send the message of a dead letter again."""
        return self._ask(DeadLetter, "POST", f"/dead-letters/{letter_id}:replay")

    def selftest(self) -> SelfTest:
        """Try whether the parts of the installation work together; takes up to 20 seconds."""
        return self._ask(SelfTest, "POST", "/selftest")

    def version(self) -> Version:
        """What the installation is, and what requests can name."""
        return self._ask(Version, "GET", "/version")

    # how

    def _parts(self, model: type[L], path: str, filters: Mapping[str, Any]) -> Iterator[L]:
        query: dict[str, Any] = {"page_size": 100, **_given(filters)}
        while True:
            part = self._ask(model, "GET", path, params=query)
            yield part
            if not part.next_page_token:
                return
            query["page_token"] = part.next_page_token

    def _ask(self, model: type[M], verb: str, path: str, often: bool = False, **options: Any) -> M:
        answer = self._send(verb, path, often=often or verb == "GET", **options)
        _check(answer)
        return model.model_validate_json(answer.content)

    def _get(self, path: str, **options: Any) -> requests.Response:
        answer = self._send("GET", path, often=True, **options)
        _check(answer)
        return answer

    def _send(self, verb: str, path: str, often: bool, **options: Any) -> requests.Response:
        session = self._often if often else self._once
        return self._request(session, verb, f"{self.url}{BASE}{path}", **options)

    def _request(
        self, session: requests.Session, verb: str, address: str, **options: Any
    ) -> requests.Response:
        try:
            return session.request(verb, address, timeout=self._timeout_s, **options)
        except requests.RequestException as error:
            raise NoAnswer(f"nothing answers at {self.url}: {innermost_reason(error)}") from error


def retrying_session(auth: AuthBase | None, again: int) -> requests.Session:
    """A session that tries each call so often again if the connection breaks or the server is busy."""
    session = requests.Session()
    session.auth = auth
    retries = Retry(
        total=again,
        status_forcelist=_AGAIN,
        allowed_methods=None,
        backoff_factor=0.2,
        backoff_jitter=0.2,
        raise_on_status=False,
        redirect=5,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


def innermost_reason(error: BaseException) -> str:
    """The innermost reason of an error, which is the one that people can do something about."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _check(answer: requests.Response) -> None:
    if not answer.ok:
        raise refusal(answer)
    content = answer.headers.get("Content-Type", "")
    if content.startswith("text/html"):
        raise NoAnswer(
            f"{answer.url} answered with a web page: is it another system, or is a sign-in in between? Then "
            "name a service account with --impersonate or `auth`"
        )


def _id(job: JobAnswer | str) -> str:
    return job if isinstance(job, str) else job.job_id


def _body(request: Request) -> dict[str, Any]:
    """A request as it is sent: what was said, without defaults."""
    if isinstance(request, TrainRequest):
        return request.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return dict(request)


_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def _given(filters: Mapping[str, Any]) -> dict[str, Any]:
    labels = filters.get("label") or {}
    given = {name: value for name, value in filters.items() if value is not None and name != "label"}
    given.update((f"label.{name}", value) for name, value in labels.items())
    written: dict[str, Any] = _ANY.dump_python(given, mode="json")
    return written
