"""The pages that unblock: queues with those who wait in them, and messages that could not be handled."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from functions.runtime import Runtime
from functions.web import actions, queue_views, views
from functions.web.people import asking
from functions.web.problems import BadQuery
from functions.web.v1.queues import known_queue


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of these pages."""
    ports, settings = runtime.ports, runtime.settings
    pages = Blueprint("queues", __name__)

    @pages.get("/queues")
    def page() -> str:
        shown = queue_views.queues(ports, settings)
        return render_template("queues.html", now=ports.clock.now(), queues=shown)

    @pages.post("/queues/<queue:name>/<any(pause, resume):verb>")
    def pause(name: str, verb: str) -> Response:
        actions.pause(runtime, known_queue(settings, name), verb == "pause", asking())
        return redirect(url_for("queues.page"), 303)

    @pages.post("/jobs/<job_id:job_id>/move")
    def move(job_id: str) -> Response:
        queue = known_queue(settings, request.form.get("queue", ""))
        try:
            priority = int(request.form.get("priority", ""))
        except ValueError as error:
            raise BadQuery("priority: must be a whole number, -100 to 100") from error
        actions.move(runtime, job_id, queue, priority, asking())
        return redirect(url_for("queues.page"), 303)

    @pages.get("/dead-letters")
    def letters() -> str:
        found = views.dead_letters(ports, request.args.get("before"), actions.LETTERS)
        return render_template(
            "dead_letters.html",
            now=ports.clock.now(),
            page=found,
            groups=queue_views.groups(list(found.items)),
            replayed=[letter for letter in found.items if letter.replayed_at],
            preview=views.preview,
            sent=request.args.get("sent", type=int),
        )

    @pages.post("/dead-letters/<letter_id:letter_id>/replay")
    def replay(letter_id: str) -> Response:
        actions.replay(runtime, letter_id, asking())
        return redirect(url_for("queues.letters", sent=1), 303)

    @pages.post("/dead-letters/replay")
    def replay_reason() -> Response:
        subscription, reason = (
            request.form.get(name, "").replace("\r\n", "\n") for name in ("subscription", "reason")
        )
        sent = actions.replay_reason(runtime, subscription, reason, asking())
        return redirect(url_for("queues.letters", sent=len(sent)), 303)

    return pages
