"""The time zone of the house."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.errors import ZoneError


def zone_of(name: str) -> ZoneInfo | None:
    """The zone of this name; None is the machine's, for an empty one.

    Raises:
        ZoneError: this machine knows none of this name.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the last: a folder of zones
        raise ZoneError(f"this machine knows no time zone {name}") from None
