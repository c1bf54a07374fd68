"""One connection to a broker: paho-mqtt driven by the event loop through its socket callbacks.

Each connection has a paho client of its own. So nothing of an earlier connection is sent
again behind our back (section 6, traps 2 to 5), and an acknowledgement that outlived its
connection finds no client to confuse (trap 6).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import structlog
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions as PahoOptions

from parlour_kit.bus import PLAIN, Message, SubscribeOptions, Will
from parlour_kit.errors import NotConnectedError, PublishRefusedError, SubscribeRefusedError
from parlour_kit.link import Link, MqttOptions, Outgoing, Receive

MAX_IN_FLIGHT = 20
NO_MATCHING_SUBSCRIBERS = 16
_FAILURE = 128


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho does not type it


def _made_properties(pairs: tuple[tuple[str, str], ...], expiry_s: int | None) -> Properties:
    packed = _properties(PacketTypes.PUBLISH)
    if pairs:
        packed.UserProperty = list(pairs)
    if expiry_s is not None:
        packed.MessageExpiryInterval = expiry_s
    return packed


_plain_properties = lru_cache(maxsize=64)(_made_properties)
"""Those that many messages share, such as the hint which key signed; paho only reads them."""


def _publish_properties(message: Outgoing) -> Properties | None:
    extras = (message.expiry_s, message.response_topic, message.correlation)
    if not message.properties and extras == (None, None, None):
        return None  # nearly all messages; paho's properties are slow to make
    pairs = tuple(message.properties.items()) if message.properties else ()
    if (message.response_topic, message.correlation) == (None, None):
        return _plain_properties(pairs, message.expiry_s)
    packed = _made_properties(pairs, message.expiry_s)
    if message.response_topic is not None:
        packed.ResponseTopic = message.response_topic
    if message.correlation is not None:
        packed.CorrelationData = message.correlation
    return packed


class PahoLink:
    """A :class:`Link` over paho-mqtt 2."""

    def __init__(
        self, options: MqttOptions, client_id: str, will: Will | None, receive: Receive
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self._options = options
        self._receive = receive
        self._log = structlog.get_logger("parlour.mqtt")
        self._connack: asyncio.Future[int] = self._loop.create_future()
        self._acks: dict[int, asyncio.Future[int]] = {}
        self._in_flight = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._misc: asyncio.Task[None] | None = None
        self._client = self._make(client_id, will)

    def _make(self, client_id: str, will: Will | None) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        options = self._options
        client.connect_timeout = options.connect_timeout_s
        client.max_inflight_messages_set(MAX_IN_FLIGHT)
        if options.user is not None:
            client.username_pw_set(options.user, options.password)
        if options.tls:
            client.tls_set(ca_certs=options.ca_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if will is not None:
            properties = _properties(PacketTypes.WILLMESSAGE)
            properties.WillDelayInterval = will.delay_s
            client.will_set(will.topic, will.payload, will.qos, will.retain, properties)
        client.on_connect = self._guarded(self._on_connect)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_message = self._guarded(self._on_message)
        client.on_publish = self._guarded(self._on_publish)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_unsubscribe = self._guarded(self._on_subscribe)
        client.on_socket_open = self._guarded(self._on_socket_open)
        client.on_socket_close = self._guarded(self._on_socket_close)
        client.on_socket_register_write = self._guarded(self._on_register_write)
        client.on_socket_unregister_write = self._guarded(self._on_unregister_write)
        return client

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Trap 1: nothing that a callback does may end the reading of the socket."""

        def guarded(*args: Any) -> None:
            try:
                callback(*args)
            except Exception as error:  # noqa: BLE001  # whatever it is, the connection lives on
                self._log.error(  # the trace may hold a payload
                    "callback failed", callback=callback.__name__, kind=type(error).__name__
                )

        return guarded

    async def open(self) -> None:
        """Connect and wait for the broker's answer.

        Raises:
            NotConnectedError: no answer, or the broker refused; the text says why.
        """
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._options.session_expiry_s
        properties.ReceiveMaximum = self._options.receive_maximum
        properties.MaximumPacketSize = self._options.maximum_packet_size

        def connect() -> None:
            self._client.connect(
                self._options.host,
                self._options.port,
                keepalive=self._options.keepalive_s,
                clean_start=self._options.clean_start,
                properties=properties,
            )

        try:
            await self._loop.run_in_executor(None, connect)
            async with asyncio.timeout(self._options.connect_timeout_s + 2):
                reason = await self._connack
        except (OSError, TimeoutError, ValueError) as error:
            self.abandon()
            raise NotConnectedError(f"cannot reach the broker: {type(error).__name__}") from error
        except asyncio.CancelledError:
            self.abandon()
            raise
        if reason >= _FAILURE:
            self.abandon()
            raise NotConnectedError(f"the broker refused the connection, reason code {reason}")
        self._misc = self._loop.create_task(self._keep_alive(), name="mqtt-keepalive")

    async def subscribe(
        self, topic_filter: str, qos: int, options: SubscribeOptions = PLAIN
    ) -> None:
        """Subscribe and wait for the answer; see :class:`Link`."""
        wanted = PahoOptions(
            qos=qos,
            noLocal=options.no_local,
            retainAsPublished=options.retain_as_published,
            retainHandling=options.retain_handling,
        )
        code, mid = self._client.subscribe(topic_filter, options=wanted)
        reason = await self._answer(code, mid)
        if reason >= _FAILURE:
            raise SubscribeRefusedError(f"{topic_filter} was refused, reason code {reason}")

    async def unsubscribe(self, topic_filter: str) -> None:
        """Unsubscribe and wait for the answer; see :class:`Link`."""
        code, mid = self._client.unsubscribe(topic_filter)
        await self._answer(code, mid)

    async def publish(self, message: Outgoing) -> None:
        """Send; at QoS 1 no more than the broker allows are under way (trap 3)."""
        packed = _publish_properties(message)
        topic, payload, retain = message.topic, message.payload, message.retain
        if message.qos == 0:
            info = self._client.publish(topic, payload, 0, retain, packed)
            if info.rc != paho.MQTT_ERR_SUCCESS:
                raise NotConnectedError("the connection is gone")
            return
        async with self._in_flight:
            if self.closed.done():
                raise NotConnectedError("the connection was lost")
            info = self._client.publish(topic, payload, message.qos, retain, packed)
            reason = await self._answer(info.rc, info.mid)
        if reason >= _FAILURE:
            raise PublishRefusedError(topic, reason)

    async def close(self) -> None:
        """Say goodbye; the broker drops the will."""
        if not self.closed.done():
            self._client.disconnect()
            try:
                async with asyncio.timeout(1):
                    await asyncio.shield(self.closed)
            except TimeoutError:
                pass
        self.abandon()

    def abandon(self) -> None:
        """Drop the socket; the broker will send the will."""
        if self._misc is not None:
            self._misc.cancel()
        sock = self._client.socket()
        if sock is not None and sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            sock.close()
        self._end("abandoned")

    async def _answer(self, code: int, mid: int | None) -> int:
        """The broker's reason code for a packet."""
        if code != paho.MQTT_ERR_SUCCESS or mid is None:
            raise NotConnectedError("the connection is gone")
        waiting: asyncio.Future[int] = self._loop.create_future()
        self._acks[mid] = waiting
        try:
            return await waiting
        finally:
            self._acks.pop(mid, None)

    async def _keep_alive(self) -> None:
        while not self.closed.done():
            await asyncio.sleep(1)
            if self._client.loop_misc() != paho.MQTT_ERR_SUCCESS:
                self.abandon()

    def _end(self, why: str) -> None:
        if not self.closed.done():
            self.closed.set_result(why)
        if not self._connack.done():
            self._connack.set_exception(OSError(why))
            self._connack.exception()  # seen: nobody may be waiting for it
        for waiting in self._acks.values():
            if not waiting.done():
                waiting.set_exception(NotConnectedError("the connection was lost"))

    # Callbacks of paho. All but _on_socket_open run in the loop's thread.

    def _on_connect(self, _c: Any, _u: Any, _flags: Any, reason: Any, properties: Any) -> None:
        allowed = min(MAX_IN_FLIGHT, getattr(properties, "ReceiveMaximum", MAX_IN_FLIGHT))
        self._in_flight = asyncio.Semaphore(allowed)
        if not self._connack.done():
            self._connack.set_result(reason.value)

    def _on_disconnect(self, _c: Any, _u: Any, _flags: Any, reason: Any, _p: Any) -> None:
        self._end(str(reason))

    def _on_message(self, _c: Any, _u: Any, raw: paho.MQTTMessage) -> None:
        pairs = getattr(raw.properties, "UserProperty", None) or ()
        message = Message(
            raw.topic,
            bytes(raw.payload),
            dict(pairs),
            raw.qos,
            raw.retain,
            getattr(raw.properties, "ResponseTopic", None),
            getattr(raw.properties, "CorrelationData", None),
        )
        mid, qos = raw.mid, raw.qos

        def acknowledge() -> None:
            if qos > 0 and not self.closed.done():
                self._client.ack(mid, qos)

        self._receive(message, acknowledge)

    def _on_publish(self, _c: Any, _u: Any, mid: int, reason: Any, _p: Any) -> None:
        waiting = self._acks.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(reason.value)

    def _on_subscribe(self, _c: Any, _u: Any, mid: int, reasons: Any, _p: Any) -> None:
        waiting = self._acks.get(mid)
        if waiting is not None and not waiting.done():
            values = [r.value for r in reasons] if isinstance(reasons, list) else [reasons.value]
            waiting.set_result(max(values, default=0))

    def _on_socket_open(self, _c: Any, _u: Any, sock: socket.socket) -> None:
        # paho calls this in the thread that connects.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.call_soon_threadsafe(self._watch, sock)

    def _watch(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._loop.add_reader(sock, self._read)

    def _read(self) -> None:
        # More than one packet may lie in the buffer (TLS keeps some of its own).
        if self._client.loop_read() != paho.MQTT_ERR_SUCCESS:
            self._end("the connection was lost")

    def _on_socket_close(self, _c: Any, _u: Any, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _on_register_write(self, _c: Any, _u: Any, sock: socket.socket) -> None:
        if threading.get_ident() == self._thread:
            self._want_write(sock)
        else:
            self._loop.call_soon_threadsafe(self._want_write, sock)

    def _want_write(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0 and self._client.want_write():
            self._loop.add_writer(sock, self._client.loop_write)

    def _on_unregister_write(self, _c: Any, _u: Any, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock)


__all__ = ["Link", "MqttOptions", "Outgoing", "PahoLink", "Receive"]
