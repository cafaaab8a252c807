"""A request that somebody is writing: the fields of the form and the text beside it are one document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from contracts.base import WHOLE
from contracts.request import SettingsError, TrainRequest, parse_settings
from functions.web.form import Control, Schema, Sent, changed, form
from functions.web.formats import as_yaml
from functions.web.problems import BadQuery

Document = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A part of the form: fields that everybody sets, and those that few do."""

    title: str
    front: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


SECTIONS = (
    Section("Who and what", ("request_id", "country", "revision"), ("requested_by", "labels")),
    Section(
        "Data",
        ("source", "columns.date", "columns.dependent", "columns.dependent_type", "columns.paid_media"),
        (
            "columns",
            "sheet",
            "country_column",
            "country_value",
            "derived",
            "duplicates",
            "missing",
            "resample",
        ),
    ),
    Section(
        "Model",
        ("adstock", "search.iterations", "search.trials"),
        (
            "window",
            "prophet",
            "hyperparameters",
            "search",
            "calibration",
            "annotations",
            "posterior",
            "checks",
        ),
    ),
    Section("Budget question", ("budget.scenario", "budget.total", "budget.bounds"), ("budget",)),
    Section("How it is run"),
)
"""The fields of a request, as people think of them; the last section has all that no other names."""


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with a request."""

    path: str
    message: str

    @classmethod
    def of(cls, line: str) -> Violation:
        """From `path: what is wrong`."""
        path, _, message = line.partition(": ")
        return cls(path, message)


@dataclass(frozen=True)
class Draft:
    """What the page shows of a request that is being written."""

    document: Document
    text: str
    """The document as YAML; as it was typed where that cannot be read."""
    violations: list[Violation] = field(default_factory=list)

    @property
    def form(self) -> Control:
        """Its form."""
        return form(_schema(), self.document)

    @property
    def base(self) -> str:
        """The document as it is shown now, for comparison with what is sent back."""
        return json.dumps(self.document, ensure_ascii=False)

    def sections(self) -> Iterator[tuple[str, list[Control], list[Control]]]:
        """Title, front and rare controls of each section."""
        whole = self.form
        named = {path for section in SECTIONS for path in (*section.front, *section.more)}
        rest = tuple(one.field for one in whole.children if one.field not in named)
        for section in SECTIONS:
            more = rest if section is SECTIONS[-1] else section.more
            yield section.title, [whole.at(path) for path in section.front], [whole.at(path) for path in more]

    @property
    def apart(self) -> set[str]:
        """Names of the controls that stand in front and not in their group."""
        return {path for section in SECTIONS for path in section.front if "." in path}

    def hung(self) -> dict[str, list[str]]:
        """What is wrong at each control, by the control's name."""
        found: dict[str, list[str]] = {}
        for violation in self.violations:
            control = self.control_of(violation.path)
            if control is not None:
                found.setdefault(control.name, []).append(violation.message)
        return found

    def control_of(self, path: str) -> Control | None:
        """The control at a path, or the nearest one around it; None if the problem is of the whole."""
        known = _by_path(self.form)
        while path and path != WHOLE:
            if path in known:
                return known[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None


def draft(document: Document, violations: list[Violation] | None = None) -> Draft:
    """A draft of a document."""
    return Draft(document, as_yaml(document) if document else "", violations or [])


def sent_draft(sent: Sent) -> Draft:
    """The draft that a form sends: what somebody changed in the fields, put into the text beside them.

    Raises:
        BadQuery: the hidden copy of what was shown is missing or broken.
    """
    before = _base(sent)
    text = sent.get("text", "").replace("\r\n", "\n")
    shown = form(_schema(), before)
    if text.strip() == (as_yaml(before) if before else "").strip():
        document, lines = changed(shown, sent, before)
        return draft(document, [Violation.of(line) for line in lines])
    try:
        typed = parse_settings(text.encode()) if text.strip() else {}
    except SettingsError as error:
        document, _ = changed(shown, sent, before)
        return Draft(document, text, [Violation(WHOLE, f"the text {error}")])
    document, lines = changed(shown, sent, typed)
    return draft(document, [Violation.of(line) for line in lines])


@cache
def _schema() -> Schema:
    return TrainRequest.model_json_schema()


def _base(sent: Mapping[str, str]) -> Document:
    try:
        before = json.loads(sent.get("base", ""))
    except (ValueError, RecursionError) as error:
        raise BadQuery("the form came back without what it had shown; load the page again") from error
    if not isinstance(before, dict):
        raise BadQuery("the form came back without what it had shown; load the page again")
    return before


def _by_path(whole: Control) -> dict[str, Control]:
    """Every control by its place; the fields of a variant also without its name."""
    known: dict[str, Control] = {}
    for control in whole.all():
        if control.kind == "variant":
            chosen = control.children[0].text
            for way in control.children[1:]:
                for child in way.children:
                    if way.field == chosen:
                        known[f"{control.where}.{child.field}"] = child
        known.setdefault(control.where, control)
    return known
