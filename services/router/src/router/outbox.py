"""Sends a room's messages in order, and again for a while when the broker is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from parlour_kit.clock import Clock
from parlour_kit.errors import BusError, ParlourError
from parlour_kit.messenger import Messenger

from router.ambient import Publish

KEPT_S = 8.0
"""A message that could not be sent for so long is given up; its turn then fails."""

RETRY_S = 0.2
MAX_WAITING = 2000
DRAIN_S = 1.0


class Outbox:
    """The messages of one room on their way.

    Args:
        messenger: sends.
        clock: for the patience.
        given_up: called with each message that could not be sent.
    """

    def __init__(
        self, messenger: Messenger, clock: Clock, given_up: Callable[[Publish], None]
    ) -> None:
        self._messenger = messenger
        self._clock = clock
        self._given_up = given_up
        self._waiting: deque[tuple[Publish, float]] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, publish: Publish) -> None:
        """Send this after what waits."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
        self._waiting.append((publish, self._clock.monotonic() + KEPT_S))
        self._empty.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Wait until everything is sent, but not for long."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._empty.wait()
        except TimeoutError:
            self._waiting.clear()

    async def run(self) -> None:
        """Send, for ever."""
        while True:
            while self._waiting:
                publish, until = self._waiting.popleft()
                if not await self._sent(publish, until):
                    self._given_up(publish)
            self._empty.set()
            self._wake.clear()
            await self._wake.wait()

    async def _sent(self, publish: Publish, until: float) -> bool:
        while True:
            try:
                await self._messenger.send(
                    publish.topic, publish.message, expiry_s=None, **publish.params
                )
            except BusError as error:
                if not error.retryable or self._clock.monotonic() >= until:
                    return False
            except (ParlourError, ValueError):
                return False
            else:
                return True
            await self._clock.sleep(RETRY_S)
