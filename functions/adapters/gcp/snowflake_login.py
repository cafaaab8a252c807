"""How one connection logs in to Snowflake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from functions.adapters.gcp.private_key import KeyProblem, load_key

if TYPE_CHECKING:
    from snowflake.connector import Connection


_CHUNK_MB = 48  # of an answer; the least that Snowflake allows, of which these are in memory at once:
_FETCHED_AHEAD = 2
_GRACE_S = 15  # Snowflake ends a late statement; only if it does not answer at all, we do


@dataclass(frozen=True)
class SnowflakeSettings:
    """One connection. A key pair is used if there is a key file, otherwise the password.

    With both, the password only helps the preflight to tell a wrong user from a wrong key.
    """

    account: str  # organization-account, or locator.region
    user: str
    role: str  # may read the tables meant for it and nothing else
    warehouse: str
    private_key_file: Path | None = None
    private_key_passphrase_file: Path | None = None
    password_file: Path | None = None
    url: str | None = None  # where the account answers, if not at its public address (private link)
    query_tag: str = "mmm-trainer"
    login_timeout_s: int = 30

    @property
    def address(self) -> str:
        """Where the account answers."""
        return self.url or f"https://{self.account.lower().replace('_', '-')}.snowflakecomputing.com"


def connect(settings: SnowflakeSettings, timeout_s: float, *, by_password: bool = False) -> Connection:
    """Log in; the caller closes the connection. Snowflake stops each of its statements after `timeout_s`.

    Raises:
        KeyProblem: the key, its passphrase or the password cannot be read.
        snowflake.connector.Error: the login failed.
    """
    from snowflake.connector import Connection

    address, limit_s = urlsplit(settings.address), max(1, int(timeout_s))
    return Connection(
        account=settings.account,
        user=settings.user,
        role=settings.role,
        warehouse=settings.warehouse,
        protocol=address.scheme,
        host=address.hostname,
        port=address.port or (443 if address.scheme == "https" else 80),
        login_timeout=settings.login_timeout_s,
        request_timeout=settings.login_timeout_s,
        query_timeout=limit_s + _GRACE_S,
        session_parameters={
            "QUERY_TAG": settings.query_tag,
            "STATEMENT_TIMEOUT_IN_SECONDS": limit_s,
            "TIMEZONE": "UTC",  # not the account's, so that a query means the same everywhere
            "CLIENT_RESULT_CHUNK_SIZE": _CHUNK_MB,
        },
        paramstyle="qmark",  # values go to the server beside the query, which holds a `?` for each
        client_prefetch_threads=_FETCHED_AHEAD,
        arrow_number_to_decimal=True,
        force_microsecond_precision=True,
        server_session_keep_alive=False,
        enable_server_session_keep_alive_auto_detection=False,
        **_credentials(settings, by_password),
    )


def _credentials(settings: SnowflakeSettings, by_password: bool) -> dict[str, Any]:
    if settings.private_key_file and not by_password:
        loaded = load_key(settings.private_key_file, passphrase(settings))
        return {"authenticator": "SNOWFLAKE_JWT", "private_key": loaded.key}
    if not settings.password_file:
        raise KeyProblem("neither a private key file nor a password file is set: set one of them")
    return {"password": secret(settings.password_file).decode()}


def passphrase(settings: SnowflakeSettings) -> bytes | None:
    """The passphrase of the private key; None if none is set.

    Raises:
        KeyProblem: its file cannot be read.
    """
    file = settings.private_key_passphrase_file
    return secret(file) if file else None


def secret(path: Path) -> bytes:
    """What a mounted secret holds, without the line's end.

    Raises:
        KeyProblem: the file cannot be read or is empty.
    """
    try:
        found = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}; is the secret mounted there?") from error
    if not found:
        raise KeyProblem(f"{path} is empty")
    return found
