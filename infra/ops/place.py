"""The installation that a command is about: a folder of this machine, or a project of Google Cloud."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.base import error_lines
from functions.adapters.embedded import Embedded
from functions.log import Log
from functions.ports import Ports
from functions.runtime import Runtime
from functions.settings import GcpSettings
from infra.local.host import local_settings, running
from infra.ops.gcloud import CloudRefused, gcloud
from infra.ops.report import Usage

WEB, EXTRACT = "mmm-web", "mmm-extract"


@dataclass(frozen=True)
class Place:
    """One installation: its ports and settings, and where its page is (None: nothing serves it now)."""

    runtime: Runtime
    page: str | None
    project: str | None = None

    @property
    def ports(self) -> Ports:
        """What the functions work with, and so do the commands."""
        return self.runtime.ports


def arguments(parser: ArgumentParser) -> None:
    """Let a command be about either family."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--project", help="an installation on Google Cloud: the project's id")
    which.add_argument("--folder", type=Path, help="an installation on this machine: its folder")


def place(given: Namespace) -> Place:
    """The installation that is meant.

    Raises:
        Usage: there is none.
        CloudRefused: Google Cloud does not tell.
    """
    return _on_machine(given.folder) if given.folder else on_cloud(given.project)


def _on_machine(folder: Path) -> Place:
    if not (folder / "state.db").exists():
        raise Usage(f"{folder} holds no installation: `make up FOLDER={folder}` makes one")
    settings = local_settings(folder)
    host = running(folder)
    runtime = Runtime(Embedded(settings.folder).ports(), settings, Log("text"))
    return Place(runtime, host and host[1])


def on_cloud(project: str) -> Place:
    """The installation of a project, with the settings that its page runs with.

    Raises:
        Usage: no installation is deployed there.
        CloudRefused: Google Cloud does not tell.
    """
    from functions.adapters.gcp import gcp_ports

    service = described(project, WEB)
    try:
        settings = GcpSettings(**environment(service))
    except ValidationError as error:
        raise CloudRefused(f"{WEB} runs with settings that are not ours: {error_lines(error)}") from error
    runtime = Runtime(gcp_ports(settings), settings, Log("text"))
    return Place(runtime, service["status"]["url"], project=project)


def described(project: str, service: str) -> dict[str, Any]:
    """What Cloud Run says of one of our services.

    Raises:
        Usage: it is not deployed.
    """
    words = ("run", "services", "list", f"--filter=metadata.name={service}")
    found: list[dict[str, Any]] = gcloud(project, *words) or []
    if not found:
        raise Usage(f"there is no service {service} in project {project}: deploy first (docs/deploy.md)")
    return found[0]


def environment(service: dict[str, Any]) -> dict[str, Any]:
    """The settings in a service's environment, by the names of their fields."""
    variables = service["spec"]["template"]["spec"]["containers"][0].get("env", [])
    return {
        one["name"].removeprefix("MMM_").lower(): _value(one["value"])
        for one in variables
        if one["name"].startswith("MMM_") and "value" in one
    }


def _value(text: str) -> Any:
    return json.loads(text) if text.startswith(("{", "[")) else text
