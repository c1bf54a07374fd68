"""Listens to what instances say of themselves: their health and what they run with."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from parlour_contracts.messages.requests import ConfigApplied
from parlour_contracts.messages.signed import moment_text
from parlour_contracts.topics import CONFIG_APPLIED, HEALTH
from parlour_kit.bus import Bus, Message
from parlour_kit.clock import Clock
from parlour_kit.fleet import Roll, sign_of

from config_manager.runtime.applied import Reported, SyncBook


class FleetWatch:
    """Fills the book from the bus.

    Attributes:
        roll: the last health of every instance.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        book: SyncBook,
        *,
        instance: str,
        reported: Callable[[Reported], None],
    ) -> None:
        """Make it; ``reported`` is told of each report that is new."""
        self.roll = Roll()
        self._bus = bus
        self._clock = clock
        self._book = book
        self._instance = instance
        self._reported = reported
        self._log = structlog.get_logger("parlour.fleet-watch")

    async def listen(self) -> None:
        """Hear from now on."""
        await self._bus.subscribe(CONFIG_APPLIED.filter(), self._applied, qos=1)
        await self._bus.subscribe(HEALTH.filter(), self._health, qos=1)

    def _applied(self, message: Message) -> None:
        levels = CONFIG_APPLIED.parse(message.topic)
        if levels is None:
            return
        if not message.payload:
            self._book.forget(levels["service"], levels["instance"])
            return
        if len(message.payload) > CONFIG_APPLIED.max_bytes:
            return
        try:
            said = ConfigApplied.decode(message.payload)
        except ValueError:
            self._log.warning("a report was refused", topic=message.topic)
            return
        if (said.service, said.instance) != (levels["service"], levels["instance"]):
            return
        report = Reported(
            said.service,
            said.instance,
            said.checksum,
            said.status,
            said.error,
            moment_text(said.issued_at) if said.issued_at else None,
            said.keyset_version,
            said,
        )
        known = self._book.reported.get((said.service, said.instance))
        self._book.note(report)
        if report != known:
            self._reported(report)

    def _health(self, message: Message) -> None:
        levels = HEALTH.parse(message.topic)
        if levels is None or levels["instance"] == self._instance:
            return
        if not message.payload:
            self.roll.forget(levels["instance"])
            return
        if len(message.payload) > HEALTH.max_bytes:
            return
        try:
            said = HEALTH.model.decode(message.payload)
        except ValueError:
            return  # another manager's, whose model is its own, or nobody's
        if said.instance != levels["instance"]:
            return
        self.roll.see(sign_of(said), self._clock.monotonic(), self._clock.wall())
        self._book.beat(
            said.service,
            said.instance,
            said.boot,
            said.seq,
            said.interval_s,
            self._clock.monotonic(),
            gone=said.event in ("lwt", "stopping"),
            retained=message.retain,
        )
