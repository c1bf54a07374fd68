"""A broker in memory: it routes as a real one does and carries the real bytes.

Wildcards, ``$share`` groups (round robin), retained messages, wills, user properties, the
options of a subscription. What a client sends is delivered by the event loop, in order, never
within the call that sent it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from parlour_kit.bus import (
    PLAIN,
    Message,
    Receiver,
    SubscribeOptions,
    Will,
    matches,
    share_group,
)
from parlour_kit.errors import NotConnectedError


@dataclass
class MemoryBroker:
    """Routes between its clients; ``log`` keeps every message in order."""

    log: list[Message] = field(default_factory=list)
    retained: dict[str, Message] = field(default_factory=dict)
    clients: list[MemoryBus] = field(default_factory=list)
    up: bool = True
    _turns: dict[str, int] = field(default_factory=dict)

    def client(self, name: str, will: Will | None = None) -> MemoryBus:
        """A new, connected client."""
        bus = MemoryBus(self, name, will)
        self.clients.append(bus)
        return bus

    def route(self, message: Message, sender: MemoryBus | None = None) -> None:
        """Deliver a message to everybody who wants it, soon."""
        self.log.append(message)
        if message.retain:
            if message.payload:
                self.retained[message.topic] = message
            else:
                self.retained.pop(message.topic, None)
        groups: dict[str, list[tuple[MemoryBus, Receiver]]] = {}
        fresh = replace(message, retain=False)
        for bus in self.clients:
            for topic_filter, receiver in bus.receivers.items():
                if not matches(topic_filter, message.topic):
                    continue
                options = bus.options.get(topic_filter, PLAIN)
                if options.no_local and bus is sender:
                    continue
                if share_group(topic_filter) is None:
                    bus.deliver(receiver, message if options.retain_as_published else fresh)
                else:
                    groups.setdefault(topic_filter, []).append((bus, receiver))
        for topic_filter, members in groups.items():
            turn = self._turns.get(topic_filter, 0)
            self._turns[topic_filter] = turn + 1
            bus, receiver = members[turn % len(members)]
            bus.deliver(receiver, fresh)

    def stop(self) -> None:
        """Go down: nobody is connected any more."""
        self.up = False
        for bus in self.clients:
            bus.lose()

    def start(self) -> None:
        """Come back, with what was retained."""
        self.up = True
        for bus in self.clients:
            bus.regain()


class MemoryBus:
    """One client of a :class:`MemoryBroker`; a :class:`parlour_kit.bus.Bus`."""

    def __init__(self, broker: MemoryBroker, name: str, will: Will | None) -> None:
        self.name = name
        self.receivers: dict[str, Receiver] = {}
        self.options: dict[str, SubscribeOptions] = {}
        self.acknowledged: list[Message] = []
        self._broker = broker
        self._will = will
        self._connected = True
        self._connections = 1
        self._callbacks: list[Callable[[], None]] = []

    @property
    def connected(self) -> bool:
        """Whether a message could be sent now."""
        return self._connected

    @property
    def connections(self) -> int:
        """How often it has been connected."""
        return self._connections

    def on_connected(self, callback: Callable[[], None]) -> None:
        """Call back after each connect; the first one stands already."""
        self._callbacks.append(callback)
        asyncio.get_running_loop().call_soon(callback)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        properties: Mapping[str, str] | None = None,
        expiry_s: int | None = None,
        response_topic: str | None = None,
        correlation: bytes | None = None,
    ) -> None:
        """Send; see :class:`parlour_kit.bus.Bus`."""
        del expiry_s
        if not self._connected:
            raise NotConnectedError("not connected to the broker")
        message = Message(
            topic, payload, dict(properties or {}), qos, retain, response_topic, correlation
        )
        self._broker.route(message, self)
        await asyncio.sleep(0)

    async def subscribe(
        self,
        topic_filter: str,
        receiver: Receiver,
        *,
        qos: int = 1,
        options: SubscribeOptions = PLAIN,
    ) -> None:
        """Subscribe; retained messages follow, except to a shared subscription."""
        del qos
        known = topic_filter in self.receivers
        self.receivers[topic_filter] = self._by_hand(receiver) if options.manual_ack else receiver
        self.options[topic_filter] = options
        if self._connected:
            self._bring_retained(topic_filter, known=known)
        await asyncio.sleep(0)

    def _bring_retained(self, topic_filter: str, *, known: bool = False) -> None:
        handling = self.options.get(topic_filter, PLAIN).retain_handling
        if share_group(topic_filter) is not None or handling == 2 or (handling == 1 and known):
            return
        for message in list(self._broker.retained.values()):
            if matches(topic_filter, message.topic):
                self.deliver(self.receivers[topic_filter], message)

    def _by_hand(self, receiver: Receiver) -> Receiver:
        """What the receiver acknowledges is noted in ``acknowledged``."""

        def receive(message: Message) -> None:
            acknowledge = lambda: self.acknowledged.append(message)  # noqa: E731
            receiver(replace(message, acknowledge=acknowledge))

        return receive

    async def unsubscribe(self, topic_filter: str) -> None:
        """Unsubscribe."""
        self.receivers.pop(topic_filter, None)
        self.options.pop(topic_filter, None)

    def deliver(self, receiver: Receiver, message: Message) -> None:
        """Hand a message over in the next round of the loop."""
        if self._connected:
            asyncio.get_running_loop().call_soon(self._receive, receiver, message)

    def _receive(self, receiver: Receiver, message: Message) -> None:
        if self._connected:
            receiver(message)

    def kill(self) -> None:
        """Die without a word: the will is sent, nothing is received any more."""
        self._connected = False
        self.receivers.clear()
        if self in self._broker.clients:
            self._broker.clients.remove(self)
        if self._will is not None:
            will = self._will
            self._broker.route(Message(will.topic, will.payload, {}, will.qos, will.retain))

    def lose(self) -> None:
        """The connection breaks."""
        self._connected = False

    def regain(self) -> None:
        """The connection stands again, with its subscriptions."""
        self._connected = True
        self._connections += 1
        for topic_filter in self.receivers:
            self._bring_retained(topic_filter)
        for callback in self._callbacks:
            asyncio.get_running_loop().call_soon(callback)
