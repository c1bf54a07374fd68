"""The last health of every instance, as it was heard. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from parlour_contracts.messages.health import Health

INTERVALS = 3
"""Who is silent for more than so many of its intervals may be gone."""


@dataclass(frozen=True)
class Heard:
    """A health message, and when it came (seconds of the caller's monotonic clock)."""

    health: Health
    at: float

    def silent(self, now: float) -> bool:
        """Whether the instance has missed its turns to speak."""
        return is_silent(self.at, now, self.health.interval_s)


class Roll:
    """Every instance's last health; the will of an earlier run or connection says nothing."""

    def __init__(self) -> None:
        self.instances: dict[str, Heard] = {}

    def see(self, health: Health, now: float) -> bool:
        """Take a message in; False where a later run or connection was heard already."""
        known = self.instances.get(health.instance)
        if known is not None and _stamp(health) < _stamp(known.health):
            return False
        self.instances[health.instance] = Heard(health, now)
        return True


def is_silent(heard_at: float, now: float, interval_s: float) -> bool:
    """Whether somebody who speaks every ``interval_s`` seconds has missed its turns."""
    return now - heard_at > INTERVALS * interval_s


def _stamp(health: Health) -> tuple[str, int]:
    # A boot is a UUIDv7: later runs sort higher.
    return health.boot, health.conn
