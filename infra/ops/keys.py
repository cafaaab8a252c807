"""Keys for Snowflake: set, test, retire, check. No key is ever shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from functions.adapters.gcp.preflight import check as preflight
from functions.adapters.gcp.private_key import KeyProblem, load_key
from functions.adapters.gcp.snowflake_login import SnowflakeSettings
from infra.ops.gcloud import CloudRefused, gcloud
from infra.ops.place import EXTRACT, described, environment
from infra.ops.report import Report, Row, Usage

MAX_DAYS = 365
"""An older key is a finding."""


def connections(project: str) -> dict[str, dict[str, Any]]:
    """The connections that extract is deployed with, by name."""
    found: dict[str, dict[str, Any]] = environment(described(project, EXTRACT)).get("snowflake", {})
    return found


def key_set(project: str, connection: str, file: Path) -> Report:
    """Add a key as the newest version of its secret. The former one stays until it is retired.

    Raises:
        Usage: the file holds no usable key, or there is no such connection.
    """
    name = _secret(project, connection, "key")
    with _stored(project, connection, "passphrase") as passphrase:
        fingerprint = _fingerprint(file, passphrase)
    made = gcloud(project, "secrets", "versions", "add", name, f"--data-file={file}")
    note = f"now: key test {connection}, then key retire {connection}"
    return Report([{"connection": connection, "version": _number(made), "fingerprint": fingerprint}], note)


def key_test(project: str, connection: str, file: Path | None) -> Report:
    """Log in to Snowflake with the newest key, or with that of a file: a row per thing that was checked."""
    known = connections(project).get(connection)
    if known is None:
        raise Usage(f"there is no connection {connection}")
    with _stored(project, connection, "key") as stored, _stored(project, connection, "passphrase") as secret:
        if not (key := file or stored):
            missing: Row = {"level": "problem", "part": "key", "text": "its secret has no version"}
            return Report([missing], good=False)
        found = preflight(
            SnowflakeSettings(
                account=known["account"],
                user=known["user"],
                role=known["role"],
                warehouse=known["warehouse"],
                private_key_file=key,
                private_key_passphrase_file=secret,
                url=known.get("url"),
            )
        )
    rows: list[Row] = [{"level": one.level, "part": one.part, "text": one.text} for one in found]
    return Report(rows, good=all(one.level != "problem" for one in found))


def key_retire(project: str, connection: str, disable: bool) -> Report:
    """The versions of a key but the newest; with `disable` they are disabled, if the newest can log in."""
    name = _secret(project, connection, "key")
    former = _enabled(project, name)[1:]
    if disable and former:
        tested = key_test(project, connection, None)
        if not tested.good:
            return Report(tested.rows, "nothing was disabled: the newest key cannot log in", good=False)
        for version in former:
            gcloud(project, "secrets", "versions", "disable", _number(version), f"--secret={name}")
    done = "disabled" if disable else "would be disabled"
    rows: list[Row] = [{"connection": connection, "version": _number(one), "done": done} for one in former]
    return Report(rows, "" if disable else "--disable does it")


def key_check(project: str, now: datetime) -> Report:
    """Fingerprint and age of the newest key of every connection; none, or an old one, is a finding."""
    rows = [_checked(project, connection, now) for connection in connections(project)]
    return Report(rows, good=all(row["good"] for row in rows))


def _checked(project: str, connection: str, now: datetime) -> Row:
    row: Row = {"connection": connection, "good": False}
    versions = _enabled(project, f"snowflake-{connection}-key")
    if not versions:
        return {**row, "note": f"no version: key set {connection} FILE"}
    age = (now - datetime.fromisoformat(versions[0]["createTime"]).astimezone(UTC)).days
    row |= {"version": _number(versions[0]), "age_days": age}
    with _stored(project, connection, "key") as key, _stored(project, connection, "passphrase") as passphrase:
        if key is None:
            return {**row, "note": "its newest version cannot be read"}
        try:
            row["fingerprint"] = _fingerprint(key, passphrase)
        except Usage as error:
            return {**row, "note": str(error).replace(str(key), "the key")}
    old = age > MAX_DAYS
    return {**row, "good": not old, "note": f"older than {MAX_DAYS} days: set a new one" if old else ""}


def _secret(project: str, connection: str, part: str) -> str:
    known = connections(project)
    if connection not in known:
        raise Usage(f"there is no connection {connection}; there are: {', '.join(known) or 'none'}")
    return f"snowflake-{connection}-{part}"


def _enabled(project: str, secret: str) -> list[dict[str, Any]]:
    """Enabled versions, the newest first."""
    found = gcloud(project, "secrets", "versions", "list", secret, "--filter=state=ENABLED") or []
    return sorted(found, key=lambda one: int(_number(one)), reverse=True)


def _number(version: dict[str, Any]) -> str:
    return str(version["name"]).rsplit("/", 1)[1]


def _fingerprint(file: Path, passphrase: Path | None) -> str:
    try:
        return load_key(file, passphrase.read_bytes().strip() if passphrase else None).fingerprint
    except KeyProblem as error:
        raise Usage(str(error)) from error


@contextmanager
def _stored(project: str, connection: str, part: str) -> Iterator[Path | None]:
    """The newest version of a secret, as a file that only we may read and that is gone afterwards."""
    secret = f"snowflake-{connection}-{part}"
    try:
        answer = gcloud(project, "secrets", "versions", "access", "latest", f"--secret={secret}")
    except CloudRefused as error:
        if "NOT_FOUND" not in str(error):
            raise
        yield None
        return
    with TemporaryDirectory() as folder:  # of mode 700
        file = Path(folder) / part
        file.touch(mode=0o600)
        file.write_bytes(base64.urlsafe_b64decode(answer["payload"]["data"]))
        yield file
