"""The train request: what an upstream system publishes, or a person writes beside an uploaded file."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections import Counter
from datetime import date
from typing import Annotated, Any, Literal, Self, cast

import yaml
from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from contracts.base import (
    Authored,
    ColumnName,
    Country,
    FieldProblems,
    PlainName,
    Slug,
    error_lines,
    spelled,
    storable,
)
from contracts.engines import EngineName
from contracts.model import ModelConfig

RequestId = Annotated[
    str, spelled(r"^[!-~]{1,200}$", "must be 1 to 200 letters, digits or ASCII signs, without spaces")
]
"""What makes a request the same request: 1 to 200 printable ASCII characters without spaces."""

CountryValue = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""A country as the data name it."""

LabelValue = Annotated[str, StringConstraints(max_length=200)]
MAX_LABELS = 50

Identifier = Annotated[
    str,
    spelled(
        r"^[A-Za-z_][A-Za-z0-9_$]{0,127}$",
        "must be a plain name: letters, digits, `_` or `$`, no digit first; for any other write a view, or a "
        "query (kind: sql)",
    ),
]
"""A schema or table name; it is quoted when it is used, so its case counts as written."""

Database = Annotated[
    str,
    spelled(
        r"^[A-Za-z_][A-Za-z0-9_$-]{0,127}$",
        "must be a plain name: letters, digits, `_`, `$` or `-`, no digit first; for any other write a query "
        "(kind: sql)",
    ),
]
"""The name of a database, or of a project of BigQuery; it is quoted when it is used, too."""


class TableSource(Authored):
    """A whole table of a warehouse."""

    kind: Literal["table"] = Field(description="a whole table of a warehouse")
    connection: Slug = Field(description="name of a configured warehouse; never a credential")
    database: Database = Field(description="name of the database (BigQuery: project), in its own case")
    schema_: Identifier = Field(
        alias="schema", description="name of the schema (BigQuery: dataset), in its own case"
    )
    table: Identifier = Field(description="name of the table or view, in its own case")


class SqlSource(Authored):
    """One read-only query on a warehouse."""

    kind: Literal["sql"] = Field(description="a query on a warehouse")
    connection: Slug = Field(description="name of a configured warehouse; never a credential")
    query: str = Field(
        min_length=1,
        max_length=100_000,
        description="one SELECT, or WITH … SELECT; where it says `:start` or `:end`, a day stands",
    )
    start: date | None = Field(
        None, description="the day that is `:start` in the query; left out: that of `window`"
    )
    end: date | None = Field(
        None, description="the day that is `:end` in the query; left out: that of `window`"
    )


class ObjectSource(Authored):
    """A file in the bucket, or a folder of Parquet parts, in one frozen version."""

    kind: Literal["object"] = Field(description="a file in the bucket")
    name: Annotated[
        str,
        spelled(
            r"^(drop-zone|sources)/[^\x00-\x1f\x7f]{1,900}$",
            "must be the name of a file in the bucket, such as sources/DE/sales.csv",
        ),
    ] = Field(
        description="object name, `sources/<country>/…` or `drop-zone/<country>/…`; of a Parquet dataset the "
        "folder of its parts"
    )
    generation: int | None = Field(
        None, ge=1, description="version of the file or folder; left out: the one found first"
    )

    @field_validator("name")
    @classmethod
    def _plain_path(cls, name: str) -> str:
        parts = name.split("/")
        if {"", ".", ".."} & set(parts):
            raise ValueError("must be <folder>/<country>/<file>, without empty parts, `.` or `..`")
        if len(name.encode()) > 1000 or any(len(part.encode()) > 255 for part in parts):
            raise ValueError("must be at most 1000 bytes long, each part at most 255")
        return name


Source = Annotated[TableSource | SqlSource | ObjectSource, Discriminator("kind")]


class Sum(Authored):
    """`name` = the sum of columns."""

    op: Literal["sum"] = Field(description="what is computed")
    name: ColumnName = Field(description="name of the new column")
    of: list[ColumnName] = Field(min_length=2, description="columns that are added up")


class Product(Authored):
    """`name` = the product of columns."""

    op: Literal["product"] = Field(description="what is computed")
    name: ColumnName = Field(description="name of the new column")
    of: list[ColumnName] = Field(min_length=2, description="columns that are multiplied")


class Difference(Authored):
    """`name` = the first column minus the others."""

    op: Literal["difference"] = Field(description="what is computed")
    name: ColumnName = Field(description="name of the new column")
    of: list[ColumnName] = Field(
        min_length=2, description="the column that the others, named after it, are subtracted from"
    )


class Ratio(Authored):
    """`name` = numerator / denominator; 0 where the denominator is 0."""

    op: Literal["ratio"] = Field(description="what is computed")
    name: ColumnName = Field(description="name of the new column")
    numerator: ColumnName = Field(description="column that is divided")
    denominator: ColumnName = Field(description="column that it is divided by")


class Lag(Authored):
    """`name` = the column, `periods` periods later; the first periods are 0."""

    op: Literal["lag"] = Field(description="what is computed")
    name: ColumnName = Field(description="name of the new column")
    of: ColumnName = Field(description="column that is delayed")
    periods: int = Field(ge=1, le=104, description="delay in periods of the data")


class CalendarFlag(Authored):
    """`name` = 1 in periods that hold a day of the given months or days, otherwise 0."""

    op: Literal["calendar"] = Field(description="what is computed")
    name: ColumnName = Field(description="name of the new column")
    months: list[Annotated[int, Field(ge=1, le=12)]] = Field([], description="months, 1 to 12")
    days: list[Annotated[str, spelled(r"^\d{2}-\d{2}$", "must be month and day, such as 12-24")]] = Field(
        [], description="days of every year, MM-DD"
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.months or self.days):
            raise ValueError("name at least one of months, days")
        return self


Derived = Annotated[Sum | Product | Difference | Ratio | Lag | CalendarFlag, Discriminator("op")]

MissingPolicy = Literal["reject", "zero", "interpolate"]


class Missing(Authored):
    """What to do with an empty cell, per kind of column: end the job, write 0, or interpolate."""

    media: MissingPolicy = Field("reject", description="an empty cell of paid media, spend or exposure")
    dependent: MissingPolicy = Field("reject", description="an empty cell of the dependent variable")
    organic: MissingPolicy = Field("reject", description="an empty cell of organic media")
    context: MissingPolicy = Field("reject", description="an empty cell of a context column")
    factors: Literal["reject", "none"] = Field(
        "reject", description="an empty cell of a factor; `none`: it is the category `none`"
    )


Aggregation = Literal["sum", "mean", "max", "min", "last", "first", "any", "most"]
"""What becomes of several values of a column; `any` and `most` only of a factor's.

`most`: the most frequent level. `any`: likewise, but the level that is the usual one in the data counts only
if no other occurs, so that a rare event is kept.
"""


class Duplicates(Authored):
    """Several rows of one date become one."""

    aggregate: dict[ColumnName, Aggregation] = Field(
        {},
        description="per column; left out: sum for the dependent variable and media, mean for context, "
        "any for factors",
    )


def _as_duplicates(value: Any) -> Any:
    if value == "aggregate":
        return Duplicates()
    if isinstance(value, dict):
        try:
            return Duplicates.model_validate(value)
        except ValidationError as error:  # told here, so that `reject` is not told as missed
            raise FieldProblems(error_lines(error)) from error
    if value != "reject" and not isinstance(value, Duplicates):
        raise ValueError("must be 'reject', 'aggregate' or a mapping with aggregate")
    return value


class Resample(Authored):
    """Aggregate to longer periods; a week starts on Monday, a month on its first day."""

    interval: Literal["week", "month"] | None = Field(
        None,
        description="length of the new periods; left out: that of the data, so that `aggregate` only says "
        "how context columns of several regions become one",
    )
    aggregate: dict[ColumnName, Aggregation] = Field(
        {},
        description="per column; left out: sum for the dependent variable and media, mean for context, "
        "max for calendar flags, any for factors",
    )


class SettingsReference(Authored):
    """A mapping: a named settings document of a country, in one version."""

    name: Slug = Field(description="name of the mapping")
    version: int | None = Field(
        None, ge=1, description="version of the mapping; left out: the newest when the request is accepted"
    )
    country: Country | None = Field(
        None, description="country that the mapping belongs to; left out: that of the request"
    )


def _as_reference(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Size = Literal["auto", "small", "medium", "large"]


class TrainRequest(ModelConfig):
    """Everything about one training. Fields of the model itself stand beside these (see ModelConfig)."""

    schema_version: Literal[1] = Field(1, description="version of this kind of document")
    request_id: RequestId = Field(
        description="identity of the request: sent twice it is one job, sent with another body it is refused"
    )
    country: Country = Field(description="country or market, under which the result is filed")
    revision: Slug = Field(description="name of the series of models that this one belongs to")
    settings: Annotated[
        SettingsReference | None,
        BeforeValidator(_as_reference, json_schema_input_type=SettingsReference | Slug | None),
    ] = Field(
        None,
        description="mapping that says what the request does not say itself, field by field: its "
        "name, or name and version; what is required can then be the mapping's; left out: the mapping "
        "`default` of the country, if it has one; null: none",
    )
    source: Source = Field(description="where the data are")
    sheet: Annotated[PlainName, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="name of the sheet of an Excel workbook; left out: the first that is visible"
    )
    country_column: ColumnName | None = Field(
        None, description="keep only the rows in which this column equals `country_value`; left out: all rows"
    )
    country_value: CountryValue | None = Field(
        None, description="value of `country_column` for this country; left out: `country`"
    )
    aliases: dict[ColumnName, Annotated[list[ColumnName], Field(min_length=1, max_length=20)]] = Field(
        {},
        description="other names that a column may have in the data; where the data have no column of its "
        "name, the first of these that they have is read as it",
    )
    derived: list[Derived] = Field(
        [], description="columns computed from others, in this order, before the checks"
    )
    duplicates: Annotated[
        Literal["reject"] | Duplicates,
        BeforeValidator(_as_duplicates, json_schema_input_type=Literal["reject", "aggregate"] | Duplicates),
    ] = Field("reject", description="several rows of one date end the job, or are aggregated")
    missing: Missing = Field(Missing(), description="what to do with empty cells, per kind of column")
    resample: Resample | None = Field(
        None, description="aggregate to longer periods; left out: the periods of the data"
    )
    engine: EngineName | None = Field(None, description="left out: the default of the installation")
    size: Size = Field(
        "auto",
        description="CPU and memory; `large`: the trials are spread over up to ten machines; "
        "`auto`: chosen from engine, iterations and trials",
    )
    queue: Slug = Field("default", description="queue in which the job waits for its turn")
    priority: int = Field(0, ge=-100, le=100, description="higher is started first")
    cache: Literal["use", "refresh"] = Field("use", description="`refresh`: do not reuse a recent extract")
    validate_only: bool = Field(False, description="stop after validation, with its findings")
    requested_by: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="who asked, shown on pages and in summaries; left out: nobody"
    )
    refresh: Literal["latest", "latest-of-schedule"] | None = Field(
        None,
        description="`latest`: continue the newest succeeded job of the same country and revision; "
        "`latest-of-schedule`: the newest such run of the same schedule. The first one is a new model, and "
        "`window.start` counts for it alone; left out: as `refresh_of` says",
    )
    schedule: Slug | None = Field(
        None, description="schedule whose run the request is, which says so itself; left out: of none"
    )
    labels: Annotated[dict[Slug, LabelValue], Field(max_length=MAX_LABELS)] = Field(
        {}, description="labels of your own, by which lists of jobs can be filtered; copied to the summary"
    )

    @model_validator(mode="after")
    def _country_value_is_used(self) -> Self:
        if self.country_value and not self.country_column:
            raise FieldProblems(
                ["country_value: is given without country_column; name the column in which it stands"]
            )
        return self

    @model_validator(mode="after")
    def _region_is_used(self) -> Self:
        problems = []
        if self.columns.region and self.columns.region == self.country_column:
            problems.append(
                f"columns.region: '{self.columns.region}' is the country_column, of which one value is kept; "
                "name the column that holds the regions of the country, or leave country_column out"
            )
        if self.resample and not self.resample.interval and not self.columns.region:
            problems.append("resample.interval: is missing; say week or month, or leave resample out")
        if problems:
            raise FieldProblems(problems)
        return self

    @model_validator(mode="after")
    def _aliases_are_other_names(self) -> Self:
        meant = [other for others in self.aliases.values() for other in others]
        used = {name for _, name in self.columns.roles()}
        problems = []
        for name, others in self.aliases.items():
            for other in others:
                if other == name or other in used:
                    problems.append(f"aliases.{name}: '{other}' is itself a column that the request names")
                elif meant.count(other) > 1:
                    problems.append(
                        f"aliases.{name}: '{other}' is given {meant.count(other)} times; say it once"
                    )
        if problems:
            raise FieldProblems(problems)
        return self

    @model_validator(mode="after")
    def _refresh_begins_at_its_former(self) -> Self:
        if self.refresh is None:
            return self
        problems = []
        if self.refresh_of:
            problems.append("refresh: is given beside refresh_of; leave one of the two out")
        if self.search.start_from:
            problems.append("refresh: it begins at its former model; leave search.start_from out")
        if self.search.best_by not in (None, "error_score"):
            problems.append("refresh: the best model is one near to its former one; leave search.best_by out")
        if self.refresh == "latest-of-schedule" and self.schedule is None:
            problems.append("refresh: the request is no run of a schedule; say latest")
        if problems:
            raise FieldProblems(problems)
        return self

    @model_validator(mode="after")
    def _sheet_of_a_file(self) -> Self:
        if self.sheet is not None and self.source.kind != "object":
            raise FieldProblems(["sheet: is only used with a source of kind object"])
        return self

    def model_spec(self) -> ModelConfig:
        """The part that an engine needs."""
        return ModelConfig.model_validate({name: getattr(self, name) for name in ModelConfig.model_fields})


SETTINGS_FIELDS = frozenset(TrainRequest.model_fields) - {"request_id", "source"}
"""What the settings beside an upload may say: the file itself gives the rest."""
MAPPING_FIELDS = SETTINGS_FIELDS - {
    "schema_version",
    "country",
    "settings",
    "requested_by",
    "schedule",
    "validate_only",
}
"""What a mapping may say: what many requests have in common."""


class SettingsError(ValueError):
    """The text is not a mapping in YAML or JSON; the message says where."""


def parse_settings(text: bytes) -> dict[str, Any]:
    """The mapping that a JSON or YAML text holds, in UTF-8 or, with a byte order mark, UTF-16.

    Raises:
        SettingsError: the text is neither, is no mapping, or holds what JSON cannot.
    """
    try:
        marked = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        value = _parsed(text.decode("utf-16" if marked else "utf-8-sig"))
    except SettingsError:
        raise
    except UnicodeDecodeError as error:
        raise SettingsError(f"is not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise SettingsError("is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits, a character that does not exist
        raise SettingsError(f"holds what cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise SettingsError("must be a mapping of field names to values")
    settings, problems = storable(value)
    if problems:
        raise SettingsError(f"holds what JSON cannot: {'; '.join(problems)}")
    return cast(dict[str, Any], settings)


def _parsed(text: str) -> Any:
    """JSON as JSON: YAML has neither tabs nor pairs of surrogates. What merely looks like it may be YAML."""
    wrong = ""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text, object_pairs_hook=_each_name_once)
        except json.JSONDecodeError as error:
            wrong = f"is not valid JSON: {error}; and "
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        advice = "; indent with spaces, not with tabs" if "'\\t'" in str(error) else ""
        raise SettingsError(f"{wrong}is not valid YAML: {_yaml_problem(error)}{advice}") from error


def _yaml_problem(error: yaml.YAMLError) -> str:
    """What is wrong, in a line, and where."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    told, mark = ", ".join(filter(None, (error.context, error.problem))), error.problem_mark
    return f"{' '.join(told.split())} (line {mark.line + 1}, column {mark.column + 1})"


def _each_name_once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = [name for name, count in Counter(name for name, _ in fields).items() if count > 1]
    if repeated:
        raise SettingsError(f"is not usable: '{repeated[0]}' is given twice")
    return dict(fields)


class _PlainLoader(yaml.SafeLoader):
    """YAML with the values of JSON: `2026-01-31` stays text, `NO` stays the country, `010` stays `010`.

    Aliases, tags and repeated names are refused.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not supported")
        if getattr(self.peek_event(), "tag", None) is not None:  # type: ignore[no-untyped-call]
            raise yaml.YAMLError("tags (!name) are not supported")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise yaml.MarkedYAMLError(
                problem=f"'{repeated[0]}' is given twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


_PlainLoader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in (
    ("null", r"^(?:~|null|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|false)$", list("tTfF")),
    ("int", r"^-?(?:0|[1-9]\d*)$", list("-0123456789")),
    ("float", r"^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[-+]?\d+)?$", list("-0123456789")),
):
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(_pattern, re.I | re.A), _first
    )


def job_id_for(key: str) -> str:
    """The job of an idempotency key: readable, safe in an object name, and as unique as the key."""
    name = key.partition("#")[0].removeprefix("drop-zone/")
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:40].strip("-")
    return f"{readable or 'job'}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def upload_key(data: str, data_generation: int, settings: str, settings_generation: int) -> str:
    """The idempotency key of an uploaded file with its settings."""
    return f"{data}#{data_generation}+{settings}#{settings_generation}"
