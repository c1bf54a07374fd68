"""The order to start anew: signed, and read with the key that signed it."""

from __future__ import annotations

from typing import Any

import pytest
from parlour_config.canonical import canonical, load
from parlour_config.errors import RefusedDocumentError
from parlour_config.pae import LEASE
from parlour_config.restart import Restart, build_restart, read_restart
from parlour_config.signing import SigningKey, TrustedKey

KEY = SigningKey(b"\x01" * 32)
TRUSTED = [TrustedKey.of(KEY.public)]
FIELDS = {"instance": "router", "boot_id": "b1"}


def test_what_is_built_is_read_with_the_key_that_signed_it() -> None:
    assert read_restart(build_restart(KEY, **FIELDS), TRUSTED) == Restart("router", "b1", KEY.kid)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"boot_id": "b2"}, "BAD_SIGNATURE"),
        ({"instance": "tts-worker"}, "BAD_SIGNATURE"),
        ({"instance": "#"}, "BAD_FIELD"),
        ({"extra": 1}, "BAD_FIELD"),
        ({"signature": None}, "BAD_FIELD"),
        ({"signature": "A" * 85 + "B=="}, "BAD_ENCODING"),
        ({"boot_id": "b" * 2_000}, "TOO_LARGE"),
    ],
)
def test_an_altered_order_is_refused(change: dict[str, Any], code: str) -> None:
    message = load(build_restart(KEY, **FIELDS))
    assert isinstance(message, dict)

    with pytest.raises(RefusedDocumentError) as refused:
        read_restart(canonical({**message, **change}), TRUSTED)
    assert refused.value.code == code


def test_a_signature_over_something_else_is_none_over_an_order() -> None:
    signature = KEY.sign(LEASE, canonical(FIELDS))

    with pytest.raises(RefusedDocumentError):
        read_restart(canonical({**FIELDS, "signature": signature}), TRUSTED)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"null", b"\xff"])
def test_what_is_no_order_is_refused(payload: bytes) -> None:
    with pytest.raises(RefusedDocumentError):
        read_restart(payload, TRUSTED)
