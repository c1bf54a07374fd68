"""Ids: UUIDv7, ordered by time."""

from __future__ import annotations

import uuid6


def new_id() -> str:
    """A new UUIDv7 in text form."""
    return str(uuid6.uuid7())
