"""The connection for requests: opened when this process may answer, closed when it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from parlour_kit.bus import Bus
from parlour_kit.clock import Clock
from parlour_kit.link import MqttOptions
from parlour_kit.mqtt_bus import MqttBus


class RequestLine(Protocol):
    """How requests come in."""

    async def open(self) -> Bus:
        """A connection to subscribe on; it is made by :meth:`start`."""
        ...

    async def start(self) -> None:
        """Connect, once the subscriptions are known."""
        ...

    async def close(self) -> None:
        """Close it; what waits at the broker stays there for a minute."""
        ...


class MqttRequestLine:
    """Over a connection of its own, named as the instance.

    Attributes:
        lost: called after the connection was lost.
    """

    def __init__(self, options: MqttOptions, instance: str, clock: Clock) -> None:
        self.lost: Callable[[], None] = lambda: None
        self._options = options
        self._instance = instance
        self._clock = clock
        self._bus: MqttBus | None = None

    async def open(self) -> Bus:
        """A fresh one; a broker that is away is tried for ever."""
        await self.close()
        self._bus = MqttBus.connect_to(self._options, self._instance, self._clock, name="requests")
        self._bus.on_lost(lambda _why: self.lost())
        return self._bus

    async def start(self) -> None:
        """Connect, once the subscriptions are known."""
        if self._bus is not None:
            await self._bus.start()

    async def close(self) -> None:
        """Disconnect."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.stop()
