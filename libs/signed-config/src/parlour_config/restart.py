"""The order to start anew: signed, and for one run of one process alone.

Whoever repeats it later finds another run, which does not heed it. So it needs neither a clock
nor a memory of what came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parlour_contracts.messages.signed import Restart as RestartForm
from pydantic import ValidationError

from parlour_config.canonical import canonical, load
from parlour_config.errors import (
    BadEncodingError,
    BadSignatureError,
    RefusedDocumentError,
    RefusedJsonError,
)
from parlour_config.pae import RESTART
from parlour_config.signing import SigningKey, TrustedKey, verify

MAX_RESTART_BYTES = 1_024


@dataclass(frozen=True)
class Restart:
    """A verified order: whose run is to end, and the key that signed it."""

    instance: str
    boot_id: str
    kid: str


def build_restart(key: SigningKey, *, instance: str, boot_id: str) -> bytes:
    """Sign an order; the result is canonical and :func:`read_restart` takes it."""
    body = {"instance": instance, "boot_id": boot_id}
    return canonical({**body, "signature": key.sign(RESTART, canonical(body))})


def read_restart(payload: bytes, keys: Sequence[TrustedKey]) -> Restart:
    """Read and verify an order.

    Raises:
        RefusedDocumentError: not the form of one, or no trusted key signed it.
    """
    try:
        message = load(payload, MAX_RESTART_BYTES)
        form = RestartForm.model_validate(message)
    except RefusedJsonError as error:
        raise RefusedDocumentError(error.code, str(error)) from None
    except ValidationError:
        raise RefusedDocumentError("BAD_FIELD", "this is no order to start anew") from None
    body = {"instance": form.instance, "boot_id": form.boot_id}
    try:
        kid = verify(keys, RESTART, canonical(body), form.signature)
    except (BadEncodingError, BadSignatureError) as error:
        raise RefusedDocumentError(error.code, str(error)) from None
    return Restart(form.instance, form.boot_id, kid)
