"""What the health messages say about the fleet. Pure."""

from __future__ import annotations

from parlour_contracts.messages.health import Health

from parlour_kit.fleet import Roll, sign_of


class Fleet:
    """Who takes work, since when, and who is gone; times are of the caller's clock, in seconds."""

    def __init__(self) -> None:
        self._roll = Roll()
        self._ready_since: dict[str, float] = {}

    def see(self, health: Health, now: float) -> None:
        """Take a health message in."""
        before = self._roll.instances.get(health.instance)
        if not self._roll.see(sign_of(health), now) or not health.ready:
            return
        if before is None or not before.sign.ready or before.sign.boot != health.boot:
            self._ready_since[health.service] = now

    def boot(self, instance: str) -> str | None:
        """Which run of an instance is known."""
        known = self._roll.instances.get(instance)
        return known.sign.boot if known else None

    def is_gone(self, instance: str, boot: str | None, now: float) -> bool:
        """Whether the run ``boot`` of an instance is over: offline, silent, or started anew."""
        known = self._roll.instances.get(instance)
        if known is None:
            return False
        if boot is not None and known.sign.boot != boot:
            return True
        return known.gone or known.silent(now)

    def is_ready(self, service: str, now: float) -> bool:
        """Whether an instance of a service takes work."""
        return any(
            k.sign.service == service and k.sign.ready and not k.silent(now)
            for k in self._roll.instances.values()
        )

    def newly_ready(self, service: str, since: float) -> bool:
        """Whether an instance of a service has begun to take work after a time."""
        return self._ready_since.get(service, since) > since

    def trouble(self, service: str, now: float) -> tuple[str, str]:
        """What keeps a service from working, and what to do about it; for people."""
        found = [k for k in self._roll.instances.values() if k.sign.service == service]
        if not found:
            return f"there is no {service} in the fleet", "start the fleet with: parlour up"
        known = max(found, key=lambda k: k.at)
        sign = known.sign
        if sign.problem and not sign.ready:
            return f"{sign.instance}: {sign.problem}", sign.hint
        if known.gone or known.silent(now):
            return f"{sign.instance} is not running", "parlour up restarts it; try again"
        if not sign.ready:
            return f"{sign.instance} is not ready yet", "try again in a moment"
        return f"{sign.instance} is ready but does not answer", "see the log of parlour up"
