"""What the health messages say about the fleet. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from parlour_contracts.messages.health import Health

INTERVALS = 3
"""A process silent for so many of its intervals is taken as gone."""


@dataclass(frozen=True)
class Known:
    """The last health of an instance, and when it came (seconds of the caller's clock)."""

    health: Health
    at: float


class Fleet:
    """Every instance's last health; wills of an earlier boot or connection are ignored."""

    def __init__(self) -> None:
        self.instances: dict[str, Known] = {}
        self._ready_since: dict[str, float] = {}

    def see(self, health: Health, now: float) -> None:
        """Take a health message in."""
        known = self.instances.get(health.instance)
        if known is not None and _stamp(health) < _stamp(known.health):
            return
        was_ready = known is not None and known.health.ready
        if health.ready and not (was_ready and self.boot(health.instance) == health.boot):
            self._ready_since[health.service] = now
        self.instances[health.instance] = Known(health, now)

    def boot(self, instance: str) -> str | None:
        """Which run of an instance is known."""
        known = self.instances.get(instance)
        return known.health.boot if known else None

    def is_gone(self, instance: str, boot: str | None, now: float) -> bool:
        """Whether the run ``boot`` of an instance is over: offline, silent, or started anew."""
        known = self.instances.get(instance)
        if known is None:
            return False
        if boot is not None and known.health.boot != boot:
            return True
        return known.health.status == "offline" or self._silent(known, now)

    def is_ready(self, service: str, now: float) -> bool:
        """Whether an instance of a service takes work."""
        return any(
            k.health.service == service and k.health.ready and not self._silent(k, now)
            for k in self.instances.values()
        )

    def newly_ready(self, service: str, since: float) -> bool:
        """Whether an instance of a service has begun to take work after a time."""
        return self._ready_since.get(service, since) > since

    def trouble(self, service: str, now: float) -> tuple[str, str]:
        """What keeps a service from working, and what to do about it; for people."""
        found = [k for k in self.instances.values() if k.health.service == service]
        if not found:
            return f"there is no {service} in the fleet", "start the fleet with: parlour up"
        known = max(found, key=lambda k: k.at)
        health = known.health
        if health.err is not None and not health.ready:
            return f"{health.instance}: {health.err.message}", health.err.hint
        if health.status == "offline" or self._silent(known, now):
            return f"{health.instance} is not running", "parlour up restarts it; try again"
        if not health.ready:
            return f"{health.instance} is not ready yet", "try again in a moment"
        return f"{health.instance} is ready but does not answer", "see the log of parlour up"

    @staticmethod
    def _silent(known: Known, now: float) -> bool:
        return now - known.at > INTERVALS * known.health.interval_s


def _stamp(health: Health) -> tuple[str, int]:
    # A boot is a UUIDv7: later runs sort higher.
    return health.boot, health.conn
