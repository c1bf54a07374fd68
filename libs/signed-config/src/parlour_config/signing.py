"""Ed25519 over PAE, with the two doors that the algorithm leaves open shut.

A public key of small order verifies signatures that nobody made, so it is refused when it is
loaded. And base64 has several texts for the same 64 bytes, so only the one that encodes back
to itself counts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from parlour_config.errors import BadEncodingError, BadKeyError, BadSignatureError
from parlour_config.pae import pae

KEY_BYTES = 32
SIGNATURE_BYTES = 64
SIGNATURE_CHARACTERS = 88
MAX_TRUSTED_KEYS = 4

_P = 2**255 - 19
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _P - 1,
        int.from_bytes(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            "little",
        ),
        int.from_bytes(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
            "little",
        ),
    }
)
"""The y of the eight points whose order divides 8; x has either sign."""


def key_id(public: bytes) -> str:
    """The ``kid``: the first 16 hex digits of the SHA-256 of a raw public key."""
    return hashlib.sha256(public).hexdigest()[:16]


@dataclass(frozen=True)
class TrustedKey:
    """A public key that was checked; make it with :meth:`of`."""

    kid: str
    key: Ed25519PublicKey

    @classmethod
    def of(cls, raw: bytes) -> TrustedKey:
        """Load 32 raw bytes.

        Raises:
            BadKeyError: wrong length, a second spelling of a point, or a point of small order.
        """
        if len(raw) != KEY_BYTES:
            raise BadKeyError(f"a public key has {KEY_BYTES} bytes, not {len(raw)}")
        y = int.from_bytes(raw, "little") & (2**255 - 1)
        if y >= _P or y in _SMALL_ORDER_Y:
            raise BadKeyError("the public key would verify signatures that nobody made")
        return cls(key_id(raw), Ed25519PublicKey.from_public_bytes(raw))


class SigningKey:
    """A private key; its bytes appear in no text of it."""

    def __init__(self, raw: bytes) -> None:
        """Load 32 raw bytes.

        Raises:
            BadKeyError: wrong length.
        """
        if len(raw) != KEY_BYTES:
            raise BadKeyError(f"a private key has {KEY_BYTES} bytes, not {len(raw)}")
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.public = self._key.public_key().public_bytes_raw()
        self.kid = key_id(self.public)

    def sign(self, kind: str, body: bytes) -> str:
        """The signature over ``pae(kind, body)`` as 88 characters of standard base64."""
        return base64.b64encode(self._key.sign(pae(kind, body))).decode()


def decode_signature(text: str) -> bytes:
    """The 64 bytes of a signature.

    Raises:
        BadEncodingError: not the one standard base64 text of 64 bytes.
    """
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise BadEncodingError("the signature is no base64") from None
    if len(raw) != SIGNATURE_BYTES or base64.b64encode(raw).decode() != text:
        raise BadEncodingError("the signature is not the one text of 64 bytes")
    return raw


def verify(
    keys: Sequence[TrustedKey], kind: str, body: bytes, signature: str, *, hint: str | None = None
) -> str:
    """Find the trusted key that signed.

    Args:
        keys: at most four.
        kind: the PAE type that the document must have.
        body: its canonical bytes.
        signature: as it came.
        hint: an unsigned ``kid``; it changes the order of the attempts, nothing else.

    Returns:
        The ``kid`` of the key.

    Raises:
        BadEncodingError: the signature's text.
        BadSignatureError: no key fits.
        BadKeyError: more than four keys.
    """
    if len(keys) > MAX_TRUSTED_KEYS:
        raise BadKeyError(f"at most {MAX_TRUSTED_KEYS} keys may be trusted at once")
    raw = decode_signature(signature)
    signed = pae(kind, body)
    for key in sorted(keys, key=lambda key: key.kid != hint):
        try:
            key.key.verify(raw, signed)
        except InvalidSignature:
            continue
        return key.kid
    raise BadSignatureError("no trusted key made this signature")
