"""Secrets: sealed for one service and one key of it, and never in clear anywhere else.

A secret travels as ``{"$secret": {"kid", "nonce", "ct"}}`` and lies in the database as
``v1:`` + base64(nonce and ciphertext). Service, key and key id are bound to the ciphertext, so
one that was moved to another row does not open. The key is derived from the master key for each
service, so no service can open what belongs to another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from parlour_kit.log import keep_secret

from parlour_config.canonical import canonical
from parlour_config.errors import BadKeyError, SignedConfigError

Sealed: TypeAlias = dict[str, dict[str, str]]

SYMMETRIC_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
MASKED: Final[dict[str, bool]] = {"$masked": True}
"""What answers show instead of a secret; sent back, it means "leave it as it is"."""

_MARK = "$secret"
_ROW = "v1:"
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class UnreadableSecretError(SignedConfigError):
    """A sealed secret does not open; the text names the service and the key, nothing else."""

    code = "SECRET_UNREADABLE"
    hint = "set the secret again, or give this service the key that it was sealed with"


def derive(master: bytes, info: str) -> bytes:
    """HKDF-SHA256 with an empty salt: 32 bytes for one purpose.

    Raises:
        BadKeyError: the master key has not 32 bytes.
    """
    if len(master) != SYMMETRIC_BYTES:
        raise BadKeyError(f"a master key has {SYMMETRIC_BYTES} bytes, not {len(master)}")
    return HKDF(SHA256(), SYMMETRIC_BYTES, None, info.encode()).derive(master)


def service_key(master: bytes, service: str) -> bytes:
    """The key that the secrets of a service are sealed with, from ``CONFIG_MASTER_KEY``."""
    return derive(master, f"svc/v1/{service}")


def lkg_key(master: bytes, service: str) -> bytes:
    """The key of a service's last-known-good file, from ``LKG_HMAC_KEY``."""
    return derive(master, f"lkg/v1/{service}")


def mask_key(master: bytes) -> bytes:
    """The key of the tags in history, from ``CONFIG_MASTER_KEY``."""
    return derive(master, "mask/v1")


def symmetric_id(key: bytes) -> str:
    """The id of a master key: 16 hex digits that say nothing about it."""
    return hashlib.sha256(b"kid" + key).hexdigest()[:16]


def seal(
    value: str,
    key: bytes,
    *,
    service: str,
    name: str,
    kid: str,
    random: Callable[[int], bytes] = os.urandom,
) -> Sealed:
    """Encrypt a secret with AES-256-GCM.

    Args:
        value: the secret.
        key: of the service, from :func:`service_key`.
        service: whose it is; bound to the ciphertext.
        name: the key in the service's configuration; bound to the ciphertext.
        kid: the id of the master key; bound to the ciphertext.
        random: gives the nonce, which must never come twice under one key.
    """
    keep_secret(value)
    nonce = random(NONCE_BYTES)
    text = _cipher(key).encrypt(nonce, value.encode(), _bound(service, name, kid))
    return {_MARK: {"kid": kid, "nonce": _b64(nonce), "ct": _b64(text)}}


def open_sealed(
    sealed: object, keys_by_kid: Mapping[str, bytes], *, service: str, name: str
) -> str:
    """Decrypt a secret.

    Args:
        sealed: as it stands in the configuration.
        keys_by_kid: the service's keys, by the id of the master key each was derived from.
        service: whose it is.
        name: the key that it was found under.

    Raises:
        UnreadableSecretError: another form, an unknown key id, or not sealed for this place.
    """
    where = f"{service}.{name}"
    kid, nonce, text = _parts(sealed, where)
    key = keys_by_kid.get(kid)
    if key is None:
        raise UnreadableSecretError(f"there is no key for the secret {where}")
    try:
        value = _cipher(key).decrypt(nonce, text, _bound(service, name, kid)).decode()
    except (InvalidTag, UnicodeDecodeError):
        raise UnreadableSecretError(f"the secret {where} does not open") from None
    keep_secret(value)
    return value


def is_sealed(value: object) -> bool:
    """Whether a value of a configuration claims to be a sealed secret."""
    return isinstance(value, dict) and _MARK in value


def is_masked(value: object) -> bool:
    """Whether a value is exactly what answers show instead of a secret."""
    return isinstance(value, dict) and len(value) == 1 and value.get("$masked") is True


def mask_tag(value: str, key: bytes, *, service: str, name: str) -> str:
    """16 hex digits by which history shows whether a secret changed, and nothing else.

    Args:
        value: the secret.
        key: from :func:`mask_key`; without it a short secret could be guessed from its tag.
        service: the same secret has another tag at another service
        name: or under another key.
    """
    return hmac.digest(key, canonical([service, name, value]), "sha256").hex()[:16]


def to_row(sealed: object) -> str:
    """The same ciphertext as ``encrypted_secrets.encrypted_value`` holds it.

    Raises:
        UnreadableSecretError: this is no sealed secret.
    """
    _, nonce, text = _parts(sealed, "to be stored")
    return _ROW + _b64(nonce + text)


def from_row(row: str, kid: str) -> Sealed:
    """The same ciphertext as it travels.

    Raises:
        UnreadableSecretError: the row or the id has another form.
    """
    raw = _decode(row.removeprefix(_ROW)) if row.startswith(_ROW) else None
    if raw is None or len(raw) < NONCE_BYTES + TAG_BYTES or not _KEY_ID.fullmatch(kid):
        raise UnreadableSecretError("a stored secret has an unknown form")
    return {_MARK: {"kid": kid, "nonce": _b64(raw[:NONCE_BYTES]), "ct": _b64(raw[NONCE_BYTES:])}}


def _parts(sealed: object, where: str) -> tuple[str, bytes, bytes]:
    """Key id, nonce and ciphertext of the one form that a sealed secret has."""
    match sealed:
        case {"$secret": {"kid": str(kid), "nonce": str(nonce), "ct": str(text), **more}, **rest}:
            raw_nonce, raw_text = _decode(nonce), _decode(text)
            if (
                not more
                and not rest
                and _KEY_ID.fullmatch(kid)
                and raw_nonce is not None
                and raw_text is not None
                and len(raw_nonce) == NONCE_BYTES
                and len(raw_text) >= TAG_BYTES
            ):
                return kid, raw_nonce, raw_text
        case _:
            pass
    raise UnreadableSecretError(f"the secret {where} is not in the form of a sealed one")


def _cipher(key: bytes) -> AESGCM:
    if len(key) != SYMMETRIC_BYTES:
        raise BadKeyError(f"a service's key has {SYMMETRIC_BYTES} bytes, not {len(key)}")
    return AESGCM(key)


def _bound(service: str, name: str, kid: str) -> bytes:
    return canonical([service, name, kid])


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes | None:
    """The bytes of the one standard base64 text of them."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return raw if _b64(raw) == text else None
