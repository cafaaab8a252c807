"""What somebody is writing, a request or a mapping: the fields of a form and the text beside it are one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from contracts.base import WHOLE
from contracts.preview import Preview
from contracts.problem import Violation, violations
from contracts.request import MAPPING_FIELDS, SettingsError, TrainRequest, parse_settings
from functions.acceptance.request import MAX_REQUEST_BYTES
from functions.web import parts
from functions.web.form import Control, Schema, Sent, changed, form
from functions.web.formats import as_yaml
from functions.web.problems import BadQuery

Document = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A part of the form: the fields that everybody sets, and those that few do, as paths with spaces."""

    title: str
    front: str = ""
    more: str = ""
    note: str = ""


SECTIONS = (
    Section("Who and what", "request_id country revision settings", "requested_by labels"),
    Section(
        "Data",
        "source columns.date columns.dependent columns.dependent_type columns.paid_media",
        "columns sheet country_column country_value aliases derived duplicates missing resample",
    ),
    Section(
        "Model",
        "adstock search.iterations search.trials",
        "window prophet hyperparameters search calibration annotations posterior checks refresh_of",
    ),
    Section(
        "Budget question",
        "budget.scenario budget.total budget.bounds",
        "budget budgets",
        "Nothing is asked if all of this is empty.",
    ),
    Section("How it is run"),
)
"""The fields of a request, as people think of them; the last section has all that no other names."""

_FIRST = ("request_id", "country", "revision", "source", "columns")


@dataclass(frozen=True)
class Draft:
    """What the page shows of a document that is being written."""

    document: Document
    text: str
    """The document as YAML; as it was typed where that cannot be read."""
    schema: Schema
    """What it can say."""
    violations: list[Violation] = field(default_factory=list)
    preview: Preview | None = None
    """What is in the source, as far as somebody has looked."""

    def with_violations(self, more: Iterable[Violation]) -> Draft:
        """This draft, with more that is wrong."""
        return replace(self, violations=[*self.violations, *more])

    @property
    def form(self) -> Control:
        """Its form."""
        return form(self.schema, self.document)

    @property
    def base(self) -> str:
        """The document as it is shown now, for comparison with what is sent back."""
        return json.dumps(self.document, ensure_ascii=False)

    def sections(self) -> Iterator[tuple[Section, list[Control], list[Control]]]:
        """Each section that has any fields, with its front and its rare controls."""
        whole = self.form
        fields = self.schema["properties"]
        named = {path for section in SECTIONS for path in f"{section.front} {section.more}".split()}
        rest = [one.field for one in whole.children if one.field not in named]
        for section in SECTIONS:
            front, more = (
                [path for path in paths.split() if path.partition(".")[0] in fields]
                for paths in (section.front, section.more)
            )
            more += rest if section is SECTIONS[-1] else []
            if front or more:
                yield section, [whole.at(path) for path in front], [whole.at(path) for path in more]

    @property
    def parts(self) -> dict[str, str]:
        """The part of every column that is named."""
        return parts.parts(self.document.get("columns"))

    @property
    def choices(self) -> list[str]:
        """The parts that a column can be given."""
        return parts.choices(self.document.get("columns"))

    @property
    def apart(self) -> set[str]:
        """Names of the controls that stand in front and not in their group."""
        return {path for section in SECTIONS for path in section.front.split() if "." in path}

    def hung(self) -> dict[str, list[str]]:
        """What is wrong at each control, by the control's name."""
        found: dict[str, list[str]] = {}
        for violation in self.violations:
            control = self.control_of(violation.path)
            if control is not None:
                found.setdefault(control.name, []).append(told(violation))
        return found

    def control_of(self, path: str) -> Control | None:
        """The control at a path, or the nearest one around it; None if the problem is of the whole."""
        known = _by_path(self.form)
        while path and path != WHOLE:
            if path in known:
                return known[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None


def draft(document: Document, of: Schema | None = None) -> Draft:
    """A draft of a document, of a request unless another schema is given."""
    return Draft(document, as_yaml(document) if document else "", of or request_schema())


def sent_draft(sent: Sent, preview: Preview | None = None, of: Schema | None = None) -> Draft:
    """The draft that a form sends: what somebody changed in the fields, put into the text beside them.

    Args:
        sent: everything that the form holds.
        preview: the look into the source that it was shown with.
        of: the schema of the document; None: that of a request.

    Raises:
        BadQuery: the hidden copy of what was shown is missing or broken.
    """
    before, of = _base(sent), of or request_schema()
    text = sent.get("text", "").replace("\r\n", "\n")
    unchanged = text.strip() == (as_yaml(before) if before else "").strip()
    typed, wrong = before, []
    try:
        if len(text) > MAX_REQUEST_BYTES:
            raise SettingsError(f"is larger than {MAX_REQUEST_BYTES >> 10} KiB")
        if not unchanged:
            typed = parse_settings(text.encode()) if text.strip() else {}
    except SettingsError as error:
        wrong = [f"{WHOLE}: the text {error}"]
    document, lines = changed(form(of, before), sent, typed)
    chosen = _chosen(sent, preview, before)
    if chosen:
        columns, more = parts.given(document.get("columns"), chosen)
        document, lines = {**document, "columns": columns}, [*lines, *more]
    document = ordered(document)
    shown = text if wrong else as_yaml(document) if document else ""
    still = preview is not None and preview.source == document.get("source")
    return Draft(document, shown, of, violations([*wrong, *lines]), preview if still else None)


def told(violation: Violation) -> str:
    """What is wrong, and what to do about it."""
    return "; ".join(text for text in (violation.message, violation.advice) if text)


def ordered(document: Document) -> Document:
    """A document with its fields in the order in which people read them, unknown ones last."""
    names = [*_FIRST, *(name for name in request_schema()["properties"] if name not in _FIRST)]
    places = {name: i for i, name in enumerate(names)}
    return dict(sorted(document.items(), key=lambda item: places.get(item[0], len(names))))


def _chosen(sent: Sent, preview: Preview | None, before: Document) -> dict[str, str]:
    """The columns of a preview whose part somebody changed."""
    known = parts.parts(before.get("columns"))
    columns = preview.columns if preview else []
    chosen = {column.name: sent.get(f"part.{i}") for i, column in enumerate(columns)}
    return {
        name: part
        for name, part in chosen.items()
        if part is not None and part != known.get(name, parts.NONE)
    }


@cache
def request_schema() -> Schema:
    """What a request can say."""
    return TrainRequest.model_json_schema()


@cache
def mapping_schema() -> Schema:
    """What a mapping can say: the part of a request that many share, none of it required."""
    whole = request_schema()
    shared = {name: field for name, field in whole["properties"].items() if name in MAPPING_FIELDS}
    return {**whole, "properties": shared, "required": []}


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
