"""The schema of the google provider, read from the package of its prebuilt bindings.

The provider itself cannot be had from a Python registry, but `cdktn-provider-google` can: generated code
with a class for every resource, block and list of blocks, which says what the schema says.
The schema is written as JSON, for the stand-in provider to serve:

    block      {"attributes": {name: attribute}, "blocks": {name: nested}}
    attribute  {"type": Terraform's JSON type, "computed", "optional", "required": bool, "values": list}
    nested     {"nesting": "list" | "set" | "single" | "map", "least": n, "most": n (0: any), "block": block}
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

Json = dict[str, Any]
BETA_ONLY = frozenset({"google_project_service_identity"})
"""Types that the provider google does not have, only google-beta."""

_CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{$", re.MULTILINE)
_FIELD = re.compile(
    r"^    // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)$", re.MULTILINE
)
_CHILD = re.compile(r"= new (cdktn\.)?(\w+)\(this, \"\w+\"(?:, (true|false))?\)")
_HCL_FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_HCL_FIELD = re.compile(
    r"^ +(\w+): \{\n\s+value: .*?,\n\s+isBlock: (true|false),\n"
    r"\s+type: \"(\w+)\",\n\s+storageClassType: \"(\w+)\"",
    re.MULTILINE,
)
_TYPE_NAME = re.compile(r'tfResourceType = "([\w-]+)"')
_DOCUMENTED = re.compile(r"/\*\*((?:(?!\*/).)*?)\*/\s+readonly (\w+)\??:", re.DOTALL)
_VALUES = re.compile(r"Possible values: \[((?:\"[^\"]*\"(?:, )?)+)\]")
_INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{(.*?)^\}", re.MULTILINE | re.DOTALL)
_READERS: dict[str, Any] = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
    "getNumberMapAttribute": ["map", "number"],
    "getBooleanMapAttribute": ["map", "bool"],
    "getAnyMapAttribute": ["map", "string"],
}
_MAPS: dict[str, Any] = {
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "string"],
    "StringMapList": ["list", ["map", "string"]],
}
_STORED: dict[str, Any] = {
    "string": "string",
    "number": "number",
    "boolean": "bool",
    "stringList": ["list", "string"],
    "stringMap": ["map", "string"],
}
_NESTINGS = {"list": "list", "set": "set", "struct": "single", "map": "map"}


@dataclass(frozen=True)
class _Hcl:
    """How a field is written in HCL, as its conversion says."""

    block: bool
    kind: str
    storage: str


class _Module:
    """The generated code of one resource or data source."""

    def __init__(self, code: str, declarations: str) -> None:
        found = list(_CLASS.finditer(code))
        ends = [one.start() for one in found[1:]] + [len(code)]
        self.classes = {one[1]: code[one.start() : end] for one, end in zip(found, ends, strict=True)}
        self.top = next(
            one[1]
            for one in found
            if one[2] in ("TerraformResource", "TerraformDataSource", "TerraformProvider")
        )
        self.hcl = {m[1][0].upper() + m[1][1:]: _hcl_fields(m[2]) for m in _HCL_FUNCTION.finditer(code)}
        self.values = {
            (interface[1], field[2]): values
            for interface in _INTERFACE.finditer(declarations)
            for field in _DOCUMENTED.finditer(interface[2])
            if (values := _possible(field[1]))
        }

    @property
    def type_name(self) -> str:
        match = _TYPE_NAME.search(self.classes[self.top])
        assert match
        return match[1]

    def schema(self) -> Json:
        code = self.classes[self.top]
        hcl = _hcl_fields(code[code.index("synthesizeHclAttributes") :])
        return self._block(self.top, hcl, f"{self.top}Config")

    def _block(self, name: str, hcl: dict[str, _Hcl], interface: str) -> Json:
        attributes: Json = {}
        blocks: Json = {}
        code = self.classes[name]
        fields = list(_FIELD.finditer(code))
        ends = [field.start() for field in fields[1:]] + [len(code)]
        for field, end in zip(fields, ends, strict=False):  # a block may have no field at all
            self._field(field, code[field.end() : end], hcl, interface, attributes, blocks)
        return {"attributes": attributes, "blocks": blocks}

    def _field(
        self,
        field: re.Match[str],
        body: str,
        hcl: dict[str, _Hcl],
        interface: str,
        attributes: Json,
        blocks: Json,
    ) -> None:
        name = field[1]
        written = hcl.get(name)
        child = _CHILD.search(body)
        if child and not child[1]:
            inner, many, mapped = self._child(child[2])
            if written and written.block:
                nesting = _NESTINGS.get(written.kind, "list")
                single = nesting in ("list", "set") and not many
                blocks[name] = {
                    "nesting": nesting,
                    "least": int(field[4] == "true"),
                    "most": 1 if single else 0,
                    "block": inner,
                }
                return
            kind: Any = _object_type(inner)
            kind = (
                ["map", kind]
                if mapped
                else [("set" if child[3] == "true" else "list"), kind]
                if many
                else kind
            )
        else:
            kind = _simple_type(body, child[2] if child else None, written)
        attributes[name] = {
            "type": kind,
            "computed": field[2] == "true",
            "optional": field[3] == "true",
            "required": field[4] == "true",
            "values": self.values.get((interface, _camel(name))),
        }

    def _child(self, name: str) -> tuple[Json, bool, bool]:
        """The block of a nested class; whether there may be many; whether they have keys."""
        for suffix in ("List", "Map"):
            one = f"{name.removesuffix(suffix)}OutputReference"
            if name.endswith(suffix) and one in self.classes:
                return self._nested(one), suffix == "List", suffix == "Map"
        return self._nested(name), False, False

    def _nested(self, name: str) -> Json:
        interface = name.removesuffix("OutputReference")
        return self._block(name, self.hcl.get(interface, {}), interface)


def _hcl_fields(code: str) -> dict[str, _Hcl]:
    return {m[1]: _Hcl(m[2] == "true", m[3], m[4]) for m in _HCL_FIELD.finditer(code)}


def _possible(comment: str) -> list[str] | None:
    match = _VALUES.search(re.sub(r"\s*\n\s*\*\s*", " ", comment))
    return re.findall(r'"([^"]*)"', match[1]) if match else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _simple_type(body: str, child: str | None, written: _Hcl | None) -> Any:
    read = next((kind for reader, kind in _READERS.items() if reader in body), None)
    stored = _STORED.get(written.storage) if written else None  # a provider's arguments have no reader
    kind = _MAPS.get(child or "") or read or stored or "dynamic"
    is_set = "Fn.tolist" in body or (written is not None and written.kind == "set")
    return ["set", kind[1]] if is_set and isinstance(kind, list) and kind[0] == "list" else kind


def _object_type(block: Json) -> Any:
    fields = {name: attribute["type"] for name, attribute in block["attributes"].items()}
    for name, nested in block["blocks"].items():
        inner = _object_type(nested["block"])
        fields[name] = [nested["nesting"], inner] if nested["nesting"] in ("list", "set") else inner
    return ["object", fields]


class _Package:
    """One wheel of bindings: the archive of code within the archive."""

    def __init__(self, wheel: Path, infix: str = "") -> None:
        """`infix`: what this package puts before the names of its resources."""
        with zipfile.ZipFile(wheel) as file:
            (inner,) = [name for name in file.namelist() if name.endswith(".jsii.tgz")]
            data = file.read(inner)
        with tarfile.open(fileobj=BytesIO(data)) as archive:
            self._texts = {
                member.name: archive.extractfile(member).read().decode()  # type: ignore[union-attr]
                for member in archive
                if member.name.endswith(("/index.js", "/index.d.ts"))
            }
        self._infix = infix

    def module(self, kind: str) -> _Module | None:
        """The code of `google_x`, `data.google_x` or `provider`; None if there is no such thing."""
        name = kind.removeprefix("data.").removeprefix("google_").replace("_", "-")
        infix = "" if kind == "provider" else self._infix
        folder = f"package/lib/{'data-google-' if kind.startswith('data.') else infix}{name}"
        if f"{folder}/index.js" not in self._texts:
            return None
        return _Module(self._texts[f"{folder}/index.js"], self._texts[f"{folder}/index.d.ts"])


def read_schema(google: Path, beta: Path, kinds: Iterable[str]) -> Json:
    """The schemas of resources and data sources (`data.google_x`), from the two packages.

    A type that neither package has is left out, as a real provider would not have it.
    """
    packages = {False: _Package(google), True: _Package(beta, infix="google-")}
    schemas: Json = {}
    for kind in sorted(kinds):
        module = packages[kind in BETA_ONLY].module(kind)
        if module:
            schemas[kind] = module.schema()
    provider = packages[False].module("provider")
    assert provider
    return {"provider": provider.schema(), "types": schemas}
