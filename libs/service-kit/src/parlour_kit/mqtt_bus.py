"""A :class:`~parlour_kit.bus.Bus` that stays: it reconnects for ever and subscribes again.

It holds no queue of messages. What could not be sent is the sender's to send again: nothing
is ever sent later behind its back (section 6, traps 2 and 4).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from parlour_kit.backoff import Backoff
from parlour_kit.bus import PLAIN, Message, Receiver, SubscribeOptions, Will, matches
from parlour_kit.clock import Clock
from parlour_kit.errors import BusError, NotConnectedError, SubscribeRefusedError
from parlour_kit.metrics import traffic
from parlour_kit.mqtt_link import Link, MqttOptions, Outgoing, PahoLink, Receive

STABLE_S = 5.0
"""A connection that lasted this long makes the next wait short again."""

LinkFactory = Callable[[Will | None, Receive], Link]
WillFactory = Callable[[int], Will]


@dataclass(frozen=True)
class _Subscription:
    receiver: Receiver
    qos: int
    options: SubscribeOptions


class MqttBus:
    """Keeps one link at a time, from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        make_link: LinkFactory,
        clock: Clock,
        *,
        will: WillFactory | None = None,
        backoff: Backoff | None = None,
        name: str = "main",
    ) -> None:
        self._metrics = traffic.Line(name)
        self._make_link = make_link
        self._clock = clock
        self._will = will
        self._backoff = backoff or Backoff()
        self._link: Link | None = None
        self._connections = 0
        self._subscriptions: dict[str, _Subscription] = {}
        self._on_connected: list[Callable[[], None]] = []
        self._on_lost: list[Callable[[str], None]] = []
        self._on_away: list[Callable[[], None]] = []
        self._runner: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        self._stopping = False
        self._log = structlog.get_logger("parlour.mqtt")

    @classmethod
    def connect_to(
        cls,
        options: MqttOptions,
        client_id: str,
        clock: Clock,
        *,
        will: WillFactory | None = None,
        name: str = "main",
    ) -> MqttBus:
        """A bus over paho-mqtt; ``name`` tells it from others of the process in the metrics."""
        return cls(
            lambda w, receive: PahoLink(options, client_id, w, receive), clock, will=will, name=name
        )

    @property
    def connected(self) -> bool:
        """Whether a message could be sent now."""
        return self._link is not None

    @property
    def connections(self) -> int:
        """How often it has been connected."""
        return self._connections

    def on_connected(self, callback: Callable[[], None]) -> None:
        """Call back after each connect, when the subscriptions stand again."""
        self._on_connected.append(callback)

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """Call back after a connection was lost, with the reason that is known of it."""
        self._on_lost.append(callback)

    def on_away(self, callback: Callable[[], None]) -> None:
        """Call back after each try that brought no connection."""
        self._on_away.append(callback)

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._runner = asyncio.get_running_loop().create_task(self._run(), name="mqtt")

    async def wait_connected(self) -> None:
        """Return when the first connection stands."""
        await self._first.wait()

    async def stop(self) -> None:
        """Disconnect cleanly and stay away."""
        self._stopping = True
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        if self._runner is not None:
            self._runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._runner

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
        """Send now or raise; see :class:`~parlour_kit.bus.Bus`."""
        if self._link is None:
            raise NotConnectedError("not connected to the broker")
        await self._link.publish(
            Outgoing(topic, payload, qos, retain, properties, expiry_s, response_topic, correlation)
        )

    async def subscribe(
        self,
        topic_filter: str,
        receiver: Receiver,
        *,
        qos: int = 1,
        options: SubscribeOptions = PLAIN,
    ) -> None:
        """Subscribe now, and again after every connect.

        Where a session outlives its connection, subscribe before :meth:`start`: what waited
        comes as soon as the connection stands, and what nobody takes is acknowledged.
        """
        self._subscriptions[topic_filter] = _Subscription(receiver, qos, options)
        if self._link is not None:
            with contextlib.suppress(NotConnectedError):
                await self._link.subscribe(topic_filter, qos, options)

    async def unsubscribe(self, topic_filter: str) -> None:
        """Unsubscribe now and for good."""
        self._subscriptions.pop(topic_filter, None)
        if self._link is not None:
            with contextlib.suppress(NotConnectedError):
                await self._link.unsubscribe(topic_filter)

    async def _run(self) -> None:
        while True:
            link = self._make_link(
                self._will(self._connections + 1) if self._will else None, self._deliver
            )
            try:
                await self._serve(link)
            except (NotConnectedError, SubscribeRefusedError) as error:
                if self._stopping:
                    return
                self._log.warning("broker away", reason=str(error))
            finally:
                self._link = None
                self._metrics.down()
                if not link.closed.done():
                    link.abandon()
            await self._clock.sleep(self._backoff.next())

    async def _serve(self, link: Link) -> None:
        """One connection, until it is lost."""
        try:
            await link.open()
        except NotConnectedError:
            self._metrics.away()
            for away in self._on_away:
                away()
            raise
        await self._subscribe_all(link)
        since = self._clock.monotonic()
        self._link = link
        self._connections += 1
        self._metrics.up(self._connections)
        self._first.set()
        self._log.info("connected to the broker", connection=self._connections)
        for callback in self._on_connected:
            callback()
        why = await asyncio.shield(link.closed)
        for lost in self._on_lost:
            lost(why)
        if self._clock.monotonic() - since >= STABLE_S:
            self._backoff.reset()
        raise NotConnectedError(why)

    async def _subscribe_all(self, link: Link) -> None:
        """Subscribe to everything, also to what is asked for while the broker answers.

        Until the link counts as standing, :meth:`subscribe` and :meth:`unsubscribe` only note
        what is wanted; what they note meanwhile would be lost if this looked once.
        """
        stands: dict[str, _Subscription] = {}
        while True:
            gone = stands.keys() - self._subscriptions.keys()
            missing = [(f, w) for f, w in self._subscriptions.items() if stands.get(f) is not w]
            if not gone and not missing:
                return
            for topic_filter in gone:
                del stands[topic_filter]
                await link.unsubscribe(topic_filter)
            for topic_filter, wanted in missing:
                stands[topic_filter] = wanted
                await link.subscribe(topic_filter, wanted.qos, wanted.options)

    def _deliver(self, message: Message, acknowledge: Callable[[], None]) -> None:
        """Hand a message to every receiver whose filter it meets, then acknowledge it.

        A receiver only takes it (its work goes on elsewhere), so no acknowledgement is held
        across anybody's code (trap 7), except for a receiver that asked to give it itself.
        """
        taken = [
            wanted
            for topic_filter, wanted in list(self._subscriptions.items())
            if matches(topic_filter, message.topic)
        ]
        by_hand = any(wanted.options.manual_ack for wanted in taken)
        mine = replace(message, acknowledge=acknowledge) if by_hand else message
        try:
            for wanted in taken:
                wanted.receiver(mine if wanted.options.manual_ack else message)
        finally:
            if not by_hand:
                acknowledge()


__all__ = ["BusError", "MqttBus", "MqttOptions"]
