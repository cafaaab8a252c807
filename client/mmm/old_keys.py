"""What a mapping or a queue row of the old system says, in the words of a train request.

The old documents use the argument names of Robyn, some with spellings of their own. Every key ends in one of
three places: read, aside (understood, without a meaning here), or unread with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.base import canonical_json
from contracts.mapping import settings_problems
from contracts.model import HYPERPARAMETERS

_SPELLINGS: dict[str, tuple[str, ...]] = {
    "country": ("country_code",),
    "revision": (),
    "date_var": ("date", "date_column", "date_col"),
    "dep_var": ("depvar", "dependent", "dependent_var", "dependent_variable"),
    "dep_var_type": ("depvar_type", "dependent_type", "dependent_var_type", "dependent_variable_type"),
    "paid_media_spends": ("paid_media_spend", "paid_media_spend_vars"),
    "paid_media_vars": ("paid_media_var", "paid_media_exposures", "paid_media_exposure_vars"),
    "organic_vars": ("organic_var", "organic"),
    "context_vars": ("context_var", "context"),
    "factor_vars": ("factor_var", "factors"),
    "paid_media_signs": (),
    "organic_signs": (),
    "context_signs": (),
    "adstock": ("adstock_type",),
    "hyperparameters": ("hyperparams", "hyper_parameters", "hyperparameter_ranges"),
    "train_size": (),
    "ts_validation": ("time_series_validation",),
    "add_penalty_factor": ("penalty_factors",),
    "iterations": ("iters", "n_iterations"),
    "trials": ("n_trials",),
    "seed": (),
    "window_start": ("start_date",),
    "window_end": ("end_date",),
    "prophet_vars": (),
    "prophet_country": (),
    "table": ("source_table", "snowflake_table", "bigquery_table"),
    "query": ("sql", "source_query", "snowflake_query"),
    "requested_by": ("user", "user_email", "submitted_by", "created_by"),
}
"""What is read, by Robyn's name for it where it has one; with other spellings of it."""
_READ = {spelling: name for name, others in _SPELLINGS.items() for spelling in (name, *others)}
_ROLES = ("date_var", "dep_var", "paid_media_spends", "paid_media_vars", "organic_vars", "context_vars")
ROLES = frozenset((*_ROLES, "factor_vars"))
"""What a column can be."""
_MACHINE = "the machines are chosen by `size` of a request"
_FILE = "is about the old file itself"
_ASIDE = {
    **dict.fromkeys(("cores", "memory", "cpu", "machine_type"), _MACHINE),
    **dict.fromkeys(
        ("nevergrad_algo", "optimizer", "intercept", "intercept_sign", "prophet_signs", "quiet", "outputs"),
        "is always as Robyn's default here",
    ),
    **dict.fromkeys(
        ("plot_folder", "plot_folder_sub", "json_file", "robyn_object", "export", "gcs_bucket", "bucket"),
        "files have fixed places here",
    ),
    **dict.fromkeys(("clusters", "pareto_fronts", "min_candidates"), "is decided by the data here"),
    **dict.fromkeys(
        (
            *("created_at", "updated_at", "saved_at", "timestamp", "updated_by", "saved_by", "id", "name"),
            *("version", "schema_version", "robyn_version", "description", "comment", "notes"),
        ),
        _FILE,
    ),
}
"""What is understood and not needed, with the reason."""
_SECTIONS = frozenset(
    (
        *("mapping", "mappings", "metadata", "config", "configuration", "settings", "parameters", "params"),
        *("training", "model", "robyn", "inputs", "input_collect", "inputcollect", "columns", "variables"),
        *("data", "roles", "window", "search"),
    )
)
"""Keys below which the same keys stand."""
_COLUMN_KEYS = ("column", "column_name", "name", "variable", "variable_name", "var", "var_name")
_ROLE_KEYS = ("role", "category", "type", "variable_type", "kind", "group")
_WITHOUT_ROLE = ("", "none", "ignore", "ignored", "unused")
_PAIRED_BY = "channel"
_ENDING = re.compile(r"_(alphas|gammas|thetas|shapes|scales|penalty)$")


@dataclass
class Said:
    """What a document says, and what of it is not used."""

    country: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    """Fields of a train request."""
    read: dict[str, str] = field(default_factory=dict)
    """By field of `body` the keys that it was read from."""
    unread: list[tuple[str, str]] = field(default_factory=list)
    aside: list[tuple[str, str]] = field(default_factory=list)
    """Keys with the reason why they are not used."""

    @property
    def missing(self) -> list[str]:
        """What requests must say, because this says it not."""
        columns = self.body.get("columns", {})
        needed = ("date", "dependent", "dependent_type", "paid_media")
        return [f"columns.{name}" for name in needed if name not in columns] + (
            [] if "revision" in self.body else ["revision"]
        )

    def problems(self, country: str) -> list[str]:
        """Why this cannot be a mapping."""
        return settings_problems(self.body, country)


def said_by(document: Any, beside: frozenset[str] = frozenset()) -> Said:
    """What a document says; keys `beside` those of Robyn are for whoever asks."""
    return _Reading(beside).of(document)


@dataclass
class _Value:
    place: str
    value: Any


class _Reading:
    """Collects the values of a document by what they mean, then says them in other words."""

    def __init__(self, beside: frozenset[str]) -> None:
        self.beside = beside
        self.found: dict[str, list[_Value]] = {}
        self.channels: dict[str, str] = {}
        """Column → channel, where roles are told column by column."""
        self.said = Said()

    def of(self, document: Any) -> Said:
        if isinstance(document, list):
            self._columns(document, "")
        elif isinstance(document, Mapping):
            self._gather(document, "")
        else:
            self._unread("", "must be an object of keys and values, or a list of columns with their roles")
        self._translate()
        return self.said

    def _unread(self, place: str, reason: str) -> None:
        self.said.unread.append((place, reason))

    def _aside(self, place: str, reason: str) -> None:
        self.said.aside.append((place, reason))

    # collecting

    def _gather(self, document: Mapping[Any, Any], path: str) -> None:
        for key, value in document.items():
            place, name = f"{path}.{key}" if path else str(key), plain_key(str(key))
            value = _unpacked(value)
            if name in self.beside or value in (None, "", [], {}):
                continue
            section = name in _SECTIONS and isinstance(value, dict | list)
            if name in _READ and not (section and isinstance(value, dict)):
                self.found.setdefault(_READ[name], []).append(_Value(place, value))
            elif section and isinstance(value, dict):
                inner = {f"window_{key}": each for key, each in value.items()} if name == "window" else value
                self._gather(inner, place)
            elif _is_columns(value):
                self._columns(value, place)
            elif isinstance(value, str) and (role := _READ.get(plain_key(value))) in ROLES:
                self._column(str(role), str(key), place)
            elif name in _ASIDE:
                self._aside(place, _ASIDE[name])
            else:
                self._unread(place, f"is not understood: {_shown(value)}")

    def _columns(self, rows: list[Any], path: str) -> None:
        """A list that says of each column what it is."""
        for number, row in enumerate(rows):
            place = f"{path}[{number}]"
            if not _is_columns([row]):
                self._unread(place, f"names no column with its role: {_shown(row)}")
                continue
            keys = {plain_key(str(key)): key for key in row}
            name_key, role_key = _first(_COLUMN_KEYS, keys), _first(_ROLE_KEYS, keys)
            column, told = str(row[keys[name_key]]), str(row[keys[role_key]])
            role = _READ.get(plain_key(told))
            if role in ROLES:
                self._column(str(role), column, place)
            elif plain_key(told) not in _WITHOUT_ROLE:
                self._unread(f"{place}.{keys[role_key]}", f"is not understood: {_shown(told)}")
            if _PAIRED_BY in keys and row[keys[_PAIRED_BY]]:
                self.channels[column] = str(row[keys[_PAIRED_BY]])
            for name, key in keys.items():
                if name not in (name_key, role_key, _PAIRED_BY) and row[key] not in (None, "", [], {}):
                    self._unread(f"{place}.{key}", f"is not understood: {_shown(row[key])}")

    def _column(self, role: str, column: str, place: str) -> None:
        lists = [one for one in self.found.get(role, []) if isinstance(one.value, _Roles)]
        if role in ("date_var", "dep_var"):
            self.found.setdefault(role, []).append(_Value(place, column))
        elif lists:
            lists[0].value.append(column)
        else:
            self.found.setdefault(role, []).append(_Value(place, _Roles([column])))

    # telling

    def _take(self, name: str) -> _Value | None:
        """The value of a key; None if nothing, or different things, are said."""
        values = self.found.get(name, [])
        if len({canonical_json(one.value) for one in values}) > 1:
            places = " and ".join(one.place for one in values)
            for one in values:
                self._unread(one.place, f"{places} say different things; say it once")
            return None
        return values[0] if values else None

    def _names(self, name: str) -> list[str]:
        """The column names of a key."""
        found = self._take(name)
        if found is None:
            return []
        value = found.value
        if isinstance(value, str):
            value = [part.strip() for part in re.split(r"[,;|]", value) if part.strip()]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self._unread(found.place, f"must be a list of columns, not {_shown(value)}")
            return []
        self.said.read.setdefault(f"columns.{_PART.get(name, name)}", found.place)
        return list(dict.fromkeys(value))

    def _set(self, path: str, value: Any, place: str) -> None:
        *parents, last = path.split(".")
        inner = self.said.body
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
        self.said.read[path] = place

    def _translate(self) -> None:
        for name, path in (("date_var", "columns.date"), ("dep_var", "columns.dependent")):
            self._text(name, path)
        self._text("dep_var_type", "columns.dependent_type", lower=True)
        self._paid()
        self._others()
        self._text("adstock", "adstock", lower=True, words={"weibull": "weibull_cdf"})
        self._text("revision", "revision")
        self._text("requested_by", "requested_by")
        self._text("query", "query")
        self._text("table", "table")
        for name in ("window_start", "window_end"):
            self._day(name, name.replace("_", "."))
        for name in ("iterations", "trials", "seed"):
            self._whole(name, f"search.{name}")
        self._switch("ts_validation", "search.time_series_validation")
        self._switch("add_penalty_factor", "search.penalty_factors")
        self._hyperparameters()
        self._train_size()
        self._prophet()
        country = self._take("country")
        self.said.country = str(country.value) if country else None

    def _text(
        self, name: str, path: str, lower: bool = False, words: Mapping[str, str] | None = None
    ) -> None:
        found = self._take(name)
        if found is None:
            return
        value = found.value[0] if isinstance(found.value, list) and len(found.value) == 1 else found.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            self._unread(found.place, f"must be one text, not {_shown(value)}")
            return
        if lower:
            value = plain_key(value)
        self._set(path, (words or {}).get(value, value), found.place)

    def _paid(self) -> None:
        spends, exposures = self._names("paid_media_spends"), self._names("paid_media_vars")
        signs = self._signs("paid_media_signs", len(spends))
        places = {name: self.found[name][0].place for name in ("paid_media_spends", "paid_media_vars")
                  if name in self.found}  # fmt: skip
        if not spends:
            if exposures:
                self._unread(places["paid_media_vars"], "paid_media_spends, what each cost, is missing")
            return
        pairs = self._pairs(spends, exposures)
        if pairs is None:
            self._unread(
                places["paid_media_vars"],
                f"has {len(exposures)} columns for {len(spends)} of paid_media_spends, so which belongs to "
                "which is not known; the exposures are left out: name them in the mapping",
            )
            pairs = {}
        channels: list[Any] = []
        for number, spend in enumerate(spends):
            exposure = pairs.get(spend, spend)
            channel: dict[str, Any] = {"spend": spend}
            if exposure != spend:
                channel["exposure"] = exposure
            if signs and signs[number] != "positive":
                channel["sign"] = signs[number]
            channels.append(channel if len(channel) > 1 else spend)
        self._set("columns.paid_media", channels, ", ".join(places.values()))

    def _pairs(self, spends: list[str], exposures: list[str]) -> dict[str, str] | None:
        """The exposure of each spend: of the same channel where that is told, otherwise at the same place."""
        if not exposures:
            return {}
        if all(column in self.channels for column in (*spends, *exposures)):
            of = {self.channels[column]: column for column in exposures}
            return {spend: of[channel] for spend in spends if (channel := self.channels[spend]) in of}
        if any(isinstance(one.value, _Roles) for one in self.found["paid_media_vars"]):
            return None  # told column by column, so a place in the list says nothing
        if len(exposures) == len(spends):
            return dict(zip(spends, exposures, strict=True))
        return None

    def _others(self) -> None:
        factors = self._names("factor_vars")
        organic, context = self._names("organic_vars"), self._names("context_vars")
        both = [column for column in factors if column in organic]
        if both:
            self._unread(
                self.found["factor_vars"][0].place,
                f"{', '.join(both)} is among organic_vars too, which hold numbers here; it is left out there",
            )
        for part, names, usual, signs in (
            ("organic", organic, "positive", self._signs("organic_signs", len(organic))),
            ("context", context, "default", self._signs("context_signs", len(context))),
        ):
            told = [
                name if not signs or signs[i] == usual else {"name": name, "sign": signs[i]}
                for i, name in enumerate(names)
                if name not in factors
            ]
            if told:
                self._set(f"columns.{part}", told, self.found[f"{part}_vars"][0].place)
        if factors:
            self._set("columns.factors", factors, self.found["factor_vars"][0].place)

    def _signs(self, name: str, count: int) -> list[str]:
        found = self._take(name)
        if found is None:
            return []
        signs = [found.value] * count if isinstance(found.value, str) else found.value
        known = isinstance(signs, list) and all(one in ("positive", "negative", "default") for one in signs)
        if not known or len(signs) != count:
            self._unread(found.place, f"must be {count} of positive, negative, default")
            return []
        return list(signs)

    def _day(self, name: str, path: str) -> None:
        found = self._take(name)
        if found is None:
            return
        match = re.match(r"(\d{4}-\d{2}-\d{2})([T ]00:00.*)?$", str(found.value))
        if match:
            self._set(path, match[1], found.place)
        else:
            self._unread(found.place, f"is no day such as 2024-01-31: {_shown(found.value)}")

    def _whole(self, name: str, path: str) -> None:
        found = self._take(name)
        number = _number(found.value) if found else None
        if found and number is not None and number == int(number):
            self._set(path, int(number), found.place)
        elif found:
            self._unread(found.place, f"must be a whole number, not {_shown(found.value)}")

    def _switch(self, name: str, path: str) -> None:
        found = self._take(name)
        if found is None:
            return
        value = {"true": True, "false": False, "1": True, "0": False}.get(str(found.value).lower())
        if value is None:
            self._unread(found.place, f"must be true or false, not {_shown(found.value)}")
        else:
            self._set(path, value, found.place)

    def _hyperparameters(self) -> None:
        found = self._take("hyperparameters")
        if found is None:
            return
        if not isinstance(found.value, Mapping):
            self._unread(
                found.place,
                f"{_shown(found.value)} says no ranges; those of the preset `default` are searched unless "
                "`hyperparameters.ranges` says others",
            )
            return
        ranges: dict[str, Any] = {}
        modelled = {
            one["spend"]: one["exposure"]
            for one in self.said.body.get("columns", {}).get("paid_media", [])
            if isinstance(one, dict) and "exposure" in one
        }
        for name, place, value in _ranges(found.value, found.place):
            numbers = _range(value)
            column = _ENDING.sub("", name)
            if name == "train_size":
                self.found.setdefault("train_size", []).append(_Value(place, value))
            elif numbers is None:
                self._unread(place, f"must be one or two numbers, not {_shown(value)}")
            elif name != "lambda" and not _ENDING.search(name):
                self._unread(place, "is no hyperparameter of Robyn")
            else:  # Robyn takes the names of spends for those of the exposures that are modelled
                ranges[f"{modelled.get(column, column)}{name[len(column) :]}"] = numbers
        if ranges:
            self._set("hyperparameters.ranges", ranges, found.place)

    def _train_size(self) -> None:
        found = self._take("train_size")
        if found is None:
            return
        numbers = _range(found.value)
        if numbers is None:
            self._unread(found.place, f"must be one or two numbers, not {_shown(found.value)}")
        elif self.said.body.get("search", {}).get("time_series_validation"):
            self._set("search.train_size", numbers, found.place)
        else:
            self._aside(found.place, "is only used with ts_validation, which is not said to be true")

    def _prophet(self) -> None:
        components = [one.lower() for one in self._names("prophet_vars")]
        self.said.read.pop("columns.prophet_vars", None)
        if components:
            self._set("prophet.components", components, self.found["prophet_vars"][0].place)
        found = self._take("prophet_country")
        if found is None:
            return
        if "holiday" in components:
            self._set("prophet.holiday_country", str(found.value).upper(), found.place)
        else:
            self._aside(found.place, "is only used where prophet_vars has holiday")


class _Roles(list[str]):
    """Columns of one role that were told one by one."""


_PART = {
    "paid_media_spends": "paid_media",
    "paid_media_vars": "paid_media",
    "organic_vars": "organic",
    "context_vars": "context",
    "factor_vars": "factors",
}


def plain_key(text: str) -> str:
    """A key without what only spelling is: `paidMediaSpends`, `Paid Media Spends` → `paid_media_spends`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _unpacked(value: Any) -> Any:
    """A JSON text inside a text, as a cell of a table holds it."""
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _is_columns(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(row, dict)
            and (keys := {plain_key(str(key)) for key in row}) & set(_COLUMN_KEYS)
            and keys & set(_ROLE_KEYS)
            for row in value
        )
    )


def _first(wanted: tuple[str, ...], keys: Mapping[str, Any]) -> str:
    return next(name for name in wanted if name in keys)


def _ranges(value: Mapping[Any, Any], place: str) -> Iterator[tuple[str, str, Any]]:
    """Name, place and value of each hyperparameter, also where they stand below their channel."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            endings = {kind for kinds in HYPERPARAMETERS.values() for kind in kinds} | {"penalty"}
            for kind, one in inner.items():
                name = f"{key}_{kind}" if kind in endings else str(kind)
                yield name, f"{place}.{key}.{kind}", _unpacked(one)
        else:
            yield str(key), f"{place}.{key}", _unpacked(inner)


def _range(value: Any) -> Any:
    """[low, high], or one number; None if it is neither."""
    values = re.split(r"[,;]", value) if isinstance(value, str) else value
    numbers = [_number(one) for one in values] if isinstance(values, list) else [_number(values)]
    if len(numbers) > 2 or None in numbers or not numbers:
        return None
    return numbers if len(numbers) == 2 else numbers[0]


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"{text[:80]}…" if len(text) > 80 else text
