"""The map of the house: its rooms, what each may import, and what each does import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOMS: dict[str, tuple[str, ...]] = {
    "contracts": ("contracts",),
    "shared": ("functions",),
    "handlers": tuple(
        f"functions.{name}"
        for name in ("extract", "validate", "launch", "finalize", "summarize", "sweep", "bury")
    ),
    "web": ("functions.web",),
    "embedded": ("functions.adapters", "functions.adapters.embedded"),
    "gcp": ("functions.adapters.gcp",),
    "client": ("client.mmm", "mmm"),
    "trainer": ("trainer",),
    "engines": ("trainer.engines",),
    "native": ("trainer.engines.native",),
    "posterior": ("trainer.posterior",),
    "infra": ("infra",),
    "ops": ("infra.ops",),
    "examples": ("examples",),
}
"""The packages of each room; a module belongs to the longest one that its name begins with.

That of the client is called `mmm`, and lies in `client/`.
"""

TITLES: dict[str, str] = {
    "contracts": "contracts: models, states, names",
    "shared": "functions: entry points, ports, steps, settings",
    "handlers": "functions/extract … bury: the handlers",
    "web": "functions/web: page and JSON API",
    "embedded": "functions/adapters/embedded",
    "gcp": "functions/adapters/gcp",
    "client": "client: the Python client and the command mmm",
    "trainer": "trainer: life of an attempt",
    "engines": "trainer/engines: what engines share, robyn",
    "native": "trainer/engines/native",
    "posterior": "trainer/posterior",
    "infra": "infra: local system, demo, benchmarks, generators",
    "ops": "infra/ops: commands for a system that runs",
    "examples": "examples",
}

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "contracts": (),
    "shared": ("contracts", "handlers", "web", "embedded", "gcp"),
    "handlers": ("contracts", "shared"),
    "web": ("contracts", "shared"),
    "embedded": ("contracts", "shared"),
    "gcp": ("contracts", "shared", "embedded", "web"),
    "client": ("contracts",),
    "trainer": ("contracts", "shared", "engines", "native", "posterior"),
    "engines": ("contracts", "native", "posterior"),
    "native": ("contracts", "engines"),
    "posterior": ("contracts", "engines", "native"),
    "infra": tuple(room for room in ROOMS if room not in ("infra", "ops", "examples", "gcp")),
    "ops": ("contracts", "shared", "handlers", "web", "embedded", "gcp", "infra"),
    "examples": ("infra", "native"),
}
"""The rooms that each room may import, besides itself. A test compares it with what the code imports."""


def room_of(name: str) -> str | None:
    """The room of a module, or of a name in it; None if it is none of ours."""
    packages = [(package, room) for room, found in ROOMS.items() for package in found]
    inside = [(len(p), room) for p, room in packages if f"{name}.".startswith(f"{p}.")]
    return max(inside)[1] if inside else None


def imported_rooms(root: Path) -> dict[tuple[str, str], bool]:
    """Who imports whom: (importer, imported) → whether when it is loaded, and not only when it is called."""
    found: dict[tuple[str, str], bool] = {}
    for path in _modules(root):
        importer = room_of(".".join(path.relative_to(root).with_suffix("").parts))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        when_loaded = {id(node) for node in tree.body}
        for node, target in _imports(tree):
            room = room_of(target)
            if importer and room and room != importer:
                edge = (importer, room)
                found[edge] = found.get(edge, False) or id(node) in when_loaded
    return found


def _modules(root: Path) -> Iterator[Path]:
    for top in sorted(
        {package.partition(".")[0] for packages in ROOMS.values() for package in packages} - {"mmm"}
    ):
        yield from sorted((root / top).rglob("*.py"))


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def house_map(root: Path) -> str:
    """Who imports whom, as a Mermaid diagram; dotted where modules are imported only when they are needed."""
    lines = ["flowchart TD", *(f'    {room}["{title}"]' for room, title in TITLES.items())]
    for (importer, room), when_loaded in sorted(imported_rooms(root).items()):
        lines.append(f"    {importer} {'-->' if when_loaded else '-.->'} {room}")
    return "\n".join(lines) + "\n"


def rules_table() -> str:
    """What each room may import, as a Markdown table."""
    lines = ["| folder | may import |", "|---|---|"]
    for room, allowed in MAY_IMPORT.items():
        names = ", ".join(TITLES[one].partition(":")[0] for one in allowed)
        lines.append(f"| {TITLES[room].partition(':')[0]} | {names or 'nothing of ours'} |")
    return "\n".join(lines) + "\n"
