"""Why bytes, a key or a signature was refused. Each code is one of the protocol's."""

from __future__ import annotations

from typing import Literal

from parlour_kit.errors import ParlourError

LoadCode = Literal[
    "TOO_LARGE", "BAD_UTF8", "BAD_JSON", "DUPLICATE_KEY", "NON_FINITE", "NUMBER_RANGE", "DEPTH"
]


class SignedConfigError(ParlourError):
    """The root of what this package raises; messages never hold the refused content."""


class RefusedJsonError(SignedConfigError):
    """The strict loader, or the canonical form, cannot take this."""

    hint = "whoever wrote it must send JSON within the limits"

    def __init__(self, code: LoadCode, message: str) -> None:
        super().__init__(message, code=code)


class BadKeyError(SignedConfigError):
    """The bytes are no key that may be trusted."""

    code = "BAD_KEY"
    hint = "make a new key pair; a key is 32 bytes of standard base64"


class BadEncodingError(SignedConfigError):
    """A signature is not the one base64 text of 64 bytes."""

    code = "BAD_ENCODING"
    hint = "the message was altered or written by another program"


class BadSignatureError(SignedConfigError):
    """No trusted key made this signature over these bytes."""

    code = "BAD_SIGNATURE"
    hint = "the message was altered, or its signer's key is not trusted here"
