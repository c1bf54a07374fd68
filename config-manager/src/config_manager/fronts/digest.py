"""What makes two requests the same, whichever front they came through.

A retry may change the front: the id that came as ``transaction`` over MQTT may come as
``Idempotency-Key`` over REST. So the digest is made of what is asked for, not of the bytes.
"""

from __future__ import annotations

import hashlib

from parlour_config.canonical import canonical
from parlour_contracts.messages.requests import ConfigRequest

DERIVED_WINDOW_S = 30.0
"""How long the same bytes count as the same request when nobody gave an id."""

_ABOUT_THE_SENDING = {"transaction", "expires_at", "service"}


def request_digest(op: str, service: str, body: ConfigRequest) -> str:
    """SHA-256 over what is asked for, 64 hex digits."""
    asked = body.model_dump(exclude_unset=True, exclude=_ABOUT_THE_SENDING)
    if not asked.get("dry_run"):
        asked.pop("dry_run", None)
    return hashlib.sha256(canonical([op, service, asked])).hexdigest()


def derived_transaction(topic: bytes, body: bytes) -> str:
    """The id of a request that came without one: SHA-256(topic, 00, body) in hex."""
    return hashlib.sha256(topic + b"\0" + body).hexdigest()
