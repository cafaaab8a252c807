"""`python -m infra.deploy VERB`: the steps of a deployment, as the pipeline and people run them.

What is deployed is one small JSON document, the *release*: the project, the archive of the functions by its
content, the images by their digests. Terraform takes it as a file of variables; to go back is to deploy an
earlier release.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.cloud import JOBS
from infra import archive

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / ".build"
HCL = ROOT / "infra" / "terraform"
RELEASE = BUILD / "release.json"
DEPLOYED = BUILD / "deployed.json"
PLAN = BUILD / "plan"
Json = dict[str, Any]

STATEFUL = frozenset({
    "google_cloud_run_v2_job", "google_firestore_database", "google_pubsub_subscription",
    "google_pubsub_topic", "google_secret_manager_secret", "google_storage_bucket",
})  # fmt: skip
"""What holds data or messages, or is known by its name to what runs: never deleted or replaced on the way."""

_BASE_PARTS = (
    "docker/trainer-base.Dockerfile",
    "docker/install_robyn.R",
    "docker/linked_packages.sh",
    "requirements/robyn.txt",
)


class Refused(RuntimeError):
    """A deployment that must not go on."""


def archive_name(path: Path) -> str:
    """The name of an archive in the bucket of code: by its content, so that it never changes there."""
    return f"functions-{hashlib.sha256(path.read_bytes()).hexdigest()}.zip"


def images_of(engines: Sequence[str]) -> list[str]:
    """The images that an environment with these engines needs."""
    return ["web", *dict.fromkeys(job.image for job in JOBS.values() if job.engine in engines)]


def lost(plan: Json) -> list[str]:
    """What a plan would delete or replace although it holds something."""
    return [
        f"{change['address']}: {' and '.join(change['change']['actions'])}"
        for change in plan.get("resource_changes", [])
        if change["type"] in STATEFUL and "delete" in change["change"]["actions"]
    ]


def changes(plan: Json) -> list[str]:
    """What a plan does, a line each, without what stays."""
    return sorted(
        f"{'/'.join(change['change']['actions'])} {change['address']}"
        for change in plan.get("resource_changes", [])
        if change["change"]["actions"] not in (["no-op"], ["read"])
    )


def digest(plan: Json) -> str:
    """What a plan does and with which release, in short: two plans of the same digest do the same."""
    given = {name: one.get("value") for name, one in plan.get("variables", {}).items()}
    return hashlib.sha256(json.dumps([changes(plan), given], sort_keys=True).encode()).hexdigest()


def check(plan: Json, expected: str | None = None) -> None:
    """Let a plan pass only if nothing is lost and, if somebody has seen another plan before, it is the same.

    Raises:
        Refused: it must not be applied.
    """
    if gone := lost(plan):
        lines = "\n  ".join(gone)
        raise Refused(f"the plan deletes or replaces what holds data; do that by hand, if at all:\n  {lines}")
    if expected is not None and digest(plan) != expected:
        raise Refused("the plan is another one than was shown: the world has changed since; plan again")


def setting(environment: str, name: str) -> Any:
    """What an environment's file of variables says, where it is a plain text or list."""
    text = (HCL / "envs" / f"{environment}.tfvars").read_text(encoding="utf-8")
    match = re.search(rf"^{name}\s*=\s*(.*)$", text, re.MULTILINE)
    if match is None:
        raise Refused(f"envs/{environment}.tfvars does not say {name}")
    return json.loads(match[1])


def build(project: str, environment: str, revision: str) -> Json:
    """Build and push what is deployed; the release."""
    region, engines = setting(environment, "region"), setting(environment, "engines")
    file = BUILD / "functions.zip"
    archive.write(file)
    name = archive_name(file)
    _run("gcloud", "storage", "cp", "--no-clobber", str(file), f"gs://{project}-mmm-code/{name}")
    registry = f"{region}-docker.pkg.dev/{project}/mmm"
    _run("gcloud", "auth", "configure-docker", f"{region}-docker.pkg.dev", "--quiet")
    images = {image: _push(registry, image, revision) for image in images_of(engines)}
    return {"project": project, "functions_archive": name, "images": images}


def _push(registry: str, image: str, revision: str) -> str:
    """Build one image with its bill of materials, push it, and name it by digest."""
    options = ["--build-arg", f"REVISION={revision}", "--sbom=true", "--provenance=mode=max", "--push"]
    if image == "trainer":
        options += ["--build-arg", f"BASE_IMAGE={_base(registry)}"]
    told = BUILD / f"{image}.json"
    tag = f"{registry}/{image}:{revision}"
    dockerfile = f"docker/{image}.Dockerfile"
    _run(
        "docker", "buildx", "build", "-f", dockerfile, *options, "--metadata-file", str(told), "-t", tag, "."
    )
    metadata = json.loads(told.read_text(encoding="utf-8"))
    return f"{registry}/{image}@{metadata['containerimage.digest']}"


def _base(registry: str) -> str:
    """The image with R and Robyn, built only when what it is made of has changed."""
    made_of = hashlib.sha256(b"".join((ROOT / part).read_bytes() for part in _BASE_PARTS)).hexdigest()[:16]
    tag = f"{registry}/trainer-base:{made_of}"
    known = subprocess.run(["docker", "manifest", "inspect", tag], capture_output=True)
    if known.returncode:
        _run("docker", "buildx", "build", "-f", _BASE_PARTS[0], "--push", "-t", tag, ".")
    return tag


def scan(release: Json) -> list[str]:
    """The critical vulnerabilities of a release's images for which there is a fix."""
    found = []
    for image in release["images"].values():
        command = ("gcloud", "artifacts", "docker", "images")
        name = _run(*command, "scan", image, "--remote", "--format=value(response.scan)", shown=False).strip()
        told = _run(*command, "list-vulnerabilities", name, "--format=json", shown=False)
        found += [f"{image}: {one}" for one in fixable(json.loads(told))]
    return found


def fixable(occurrences: list[Json]) -> list[str]:
    """Of what a scan found, the critical vulnerabilities that an update of a package mends."""
    known = [one["vulnerability"] for one in occurrences if "vulnerability" in one]
    return sorted(
        f"{one.get('shortDescription', 'unknown')} in {issue['affectedPackage']}"
        for one in known
        for issue in one.get("packageIssue", [])
        if one.get("effectiveSeverity") == "CRITICAL" and issue.get("fixAvailable")
    )


def record(release: Json, revision: str, at: datetime) -> Json:
    """What is remembered of a release that works, beside Terraform's state."""
    return {"release": release, "revision": revision, "deployed_at": at.isoformat()}


def plan(environment: str, release: Path, expected: str | None, lock: bool) -> Json:
    """Plan a release, refuse what must not be; leaves .build/plan and .build/plan.txt.

    Raises:
        Refused: it must not be applied.
    """
    terraform = ("terraform", f"-chdir={HCL}")
    project = json.loads(release.read_text(encoding="utf-8"))["project"]
    BUILD.mkdir(exist_ok=True)
    _run(*terraform, "init", "-input=false", f"-backend-config=bucket={project}-mmm-state")
    files = [f"-var-file=envs/{environment}.tfvars", f"-var-file={release.resolve()}"]
    _run(*terraform, "plan", "-input=false", f"-lock={str(lock).lower()}", f"-out={PLAN}", *files)
    document: Json = json.loads(_run(*terraform, "show", "-json", str(PLAN), shown=False))
    (BUILD / "plan.txt").write_text("\n".join([f"plan {digest(document)}", *changes(document)]) + "\n")
    check(document, expected)
    return document


def _run(*command: str, shown: bool = True) -> str:
    """One program, which must succeed: its standard output, or nothing if people are to see that."""
    sys.stderr.write(f"$ {' '.join(command)}\n")
    done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr if shown else subprocess.PIPE, text=True)
    if done.returncode:
        raise Refused(f"{command[0]} ended with status {done.returncode}")
    return done.stdout or ""


def main(arguments: Sequence[str]) -> int:
    """0: done; 1: refused, with the reason."""
    given = _parser().parse_args(arguments)
    try:
        for line in given.act(given):
            sys.stdout.write(f"{line}\n")
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _build(given: argparse.Namespace) -> Iterator[str]:
    BUILD.mkdir(exist_ok=True)
    release = build(given.project, given.environment, given.revision)
    _write(RELEASE, release)
    yield f"release={json.dumps(release)}"


def _plan(given: argparse.Namespace) -> Iterator[str]:
    if given.given:
        BUILD.mkdir(exist_ok=True)
        _write(RELEASE, json.loads(given.given))
    document = plan(given.environment, given.release, given.expect or None, lock=not given.no_lock)
    yield f"digest={digest(document)}"


def _apply(_: argparse.Namespace) -> Iterator[str]:
    _run("terraform", f"-chdir={HCL}", "apply", "-input=false", str(PLAN))
    yield "applied"


def _scan(given: argparse.Namespace) -> Iterator[str]:
    if found := scan(json.loads(given.given)):
        raise Refused("update these packages, then build again:\n  " + "\n  ".join(found))
    yield "no critical vulnerability that has a fix"


def _record(given: argparse.Namespace) -> Iterator[str]:
    release = _read(RELEASE)
    _write(DEPLOYED, record(release, given.revision, datetime.now(UTC)))
    _run("gcloud", "storage", "cp", str(DEPLOYED), _deployed_of(release["project"]))
    yield f"recorded in {_deployed_of(release['project'])}"


def _rollback(given: argparse.Namespace) -> Iterator[str]:
    """The last release that worked, again. Data stay as they are."""
    _run("gcloud", "storage", "cp", given.to or _deployed_of(given.project), str(DEPLOYED))
    _write(RELEASE, _read(DEPLOYED)["release"])
    plan(given.environment, RELEASE, None, lock=True)
    yield from _apply(given)


def _deployed_of(project: str) -> str:
    return f"gs://{project}-mmm-state/deployed.json"


def _read(path: Path) -> Json:
    document: Json = json.loads(path.read_text(encoding="utf-8"))
    return document


def _write(path: Path, document: Json) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description="The steps of a deployment.")
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("build", help="build and push images and archive; prints the release")
    for name in ("--project", "--revision"):
        one.add_argument(name, required=True)
    one.add_argument("--environment", required=True, choices=["dev", "prod"])
    one.set_defaults(act=_build)
    one = verbs.add_parser("scan", help="refuse images with critical vulnerabilities that have a fix")
    one.add_argument("--given", required=True, help="the release, as JSON")
    one.set_defaults(act=_scan)
    one = verbs.add_parser("plan", help="plan a release, and refuse to lose data; prints the plan's digest")
    one.add_argument("--environment", required=True, choices=["dev", "prod"])
    one.add_argument("--release", type=Path, default=RELEASE, help="file of the release")
    one.add_argument("--given", help="the release itself, as JSON")
    one.add_argument("--expect", help="the digest of a plan that was seen before")
    one.add_argument("--no-lock", action="store_true", help="only look: do not lock the state")
    one.set_defaults(act=_plan)
    one = verbs.add_parser("apply", help="do what the plan says")
    one.set_defaults(act=_apply)
    one = verbs.add_parser("record", help="remember the release as one that works")
    one.add_argument("--revision", required=True)
    one.set_defaults(act=_record)
    one = verbs.add_parser("rollback", help="deploy the last release that worked, or another")
    one.add_argument("--project", required=True)
    one.add_argument("--environment", required=True, choices=["dev", "prod"])
    one.add_argument("--to", help="address of a deployed.json; default: the last one that worked")
    one.set_defaults(act=_rollback)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
