"""One service's signed configuration on the wire: made, read and verified.

Reading and verifying are two steps so that a message's claims can be looked at (by the
manager, which asks whose message this is) before anybody relies on them. The bytes are
parsed once; what was verified is what is handed on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parlour_contracts.base import NAME_PATTERN
from parlour_contracts.messages.configuration import KEY_PATTERN

from parlour_config.canonical import MAX_DEPTH, MAX_UPDATE_BYTES, canonical, load
from parlour_config.clock import parse_moment
from parlour_config.errors import (
    BadEncodingError,
    BadSignatureError,
    ClockError,
    RefusedJsonError,
    RefusedUpdateError,
    UpdateCode,
)
from parlour_config.pae import CONFIG_UPDATE
from parlour_config.signing import SigningKey, TrustedKey, decode_signature, verify

VERSION = 1
FIELDS = frozenset(
    {"version", "service", "config", "checksum", "config_epoch", "issued_at", "signature"}
)
MAX_KEY_CHARACTERS = 128
CONFIG_DEPTH = MAX_DEPTH - 1
"""The message itself is a container around the configuration."""

_NAME = re.compile(NAME_PATTERN)
_KEY = re.compile(KEY_PATTERN)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_EPOCH = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Update:
    """A message that has the right form; only :func:`check_update` makes it trustworthy.

    Attributes:
        config: complete; secrets are sealed.
        issued_at: compared as text.
        signature: 88 characters of base64.
        raw: the bytes as they came, for the last-known-good file.
    """

    service: str
    config: dict[str, Any]
    checksum: str
    config_epoch: str
    issued_at: str
    signature: str
    raw: bytes

    def body(self) -> bytes:
        """The canonical bytes of the six signed fields."""
        return _body(self, canonical(self.config, CONFIG_DEPTH))


def build_update(
    key: SigningKey, *, service: str, config: Mapping[str, Any], config_epoch: str, issued_at: str
) -> bytes:
    """Sign a configuration; the result is canonical and :func:`read_update` takes it.

    Raises:
        RefusedUpdateError: a field breaks its rule, or ``TOO_LARGE``: over 262,144 bytes.
    """
    settings = dict(config)
    try:
        text = canonical(settings, CONFIG_DEPTH)
        digest = hashlib.sha256(text).hexdigest()
        _check_fields(
            {
                "service": service,
                "config": settings,
                "checksum": digest,
                "config_epoch": config_epoch,
                "issued_at": issued_at,
            }
        )
    except RefusedJsonError as error:
        raise _refused(error) from None
    signature = key.sign(
        CONFIG_UPDATE, _spliced(text, digest, config_epoch, issued_at, service, None)
    )
    wire = _spliced(text, digest, config_epoch, issued_at, service, signature)
    if len(wire) > MAX_UPDATE_BYTES:
        raise RefusedUpdateError("TOO_LARGE", f"{len(wire)} bytes, the limit is {MAX_UPDATE_BYTES}")
    return wire


def read_update(payload: bytes) -> Update:
    """Steps 1 to 3: size, strict JSON, form, and the signature's text.

    Raises:
        RefusedUpdateError: with the code of the first rule that it breaks, and no other error
            whatever the bytes are.
    """
    try:
        message = load(payload, MAX_UPDATE_BYTES)
    except RefusedJsonError as error:
        raise _refused(error) from None
    if not isinstance(message, dict) or not _is_version(message.get("version")):
        raise RefusedUpdateError("BAD_VERSION", f"no message of version {VERSION}")
    if message.keys() != FIELDS:
        raise RefusedUpdateError("BAD_FIELDS", "the message does not have the seven fields")
    _check_fields(message)
    signature = message["signature"]
    if not isinstance(signature, str):
        raise RefusedUpdateError("BAD_FIELD", "signature breaks its rule")
    try:
        decode_signature(signature)
    except BadEncodingError as error:
        raise RefusedUpdateError("BAD_ENCODING", str(error)) from None
    return Update(
        service=message["service"],
        config=message["config"],
        checksum=message["checksum"],
        config_epoch=message["config_epoch"],
        issued_at=message["issued_at"],
        signature=signature,
        raw=bytes(payload),
    )


def check_update(update: Update, keys: Sequence[TrustedKey], *, kid_hint: str | None = None) -> str:
    """Steps 4 and 5: the signature, then the checksum.

    Args:
        update: as read.
        keys: at most four.
        kid_hint: an unsigned ``kid``; it changes the order of the attempts, nothing else.

    Returns:
        The ``kid`` of the key that signed.

    Raises:
        RefusedUpdateError: ``BAD_SIGNATURE`` or ``BAD_CHECKSUM``.
        BadKeyError: more than four keys.
    """
    config = canonical(update.config, CONFIG_DEPTH)
    try:
        kid = verify(keys, CONFIG_UPDATE, _body(update, config), update.signature, hint=kid_hint)
    except BadSignatureError as error:
        raise RefusedUpdateError("BAD_SIGNATURE", str(error)) from None
    if hashlib.sha256(config).hexdigest() != update.checksum:
        raise RefusedUpdateError("BAD_CHECKSUM", "the checksum is not that of the configuration")
    return kid


def _body(update: Update, config: bytes) -> bytes:
    return _spliced(
        config, update.checksum, update.config_epoch, update.issued_at, update.service, None
    )


def _spliced(
    config: bytes, digest: str, epoch: str, issued_at: str, service: str, signature: str | None
) -> bytes:
    """The canonical text of a message around the canonical text of its configuration.

    The configuration is most of the message, and making its canonical text most of the work; so
    that is made once for checksum, signature and message. The other fields are plain ASCII by
    their rules, and these are their names in RFC 8785's order.
    """
    signed = b'"signature":"%b",' % signature.encode() if signature is not None else b""
    form = (
        b'{"checksum":"%b","config":%b,"config_epoch":"%b","issued_at":"%b","service":"%b",%b'
        b'"version":%d}'
    )
    return form % (
        digest.encode(), config, epoch.encode(), issued_at.encode(), service.encode(), signed,
        VERSION,
    )  # fmt: skip


def _is_version(value: object) -> bool:
    return type(value) is int and value == VERSION  # a bool is an int, and 1.0 == 1


def _check_fields(message: Mapping[str, Any]) -> None:
    """The rule of each signed field."""
    for field, form in (("service", _NAME), ("checksum", _DIGEST), ("config_epoch", _EPOCH)):
        value = message[field]
        if not isinstance(value, str) or form.fullmatch(value) is None:
            raise RefusedUpdateError("BAD_FIELD", f"{field} breaks its rule")
    moment = message["issued_at"]
    try:
        parse_moment(moment if isinstance(moment, str) else "")
    except ClockError:
        raise RefusedUpdateError("BAD_FIELD", "issued_at breaks its rule") from None
    config = message["config"]
    if not isinstance(config, dict):
        raise RefusedUpdateError("BAD_FIELD", "config is no object")
    for key, value in config.items():
        if len(key) > MAX_KEY_CHARACTERS or _KEY.fullmatch(key) is None:
            raise RefusedUpdateError("BAD_FIELD", "config has a key that breaks the rule of keys")
        _check_reserved(value)


def _check_reserved(value: object) -> None:
    """Below the top, ``$`` begins what the protocol itself says: a sealed secret, so far."""
    if isinstance(value, dict):
        if any(key.startswith("$") for key in value) and value.keys() != {"$secret"}:
            raise RefusedUpdateError("BAD_FIELD", "config has a key with a reserved beginning")
        for item in value.values():
            _check_reserved(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_reserved(item)


def _refused(error: RefusedJsonError) -> RefusedUpdateError:
    code: UpdateCode = error.code  # type: ignore[assignment]  # its class takes LoadCode alone
    return RefusedUpdateError(code, str(error))
