"""A mapping: named settings of a country that requests refer to, in versions that stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping as Items
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, ValidationError

from contracts.api import ListAnswer, ListQuery
from contracts.base import (
    Authored,
    Country,
    Exchanged,
    OfCountry,
    OfJob,
    Timestamp,
    error_lines,
    plain_name,
)
from contracts.job import Document, FileVersion, UsedMapping
from contracts.preview import SourceQuestion
from contracts.request import MAPPING_FIELDS, TrainRequest

DEFAULT = "default"
"""The mapping that says the rest of requests and uploads of its country that name none."""
MAX_CHANGES = 100
"""How many changed fields a version lists."""
MAX_SHOWN = 120
"""Characters of a value that a list of changes shows."""


class FieldChange(Exchanged):
    """One field that a version changed."""

    path: str = Field(description="path of the field, as `columns.dependent`")
    before: str | None = Field(
        description="what the version before said, as JSON, perhaps cut; None: nothing"
    )
    after: str | None = Field(description="what this version says, as JSON, perhaps cut; None: nothing")


class _Version(Exchanged):
    """What one version says, and who made it."""

    country: OfCountry
    name: str = Field(description="name of the mapping")
    settings: dict[str, Any] = Field(description="what it says: the part of a request that many share")
    by: str = Field(description="who made this version: a person, or the file of the drop-zone it is from")
    at: Timestamp = Field(description="when this version was made, UTC")
    note: str = Field("", description="why, in the words of whoever made it")
    file: FileVersion | None = Field(
        None, description="file of the drop-zone that was read last; left out: none was"
    )
    changes: list[FieldChange] = Field(
        [], max_length=MAX_CHANGES, description="what it changed, the first fields of many"
    )
    state: Literal["ACTIVE", "DELETED"] = Field(
        "ACTIVE", description="DELETED: it cannot be referred to without a version any more"
    )


class MappingDocument(_Version, Document):
    """A mapping in its newest version; each write is a version, so `version` is its number."""

    kind: ClassVar[str] = "mappings"

    @property
    def key(self) -> str:
        """Country and name."""
        return f"{self.country}/{self.name}"

    @property
    def number(self) -> int:
        """Its version."""
        return self.version


class MappingVersion(_Version, Document):
    """A version of a mapping that a newer one has replaced. Never changed."""

    kind: ClassVar[str] = "mapping-versions"
    mapping: str = Field(description="country and name of the mapping, as `DE/weekly`")
    number: int = Field(description="version of the mapping")

    @property
    def key(self) -> str:
        """Country, name and version."""
        return version_key(self.mapping, self.number)


def used(one: MappingDocument | MappingVersion) -> UsedMapping:
    """What a job keeps of a version."""
    return UsedMapping(country=one.country, name=one.name, version=one.number, settings=one.settings)


def version_key(mapping: str, number: int) -> str:
    """The key of a version that was replaced."""
    return f"{mapping}/{number}"


class NewMapping(Authored):
    """What a mapping is to say."""

    settings: dict[str, Any] = Field(
        description="a request without request_id, country, source, settings, requested_by, validate_only"
    )
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = Field(
        "", description="why it is changed, for its history"
    )


class MappingNote(Authored):
    """Why a mapping is deleted."""

    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = Field(
        "", description="why, for its history"
    )


class MappingsQuery(ListQuery):
    """Which mappings."""

    country: Country | None = Field(None, description="mappings of this country; left out: of all")


class MappingRow(Exchanged):
    """What a list shows of a mapping."""

    country: OfCountry
    name: str = Field(description="name of the mapping")
    version: int = Field(description="its newest version")
    by: str = Field(description="who made that version")
    at: Timestamp = Field(description="when, UTC")
    note: str = Field(description="why, in the words of whoever made it")

    @classmethod
    def of(cls, mapping: MappingDocument) -> MappingRow:
        """The row of a mapping."""
        return cls(**{name: getattr(mapping, name) for name in cls.model_fields})


class MappingList(ListAnswer):
    """Mappings that requests can refer to, the newest created first."""

    mappings: list[MappingRow] = Field(description="each in its newest version")


class VersionQuery(Authored):
    """Which version of a mapping."""

    version: Annotated[int, Field(ge=1)] | None = Field(None, description="left out: the newest")


class MappingEntry(Exchanged):
    """One version in the history of a mapping."""

    version: int = Field(description="version of the mapping")
    by: str = Field(description="who made it: a person, or a file in the drop-zone")
    at: Timestamp = Field(description="when it was made, UTC")
    note: str = Field(description="why, in the words of whoever made it")
    state: Literal["ACTIVE", "DELETED"] = Field(description="DELETED: this version ended the mapping")
    changes: list[FieldChange] = Field(description="what it changed, the first fields of many")
    settings: dict[str, Any] = Field(description="what it says")

    @classmethod
    def of(cls, one: MappingDocument | MappingVersion) -> MappingEntry:
        """The entry of a version."""
        fields = {name: getattr(one, name) for name in cls.model_fields if name != "version"}
        return cls(version=one.number, **fields)


class MappingHistory(ListAnswer):
    """The versions of a mapping, newest first."""

    versions: list[MappingEntry] = Field(description="who changed what")


class MappingQuestion(SourceQuestion):
    """Whether a source has the columns that a mapping names."""

    version: Annotated[int, Field(ge=1)] | None = Field(
        None, description="version of the mapping; left out: the newest"
    )


class NamedColumn(Exchanged):
    """A column that a mapping names, and what a source has of it."""

    name: str = Field(description="name of the column in the mapping")
    roles: list[str] = Field(description="where the mapping names it, as `columns.date`")
    state: Literal["found", "alias", "renamed", "missing"] = Field(
        description="`found`; `alias`: under another name that the mapping knows; `renamed`: not found, but "
        "another column is called alike; `missing`: nor that"
    )
    found: str | None = Field(None, description="its name in the source; None if it is missing")
    meant: str | None = Field(
        None, description="column of the source that it was probably renamed to; None: none is alike"
    )
    type: Literal["date", "number", "text"] | None = Field(
        None, description="what the values of that column are; None: there is none, or it is empty"
    )
    problem: str | None = Field(
        None, description="why its values cannot be what the mapping takes them for; None: they can"
    )


class MappingCheck(Exchanged):
    """What a source has of the columns that a mapping names."""

    country: OfCountry
    name: str = Field(description="name of the mapping")
    version: int = Field(description="version that was checked")
    complete: bool = Field(
        description="whether every column was found, under its name or an alias, with values that can be used"
    )
    columns: list[NamedColumn] = Field(description="every column that the mapping needs")
    new: list[str] = Field(
        description="other columns of the source, which the mapping neither names nor probably means"
    )
    rows: int = Field(description="rows looked at, from the first on")
    notes: list[str] = Field(description="what was noticed when the source was read")
    aliases: dict[str, list[str]] = Field(
        description="`aliases` with which the columns that were probably renamed would be found"
    )


class RequestValue(Exchanged):
    """One value of a request, and who said it."""

    path: str = Field(description="path of the field, as `search.trials`")
    value: Any = Field(description="its value")
    origin: Literal["request", "mapping", "default"] = Field(
        description="`request`: what was sent; `mapping`: what it refers to; `default`: nobody said it"
    )


class EffectiveRequest(Exchanged):
    """What a job trains: the request, its mapping and defaults together, with the origin of each value."""

    job_id: OfJob
    mapping: UsedMapping | None = Field(
        description="the mapping as it is frozen into the job; None: the request refers to none"
    )
    request: dict[str, Any] = Field(description="the whole request")
    values: list[RequestValue] = Field(description="each value, in the order of the fields")


def settings_problems(settings: Items[str, Any], country: str) -> list[str]:
    """What is wrong with settings, whatever a request adds to them; each as `path: what is wrong`.

    What a request may still say can be missing.
    """
    unknown = [
        f"{name}: only a request can say this; remove it"
        if name in TrainRequest.model_fields
        else f"{name}: unknown field; check the spelling or remove it"
        for name in settings
        if name not in MAPPING_FIELDS
    ]
    known = {name: value for name, value in settings.items() if name in MAPPING_FIELDS}
    return [*unknown, *request_problems_so_far(sample_request(known, country))]


def sample_request(settings: Items[str, Any], country: str) -> dict[str, Any]:
    """A request with these settings, with something in place of what only a request says."""
    source = {"kind": "object", "name": f"drop-zone/{country}/data.csv"}
    return {"revision": DEFAULT, **settings, "country": country, "request_id": DEFAULT, "source": source}


def is_whole(settings: Items[str, Any], country: str) -> bool:
    """Whether a request that adds only its id and its source to these settings says everything it must."""
    request = {**sample_request({}, country), "revision": None, **settings}
    try:
        TrainRequest.model_validate({name: value for name, value in request.items() if value is not None})
    except ValidationError as error:
        return not any(problem["type"] == "missing" for problem in error.errors(include_url=False))
    return True


def request_problems_so_far(request: Items[str, Any]) -> list[str]:
    """What is wrong with a request that is not whole yet, without what is only missing."""
    try:
        TrainRequest.model_validate(request)
    except ValidationError as error:
        return error_lines(error, but=_may_come)
    return []


def _may_come(kind: str, path: tuple[int | str, ...]) -> bool:
    return kind == "missing" and (len(path) == 1 or (len(path) == 2 and path[0] == "columns"))


def named_columns(settings: Items[str, Any]) -> dict[str, list[str]]:
    """Every column that a source must have for settings that are valid, with the paths that name it."""
    found: dict[str, list[str]] = {}
    made = {plain_name(item["name"]) for item in settings.get("derived") or []}
    for path, name in _column_paths(settings):
        if isinstance(name, str) and plain_name(name) not in made:
            found.setdefault(plain_name(name), []).append(path)
    return found


def _column_paths(settings: Items[str, Any]) -> Iterator[tuple[str, Any]]:
    columns = settings.get("columns") or {}
    for field in ("date", "dependent", "region"):
        yield f"columns.{field}", columns.get(field)
    for field, keys in _COLUMN_LISTS.items():
        for i, entry in enumerate(columns.get(field) or []):
            whole = {keys[0]: entry} if isinstance(entry, str) else entry
            yield from ((f"columns.{field}[{i}].{key}", whole.get(key)) for key in keys)
    yield "country_column", settings.get("country_column")
    for i, item in enumerate(settings.get("derived") or []):
        for key in ("of", "numerator", "denominator"):
            inputs = item.get(key)
            yield from (
                (f"derived[{i}].{key}", one) for one in (inputs if isinstance(inputs, list) else [inputs])
            )


def wanted_type(role: str) -> Literal["date", "number"] | None:
    """What the values of a column must be where a mapping names it; None: anything will do."""
    if role == "columns.date":
        return "date"
    numbers = ("columns.dependent", "columns.paid_media", "columns.organic", "columns.context", "derived")
    return "number" if role.startswith(numbers) else None


_COLUMN_LISTS = {
    "paid_media": ("spend", "exposure"),
    "organic": ("name",),
    "context": ("name",),
    "factors": ("name",),
}


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document with its path; lists and empty mappings are values."""
    if isinstance(value, dict) and (value or not path):
        for name, inner in value.items():
            yield from flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def changes(before: Items[str, Any], after: Items[str, Any]) -> list[FieldChange]:
    """The fields in which settings differ, bounded."""
    old, new = dict(flat(before)), dict(flat(after))
    paths = [path for path in {**old, **new} if old.get(path, _NOTHING) != new.get(path, _NOTHING)]
    return [
        FieldChange(path=path, before=_shown(old, path), after=_shown(new, path))
        for path in paths[:MAX_CHANGES]
    ]


_NOTHING = object()


def _shown(values: Items[str, Any], path: str) -> str | None:
    if path not in values:
        return None
    text = json.dumps(values[path], ensure_ascii=False)
    return f"{text[: MAX_SHOWN - 1]}…" if len(text) > MAX_SHOWN else text


def values_of(
    whole: Items[str, Any], request: Items[str, Any], settings: Items[str, Any]
) -> list[RequestValue]:
    """Each value of a whole request with its origin."""
    return [
        RequestValue(
            path=path,
            value=value,
            origin="request" if _said(request, path) else "mapping" if _said(settings, path) else "default",
        )
        for path, value in flat(whole)
    ]


def said_by_mapping(path: str, request: Items[str, Any], settings: Items[str, Any]) -> bool:
    """Whether what stands at the path of a problem, as `columns.paid_media[0].spend`, is the mapping's."""
    name = path.partition("[")[0]
    return not _said(request, name) and _said(settings, name)


def _said(document: Items[str, Any], path: str) -> bool:
    """Whether a document says something at a path; names may hold dots."""
    for name, value in document.items():
        if name == path:
            return True
        if path.startswith(f"{name}.") and (
            _said(value, path[len(name) + 1 :]) if isinstance(value, dict) else True
        ):
            return True
    return False
