"""The private key of a key-pair login: reading it, and explaining what is wrong with it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey

MIN_RSA_BITS = 2048
_TO_PKCS8 = "openssl pkcs8 -topk8 -nocrypt -in old.pem -out rsa_key.p8"
_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_OTHER_PEM = {
    "PUBLIC KEY": "the public key; mount the private one, and keep the public one for ALTER USER",
    "RSA PUBLIC KEY": "the public key; mount the private one, and keep the public one for ALTER USER",
    "CERTIFICATE": "a certificate; mount the private key that belongs to it",
    "OPENSSH PRIVATE KEY": "in OpenSSH's own format; convert it: ssh-keygen -p -m PKCS8 -f the_key",
}


class KeyProblem(ValueError):
    """The key cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class LoadedKey:
    """A usable key."""

    key: PrivateKey
    form: str  # PKCS#8, encrypted PKCS#8, PKCS#1 or SEC1

    @property
    def fingerprint(self) -> str:
        """SHA256 of the public key's DER form, as DESC USER shows it (RSA_PUBLIC_KEY_FP)."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def load_key(path: Path, passphrase: bytes | None) -> LoadedKey:
    """Read a PEM file that holds an RSA or EC private key.

    Raises:
        KeyProblem: it is missing, not PEM, of another kind, encrypted, damaged or too weak.
    """
    text = _text(path)
    label = _label(path, text)
    encrypted = "ENCRYPTED" in label or "Proc-Type: 4,ENCRYPTED" in text
    if encrypted and not passphrase:
        raise KeyProblem(
            f"{path} is encrypted, and no passphrase is given: mount it as a file too, or decrypt the key: "
            "openssl pkcs8 -in key.p8 -out plain.p8"
        )
    key = _parse(path, text, passphrase if encrypted else None)
    return LoadedKey(key, _form(label, encrypted))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise KeyProblem(f"{path} does not exist: is the secret mounted there?") from None
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}; check owner and mode") from error
    if not raw.strip():
        raise KeyProblem(f"{path} is empty")
    if raw[:1] == b"\x30" and b"-----BEGIN" not in raw:
        raise KeyProblem(f"{path} is DER, not PEM: openssl pkcs8 -inform DER -in key.der -out rsa_key.p8")
    text = raw.decode("utf-8-sig", "replace").strip()
    if "\\n" in text:
        raise KeyProblem(
            f"{path} holds the two characters \\ and n where lines should end: store the file itself as the "
            "secret, not a quoted copy"
        )
    return text


def _label(path: Path, text: str) -> str:
    found = _BEGIN.search(text)
    if not found:
        raise KeyProblem(f"{path} is not PEM: {_what_instead(text)}")
    label = found.group(1)
    if label in _OTHER_PEM:
        raise KeyProblem(f"{path} is {_OTHER_PEM[label]}")
    if not label.endswith("PRIVATE KEY"):
        raise KeyProblem(f"{path} holds a {label}, not a private key")
    if f"-----END {label}-----" not in text:
        raise KeyProblem(f"{path} is damaged: the line -----END {label}----- is missing; it was cut short")
    return label


def _what_instead(text: str) -> str:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return "no line -----BEGIN … PRIVATE KEY----- is in it"
    return "it is base64 without the lines -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----"


def _parse(path: Path, text: str, passphrase: bytes | None) -> PrivateKey:
    try:
        key = load_pem_private_key(text[text.index("-----BEGIN") :].encode(), passphrase)
    except UnsupportedAlgorithm as error:
        raise KeyProblem(f"{path} is of a kind that is not supported ({error}); make an RSA key") from error
    except (ValueError, TypeError) as error:
        if passphrase:
            raise KeyProblem(f"{path}: the passphrase is wrong, or the key is damaged") from error
        raise KeyProblem(f"{path} is damaged: it looks like PEM, but its content is no key") from error
    if isinstance(key, RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise KeyProblem(f"{path} is an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are needed")
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise KeyProblem(f"{path} is neither an RSA nor an EC key; make an RSA key")
    return key


def _form(label: str, encrypted: bool) -> str:
    plain = {"RSA PRIVATE KEY": "PKCS#1", "EC PRIVATE KEY": "SEC1"}.get(label, "PKCS#8")
    return f"encrypted {plain}" if encrypted else plain


def advice_on_form(key: LoadedKey) -> str | None:
    """What to do about a key that works here but not in every tool; None if there is nothing."""
    if key.form.endswith("PKCS#8"):
        return None
    return f"{key.form} works here, but other tools of Snowflake want PKCS#8: {_TO_PKCS8}"
