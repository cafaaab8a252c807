"""A contract's fields as Markdown tables, read from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]


def fields_tables(schema: Schema) -> str:
    """A table of the fields of a schema, then one of each object that it refers to, in order of mention."""
    parts, seen = [_table(schema)], {""}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop(0)
        part = schema["$defs"][name]
        if name in seen or "properties" not in part:
            continue
        seen.add(name)
        waiting += _references(part)
        summary = " ".join(part.get("description", "").partition("\n\n")[0].split())
        parts.append(f"### {name}\n\n{summary}\n\n{_table(part)}")
    return "\n".join(parts)


def _table(part: Schema) -> str:
    lines = ["| field | type | left out | meaning |", "|---|---|---|---|"]
    for name, field in part.get("properties", {}).items():
        default = "required" if name in part.get("required", []) else _default(field)
        meaning = " ".join(field.get("description", "").split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(field)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _type(field: Schema) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for choice in ("anyOf", "oneOf"):
        if choice in field:
            return " or ".join(dict.fromkeys(_type(one) for one in field[choice] if one != {"type": "null"}))
    if "const" in field or "enum" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        items = field.get("items") or {}
        return f"list of {_type(items)}" if items else "list"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"name → {_type(values)}" if isinstance(values, dict) else "object"
    return str(field.get("type", "any"))


def _default(field: Schema) -> str:
    default = field.get("default")
    if default is None:
        return "–"
    return "its defaults" if default and "$ref" in field else f"`{json.dumps(default, ensure_ascii=False)}`"


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].rpartition("/")[2]
        for name, value in part.items():
            if name != "$defs":
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
