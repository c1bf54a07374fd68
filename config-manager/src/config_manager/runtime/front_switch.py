"""Opens the front for requests while this process answers, and closes it when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from parlour_kit.bus import Bus

from config_manager.fronts.mqtt import MqttFront
from config_manager.runtime.request_line import RequestLine


class FrontSwitch:
    """One front at a time, on a connection of its own."""

    def __init__(
        self,
        line: RequestLine,
        make: Callable[[Bus], MqttFront],
        wanted: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        """Make it; the front is closed.

        Args:
            line: makes the connection.
            make: makes a front on it.
            wanted: whether this process answers now.
            changed: called when the connection stands.
        """
        self._line = line
        self._make = make
        self._wanted = wanted
        self._changed = changed
        self._front: MqttFront | None = None
        self._bus: Bus | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def listening(self) -> bool:
        """Whether requests can come."""
        return self._bus is not None and self._bus.connected

    async def look(self) -> None:
        """Open or close it, as it should be."""
        wanted = self._wanted()
        async with self._one_at_a_time:
            if wanted and self._front is None:
                bus = await self._line.open()
                bus.on_connected(self._changed)
                front = self._make(bus)
                await front.start()
                await self._line.start()
                self._bus, self._front = bus, front
            elif not wanted:
                await self._close()

    async def close(self) -> None:
        """Take no more."""
        async with self._one_at_a_time:
            await self._close()

    async def _close(self) -> None:
        front, self._front, self._bus = self._front, None, None
        if front is not None:
            await front.stop()
            await self._line.close()
