"""Why a login fails: real keys, the real driver, and an endpoint that says as little as Snowflake does."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from functions.adapters.gcp import preflight
from functions.adapters.gcp.preflight import CheckResult, check, offline
from functions.adapters.gcp.private_key import load_key
from functions.adapters.gcp.snowflake import SnowflakeSettings, SnowflakeWarehouse
from functions.errors import Permanent, Unavailable
from tests.adapters.snowflake_login import Account, fingerprint_of, serving

ROOT = Path(__file__).resolve().parents[2]
KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
FINGERPRINT, OTHER_FINGERPRINT = fingerprint_of(KEY.public_key()), fingerprint_of(OTHER.public_key())
ENCRYPTED = BestAvailableEncryption(b"secret")


def pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey = KEY,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
    encoding: Encoding = Encoding.PEM,
) -> bytes:
    return key.private_bytes(encoding, form, encryption or NoEncryption())


def body_of(text: bytes) -> bytes:
    return b"\n".join(text.splitlines()[1:-1])


PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def account() -> Iterator[Account]:
    with serving(Account(keys={"SVC": KEY.public_key()}, passwords={"SVC": "right"})) as account:
        yield account


@pytest.fixture
def settings(account: Account, tmp_path: Path) -> SnowflakeSettings:
    (tmp_path / "key.p8").write_bytes(pem())
    (tmp_path / "key.p8").chmod(0o600)
    return SnowflakeSettings(
        "org-acc", "svc", "reader", "wh", tmp_path / "key.p8", url=account.url, login_timeout_s=2
    )


def with_password(settings: SnowflakeSettings, password: str) -> SnowflakeSettings:
    assert settings.private_key_file
    file = settings.private_key_file.with_name("password")
    file.write_text(password + "\n")
    return replace(settings, password_file=file)


def problems(findings: list[CheckResult]) -> list[tuple[str, str]]:
    return [(finding.part, finding.text) for finding in findings if finding.level == "problem"]


def only_problem(findings: list[CheckResult]) -> tuple[str, str]:
    [problem] = problems(findings)
    return problem


# a login that works


def test_all_is_well(settings: SnowflakeSettings) -> None:
    findings = check(settings)
    assert {finding.level for finding in findings} == {"ok"}
    assert {finding.part for finding in findings} == {"key", "clock", "login", "role", "warehouse"}
    assert any(FINGERPRINT in finding.text for finding in findings)


def test_a_password_is_possible(settings: SnowflakeSettings) -> None:
    by_password = replace(with_password(settings, "right"), private_key_file=None)
    assert problems(check(by_password)) == []
    part, text = only_problem(check(replace(with_password(settings, "wrong"), private_key_file=None)))
    assert part == "password"
    assert "svc does not exist in org-acc, or the password is wrong" in text


@pytest.mark.parametrize(
    ("content", "passphrase", "form"),
    [
        (pem(), None, "PKCS#8"),
        (pem(encryption=ENCRYPTED), "secret\n", "encrypted PKCS#8"),
        (pem(form=PrivateFormat.TraditionalOpenSSL), None, "PKCS#1"),
        (pem(form=PrivateFormat.TraditionalOpenSSL, encryption=ENCRYPTED), "secret", "encrypted PKCS#1"),
        (b"\xef\xbb\xbf" + pem().replace(b"\n", b"\r\n"), None, "PKCS#8"),
    ],
)
def test_every_form_of_the_right_key_logs_in(
    settings: SnowflakeSettings, tmp_path: Path, content: bytes, passphrase: str | None, form: str
) -> None:
    (tmp_path / "key.p8").write_bytes(content)
    if passphrase:
        (tmp_path / "passphrase").write_text(passphrase)
        settings = replace(settings, private_key_passphrase_file=tmp_path / "passphrase")
    findings = check(settings)
    assert problems(findings) == []
    assert CheckResult("ok", "key", f"{form}, fingerprint {FINGERPRINT}") in findings
    advised = any("openssl pkcs8 -topk8" in finding.text for finding in findings)
    assert advised == form.endswith("PKCS#1")


# the key


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello", "is not PEM: no line -----BEGIN"),
        (body_of(pem()), "base64 without the lines -----BEGIN PRIVATE KEY-----"),
        (pem(encoding=Encoding.DER), "is DER, not PEM: openssl pkcs8 -inform DER"),
        (pem().replace(b"\n", b"\\n"), "the two characters"),
        (pem(encryption=ENCRYPTED), "is encrypted, and no passphrase is given"),
        (pem(form=PrivateFormat.TraditionalOpenSSL, encryption=ENCRYPTED), "is encrypted, and no passphrase"),
        (pem()[:800], "damaged: the line -----END PRIVATE KEY----- is missing"),
        (pem().replace(body_of(pem())[200:260], b""), "is damaged: it looks like PEM"),
        (PUBLIC, "is the public key"),
        (pem(form=PrivateFormat.OpenSSH), "OpenSSH's own format; convert it: ssh-keygen"),
        (pem(rsa.generate_private_key(65537, 1024)), "1024 bits; at least 2048"),  # noqa: S505 (the point)
        (pem(ed25519.Ed25519PrivateKey.generate()), "neither an RSA nor an EC key"),
        (
            b"-----BEGIN DH PARAMETERS-----\nMEYC\n-----END DH PARAMETERS-----\n",
            "holds a DH PARAMETERS, not a",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_key_is_known_without_connecting(
    settings: SnowflakeSettings, account: Account, tmp_path: Path, content: bytes, said: str
) -> None:
    account.http_status = 500
    (tmp_path / "key.p8").write_bytes(content)
    part, text = only_problem(check(settings))
    assert part == "key"
    assert said in text
    with (
        pytest.raises(Permanent, match="cannot log in to Snowflake"),
        SnowflakeWarehouse(settings).query("", 1),
    ):
        raise AssertionError("it logged in")


def test_a_wrong_passphrase_and_files_that_are_not_there(settings: SnowflakeSettings, tmp_path: Path) -> None:
    (tmp_path / "key.p8").write_bytes(pem(encryption=ENCRYPTED))
    (tmp_path / "passphrase").write_text("guess")
    wrong = replace(settings, private_key_passphrase_file=tmp_path / "passphrase")
    assert "passphrase is wrong" in only_problem(offline(wrong))[1]
    (tmp_path / "key.p8").write_bytes(pem())
    for field in ("private_key_file", "private_key_passphrase_file", "password_file"):
        missing = replace(settings, **{field: tmp_path / "nowhere"})
        assert "is the secret mounted there" in only_problem(offline(missing))[1]
    nothing = replace(settings, private_key_file=None)
    assert "neither a private key file nor a password file" in only_problem(offline(nothing))[1]


def test_a_folder_where_the_key_should_be(settings: SnowflakeSettings, tmp_path: Path) -> None:
    part, text = only_problem(offline(replace(settings, private_key_file=tmp_path)))
    assert (part, "cannot be read" in text) == ("key", True)


def test_an_ec_key_is_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    assert load_key(tmp_path / "key", None).form == "PKCS#8"


@pytest.mark.parametrize(("mode", "said"), [(0o644, "others may read"), (0o666, "others may replace")])
def test_a_key_that_others_get_at_is_a_warning(settings: SnowflakeSettings, mode: int, said: str) -> None:
    assert settings.private_key_file
    settings.private_key_file.chmod(mode)
    [warning] = [finding for finding in offline(settings) if finding.level == "warning"]
    assert said in warning.text


# the names


@pytest.mark.parametrize(
    ("changes", "part", "said"),
    [
        ({"account": "https://org-acc.snowflakecomputing.com"}, "account", "only the part before"),
        ({"account": "org-acc.snowflakecomputing.com"}, "account", "only the part before"),
        ({"account": "org acc"}, "account", "cannot be an account"),
        ({"user": " svc"}, "user", "' svc' cannot be a user"),
        ({"role": '"reader"'}, "role", "cannot be a role"),
        ({"warehouse": ""}, "warehouse", "cannot be a warehouse"),
        ({"url": "org-acc.privatelink.snowflakecomputing.com"}, "network", "write https://<host>"),
        ({"url": "https://127.0.0.1:port"}, "network", "cannot be the url"),
        ({"url": "ftp://127.0.0.1"}, "network", "cannot be the url"),
    ],
)
def test_names_that_cannot_be_are_known_without_connecting(
    settings: SnowflakeSettings, changes: dict[str, str], part: str, said: str
) -> None:
    found = only_problem(offline(replace(settings, **changes)))
    assert found[0] == part
    assert said in found[1]


def test_everything_wrong_is_said_at_once(settings: SnowflakeSettings, tmp_path: Path) -> None:
    (tmp_path / "key.p8").write_bytes(b"hello")
    wrong = replace(settings, account="a b", user="", role="'", password_file=tmp_path / "nowhere")
    assert [part for part, _ in problems(offline(wrong))] == ["account", "user", "role", "password", "key"]
    with pytest.raises(Permanent) as refused, SnowflakeWarehouse(wrong).query("SELECT 1", 1):
        raise AssertionError("it logged in")
    assert len(refused.value.problem.errors) == 5


# what only the server knows; to the first four it gives one and the same answer


def test_a_wrong_clock(settings: SnowflakeSettings, account: Account) -> None:
    account.ahead = timedelta(minutes=5)
    part, text = only_problem(check(settings))
    assert part == "clock"
    assert re.search(r"(299|300|301) s behind Snowflake's", text)
    account.ahead = -timedelta(minutes=5)
    assert re.search(r"(299|300|301) s ahead of Snowflake's", only_problem(check(settings))[1])


def test_a_key_that_is_not_the_users(settings: SnowflakeSettings, account: Account) -> None:
    account.keys["SVC"] = OTHER.public_key()
    for findings in (check(with_password(settings, "right")), check(settings, registered=OTHER_FINGERPRINT)):
        part, text = only_problem(findings)
        assert part == "key"
        assert FINGERPRINT in text
        assert OTHER_FINGERPRINT in text
        assert "ALTER USER svc SET RSA_PUBLIC_KEY" in text


def test_a_user_without_a_key(settings: SnowflakeSettings, account: Account) -> None:
    del account.keys["SVC"]
    part, text = only_problem(check(with_password(settings, "right")))
    assert part == "key"
    assert "none at all" in text


def test_a_wrong_user(settings: SnowflakeSettings) -> None:
    part, text = only_problem(check(replace(settings, user="svcc"), registered=FINGERPRINT))
    assert part == "user"
    assert "'svcc'" in text


def test_without_a_second_opinion_it_says_what_to_compare(settings: SnowflakeSettings) -> None:
    for doubtful in (replace(settings, user="svcc"), with_password(replace(settings, user="svcc"), "right")):
        part, text = only_problem(check(doubtful))
        assert part == "login"
        assert "DESC USER svcc" in text
        assert FINGERPRINT in text
        assert "SYSTEM$GET_LOGIN_FAILURE_DETAILS('5f0b1c3e-" in text


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        ("JWT_TOKEN_INVALID_USER_IN_ISSUER", "user"),
        ("JWT_TOKEN_INVALID_PUBLIC_KEY_FINGERPRINT_MISMATCH", "key"),
        ("JWT_TOKEN_INVALID_SIGNATURE", "key"),
        ("JWT_TOKEN_INVALID_ISSUE_TIME", "clock"),
    ],
)
def test_a_reason_that_the_server_names_is_taken(
    settings: SnowflakeSettings, account: Account, reason: str, part: str
) -> None:
    account.refuses = ("390144", f"JWT token is invalid. {reason}")
    assert only_problem(check(settings))[0] == part


def test_a_wrong_account(settings: SnowflakeSettings) -> None:
    part, text = only_problem(check(replace(settings, account="org-other")))
    assert part == "account"
    assert "there is no account org-other" in text


def test_a_wrong_role(settings: SnowflakeSettings) -> None:
    part, text = only_problem(check(replace(settings, role="owner")))
    assert part == "role"
    assert "GRANT ROLE owner TO USER svc" in text


def test_a_role_that_is_not_the_one_asked_for(settings: SnowflakeSettings, account: Account) -> None:
    account.active_role = "PUBLIC"
    assert only_problem(check(settings)) == ("role", "the role reader is not active, but PUBLIC")


def test_a_session_that_answers_no_query(settings: SnowflakeSettings, account: Account) -> None:
    account.refuses_queries = ("000603", "SQL execution internal error")
    part, text = only_problem(check(settings))
    assert part == "login"
    assert "logged in, but the first query failed: SQL execution internal error" in text


def test_a_wrong_clock_does_not_stop_a_password(settings: SnowflakeSettings, account: Account) -> None:
    account.ahead = timedelta(minutes=5)
    findings = check(replace(with_password(settings, "right"), private_key_file=None))
    assert problems(findings) == []
    assert [finding.part for finding in findings if finding.level == "warning"] == ["clock"]


def test_a_wrong_warehouse(settings: SnowflakeSettings) -> None:
    part, text = only_problem(check(replace(settings, warehouse="other")))
    assert part == "warehouse"
    assert "GRANT USAGE ON WAREHOUSE other TO ROLE reader" in text


@pytest.mark.parametrize(
    ("code", "part", "said"),
    [
        ("390101", "user", "the user svc is disabled: ALTER USER svc SET DISABLED = FALSE"),
        ("390102", "user", "the user svc is locked after too many attempts"),
        ("390186", "role", "the user svc may not take it: GRANT ROLE reader TO USER svc"),
        ("390201", "warehouse", "GRANT USAGE ON WAREHOUSE wh TO ROLE reader"),
        ("390422", "network", "a network policy of the account does not admit"),
        ("390999", "login", "as the server says it"),
    ],
)
def test_other_refusals(
    settings: SnowflakeSettings, account: Account, code: str, part: str, said: str
) -> None:
    account.refuses = (code, "as the server says it")
    found = only_problem(check(settings))
    assert found[0] == part
    assert said in found[1]


def test_a_server_that_does_not_answer(settings: SnowflakeSettings) -> None:
    away = replace(settings, url="http://127.0.0.1:9")
    assert only_problem(check(away))[0] == "network"
    with pytest.raises(Unavailable), SnowflakeWarehouse(away).query("SELECT 1", 1):
        raise AssertionError("it logged in")


def test_a_refused_login_explains_itself_to_whoever_asked(
    settings: SnowflakeSettings, account: Account
) -> None:
    account.ahead = timedelta(minutes=5)
    with (
        pytest.raises(Permanent, match=r"(299|300|301) s behind Snowflake's"),
        SnowflakeWarehouse(settings).query("SELECT 1", 1),
    ):
        raise AssertionError("it logged in")


# the command


@pytest.fixture
def command(settings: SnowflakeSettings) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        connection = {
            "account": "org-acc", "user": "svc", "role": "reader", "warehouse": "wh",
            "private_key_file": str(settings.private_key_file), "url": settings.url, **changes,
        }  # fmt: skip
        environment = {
            "PATH": os.environ["PATH"], "MMM_FAMILY": "gcp", "MMM_PROJECT": "p", "MMM_REGION": "r",
            "MMM_BUCKET": "b", "MMM_ENGINES": '["native"]', "MMM_QUEUES": '{"default": 1}',
            "MMM_TRAINER_JOBS": json.dumps({"native": "t"}),
            "MMM_SNOWFLAKE": json.dumps({"shop": connection}), "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", preflight.__name__, *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_the_command_tells_what_it_found(command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    good = command()
    assert good.returncode == 0, good.stderr
    assert f"fingerprint {FINGERPRINT}" in good.stdout
    bad = command("shop", "--fingerprint", OTHER_FINGERPRINT, user="svcc")
    assert bad.returncode == 1
    assert "problem  key" in bad.stdout
    assert "Traceback" not in bad.stderr
    unknown = command("shp")
    assert unknown.returncode == 2
    assert "no connection shp; there are: shop" in unknown.stderr


def test_no_secret_is_ever_shown(settings: SnowflakeSettings, account: Account) -> None:
    account.refuses = ("390144", "JWT token is invalid.")
    said = repr(check(with_password(settings, "very secret"))) + repr(settings)
    assert "very secret" not in said
    assert base64.b64encode(pem(encoding=Encoding.DER)).decode()[100:140] not in said
