"""When a service asks config-manager for what it misses, and how."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

import structlog
from parlour_contracts.messages.requests import ALL_SERVICES, ConfigRequest
from parlour_contracts.topics import CONFIG_REQUEST
from parlour_kit.errors import BusError
from parlour_kit.ids import new_id
from parlour_kit.messenger import Messenger

SILENT_S = (5.0, 60.0)
"""So long after a connect without a valid message: subscribe again, then ask."""

PATIENCE_S = 1.0
"""What the second subscription gets to bring the message."""

KEYSETS_S = 10.0
"""Keysets that were missed are asked for at most this often."""

EXPIRY_S = 60
Step = Literal["subscribe", "resend"]


class Plan:
    """What is due after a connect, unless a valid message comes; pure. Times in seconds."""

    def __init__(self) -> None:
        self._due: deque[tuple[float, Step]] = deque()
        self._connected = float("-inf")
        self._heard = float("-inf")

    def connected(self, now: float) -> None:
        """A connection stands, and its subscriptions."""
        self._connected = now
        self._due.clear()
        for after in SILENT_S:
            self._due.append((now + after, "subscribe"))
            self._due.append((now + after + PATIENCE_S, "resend"))

    def heard(self, now: float) -> None:
        """A valid message came."""
        self._heard = now

    def due(self, now: float) -> Step | None:
        """What to do now."""
        # The retained message may come a moment before the connection is announced.
        if self._heard >= self._connected - PATIENCE_S:
            self._due.clear()
        if self._due and now >= self._due[0][0]:
            return self._due.popleft()[1]
        return None


class Asking:
    """Sends the requests; one that is lost is due again later."""

    def __init__(self, messenger: Messenger, service: str) -> None:
        self._messenger = messenger
        self._service = service
        self._keysets = float("-inf")
        self._log = structlog.get_logger("parlour.config")

    async def resend(self) -> None:
        """Ask for the own configuration."""
        await self._send("resend", self._service, ConfigRequest(transaction=new_id()))

    async def keysets(self, after: int) -> None:
        """Ask for the keysets that follow one."""
        now = self._messenger.clock.monotonic()
        if now - self._keysets >= KEYSETS_S:
            self._keysets = now
            await self._send("keyset", ALL_SERVICES, ConfigRequest(after=after))

    async def _send(self, op: str, config: str, request: ConfigRequest) -> None:
        body = request.model_dump_json(exclude_unset=True).encode()
        topic = CONFIG_REQUEST.topic(user=self._messenger.instance, op=op, config=config)
        try:
            async with asyncio.timeout(PATIENCE_S * 5):
                await self._messenger.bus.publish(topic, body, qos=1, expiry_s=EXPIRY_S)
        except (BusError, TimeoutError) as error:
            self._log.warning("request was not sent", op=op, kind=type(error).__name__)
