"""Terraform run for real against the stand-in provider; see schema.py and provider.py."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.adapters.families import MissingPart
from tests.environments import environment
from tests.terraform import schema
from tests.terraform.given import GIVEN

ROOT = Path(__file__).resolve().parents[2]
HCL = ROOT / "infra" / "terraform"
HOME = ROOT / ".test-env"
WHEELS = ROOT / "requirements" / "terraform-schema.txt"
_KIND = re.compile(r'^(resource|data) "(google_\w+)"', re.MULTILINE)
Json = dict[str, Any]


def kinds() -> set[str]:
    """Every resource and data source that our configuration uses."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in HCL.rglob("*.tf"))
    return {("data." if kind == "data" else "") + name for kind, name in _KIND.findall(text)}


def schema_file() -> Path:
    """The schema of those, kept until package, types or reader change.

    Raises:
        MissingPart: the packages cannot be had here.
    """
    made_of = [WHEELS.read_bytes(), Path(schema.__file__).read_bytes(), "\n".join(sorted(kinds())).encode()]
    path = HOME / f"terraform-schema-{hashlib.sha256(b''.join(made_of)).hexdigest()[:12]}.json"
    HOME.mkdir(exist_ok=True)
    with (HOME / "terraform-schema.lock").open("w") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        if not path.exists():
            google, beta = _wheels()
            text = json.dumps(schema.read_schema(google, beta, kinds()))
            part = path.with_suffix(".part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
    return path


def _wheels() -> tuple[Path, Path]:
    folder = HOME / f"terraform-wheels-{hashlib.sha256(WHEELS.read_bytes()).hexdigest()[:12]}"
    if not (folder / "done").exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        options = ["--only-binary", ":all:", "--dest", str(folder), "-r", str(WHEELS)]
        done = subprocess.run([*command, *options], capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip() or "no output").splitlines()[-1]
            raise MissingPart(f"the schema of the google provider cannot be downloaded: {last}")
        (folder / "done").touch()
    (google,) = folder.glob("cdktn_provider_google-*.whl")
    (beta,) = folder.glob("cdktn_provider_google_beta-*.whl")
    return google, beta


@dataclass(frozen=True)
class Answer:
    """What a command of Terraform ended with."""

    status: int
    said: str


@dataclass(frozen=True)
class Terraform:
    """Terraform with our provider in place of Google's, which any number of commands share."""

    socket: Path
    pid: int
    folder: Path

    def module(self, name: str, source: Path = HCL) -> Module:
        """A copy of a module of ours, without its backend."""
        home = self.folder / name
        left_out = shutil.ignore_patterns("backend.tf", ".terraform*", "*.tfstate*", "bootstrap")
        shutil.copytree(source, home, ignore=left_out)
        return Module(self, home)

    @property
    def environment(self) -> dict[str, str]:
        address = {"Network": "unix", "String": str(self.socket)}
        told = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": self.pid, "Test": True, "Addr": address}
        names = ("hashicorp/google", "hashicorp/google-beta")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TF_REATTACH_PROVIDERS": json.dumps(dict.fromkeys(names, told)),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }


@dataclass(frozen=True)
class Module:
    """A copy of a module, with a state of its own."""

    terraform: Terraform
    folder: Path

    def run(self, *arguments: str) -> Answer:
        """One command."""
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder}", *arguments],
            env=self.terraform.environment,
            capture_output=True,
            text=True,
        )
        return Answer(done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr))

    def given(self, environment: str, **values: Any) -> list[str]:
        """The arguments of a plan of one environment."""
        name = f"given-{hashlib.sha256(repr((environment, values)).encode()).hexdigest()[:8]}.json"
        (self.folder / name).write_text(json.dumps({**GIVEN, **values}), encoding="utf-8")
        file = self.folder / "envs" / f"{environment}.tfvars"
        return [*([f"-var-file={file}"] if file.exists() else []), f"-var-file={self.folder / name}"]

    def plan(self, *arguments: str) -> Answer:
        """`terraform plan`: 0 if nothing is to be done, 2 if something is, 1 if it is refused."""
        out = f"-out={self.folder / 'plan'}"
        return self.run("plan", "-input=false", "-no-color", "-detailed-exitcode", out, *arguments)

    def apply(self) -> Answer:
        """Do what the last plan says."""
        return self.run("apply", "-input=false", "-no-color", str(self.folder / "plan"))

    def made(self) -> Json:
        """The state."""
        return self._shown()

    def planned(self) -> Json:
        """The last plan."""
        return self._shown(str(self.folder / "plan"))

    def _shown(self, *file: str) -> Json:
        answer = self.run("show", "-json", *file)
        assert answer.status == 0, answer.said
        document: Json = json.loads(answer.said)
        return document


@contextmanager
def terraform(folder: Path) -> Iterator[Terraform]:
    """Terraform, with the stand-in provider running.

    Raises:
        MissingPart: one of the tools cannot be had here.
    """
    if shutil.which("terraform") is None:
        raise MissingPart("terraform is not installed")
    python, served = environment(ROOT / "requirements" / "terraform.txt"), schema_file()
    socket = folder / "provider.sock"
    command = [str(python), str(Path(__file__).with_name("provider.py")), str(served), str(socket)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield Terraform(socket, process.pid, folder)
    finally:
        process.stdin.close()
        process.wait()
