"""Why a login to Snowflake fails, in plain words.

Snowflake answers "JWT token is invalid" (390144) to a wrong user, a wrong key and a wrong clock alike. What
can be known before connecting is checked before connecting; the rest is told apart by comparing what the
server shows: its clock, and the fingerprint of the key that it holds for the user.

`python -m functions.adapters.gcp.preflight` checks the connections of the environment and exits with 1 if
there is a problem.
"""

from __future__ import annotations

import argparse
import re
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from functions.adapters.gcp.private_key import KeyProblem, LoadedKey, advice_on_form, load_key
from functions.adapters.gcp.snowflake_login import SnowflakeSettings, connect, passphrase, secret
from functions.settings import GcpSettings, MissingSettings, read_settings

if TYPE_CHECKING:
    from snowflake.connector import Connection, Error

Part = Literal["account", "user", "role", "warehouse", "key", "password", "clock", "network", "login"]

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9-]+){0,3}")
_URL = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/?")
_MAX_SKEW_S = 30  # a token is good for a minute
_TIMEOUT_S = 30
_INVALID_JWT = 390144
_NO_SUCH_ACCOUNT = re.compile(r"error status: (403|404)")
_REASONS: dict[str, tuple[Part, str]] = {
    "INVALID_USER_IN_ISSUER": ("user", "there is no such user in the account"),
    "FINGERPRINT_MISMATCH": ("key", "Snowflake holds another public key for the user"),
    "INVALID_SIGNATURE": ("key", "the token was signed with another key than Snowflake holds for the user"),
    "INVALID_ISSUE_TIME": ("clock", "the clock of this machine is wrong: a token is good for a minute"),
}
"""What SYSTEM$GET_LOGIN_FAILURE_DETAILS calls the reasons, where a server's message names one."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was checked."""

    level: Literal["ok", "warning", "problem"]
    part: Part
    text: str


def check(settings: SnowflakeSettings, registered: str | None = None) -> list[CheckResult]:
    """Every check of a connection; those that need no connection come first.

    `registered`: the fingerprint that DESC USER shows for the user, if somebody has looked.
    """
    findings = offline(settings)
    if any(finding.level == "problem" for finding in findings):
        return findings
    skew = measure_skew(settings)
    findings.append(_clock_finding(settings, skew))
    return list(dict.fromkeys(findings + _online(settings, skew, registered)))


def offline(settings: SnowflakeSettings) -> list[CheckResult]:
    """What can be said without connecting: names, key, password."""
    return [*_names(settings), *_credentials(settings)]


def explain(settings: SnowflakeSettings, error: Error) -> CheckResult | None:
    """Why a login failed; None if Snowflake was not reached, so that trying again may help."""
    found = _NO_SUCH_ACCOUNT.search(error.raw_msg)
    if found:
        return _no_account(settings, found.group(1))
    if error.errno == _INVALID_JWT:
        return _why_jwt(settings, error, measure_skew(settings), None)
    known = _refusals(settings).get(error.errno)
    if known:
        return CheckResult("problem", *known)
    if 390000 <= error.errno < 391000:
        return CheckResult("problem", "login", f"Snowflake refuses the login: {error.raw_msg}")
    from snowflake.connector import ProgrammingError

    if isinstance(error, ProgrammingError):  # the driver itself refuses what it was given
        return CheckResult("problem", "login", f"the driver refuses the settings: {error.raw_msg}")
    return None


def no_warehouse(settings: SnowflakeSettings) -> CheckResult:
    """What to say of a session without a warehouse."""
    return CheckResult(
        "problem",
        "warehouse",
        f"the warehouse {settings.warehouse} does not exist or the role {settings.role} may not use it: "
        f"GRANT USAGE ON WAREHOUSE {settings.warehouse} TO ROLE {settings.role}",
    )


def measure_skew(settings: SnowflakeSettings) -> float | None:
    """Seconds by which Snowflake's clock is ahead of ours; None if it does not answer."""
    import requests

    try:
        began = time.time()
        answer = requests.head(settings.address, timeout=10, allow_redirects=False)
        middle = (began + time.time()) / 2
        return parsedate_to_datetime(answer.headers["Date"]).timestamp() - middle
    except (requests.RequestException, KeyError, ValueError):
        return None


# before connecting


def _names(settings: SnowflakeSettings) -> Iterator[CheckResult]:
    account = settings.account
    if "://" in account or account.lower().rstrip("/").endswith(".snowflakecomputing.com"):
        yield CheckResult(
            "problem",
            "account",
            f"'{account}' is an address; only the part before .snowflakecomputing.com is the account",
        )
    elif not _ACCOUNT.fullmatch(account):
        yield CheckResult(
            "problem",
            "account",
            f"'{account}' cannot be an account: organization-account, or locator.region, without spaces",
        )
    if settings.url and not _URL.fullmatch(settings.url):
        yield CheckResult(
            "problem", "network", f"'{settings.url}' cannot be the url of the account: write https://<host>"
        )
    names: list[tuple[Part, str]] = [
        ("user", settings.user),
        ("role", settings.role),
        ("warehouse", settings.warehouse),
    ]
    for part, name in names:
        if not name or name != name.strip() or "'" in name or '"' in name:
            yield CheckResult(
                "problem", part, f"'{name}' cannot be a {part}: empty, or with spaces or quotes"
            )


def _credentials(settings: SnowflakeSettings) -> Iterator[CheckResult]:
    try:
        if settings.password_file:
            secret(settings.password_file)
    except KeyProblem as error:
        yield CheckResult("problem", "password", str(error))
    if not settings.private_key_file:
        if not settings.password_file:
            yield CheckResult("problem", "key", "neither a private key file nor a password file is set")
        return
    try:
        key = load_key(settings.private_key_file, passphrase(settings))
    except KeyProblem as error:
        yield CheckResult("problem", "key", str(error))
        return
    yield CheckResult("ok", "key", f"{key.form}, fingerprint {key.fingerprint}")
    yield from _cautions(settings.private_key_file, key)


def _cautions(path: Path, key: LoadedKey) -> Iterator[CheckResult]:
    advice = advice_on_form(key)
    if advice:
        yield CheckResult("warning", "key", advice)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o022:
        yield CheckResult("warning", "key", f"others may replace {path} (mode {mode:o}): chmod 600")
    elif mode & 0o044:
        yield CheckResult(
            "warning",
            "key",
            f"others may read {path} (mode {mode:o}): right for a mounted secret, else chmod 600",
        )


def _clock_finding(settings: SnowflakeSettings, skew: float | None) -> CheckResult:
    if skew is None:
        return CheckResult(
            "warning",
            "network",
            f"{settings.address} does not answer: check the account's name, DNS and firewall",
        )
    if abs(skew) <= _MAX_SKEW_S:
        return CheckResult("ok", "clock", f"within {abs(skew):.0f} s of Snowflake's")
    return CheckResult("problem" if settings.private_key_file else "warning", "clock", _skew_text(skew))


def _skew_text(skew: float) -> str:
    side = "behind" if skew > 0 else "ahead of"
    return (
        f"the clock of this machine is {abs(skew):.0f} s {side} Snowflake's, and a token is good for a "
        "minute: set it (NTP)"
    )


# with a connection


def _online(settings: SnowflakeSettings, skew: float | None, registered: str | None) -> list[CheckResult]:
    from snowflake.connector import Error

    try:
        connection = connect(settings, _TIMEOUT_S)
    except Error as error:
        if error.errno == _INVALID_JWT:
            return [_why_jwt(settings, error, skew, registered)]
        why = explain(settings, error)
        return [
            why or CheckResult("problem", "network", f"no answer from {settings.address}: {error.raw_msg}")
        ]
    try:
        return _session_findings(settings, connection)
    except Error as error:
        return [CheckResult("problem", "login", f"logged in, but the first query failed: {error.raw_msg}")]
    finally:
        connection.close()


def _session_findings(settings: SnowflakeSettings, connection: Connection) -> list[CheckResult]:
    cursor = connection.cursor()
    cursor.execute("SELECT CURRENT_ROLE(), CURRENT_WAREHOUSE()")
    role, warehouse = cursor.fetchall()[0]
    findings = [CheckResult("ok", "login", f"{settings.user} is logged in")]
    if str(role).upper() == settings.role.upper():
        findings.append(CheckResult("ok", "role", f"{role} is active"))
    else:
        findings.append(CheckResult("problem", "role", f"the role {settings.role} is not active, but {role}"))
    findings.append(CheckResult("ok", "warehouse", str(warehouse)) if warehouse else no_warehouse(settings))
    return findings


def _no_account(settings: SnowflakeSettings, status: str) -> CheckResult:
    return CheckResult(
        "problem",
        "account",
        f"there is no account {settings.account} at {settings.address} (HTTP {status}): write it as "
        "organization-account (SELECT CURRENT_ORGANIZATION_NAME() || '-' || CURRENT_ACCOUNT_NAME()), or a "
        "proxy or private link stands in the way",
    )


def _refusals(settings: SnowflakeSettings) -> dict[int, tuple[Part, str]]:
    user, role = settings.user, settings.role
    grant = f"GRANT ROLE {role} TO USER {user}"
    missing = f"the role {role} does not exist, or the user {user} may not take it: {grant}"
    return {
        390100: (
            "password",
            f"the user {user} does not exist in {settings.account}, or the password is wrong",
        ),
        390101: ("user", f"the user {user} is disabled: ALTER USER {user} SET DISABLED = FALSE"),
        390102: ("user", f"the user {user} is locked after too many attempts; wait 15 minutes"),
        390186: ("role", missing),
        390189: ("role", missing),
        390201: ("warehouse", no_warehouse(settings).text),
        390422: ("network", "a network policy of the account does not admit this machine's address"),
    }


def _why_jwt(
    settings: SnowflakeSettings, error: Error, skew: float | None, registered: str | None
) -> CheckResult:
    """Which of the causes of an invalid token it is, as far as anybody outside can know."""
    for name, (part, text) in _REASONS.items():
        if name in error.raw_msg:
            return CheckResult("problem", part, text)
    if skew is not None and abs(skew) > _MAX_SKEW_S:
        return CheckResult("problem", "clock", _skew_text(skew))
    assert settings.private_key_file  # noqa: S101 (without it there is no token)
    ours = load_key(settings.private_key_file, passphrase(settings)).fingerprint
    held = {registered} if registered else _registered(settings)
    if held is None:
        return CheckResult("problem", "login", _unknown(settings, ours, error))
    if ours in held:
        return CheckResult(
            "problem",
            "user",
            f"the key is the right one ({ours}), so the token names somebody else: compare user "
            f"'{settings.user}' and account '{settings.account}' with LOGIN_NAME and the account's name",
        )
    return CheckResult("problem", "key", _mismatch(settings, ours, held))


def _mismatch(settings: SnowflakeSettings, ours: str, held: set[str]) -> str:
    theirs = " and ".join(sorted(held)) or "none at all"
    return (
        f"Snowflake holds another public key for {settings.user} ({theirs}) than belongs to the private key "
        f"({ours}): ALTER USER {settings.user} SET RSA_PUBLIC_KEY = '…'"
    )


def _unknown(settings: SnowflakeSettings, ours: str, error: Error) -> str:
    number = re.search(r"\[([0-9a-f-]{36})\]", error.raw_msg)
    details = f" Or: SELECT SYSTEM$GET_LOGIN_FAILURE_DETAILS('{number.group(1)}')." if number else ""
    return (
        f"either the user {settings.user} is wrong or the key; the account and the clock are right. As an "
        f"administrator run DESC USER {settings.user}: if there is none, the user is wrong; if its "
        f"RSA_PUBLIC_KEY_FP is not {ours}, the key is.{details}"
    )


def _registered(settings: SnowflakeSettings) -> set[str] | None:
    """The fingerprints that Snowflake holds for the user; None if nobody can ask it."""
    from snowflake.connector import Error

    if not settings.password_file:
        return None
    try:
        connection = connect(settings, _TIMEOUT_S, by_password=True)
    except Error:  # a second opinion that is not to be had
        return None
    try:
        cursor = connection.cursor()
        cursor.execute('DESC USER "{}"'.format(settings.user.upper().replace('"', '""')))
        rows = [[str(value) for value in row] for row in cursor.fetchall()]
        return {row[1] for row in rows if row[0].endswith("_FP") and row[1].startswith("SHA256:")}
    except Error:
        return None
    finally:
        connection.close()


# the command


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the connections of the environment and print what was found; 1 if there is a problem."""
    options = _parser().parse_args(arguments)
    try:
        connections = _connections(options.connection)
    except MissingSettings as error:
        sys.stderr.write(f"{error}\n")
        return 2
    problems = 0
    for name, settings in connections.items():
        sys.stdout.write(f"{name}: {settings.user} at {settings.address}\n")
        for finding in check(settings, options.fingerprint):
            sys.stdout.write(f"  {finding.level:<8} {finding.part:<10} {finding.text}\n")
            problems += finding.level == "problem"
    return int(problems > 0)


def _connections(wanted: Sequence[str]) -> dict[str, SnowflakeSettings]:
    settings = read_settings()
    if not isinstance(settings, GcpSettings):
        raise MissingSettings(f"MMM_FAMILY: the family {settings.family} does not use Snowflake")
    unknown = sorted(set(wanted) - set(settings.snowflake))
    if unknown or not settings.snowflake:
        known = ", ".join(settings.snowflake) or "none"
        raise MissingSettings(f"MMM_SNOWFLAKE: no connection {', '.join(unknown)}; there are: {known}")
    return {
        name: SnowflakeSettings(**connection.model_dump())
        for name, connection in settings.snowflake.items()
        if not wanted or name in wanted
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("preflight", description="Why does a login to Snowflake fail?")
    parser.add_argument("connection", nargs="*", help="which connections; all if none is named")
    parser.add_argument("--fingerprint", help="RSA_PUBLIC_KEY_FP as DESC USER shows it, if known")
    return parser


if __name__ == "__main__":
    sys.exit(main())
