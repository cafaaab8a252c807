"""The image of the page, built from its Dockerfile where buildah is, started, and asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from functions.settings import GcpSettings
from tests.adapters.families import MissingPart, skipped_if_missing
from tests.adapters.gcp_servers.emulators import free_port

ROOT = Path(__file__).resolve().parents[2]
PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
STAND_IN = "mmm-test-base"
"""Debian with Python, made here where the real base image cannot be pulled. It is kept for the next run."""
ANSWERS_S = 60
NOWHERE = {
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
}
"""The clients of Google Cloud need no credentials then; nothing that is asked here reaches them."""
AUDIENCE = "/projects/1/locations/europe-west1/services/mmm-web"
SETTINGS = GcpSettings(
    family="gcp",
    engines=["native"],
    queues={"default": 1},
    project="acme-dev",
    region="europe-west1",
    bucket="acme-dev-mmm",
    trainer_jobs={"native": "trainer-native"},
)


STORE = ROOT / ".test-env" / "buildah"
BUILDAH = ("buildah", f"--root={STORE}", f"--runroot={STORE}-run")


def buildah(*words: str) -> str:
    done = subprocess.run([*BUILDAH, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"buildah {' '.join(words)}: {done.stderr[-2000:]}"
    return done.stdout.strip()


def knows(*words: str) -> bool:
    return subprocess.run([*BUILDAH, *words], capture_output=True).returncode == 0


def base_image(folder: Path) -> str:
    """The Dockerfile's own base image, or a stand-in for it.

    Raises:
        MissingPart: neither can be had here.
    """
    if knows("pull", "--quiet", PYTHON_IMAGE):
        return PYTHON_IMAGE
    if not knows("inspect", "--type=image", STAND_IN):
        if shutil.which("debootstrap") is None:
            raise MissingPart(f"{PYTHON_IMAGE} cannot be pulled, and there is no debootstrap for a stand-in")
        listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
        mirror = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()[0]
        packages = "--include=python3,python3-venv,ca-certificates"
        command = ["debootstrap", "--variant=minbase", packages, "bookworm", str(folder / "root"), mirror]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise MissingPart(f"no stand-in for {PYTHON_IMAGE} can be made: {made.stdout.splitlines()[-1]}")
        container = buildah("from", "scratch")
        buildah("add", "--quiet", container, str(folder / "root"), "/")
        buildah("commit", "--quiet", "--rm", container, STAND_IN)
    return f"localhost/{STAND_IN}"


def pip_of_this_machine() -> list[str]:
    """What lets pip in the build find packages as pip here does: its settings, and the folders they name."""
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    words = settings.replace("'", " ").replace("file://", " ").split()
    folders = {Path(word) for word in words if word.startswith("/")}
    folders |= {Path("/etc/pip.conf"), Path("/etc/xdg/pip"), Path("/etc/ssl/certs")}
    mounts = [f"--volume={path}:{path}:ro" for path in sorted(folders) if path.exists()]
    names = [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]
    return [*mounts, *(f"--env={name}" for name in names)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed")
    if os.geteuid() != 0:
        pytest.skip("buildah's isolation by chroot needs root")
    with skipped_if_missing():
        base = base_image(tmp_path_factory.mktemp("base"))
    name = "mmm-test-web"
    isolated = ("--isolation=chroot", "--network=host", "--layers=false", "--pull=false")
    given = (f"--build-arg=PYTHON_IMAGE={base}", "--build-arg=REVISION=abc", *pip_of_this_machine())
    buildah("build", "--quiet", *isolated, *given, "--file=docker/web.Dockerfile", f"--tag={name}", ".")
    yield name
    buildah("rmi", name)


def test_the_page_s_image_is_built_and_refuses_who_did_not_sign_in(image: str, tmp_path: Path) -> None:
    config = json.loads(buildah("inspect", "--type=image", image))["OCIv1"]["config"]
    assert config["User"] == "10001"
    assert config["Entrypoint"] == ["functions-framework", "--target", "web"]
    assert config["Labels"]["org.opencontainers.image.revision"] == "abc"
    port = free_port()
    told = json.loads(SETTINGS.model_dump_json(exclude_defaults=True))
    variables = {f"MMM_{key.upper()}": v if isinstance(v, str) else json.dumps(v) for key, v in told.items()}
    variables |= {"PORT": str(port), "MMM_IAP_AUDIENCE": AUDIENCE, **NOWHERE}
    container = buildah("from", "--pull=false", image)
    environment = [f"--env={name}={value}" for name, value in variables.items()]
    run = [*BUILDAH, "run", "--isolation=chroot", "--user=10001", *environment, container, "--"]
    with (tmp_path / "log").open("w") as log:
        command = [*run, *config["Entrypoint"]]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        assert answer(f"http://127.0.0.1:{port}/health", process) == 200, (tmp_path / "log").read_text()
        assert answer(f"http://127.0.0.1:{port}/", process) == 401
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        buildah("rm", container)
    assert "ERROR" not in (tmp_path / "log").read_text()


def answer(url: str, process: subprocess.Popen[bytes]) -> int:
    """The status that the page answers once it serves."""
    until = time.monotonic() + ANSWERS_S
    while True:
        try:
            return requests.get(url, timeout=30).status_code
        except requests.ConnectionError:
            assert process.poll() is None, "the container has ended"
            assert time.monotonic() < until, f"{url} does not answer"
            time.sleep(0.2)
