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


AppliedStatus = Literal["rejected", "stale", "retired_epoch", "bad_signature"]
"""How an instance reports a refusal: the failing part of the protocol's ``AppliedStatus``."""

UpdateCode = Literal[
    LoadCode,
    "BAD_VERSION",
    "BAD_FIELDS",
    "BAD_FIELD",
    "BAD_ENCODING",
    "BAD_SIGNATURE",
    "BAD_CHECKSUM",
    "WRONG_SERVICE",
    "RETIRED_EPOCH",
    "STALE_EPOCH",
    "EPOCH_UNCONFIRMED",
    "STALE",
    "EQUIVOCATION",
    "CRASH_AFTER_APPLY",
    "SECRET_UNREADABLE",
    "SCHEMA_INVALID",
    "HOOK_FAILED",
]

_STATUS: dict[str, AppliedStatus] = {
    "BAD_ENCODING": "bad_signature",
    "BAD_SIGNATURE": "bad_signature",
    "RETIRED_EPOCH": "retired_epoch",
    "STALE_EPOCH": "stale",
    "STALE": "stale",
}

_HINTS = {
    "BAD_SIGNATURE": "the message was altered, or its signer's key is not trusted here",
    "BAD_ENCODING": "the message was altered or written by another program",
    "WRONG_SERVICE": "somebody put one service's configuration on another's topic",
    "RETIRED_EPOCH": "stop the config-manager that still uses an epoch that was replaced",
    "STALE_EPOCH": "the config-manager's clock is behind; see event floor-behind",
    "EPOCH_UNCONFIRMED": "set CONFIG_EPOCH_PINNED to the new epoch if you expect it",
    "STALE": "an older message came again; nothing to do if it happens once",
    "EQUIVOCATION": "two config-managers sign with one key; stop one of them",
    "CRASH_AFTER_APPLY": "change or roll back this configuration; it stopped the service twice",
}


class RefusedUpdateError(SignedConfigError):
    """A configuration message failed a check; nothing that was trusted before has changed.

    Attributes:
        status: what the instance reports.
    """

    hint = "whoever wrote it must send configuration as the protocol says"

    def __init__(self, code: UpdateCode, message: str) -> None:
        super().__init__(message, code=code, hint=_HINTS.get(code))
        self.status: AppliedStatus = _STATUS.get(code, "rejected")


class RefusedDocumentError(SignedConfigError):
    """A keyset or a lease does not have the form of one, or is not signed as it must be."""

    hint = "the document was altered, or made by a program or a key that is not trusted here"

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, code=code, hint=hint)


class RefusedLkgError(SignedConfigError):
    """A last-known-good file does not prove that it is what was written."""

    code = "LKG_BAD"
    hint = "the file was altered or damaged; it was set aside, and a new one will be written"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code)


class StorageError(SignedConfigError):
    """A file could not be written or read; what was there before is still there."""

    code = "STORAGE"
    retryable = True
    hint = "check the free space and the rights of the data folder"


class ClockError(SignedConfigError):
    """A time is not in its one text form, or no later one exists."""

    code = "BAD_MOMENT"
    hint = "a time is YYYY-MM-DDTHH:MM:SS.ffffffZ with six decimals"
