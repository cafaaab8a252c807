"""The images, as far as they can be proved without an engine that builds them."""

from __future__ import annotations

import fnmatch
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.adapters.families import skipped_if_missing
from tests.adapters.gcp_servers.emulators import free_port
from tests.environments import environment

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
IMAGES = [path for path in DOCKERFILES if path.stem != "trainer-base"]
"""Those that run."""
NATIVE = ROOT / "docker" / "trainer-native.Dockerfile"
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]["mmm"]
ANOTHER_TRAINING = """
import numba.core.event
with numba.core.event.install_recorder("numba:compile") as recorder:
    from trainer import check
    search = {"iterations": 50, "trials": 1, "solver": "converged", "penalty_factors": True}
    check.CONFIG.update(adstock="weibull_pdf", calibration=[], search=search)
    check.check()
print(len(recorder.buffer))
"""
BASELINE = {"x86_64": "x86-64-v3", "aarch64": "generic"}
needs_r = pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """(name, arguments) of every instruction."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def defaults(dockerfile: Path) -> dict[str, str]:
    """The build arguments, and what they are unless they are given."""
    arguments = [value for name, value in instructions(dockerfile) if name == "ARG"]
    return {name: value for name, _, value in (argument.partition("=") for argument in arguments)}


def copied(dockerfile: Path) -> Iterator[str]:
    """Every path of the project that is copied into the image, with the defaults of its arguments."""
    for name, value in instructions(dockerfile):
        if name == "COPY" and not value.startswith("--from"):
            for argument, default in defaults(dockerfile).items():
                value = value.replace(f"${{{argument}}}", default)
            yield from value.split()[:-1]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets a path through."""
    found = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and fnmatch.fnmatch(path, pattern.removeprefix("**/")):
            found = line.startswith("!")
    return found


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    found = subprocess.run([hadolint, "--no-color", str(dockerfile)], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_every_base_image_is_an_argument_and_the_revision_is_told(dockerfile: Path) -> None:
    stages = {value.partition(" AS ")[2] for name, value in instructions(dockerfile) if name == "FROM"}
    bases = {value.partition(" AS ")[0] for name, value in instructions(dockerfile) if name == "FROM"}
    assert {base for base in bases - stages if not base.startswith(("${", "cpu-${"))} == set()
    last = instructions(dockerfile)[-12:]
    assert any(name == "LABEL" and 'image.revision="${REVISION}"' in value for name, value in last)


@pytest.mark.parametrize("dockerfile", IMAGES, ids=lambda path: path.stem)
def test_an_image_runs_as_an_ordinary_user_after_its_self_test(dockerfile: Path) -> None:
    user, check, entrypoint = instructions(dockerfile)[-3:]
    assert user == ("USER", "10001")
    assert check[0] == "RUN"
    if dockerfile.stem == "web":
        assert check[1] == 'python -c "import main, functions.web.app; main.web"'
        assert entrypoint == ("ENTRYPOINT", '["functions-framework", "--target", "web"]')
        return
    assert check[1].startswith("python -m trainer --check")
    assert entrypoint == ("ENTRYPOINT", '["python", "-m", "trainer"]')


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_what_an_image_copies_is_there_and_reaches_the_build(dockerfile: Path) -> None:
    paths = list(copied(dockerfile))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [path for path in paths if not (in_context(path) or in_context(f"{path}/__init__.py"))] == []


def test_the_locks_of_one_installation_agree() -> None:
    pins: dict[str, set[str]] = {}
    for name in ("local", "gcp", "functions", "trainer", "robyn"):
        lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        own: dict[str, set[str]] = {}
        for line in lines:
            if match := re.match(r"([a-z][\w.-]*)==([^\s;]+)", line):
                own.setdefault(match[1], set()).add(match[2])
        for package, versions in own.items():
            assert pins.setdefault(package, versions) == versions, f"{package} in {name}.txt"


def test_the_trainer_works_on_its_own_requirements_and_its_self_test_compiles_all_that_trainings_call() -> (
    None
):
    with skipped_if_missing():
        python = environment(ROOT / "requirements" / "trainer.txt")
    variables = {
        "PATH": os.environ["PATH"],
        "NUMBA_CPU_NAME": BASELINE[platform.machine()],
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(ROOT / ".test-env" / "numba"),
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [str(python), *command], cwd=ROOT, env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("-m", "trainer", "--check").startswith("the native engine works")
    assert run("-c", ANOTHER_TRAINING) == "0\n"


def test_compose_names_what_there_is() -> None:
    build = COMPOSE["build"]
    context = (ROOT / "docker" / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).samefile(NATIVE)
    assert set(build["args"]) <= set(defaults(NATIVE))
    assert (ROOT / "requirements" / f"{build['args']['REQUIREMENTS']}.txt").exists()
    assert COMPOSE["ports"] == ["127.0.0.1:${PORT:-8080}:${PORT:-8080}"]  # nobody else reaches it


def test_what_compose_runs_serves_the_page(tmp_path: Path) -> None:
    port = str(free_port())
    told: dict[str, Any] = {"/data": str(tmp_path), "${PORT:-8080}": port, "python": sys.executable}
    command = [told.get(word, word) for word in (*COMPOSE["entrypoint"], *COMPOSE["command"])]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=60).status_code == 200
        elsewhere = requests.get(f"http://127.0.0.1:{port}/", headers={"Host": "mmm.example"}, timeout=60)
        assert elsewhere.status_code == 421
    finally:
        process.terminate()
        process.wait()


def install_robyn(folder: Path, repository: str) -> subprocess.CompletedProcess[str]:
    """What the base image's script says of a repository of R packages, in an empty library."""
    library = folder / "library"
    library.mkdir()
    profile = folder / "Rprofile"
    profile.write_text(f'options(repos = c(CRAN = "{repository}"))\n')
    variables = {**os.environ, "R_PROFILE": str(profile), "R_LIBS": str(library)}
    command = ["Rscript", str(ROOT / "docker" / "install_robyn.R"), "3.12.1"]
    return subprocess.run(command, env=variables, capture_output=True, text=True)


def repository_of(folder: Path, version: str) -> str:
    """A repository of one day, with a package that is called Robyn."""
    source, contrib = folder / "Robyn", folder / "2025-10-30" / "src" / "contrib"
    source.mkdir()
    contrib.mkdir(parents=True)
    fields = {"Package": "Robyn", "Version": version, "Title": "T", "Description": "D.", "License": "MIT"}
    (source / "DESCRIPTION").write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    (source / "NAMESPACE").write_text("")
    subprocess.run(["R", "CMD", "build", str(source)], cwd=contrib, check=True, capture_output=True)
    code = f'tools::write_PACKAGES("{contrib}", type = "source")'
    subprocess.run(["Rscript", "-e", code], check=True, capture_output=True)
    return f"file://{folder / '2025-10-30'}"


@needs_r
@pytest.mark.parametrize(("version", "status"), [("3.12.1", 0), ("3.11.1", 1)])
def test_the_base_image_has_the_version_of_robyn_that_is_named(
    version: str, status: int, tmp_path: Path
) -> None:
    done = install_robyn(tmp_path, repository_of(tmp_path, version))
    assert done.returncode == status, done.stderr
    assert status == 0 or "has Robyn 3.11.1, not 3.12.1" in done.stderr


@needs_r
def test_the_base_image_needs_a_snapshot_of_one_day(tmp_path: Path) -> None:
    done = install_robyn(tmp_path, f"file://{tmp_path}/latest")
    assert done.returncode == 1
    assert "names no dated snapshot" in done.stderr


@needs_r
@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this system has no Debian packages")
def test_the_packages_that_own_linked_libraries_are_found_and_a_missing_library_is_told(
    tmp_path: Path,
) -> None:
    def packages(folder: str | Path) -> subprocess.CompletedProcess[str]:
        script = str(ROOT / "docker" / "linked_packages.sh")
        return subprocess.run(["bash", script, str(folder)], capture_output=True, text=True)

    home = subprocess.run(["R", "RHOME"], capture_output=True, text=True, check=True).stdout.strip()
    found = packages(home)
    assert (found.returncode, found.stderr) == (0, "")
    assert {"libc6", "libgfortran5"} <= set(found.stdout.split())
    assert "libxt6" in found.stdout  # drawing a PNG asks R's module for X11, of R 4.5 and newer, for versions
    assert "libtcl" not in found.stdout

    library = (Path(home) / "library" / "stats" / "libs" / "stats.so").read_bytes()
    (tmp_path / "stats.so").write_bytes(library.replace(b"libc.so.6", b"nowhere.6"))
    alone = packages(tmp_path)
    assert (alone.returncode, alone.stderr) == (1, "a library is missing: nowhere.6\n")
