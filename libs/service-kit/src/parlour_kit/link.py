"""One connection to a broker, whatever library speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from parlour_kit.bus import PLAIN, Message, SubscribeOptions


@dataclass(frozen=True)
class MqttOptions:
    """How to reach a broker. Times in seconds, sizes in bytes (section 6).

    A session that outlives its connection keeps its place in shared subscriptions, and a broker
    goes on giving it work that nobody does; so it ends with the connection (ADR 0009). Only who
    shares no work may set ``clean_start`` to false and an expiry, to be given what waited.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: str | None = None
    keepalive_s: int = 20
    clean_start: bool = True
    session_expiry_s: int = 0
    receive_maximum: int = 16
    maximum_packet_size: int = 524_288
    connect_timeout_s: float = 3.0

    def __repr__(self) -> str:
        """Without the password."""
        return f"MqttOptions({self.host}:{self.port}, user={self.user}, tls={self.tls})"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send; see :meth:`parlour_kit.bus.Bus.publish`."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Mapping[str, str] | None = None
    expiry_s: int | None = None
    response_topic: str | None = None
    correlation: bytes | None = None


class Link(Protocol):
    """A single connection, from connect to loss."""

    closed: asyncio.Future[str]

    async def open(self) -> None:
        """Connect; raises NotConnectedError."""
        ...

    async def subscribe(
        self, topic_filter: str, qos: int, options: SubscribeOptions = PLAIN
    ) -> None:
        """Subscribe; raises SubscribeRefusedError or NotConnectedError."""
        ...

    async def unsubscribe(self, topic_filter: str) -> None:
        """Unsubscribe; raises NotConnectedError."""
        ...

    async def publish(self, message: Outgoing) -> None:
        """Send; raises NotConnectedError or PublishRefusedError."""
        ...

    async def close(self) -> None:
        """Disconnect cleanly, so that the will is not sent."""
        ...

    def abandon(self) -> None:
        """Drop the socket without a word."""
        ...


Receive = Callable[[Message, Callable[[], None]], None]
"""Called with each message and what acknowledges it."""
