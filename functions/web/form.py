"""A form for any document: its controls come from the schema of the contract, its values from the document.

A form is shown for a document, and what is sent back is compared with what was shown: only what somebody
changed is written into the document. So a default that nobody touched stays unsaid, and what the form cannot
show stays as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from werkzeug.datastructures import MultiDict

from contracts.base import MAX_NAME

Kind = Literal[
    "text", "number", "date", "yes", "choice", "ticks", "lines", "range",
    "group", "either", "variant", "rows", "map",
]  # fmt: skip
Sent = MultiDict[str, str]
Schema = Mapping[str, Any]

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING", "__bool__": lambda _: False})()
"""Stands for what a document does not say."""
LONG = 1000
"""Texts that may be longer are written in several lines."""
_BELOW: tuple[Kind, ...] = ("group", "either", "variant", "rows", "map")
_YES = {"yes": True, "no": False}


@dataclass(frozen=True)
class Control:
    """One control of the form, or a group of them, with what the document says at its place."""

    kind: Kind
    field: str
    """Name of the field in its document; of an entry of a list its number."""
    where: str
    """Its place as problems name it: `search.trials`, `calibration[0].lift`."""
    name: str
    """Name of its input; of a range those are `<name>.low` and `<name>.high`."""
    schema: Schema
    value: Any = MISSING
    required: bool = False
    children: tuple[Control, ...] = ()
    shorthand: str | None = None
    """The field that a bare text stands for, where one is allowed instead of the whole group."""

    @property
    def label(self) -> str:
        """The name of the field as people read it."""
        return self.field.replace("_", " ").capitalize()

    @property
    def help(self) -> str:
        """The description of the field, with its bounds."""
        told = str(self.schema.get("description", "")).split("\n\n")[0].replace("\n", " ")
        bounds = self.bounds
        return f"{told} ({bounds})" if bounds and told else told or bounds

    @property
    def bounds(self) -> str:
        """Which numbers are allowed, in words; empty if any."""
        low, above = self.schema.get("minimum"), self.schema.get("exclusiveMinimum")
        high, below = self.schema.get("maximum"), self.schema.get("exclusiveMaximum")
        lower = f"at least {low:,}" if low is not None else f"above {above:,}" if above is not None else ""
        upper = f"at most {high:,}" if high is not None else f"below {below:,}" if below is not None else ""
        return ", ".join(part for part in (lower, upper) if part)

    @property
    def default(self) -> str:
        """What counts if nothing is said, as it would be typed; empty if that cannot be typed."""
        value = self.schema.get("default")
        return "" if value is None or self.kind in _BELOW else " to ".join(_shown(self.kind, value))

    @property
    def options(self) -> tuple[str, ...]:
        """What can be chosen."""
        if self.kind == "yes":
            return tuple(_YES)
        schema = self.schema["items"] if self.kind == "ticks" else self.schema
        return tuple(str(one) for one in schema.get("enum", ()))

    @property
    def long(self) -> bool:
        """Whether its text may have several lines."""
        return self.kind == "lines" or self.schema.get("maxLength", 0) > LONG

    @property
    def of_column(self) -> bool:
        """Whether it names a column of the data."""
        kind = self.schema["items"] if self.kind == "lines" else self.schema
        return bool(kind.get("maxLength") == MAX_NAME)

    @property
    def shown(self) -> list[str]:
        """What its inputs hold: one text, of a range two, of ticks those that are set."""
        return [] if self.value is MISSING else _shown(self.kind, self.value)

    @property
    def text(self) -> str:
        """What its only input holds."""
        return self.shown[0] if self.shown else ""

    @property
    def id(self) -> str:
        """The id of its input, to which problems link."""
        return f"f.{self.name}"

    def all(self) -> Iterator[Control]:
        """This one and everything below it."""
        yield self
        for child in self.children:
            yield from child.all()

    def at(self, path: str) -> Control:
        """The control of a field, named from here by dots.

        Raises:
            KeyError: there is none.
        """
        first, _, rest = path.partition(".")
        for child in self.children:
            if child.field == first:
                return child.at(rest) if rest else child
        raise KeyError(path)


def form(schema: Schema, document: Any) -> Control:
    """The form of a document, as far as it fits the schema of its contract."""
    return _Maker(schema.get("$defs", {})).control("", "", "", schema, document, required=True)


def changed(shown: Control, sent: Sent, document: Any) -> tuple[Any, list[str]]:
    """The document with what somebody changed in a form.

    Args:
        shown: the form as it was shown.
        sent: what its inputs hold now.
        document: what is written into; it may have been changed meanwhile, too.

    Returns:
        The new document, and `path: what is wrong` where both were changed, or something is named twice.
    """
    reader = _Reader(sent)
    value = reader.read(shown, document)
    return ({} if value is MISSING else value), reader.problems


class _Maker:
    """Makes controls of a schema with definitions."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def control(
        self, field: str, where: str, name: str, schema: Schema, value: Any, *, required: bool = False
    ) -> Control:
        schema, options = self._plain(schema), []
        if "anyOf" in schema:
            options = [self._plain(option) for option in schema["anyOf"]]
        objects = [option for option in options if option.get("type") == "object"]
        words = [word for option in options for word in option.get("enum", ())]
        shorthand = None
        if objects and words:
            return self._either(field, where, name, schema, objects[0], words, value)
        if objects:
            shorthand = objects[0]["required"][0]
            schema = {**objects[0], **schema}
            value = {shorthand: value} if isinstance(value, str) else value
        elif options:  # a range, or one number
            schema = {**options[0], **schema}
        made = Control(_kind(schema), field, where, name, schema, value, required, shorthand=shorthand)
        return replace(made, children=tuple(self._children(made)))

    def _plain(self, schema: Schema) -> dict[str, Any]:
        """A schema without references, and without null beside its only alternative."""
        plain = dict(schema)
        while "$ref" in plain:
            reference = plain.pop("$ref").rpartition("/")[2]
            plain = {**self._definitions[reference], **plain}
        if "anyOf" in plain:
            options = [option for option in plain["anyOf"] if option.get("type") != "null"]
            if len(options) == 1:
                del plain["anyOf"]
                return {**self._plain(options[0]), **plain}
        return plain

    def _either(
        self, field: str, where: str, name: str, schema: Schema, whole: Schema, words: list[str], value: Any
    ) -> Control:
        """A word, or a group of fields instead."""
        told = {key: schema[key] for key in ("description",) if key in schema}
        default = schema.get("default")
        choice = {"enum": words, "title": field, "description": "in one word, unless fields below say more"}
        choice |= {"default": default} if isinstance(default, str) else {}
        word = next((word for word, flag in (("on", True), ("off", False)) if value is flag), value)
        return Control(
            "either", field, where, name, told, value,
            children=(
                Control("choice", field, where, name, choice, MISSING if _is_dict(value) else word),
                self.control(field, where, name, whole, value if _is_dict(value) else MISSING),
            ),
        )  # fmt: skip

    def _children(self, parent: Control) -> Iterator[Control]:
        if parent.kind == "group":
            yield from self._fields(parent, parent.schema)
        elif parent.kind == "variant":
            yield from self._variants(parent)
        elif parent.kind == "rows":
            values = parent.value if isinstance(parent.value, list) else []
            for i, value in enumerate([*values, MISSING]):
                yield self.control(
                    str(i), f"{parent.where}[{i}]", f"{parent.name}[{i}]", parent.schema["items"], value
                )
        elif parent.kind == "map":
            yield from self._entries(parent)

    def _fields(self, parent: Control, schema: Schema, without: str = "") -> Iterator[Control]:
        values = parent.value if _is_dict(parent.value) else {}
        asked = values or schema.get("default", MISSING) is not None
        for field, child in schema["properties"].items():
            if field == without or "const" in self._plain(child):
                continue
            if not asked:  # its defaults count only if anything of it is said
                child = {**child, "default": None}
            yield self.control(
                field,
                f"{parent.where}.{field}" if parent.where else field,
                f"{parent.name}.{field}" if parent.name else field,
                child,
                values.get(field, MISSING),
                required=field in schema.get("required", ()),
            )

    def _variants(self, parent: Control) -> Iterator[Control]:
        """The choice of a variant, then the fields of each."""
        key, mapping = (parent.schema["discriminator"][name] for name in ("propertyName", "mapping"))
        chosen = parent.value.get(key, MISSING) if _is_dict(parent.value) else MISSING
        ways = {word: self._plain({"$ref": reference}) for word, reference in mapping.items()}
        told = "; ".join(f"`{word}`: {_first_line(way)}" for word, way in ways.items())
        choice = {"enum": list(ways), "description": told}
        yield Control("choice", key, f"{parent.where}.{key}", f"{parent.name}.{key}", choice, chosen, True)
        for word, way in ways.items():
            inside = replace(parent, where=f"{parent.where}.{word}", name=f"{parent.name}:{word}")
            fields = tuple(self._fields(inside, way, without=key))
            yield Control("group", word, inside.where, inside.name, way, parent.value, children=fields)

    def _entries(self, parent: Control) -> Iterator[Control]:
        """One group of a name and a value for each entry, and one more."""
        values = list(parent.value.items()) if _is_dict(parent.value) else []
        kinds = parent.schema.get("additionalProperties") or next(
            iter(parent.schema.get("patternProperties", {"": {}}).values())
        )
        for i, (key, value) in enumerate([*values, (MISSING, MISSING)]):
            where, name = f"{parent.where}.{'' if key is MISSING else key}", f"{parent.name}{{{i}}}"
            naming = {"type": "string", **parent.schema.get("propertyNames", {})}
            yield Control(
                "group", str(i), where, name, {}, value,
                children=(
                    Control("text", "name", where, f"{name}.name", naming, key),
                    self.control("value", where, f"{name}.value", kinds, value),
                ),
            )  # fmt: skip


class _Reader:
    """Writes into a document what somebody changed."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self.problems: list[str] = []

    def read(self, control: Control, onto: Any, *, anew: bool = False) -> Any:
        """What a document says at the place of a control, where it said `onto`.

        `anew`: as the inputs have it, whether somebody changed them or not.
        """
        if not (anew or self._changed(control)):
            return onto
        if control.kind == "group":
            return self._group(control, onto, anew)
        if control.kind == "either":
            return self._either(control, onto)
        if control.kind == "variant":
            return self._variant(control, onto)
        if control.kind == "rows":
            return self._told(control, onto, self._rows(control) or MISSING)
        if control.kind == "map":
            return self._told(control, onto, self._map(control) or MISSING)
        if not self._is_there(control):
            return onto
        return self._told(control, onto, self._leaf(control))

    def _told(self, control: Control, onto: Any, new: Any) -> Any:
        if onto != control.value and new != onto:
            self.problems.append(
                f"{control.where}: was changed both here and in the text, there to {_brief(onto)}; say which"
            )
        return new

    def _changed(self, control: Control) -> bool:
        if control.kind in _BELOW:
            return any(self._changed(child) for child in control.children)
        return self._is_there(control) and self._texts(control) != _padded(control, control.shown)

    def _is_there(self, control: Control) -> bool:
        return any(name in self._sent for name in _inputs(control))

    def _texts(self, control: Control) -> list[str]:
        """What its inputs hold now, as `shown` has it."""
        if control.kind == "ticks":
            return self._sent.getlist(control.name)
        return [_one_kind_of_line_end(self._sent.get(name, "")) for name in _inputs(control)]

    def _group(self, control: Control, onto: Any, anew: bool = False) -> Any:
        if control.shorthand and isinstance(onto, str):
            onto = {control.shorthand: onto}
        said = dict(onto) if _is_dict(onto) else {}
        for child in control.children:
            value = self.read(child, said.get(child.field, MISSING), anew=anew)
            if value is MISSING:
                said.pop(child.field, None)
            else:
                said[child.field] = value
        if control.shorthand and list(said) == [control.shorthand]:
            return said[control.shorthand]
        return said or MISSING

    def _either(self, control: Control, onto: Any) -> Any:
        choice, whole = control.children
        word = self.read(choice, MISSING if _is_dict(onto) else onto)
        if self._changed(choice) and word is not MISSING:
            return word
        group = self.read(whole, onto if _is_dict(onto) else MISSING)
        return word if group is MISSING else group

    def _variant(self, control: Control, onto: Any) -> Any:
        choice, *ways = control.children
        before = onto.get(choice.field, MISSING) if _is_dict(onto) else MISSING
        word = self.read(choice, before)
        way = next((way for way in ways if way.field == word), None)
        if way is None:
            return MISSING if word is MISSING else {choice.field: word}
        known = {child.field for child in way.children}
        kept = {key: value for key, value in onto.items() if key in known} if _is_dict(onto) else {}
        said = self._group(way, onto if word == before else kept, anew=word != before)
        return {choice.field: word, **({} if said is MISSING else said)}

    def _rows(self, control: Control) -> list[Any]:
        values = (self.read(row, _bare(row)) for row in control.children)
        return [value for value in values if value is not MISSING]

    def _map(self, control: Control) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for entry in control.children:
            name, value = (self.read(child, child.value) for child in entry.children)
            if name is MISSING and value is MISSING:
                continue
            key = "" if name is MISSING else str(name)
            if key in said:
                self.problems.append(f"{control.where}.{key}: is given twice; remove one")
            said[key] = None if value is MISSING else value
        return said

    def _leaf(self, control: Control) -> Any:
        texts = self._texts(control)
        if control.kind == "ticks":
            return [option for option in control.options if option in texts]
        if control.kind == "lines":
            items = control.schema["items"]
            split = re.split(r"\n" if items.get("type") == "string" else r"[\s,;]+", texts[0])
            return [_typed(items, text.strip()) for text in split if text.strip()] or MISSING
        if control.kind == "range":
            ends = [_number(text.strip(), whole=False) for text in texts if text.strip()]
            return MISSING if not ends else ends[0] if len(ends) == 1 or ends[0] == ends[1] else ends
        text = texts[0].strip()
        if not text:
            return MISSING
        return _YES.get(text, text) if control.kind == "yes" else _typed(control.schema, text)


def _kind(schema: Schema) -> Kind:
    if "oneOf" in schema:
        return "variant"
    if "enum" in schema:
        return "choice"
    kind = schema.get("type")
    if kind == "array":
        return _kind_of_list(schema)
    if kind == "object":
        return "group" if "properties" in schema else "map"
    kinds: dict[Any, Kind] = {"boolean": "yes", "integer": "number", "number": "number"}
    return kinds.get(kind, "date" if schema.get("format") == "date" else "text")


def _kind_of_list(schema: Schema) -> Kind:
    items = schema.get("items", {})
    if "prefixItems" in schema:
        return "range"
    if "enum" in items:
        return "ticks"
    return "lines" if items.get("type") in ("string", "integer", "number") else "rows"


def _shown(kind: Kind, value: Any) -> list[str]:
    if kind in ("ticks", "lines") and isinstance(value, list):
        texts = [_text(one) for one in value]
        return texts if kind == "ticks" else ["\n".join(texts)]
    if kind == "range":
        ends = value if isinstance(value, list | tuple) and len(value) == 2 else [value, value]
        return [_text(end) for end in ends]
    if kind == "yes" and isinstance(value, bool):
        return ["yes" if value else "no"]
    return [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _one_kind_of_line_end(value)
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _one_kind_of_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _inputs(control: Control) -> list[str]:
    if control.kind == "range":
        return [f"{control.name}.low", f"{control.name}.high"]
    return [f"{control.name}.shown" if control.kind == "ticks" else control.name]


def _padded(control: Control, shown: Sequence[str]) -> list[str]:
    """What the inputs hold where nothing was changed."""
    if control.kind == "ticks":
        return list(shown)
    return list(shown) if shown else [""] * len(_inputs(control))


def _bare(row: Control) -> Any:
    """What a row says, as short as it was: a bare text for a group with only that field."""
    value = row.value
    return value[row.shorthand] if _is_dict(value) and list(value) == [row.shorthand] else value


def _typed(schema: Schema, text: str) -> Any:
    kind = schema.get("type")
    return _number(text, whole=kind == "integer") if kind in ("integer", "number") else text


def _number(text: str, *, whole: bool) -> Any:
    """A number, or the text as it was typed, which then is told to be none."""
    with suppress(ValueError):
        return int(text)
    if not whole:
        with suppress(ValueError):
            return number if math.isfinite(number := float(text)) else text
    return text


def _first_line(schema: Schema) -> str:
    return str(schema.get("description", "")).split("\n")[0].rstrip(".")


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _brief(value: Any, limit: int = 60) -> str:
    text = "nothing" if value is MISSING else json.dumps(value, ensure_ascii=False)
    return f"{text[:limit]}…" if len(text) > limit else text
