"""The settings of an installation. Nothing else reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.base import Slug, error_lines

Engine = Literal["native", "robyn"]
S = TypeVar("S", bound=BaseSettings)


class MissingSettings(RuntimeError):
    """Settings are missing or wrong; the message names every one of them."""


class Settings(BaseSettings):
    """What every function and the trainer know of their installation."""

    model_config = SettingsConfigDict(env_prefix="MMM_", frozen=True, extra="ignore")

    family: Literal["embedded"] = Field(description="which adapters: `embedded` (one machine)")
    folder: Path = Field(description="embedded: the folder that holds everything")
    engines: list[Engine] = Field(
        min_length=1, description="installed engines, the default one first (JSON list)"
    )
    queues: dict[Slug, Annotated[int, Field(ge=1)]] = Field(
        description="name of each queue and how many attempts it runs at once (JSON object)"
    )
    extract_timeout_s: float = Field(480, gt=0, lt=600, description="a query may take so long, in seconds")
    extract_max_age_s: float = Field(
        3600, ge=0, description="an extract may be reused for so long, in seconds"
    )
    cores: int = Field(1, ge=1, description="processes of one training task")
    log_format: Literal["json", "text"] = Field("json", description="`text` is for terminals")


class TaskSettings(BaseSettings):
    """What the platform tells one task of a training."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    job_id: str
    attempt: int
    cloud_run_execution: str
    cloud_run_task_index: int
    cloud_run_task_count: int
    cloud_run_task_attempt: int


def read_settings() -> Settings:
    """The settings in the environment.

    Raises:
        MissingSettings: with every missing or wrong name.
    """
    return _read(Settings, "MMM_")


def read_task_settings() -> TaskSettings:
    """What the platform told this task.

    Raises:
        MissingSettings: with every missing or wrong name.
    """
    return _read(TaskSettings, "")


def _read(model: type[S], prefix: str) -> S:
    try:
        return model()
    except ValidationError as error:
        lines = [
            f"{prefix}{name.upper()}:{rest}"
            for name, _, rest in (x.partition(":") for x in error_lines(error))
        ]
        raise MissingSettings("the environment is not complete:\n  " + "\n  ".join(lines)) from error


def env_example() -> str:
    """The text of `.env.example`: every setting, its meaning, and its default."""
    lines = []
    for name, setting in Settings.model_fields.items():
        default = "" if setting.is_required() else str(setting.default)
        lines += [f"# {setting.description}", f"MMM_{name.upper()}={default}", ""]
    return "\n".join(lines).rstrip() + "\n"
