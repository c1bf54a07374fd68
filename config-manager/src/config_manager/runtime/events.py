"""What an operator should know, told in three places: the log, the health, and an event.

An event holds names and numbers, never values. The same one is told at most once a minute, so
that something that happens with every message does not drown everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog
from parlour_contracts.messages.requests import ConfigEvent
from parlour_contracts.topics import CONFIG_EVENT
from parlour_kit.bus import Bus
from parlour_kit.clock import Clock
from parlour_kit.errors import BusError

EventName = Literal[
    "epoch-conflict", "restored-behind", "predecessor-found", "client-id-conflict", "equivocation",
    "config-topic-tampered", "floor-behind", "floor-ahead", "clock-untrusted",
    "lkg-older-than-broker", "acl-selftest-failed", "sqlite-wal-reset-affected", "wal-growing",
    "disk-low", "outbox-stuck", "audit-failed", "replica-path-old", "not-in-sync",
]  # fmt: skip
Fact = str | int | float | bool | None

EXPIRY_S = 60
QUIET_S = 60.0
KEPT = 16
"""So many wait for a connection; the newest count."""


class Events:
    """Tells events.

    Attributes:
        word: the name of an event that the next health message begins with, or None.
    """

    def __init__(
        self, bus: Bus, instance: str, clock: Clock, changed: Callable[[], None] = lambda: None
    ) -> None:
        """Make it; ``changed`` is called when health has something to tell."""
        self.word: EventName | None = None
        self.counts: dict[str, int] = {}
        self.changed = changed
        self._bus = bus
        self._instance = instance
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        self._waiting: list[ConfigEvent] = []
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("parlour.config-event")

    def tell(self, name: EventName, about: str = "", **facts: Fact) -> None:
        """Something happened.

        Args:
            name: of the event.
            about: what the same event may be told again for within a minute, such as a service.
            facts: names and numbers.
        """
        self.counts[name] = self.counts.get(name, 0) + 1
        now = self._clock.monotonic()
        if now - self._told.get((name, about), -QUIET_S) < QUIET_S:
            return
        if len(self._told) > 1000:
            self._told = {k: t for k, t in self._told.items() if now - t < QUIET_S}
        self._told[name, about] = now
        if about:
            facts = {"service": about, **facts}
        self._log.warning(name, **facts)
        event = ConfigEvent(event=name, instance=self._instance, at=self._clock.wall(), facts=facts)
        self._waiting = [*self._waiting, event][-KEPT:]
        self.word = name
        self.changed()
        self._wake.set()

    def take_word(self) -> EventName | None:
        """The word for one health message."""
        word, self.word = self.word, None
        return word

    async def run(self) -> None:
        """Send events for ever."""
        self._bus.on_connected(self._wake.set)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting and self._bus.connected:
                event = self._waiting.pop(0)
                try:
                    await self._bus.publish(
                        CONFIG_EVENT.topic(), event.encode(), qos=1, expiry_s=EXPIRY_S
                    )
                except BusError as error:
                    self._log.warning("an event was not sent", code=error.code)
