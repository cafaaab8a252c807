"""The settings of an installation. Nothing else reads the environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.base import Slug, error_lines
from contracts.cloud import JOBS
from contracts.engines import EngineName

S = TypeVar("S", bound=BaseSettings)


class MissingSettings(RuntimeError):
    """Settings are missing or wrong; the message names every one of them."""


class TrainerSettings(BaseSettings):
    """What the trainer knows of its installation, whatever its family."""

    model_config = SettingsConfigDict(env_prefix="MMM_", frozen=True, extra="ignore")

    family: Literal["embedded", "gcp"] = Field(
        description="adapter family: `embedded` (one machine) or `gcp` (Google Cloud)"
    )
    cores: int = Field(0, ge=0, description="processes of one training task; 0: one per core")
    former_of_other_countries: bool = Field(
        False, description="whether a request may refresh or start from a job of another country"
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="shape of log lines: `json`, or `text` for terminals"
    )


class Settings(TrainerSettings):
    """What every function knows of its installation, whatever its family."""

    engines: list[EngineName] = Field(
        min_length=1, description="installed engines, the default one first (JSON list)"
    )
    queues: dict[Slug, Annotated[int, Field(ge=1)]] = Field(
        description="name of each queue and how many attempts it runs at once (JSON object)"
    )
    extract_timeout_s: float = Field(480, gt=0, lt=600, description="timeout of one query, in seconds")
    extract_max_age_s: float = Field(
        3600, ge=0, description="age up to which an extract is reused, in seconds"
    )


class EmbeddedTrainerSettings(TrainerSettings):
    """An installation on one machine, as the trainer knows it."""

    family: Literal["embedded"]
    folder: Path = Field(description="embedded: the folder of the installation: database, objects, logs")


class EmbeddedSettings(Settings, EmbeddedTrainerSettings):
    """An installation on one machine."""


class TrainerJobs(BaseModel):
    """The Cloud Run job of each size: one for the engine `native`, three for `robyn`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    native: str | None = None
    small: str | None = None
    medium: str | None = None
    large: str | None = None

    def needed(self, engines: list[EngineName]) -> list[str]:
        """The sizes that these engines need and for which no job is named."""
        return [size for size, job in JOBS.items() if job.engine in engines and getattr(self, size) is None]


class SnowflakeConnection(BaseModel):
    """How one connection logs in to Snowflake; secrets are mounted files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    user: str
    role: str
    warehouse: str
    private_key_file: Path | None = None
    private_key_passphrase_file: Path | None = None
    password_file: Path | None = None
    url: str | None = None

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if not (self.private_key_file or self.password_file):
            raise ValueError("a login needs private_key_file or password_file")
        return self


class BigQueryConnection(BaseModel):
    """Where one connection asks BigQuery, as the service account of `extract`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str = Field(min_length=1)
    location: str | None = None
    maximum_bytes_billed: int = Field(gt=0)


class GcpTrainerSettings(TrainerSettings):
    """An installation on Google Cloud, as the trainer knows it."""

    family: Literal["gcp"]
    project: str = Field(min_length=1, description="gcp: the project's id")
    bucket: str = Field(min_length=1, description="gcp: the bucket's name, without gs://")


class GcpSettings(Settings, GcpTrainerSettings):
    """An installation on Google Cloud."""

    region: str = Field(
        min_length=1, description="gcp: where the trainer's jobs run, for example europe-west3"
    )
    database: str = Field("(default)", min_length=1, description="gcp: the Firestore database")
    trainer_jobs: TrainerJobs = Field(
        description="gcp: the Cloud Run job of each size: native for the engine of that name; small, medium, "
        "large for robyn (JSON object)"
    )
    snowflake: dict[Slug, SnowflakeConnection] = Field(
        {},
        description="gcp: name of each connection and its account, user, role, warehouse, private_key_file "
        "(with private_key_passphrase_file) or password_file, url (JSON object)",
    )
    bigquery: dict[Slug, BigQueryConnection] = Field(
        {},
        description="gcp: name of each connection and its project, in which queries run and which pays for "
        "them, location of the data (left out: found by BigQuery), maximum_bytes_billed of one query "
        "(JSON object)",
    )

    @field_validator("bigquery")
    @classmethod
    def _one_name_each(
        cls, connections: dict[str, BigQueryConnection], info: ValidationInfo
    ) -> dict[str, BigQueryConnection]:
        twice = sorted(connections.keys() & info.data.get("snowflake", {}).keys())
        if twice:
            raise ValueError(f"{', '.join(twice)}: connections of Snowflake have these names already")
        return connections

    @field_validator("trainer_jobs")
    @classmethod
    def _every_size(cls, jobs: TrainerJobs, info: ValidationInfo) -> TrainerJobs:
        missing = jobs.needed(info.data.get("engines", []))
        if missing:
            raise ValueError(f"no job for {', '.join(missing)}, which the installed engines need")
        return jobs


class PeopleSettings(BaseSettings):
    """Who may use the page of an installation on Google Cloud, behind Identity-Aware Proxy."""

    model_config = SettingsConfigDict(env_prefix="MMM_", frozen=True, extra="ignore")

    iap_audience: str = Field(
        pattern=r"^/projects/[0-9]+/",
        description="gcp, web: the audience of Identity-Aware Proxy's assertion: "
        "/projects/<number>/locations/<region>/services/<service>",
    )
    allowed_domains: list[str] = Field(
        [], description="gcp, web: domains whose people may view the page, if `viewers` is empty (JSON list)"
    )
    viewers: list[str] = Field(
        [],
        description="gcp, web: addresses and domains that may view; empty: allowed domains (JSON list)",
    )
    editors: list[str] = Field(
        [], description="gcp, web: addresses and domains that may also act: cancel, retry, pause (JSON list)"
    )


class _Family(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MMM_", extra="ignore")
    family: Literal["embedded", "gcp"]


class TaskSettings(BaseSettings):
    """What the platform tells one task of a training."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    job_id: str
    attempt: int
    cloud_run_execution: str
    cloud_run_task_index: int
    cloud_run_task_count: int
    cloud_run_task_attempt: int


def read_settings() -> EmbeddedSettings | GcpSettings:
    """The settings in the environment, for the family that it names.

    Raises:
        MissingSettings: with every missing or wrong name.
    """
    try:
        family = _Family().family
    except ValidationError:
        _read(Settings, "MMM_")  # says so, and what else every family needs
        raise
    return _read(EmbeddedSettings, "MMM_") if family == "embedded" else _read(GcpSettings, "MMM_")


def read_trainer_settings() -> EmbeddedTrainerSettings | GcpTrainerSettings:
    """What the trainer needs of the settings in the environment.

    Raises:
        MissingSettings: with every missing or wrong name.
    """
    if _read(_Family, "MMM_").family == "embedded":
        return _read(EmbeddedTrainerSettings, "MMM_")
    return _read(GcpTrainerSettings, "MMM_")


def read_people_settings() -> PeopleSettings:
    """Who may use the page, as the environment says.

    Raises:
        MissingSettings: with every missing or wrong name.
    """
    return _read(PeopleSettings, "MMM_")


def read_task_settings() -> TaskSettings:
    """Read what the platform tells this task.

    Raises:
        MissingSettings: with every missing or wrong name.
    """
    return _read(TaskSettings, "")


def _read(model: type[S], prefix: str) -> S:
    try:
        return model()
    except ValidationError as error:
        lines = [re.sub(r"^\w+", lambda name: prefix + name[0].upper(), line) for line in error_lines(error)]
        raise MissingSettings("the environment is not complete:\n  " + "\n  ".join(lines)) from error


def env_example() -> str:
    """The text of `.env.example`: every setting, its meaning, and its default."""
    settings: dict[str, FieldInfo] = {}
    for model in (Settings, EmbeddedSettings, GcpSettings, PeopleSettings):
        for name, field in model.model_fields.items():
            settings.setdefault(name, field)
    lines = []
    for name, setting in settings.items():
        default = "" if setting.is_required() else str(setting.default)
        lines += [f"# {setting.description}", f"MMM_{name.upper()}={default}", ""]
    return "\n".join(lines).rstrip() + "\n"
