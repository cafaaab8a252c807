"""Google's own emulators of Firestore and Pub/Sub: found, started when first needed, stopped at the end.

They know any project, so every test works in a project of its own and finds it empty.
"""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import time
from functools import cache
from pathlib import Path

from tests.adapters.families import MissingPart

_FIRESTORE_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_START_S = 60.0


@cache
def firestore() -> str:
    """Host and port of the Firestore emulator.

    Raises:
        MissingPart: it is not on this machine.
    """
    jar = _jar("Firestore", "cloud-firestore-emulator/cloud-firestore-emulator*.jar")
    return _start("Firestore", ["-Duser.language=en", "-cp", str(jar), _FIRESTORE_MAIN, "start"])


@cache
def pubsub() -> str:
    """Host and port of the Pub/Sub emulator.

    Raises:
        MissingPart: it is not on this machine.
    """
    return _start(
        "Pub/Sub", ["-jar", str(_jar("Pub/Sub", "pubsub-emulator/lib/cloud-pubsub-emulator-*.jar"))]
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _jar(name: str, pattern: str) -> Path:
    gcloud = shutil.which("gcloud")
    folders = [Path(gcloud).resolve().parents[1]] if gcloud else []
    folders += [Path("/usr/lib/google-cloud-sdk"), Path.home() / "google-cloud-sdk"]
    found = [jar for folder in folders for jar in sorted(folder.glob(f"platform/{pattern}"))]
    if not found:
        raise MissingPart(f"the {name} emulator of the Cloud SDK is not installed")
    return found[-1]


def _start(name: str, arguments: list[str]) -> str:
    java = shutil.which("java")
    if java is None:
        raise MissingPart(f"the {name} emulator needs Java, and there is none")
    port = free_port()
    command = [java, "-Xmx512m", *arguments, "--host=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(process.kill)
    patience = time.monotonic() + _START_S
    while not _listens(port):
        assert process.poll() is None, f"the {name} emulator ended at once: {command}"
        assert time.monotonic() < patience, f"the {name} emulator did not start within {_START_S:g} s"
        time.sleep(0.1)
    return f"127.0.0.1:{port}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
