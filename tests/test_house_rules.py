"""The layout's rules: who may import whom."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from infra import house

ROOT = Path(__file__).resolve().parents[1]
OURS = ("contracts", "functions", "client", "trainer", "infra")
GOOGLE_AND_SNOWFLAKE = ("google", "snowflake")


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(folder: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(folder)
        for name in imports(path)
        if name.startswith(tuple(f"{prefix}." for prefix in forbidden))
        and not name.startswith(allowed or ("\0",))
    ]


def test_every_room_imports_only_what_it_may():
    found = house.imported_rooms(ROOT)
    assert len(found) > 20
    assert [(who, whom) for who, whom in found if whom not in house.MAY_IMPORT[who]] == []


def test_every_folder_with_code_is_in_a_room():
    modules = {module_name(path) for folder in (*OURS, "examples") for path in files(folder)}
    assert [name for name in modules if house.room_of(name) is None] == []
    assert set(house.TITLES) == set(house.MAY_IMPORT) == set(house.ROOMS)


@pytest.mark.parametrize(
    "package", ["extract", "validate", "launch", "finalize", "summarize", "sweep", "bury", "web"]
)
def test_handlers_know_ports_not_adapters(package: str):
    assert files(f"functions/{package}")
    assert (
        offenders(f"functions/{package}", ("functions.adapters", "trainer", "infra", *GOOGLE_AND_SNOWFLAKE))
        == []
    )


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(name: str, path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Modules of ours that a module imports, with the packages around them that are not around it too."""
    found = set()
    for target in imports(path):
        while target and target not in modules:
            target = target.rpartition(".")[0]
        direct = target
        while target and (target == direct or not f"{name}.".startswith(f"{target}.")):
            found.add(target)
            target = target.rpartition(".")[0]
    return found - {name}


def test_no_module_imports_itself_by_way_of_others():
    """Imports within functions and for the type checker count too: a circle is one whenever it closes."""
    modules = {module_name(path): path for folder in OURS for path in files(folder)}
    graph = {name: imported_modules(name, path, modules) for name, path in modules.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_engines_know_neither_jobs_nor_clouds():
    assert files("trainer/engines")
    allowed = tuple(
        f"contracts.{name}"
        for name in (
            "base",
            "budget",
            "changes",
            "curves",
            "engines",
            "figures",
            "model",
            "posterior",
            "result",
            "series",
            "trust",
        )
    )
    assert offenders("trainer/engines", ("contracts", "functions", "infra"), allowed) == []


@pytest.mark.parametrize("folder", OURS)
def test_only_the_gcp_adapters_import_clients_of_clouds(folder: str):
    may = ("functions/adapters/gcp/", "client/mmm/iap.py ")
    found = [line for line in offenders(folder, GOOGLE_AND_SNOWFLAKE) if not line.startswith(may)]
    assert found == []


@pytest.mark.parametrize("folder", OURS)
def test_nothing_but_settings_reads_the_environment(folder: str):
    readers = [
        str(path.relative_to(ROOT))
        for path in files(folder)
        if any(word in path.read_text(encoding="utf-8") for word in ("os.environ", "os.getenv"))
    ]
    starts_processes = [
        "functions/adapters/embedded/forks.py",
        "functions/adapters/embedded/launcher.py",
        "infra/local/functions.py",
        "infra/local/host.py",
        "trainer/engines/robyn.py",
    ]
    assert [name for name in readers if name not in starts_processes] == []


@pytest.mark.parametrize("handler", ["launch", "finalize", "sweep", "bury", "summarize"])
def test_light_functions_load_without_heavy_libraries(handler: str):
    heavy = ("pyarrow", "pandas", "numpy", "snowflake", "duckdb", "prophet", "numba")
    code = f"import sys, functions.{handler}.handler; print([m for m in {heavy!r} if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert answer.stdout.strip() == "[]"
