"""The routes of the JSON API. Each is one row; `functions.web.routes` says what its columns mean."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Response, json

from contracts.api import (
    AttemptAnswer,
    AttemptList,
    BatchAnswer,
    BatchList,
    CountQuery,
    CountrySettings,
    DeadLetterList,
    DeletedResults,
    DeleteQuery,
    FileList,
    JobAnswer,
    JobCount,
    JobFilters,
    JobList,
    JobsQuery,
    LettersOfReason,
    ListQuery,
    LogQuery,
    Move,
    NewSchedule,
    NewSettings,
    NewUpload,
    QueueDetail,
    QueueList,
    Replayed,
    ScheduleAnswer,
    ScheduleList,
    SchedulePreview,
    SelfTest,
    UploadList,
    UploadsQuery,
    UploadTarget,
    ValidateQuery,
    Validity,
    Version,
)
from contracts.base import RELEASE, SCHEMA_VERSION
from contracts.batch import MAX_BATCH_BYTES, BatchRequest
from contracts.comparison import (
    CompareQuery,
    ComparisonAnswer,
    CountryList,
    CountryModels,
    CountryQuery,
    ModelList,
    UseModel,
)
from contracts.deletion import DeletionAnswer, DeletionList, DeletionPreview, OldResults
from contracts.figures import FigureModel, ModelFigures
from contracts.job import DeadLetter, ModelInUse, Queue
from contracts.mapping import (
    EffectiveRequest,
    MappingCheck,
    MappingDocument,
    MappingHistory,
    MappingList,
    MappingNote,
    MappingQuestion,
    MappingsQuery,
    NewMapping,
    VersionQuery,
)
from contracts.old_system import KeptOldRuns, NewOldRuns, OldRunList, OldRunsQuery
from contracts.plans import PlanOffer, PlanQuestion
from contracts.preview import Preview, SourceQuestion
from contracts.request import TrainRequest
from contracts.result import Allocation
from contracts.schedule import ScheduleText
from functions.runtime import Runtime
from functions.web.openapi import document
from functions.web.problems import BadRange, Changed, NoCurves, Refused, TooMany, Unknown, Unreadable
from functions.web.routes import Route
from functions.web.v1 import (
    attempts,
    batches,
    deletions,
    history,
    jobs,
    mappings,
    models,
    old_runs,
    plans,
    queues,
    schedules,
    sources,
)

ANY_FILE = "application/octet-stream"


def get_version(runtime: Runtime) -> Version:
    """What this installation is, and what requests can name."""
    return Version(
        release=RELEASE,
        schema_version=SCHEMA_VERSION,
        engines=list(runtime.settings.engines),
        queues=runtime.settings.queues,
        connections=list(runtime.ports.warehouses),
    )


def get_openapi(runtime: Runtime) -> Response:
    """This description of the API."""
    del runtime
    return Response(json.dumps(openapi()), content_type="application/json")


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI document of all routes."""
    return document(ROUTES)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/jobs", jobs.list_jobs, JobList, query=JobsQuery),
    Route("GET", "/jobs:count", jobs.count_jobs, JobCount, query=CountQuery),
    Route("GET", "/jobs.csv", history.export_jobs, history.CSV, query=JobFilters),
    Route("GET", "/jobs.parquet", history.export_jobs_as_parquet, history.PARQUET, query=JobFilters),
    Route(
        "POST",
        "/jobs",
        jobs.create_job,
        JobAnswer,
        body=TrainRequest,
        raw_body=True,
        problems=(jobs.Reused,),
        role="act",
        statuses=(201, 200),
    ),
    Route(
        "POST",
        "/jobs:validate",
        jobs.validate_job,
        Validity,
        query=ValidateQuery,
        body=TrainRequest,
        raw_body=True,
        problems=(jobs.Reused,),
        others={202: JobAnswer},
    ),
    Route("GET", "/jobs/{job_id}", jobs.get_job, JobAnswer),
    Route(
        "POST", "/jobs/{job_id}:cancel", jobs.cancel_job, JobAnswer, problems=(Refused, Changed), role="act"
    ),
    Route("POST", "/jobs/{job_id}:retry", jobs.retry_job, JobAnswer, problems=(Refused, Changed), role="act"),
    Route(
        "POST",
        "/jobs/{job_id}:delete_results",
        attempts.delete_results,
        DeletedResults,
        query=DeleteQuery,
        problems=(Refused, Changed),
        role="act",
    ),
    Route("GET", "/jobs/{job_id}/attempts", attempts.list_attempts, AttemptList),
    Route("GET", "/jobs/{job_id}/attempts/{attempt}", attempts.get_attempt, AttemptAnswer),
    Route(
        "GET",
        "/jobs/{job_id}/attempts/{attempt}/log",
        attempts.get_attempt_log,
        "text/plain",
        query=LogQuery,
        problems=(BadRange,),
        statuses=(200, 206),
    ),
    Route("GET", "/jobs/{job_id}/attempts/{attempt}/files", attempts.list_attempt_files, FileList),
    Route(
        "GET",
        "/jobs/{job_id}/attempts/{attempt}/files/{file}",
        attempts.get_attempt_file,
        ANY_FILE,
        statuses=(200, 302, 304),
    ),
    Route(
        "POST",
        "/jobs/{job_id}:move",
        queues.move_job,
        JobAnswer,
        body=Move,
        problems=(Refused, Changed),
        role="act",
    ),
    Route("GET", "/jobs/{job_id}/models", models.list_job_models, ModelList),
    Route("GET", "/jobs/{job_id}/models/{sol_id}", models.get_job_model, FigureModel),
    Route("GET", "/jobs/{job_id}/models/{sol_id}/figures", models.get_model_figures, ModelFigures),
    Route("GET", "/compare", models.compare_jobs, ComparisonAnswer, query=CompareQuery, problems=(Unknown,)),
    Route("GET", "/countries", models.list_countries, CountryList),
    Route(
        "GET", "/countries/{country}/models", models.list_country_models, CountryModels, query=CountryQuery
    ),
    Route(
        "POST",
        "/countries/{country}:use",
        models.use_country_model,
        ModelInUse,
        body=UseModel,
        problems=(Refused, Changed),
        role="act",
    ),
    Route(
        "POST",
        "/countries/{country}:stop_using",
        models.stop_using_country_model,
        ModelInUse,
        problems=(Refused, Changed),
        role="act",
    ),
    Route("GET", "/countries/{country}/settings", sources.get_settings, CountrySettings),
    Route(
        "PUT",
        "/countries/{country}/settings",
        sources.put_settings,
        CountrySettings,
        body=NewSettings,
        problems=(Changed,),
        role="act",
    ),
    Route("GET", "/mappings", mappings.list_mappings, MappingList, query=MappingsQuery),
    Route("GET", "/mappings/{country}/{mapping}", mappings.get_mapping, MappingDocument, query=VersionQuery),
    Route(
        "PUT",
        "/mappings/{country}/{mapping}",
        mappings.put_mapping,
        MappingDocument,
        body=NewMapping,
        problems=(Changed,),
        role="act",
        statuses=(200, 201),
    ),
    Route(
        "POST",
        "/mappings/{country}/{mapping}:delete",
        mappings.delete_mapping,
        MappingDocument,
        body=MappingNote,
        problems=(Refused, Changed),
        role="act",
    ),
    Route(
        "GET",
        "/mappings/{country}/{mapping}/history",
        mappings.list_mapping_history,
        MappingHistory,
        query=ListQuery,
    ),
    Route(
        "POST",
        "/mappings/{country}/{mapping}:check",
        mappings.check_mapping,
        MappingCheck,
        body=MappingQuestion,
        problems=(TooMany, Unreadable),
        role="act",
    ),
    Route("GET", "/jobs/{job_id}/request", mappings.get_effective_request, EffectiveRequest),
    Route("GET", "/jobs/{job_id}/plans", plans.get_plan_offer, PlanOffer, problems=(NoCurves,)),
    Route(
        "POST",
        "/jobs/{job_id}/plans",
        plans.answer_plan,
        Allocation,
        body=PlanQuestion,
        problems=(NoCurves,),
    ),
    Route("GET", "/schedules", schedules.list_schedules, ScheduleList, query=ListQuery),
    Route("POST", "/schedules:preview", schedules.preview_schedule, SchedulePreview, body=ScheduleText),
    Route("GET", "/schedules/{schedule}", schedules.get_schedule, ScheduleAnswer),
    Route(
        "PUT",
        "/schedules/{schedule}",
        schedules.put_schedule,
        ScheduleAnswer,
        body=NewSchedule,
        problems=(Changed,),
        role="act",
    ),
    *(
        Route(
            "POST",
            f"/schedules/{{schedule}}:{verb}",
            call,
            ScheduleAnswer,
            problems=(Changed,),
            role="act",
        )
        for verb, call in (
            ("enable", schedules.enable_schedule),
            ("disable", schedules.disable_schedule),
            ("delete", schedules.delete_schedule),
            ("run", schedules.run_schedule),
        )
    ),
    Route("GET", "/batches", batches.list_batches, BatchList, query=ListQuery),
    Route(
        "POST",
        "/batches",
        batches.create_batch,
        BatchAnswer,
        body=BatchRequest,
        raw_body=True,
        max_body=MAX_BATCH_BYTES,
        role="act",
        statuses=(201, 200),
    ),
    Route("GET", "/batches/{batch_id}", batches.get_batch, BatchAnswer),
    *(
        Route(
            "POST",
            f"/batches/{{batch_id}}:{verb}",
            call,
            BatchAnswer,
            problems=(Refused, Changed),
            role="act",
        )
        for verb, call in (
            ("cancel", batches.cancel_batch),
            ("retry", batches.retry_batch),
            ("pause", batches.pause_batch),
            ("resume", batches.resume_batch),
        )
    ),
    Route("GET", "/deletions", deletions.list_deletions, DeletionList, query=ListQuery),
    Route("POST", "/deletions:preview", deletions.preview_deletion, DeletionPreview, body=OldResults),
    Route(
        "POST",
        "/deletions",
        deletions.create_deletion,
        DeletionAnswer,
        body=OldResults,
        role="act",
        statuses=(201, 200),
    ),
    Route("GET", "/deletions/{deletion_id}", deletions.get_deletion, DeletionAnswer),
    Route(
        "POST",
        "/deletions/{deletion_id}:stop",
        deletions.stop_deletion,
        DeletionAnswer,
        problems=(Refused, Changed),
        role="act",
    ),
    Route("GET", "/old-runs", old_runs.list_old_runs, OldRunList, query=OldRunsQuery),
    Route(
        "POST",
        "/old-runs",
        old_runs.keep_old_runs,
        KeptOldRuns,
        body=NewOldRuns,
        max_body=MAX_BATCH_BYTES,
        role="act",
    ),
    Route("GET", "/queues", queues.list_queues, QueueList),
    Route("GET", "/queues/{queue}", queues.get_queue, QueueDetail),
    Route("POST", "/queues/{queue}:pause", queues.pause_queue, Queue, problems=(Changed,), role="act"),
    Route("POST", "/queues/{queue}:resume", queues.resume_queue, Queue, problems=(Changed,), role="act"),
    Route("GET", "/dead-letters", queues.list_dead_letters, DeadLetterList, query=ListQuery),
    Route(
        "POST",
        "/dead-letters:replay",
        queues.replay_dead_letters,
        Replayed,
        body=LettersOfReason,
        problems=(Refused,),
        role="act",
    ),
    Route("GET", "/dead-letters/{letter_id}", queues.get_dead_letter, DeadLetter, problems=(Unknown,)),
    Route(
        "POST",
        "/dead-letters/{letter_id}:replay",
        queues.replay_dead_letter,
        DeadLetter,
        problems=(Refused, Changed),
        role="act",
    ),
    Route("GET", "/uploads", queues.list_uploads, UploadList, query=UploadsQuery),
    Route(
        "POST",
        "/uploads",
        sources.create_upload,
        UploadTarget,
        body=NewUpload,
        problems=(Refused,),
        role="act",
        statuses=(201,),
    ),
    Route(
        "POST",
        "/sources:preview",
        sources.preview_source,
        Preview,
        body=SourceQuestion,
        problems=(TooMany, Unreadable),
        role="act",
    ),
    Route("POST", "/selftest", sources.run_selftest, SelfTest, problems=(TooMany,), role="act"),
    Route("GET", "/version", get_version, Version),
    Route("GET", "/openapi.json", get_openapi, "application/json"),
)
