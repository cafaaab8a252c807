"""The page that says whether the installation is well."""

from __future__ import annotations

import platform

from flask import Blueprint, render_template

from contracts.api import SelfTest
from contracts.base import RELEASE, SCHEMA_VERSION
from functions.runtime import Runtime
from functions.web import selftest
from functions.web.people import asking


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of the page. `/health` is for probes, and answers without an identity."""
    pages = Blueprint("health", __name__)

    @pages.get("/selftest")
    def page() -> str:
        return show(None)

    @pages.post("/selftest")
    def run() -> str:
        return show(selftest.run(runtime, asking()))

    def show(found: SelfTest | None) -> str:
        settings = runtime.settings
        facts = {
            "Kind of installation": "one machine" if settings.family == "embedded" else "Google Cloud",
            "Engines, the default one first": ", ".join(settings.engines),
            "Queues": ", ".join(f"{name} ({limit} at once)" for name, limit in settings.queues.items()),
            "Warehouses": ", ".join(runtime.ports.warehouses) or "none",
            "Version": RELEASE,
            "Version of documents": SCHEMA_VERSION,
            "Version of the JSON API": "v1",
            "Python": platform.python_version(),
        }
        return render_template("selftest.html", found=found, facts=facts)

    return pages
