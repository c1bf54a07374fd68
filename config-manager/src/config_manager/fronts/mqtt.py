"""Requests and answers over MQTT, on a connection of their own.

A request is acknowledged when its answer was handed to the broker, so one that was interrupted
comes again; the stored answers make that harmless. At most sixteen are under way, which is also
how many the broker is allowed to send without an acknowledgement.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from parlour_contracts.messages.requests import ConfigAnswer, ConfigRequest
from parlour_contracts.topics import CONFIG_REQUEST
from parlour_kit.bus import Bus, Message, SubscribeOptions
from parlour_kit.errors import BusError

from config_manager.commands import Caller, RefusedError, Request, body_digest, rejected
from config_manager.commands.refusal import CHANGES
from config_manager.fronts.limits import RateLimiter
from config_manager.fronts.mqtt_request import (
    MAX_ANSWER_BYTES,
    Asked,
    addressed,
    checked,
    identified,
    rendered,
)
from config_manager.runtime.clock import WallClock

AT_ONCE = 16
ANSWER_EXPIRY_S = 60
ANSWER_PATIENCE_S = 5.0
OPTIONS = SubscribeOptions(
    retain_handling=2, retain_as_published=True, no_local=True, manual_ack=True
)


class Desk(Protocol):
    """Who carries requests out, and what else the front must ask."""

    async def execute(self, request: Request) -> ConfigAnswer:
        """Carry a request out."""
        ...

    async def denied(self, user: str, service: str | None, code: str) -> None:
        """Put on record that somebody was refused."""
        ...

    def caller(self, user: str) -> Caller | None:
        """Who a broker user is, or None for nobody we know."""
        ...

    def no_writes_over_mqtt(self) -> RefusedError | None:
        """Why changes are not taken here although they are elsewhere, or None."""
        ...


class MqttFront:
    """Takes requests from one connection and answers on it."""

    def __init__(self, bus: Bus, desk: Desk, limiter: RateLimiter, wall: WallClock) -> None:
        self._bus = bus
        self._desk = desk
        self._limiter = limiter
        self._wall = wall
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._connected = asyncio.Event()
        self._closing = False
        self._log = structlog.get_logger("parlour.mqtt-front")

    async def start(self) -> None:
        """Take requests from now on."""
        self._bus.on_connected(self._connected.set)
        await self._bus.subscribe(CONFIG_REQUEST.filter(), self._take, qos=1, options=OPTIONS)

    async def stop(self) -> None:
        """Take no more, and finish what is under way.

        The subscription stays: what is sent meanwhile waits at the broker for the next start.
        """
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()

    def _take(self, message: Message) -> None:
        if self._closing:
            return
        task = asyncio.get_running_loop().create_task(self._serve(message), name="request")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Message) -> None:
        try:
            async with self._slots:
                await self._answer_to(message)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next request is served
            self._log.error("a request failed", kind=type(error).__name__)
            self._log.debug("a request failed", exc_info=error)
        if message.acknowledge is not None:  # one that was broken off comes again
            message.acknowledge()

    async def _answer_to(self, message: Message) -> None:
        asked = addressed(message)
        if asked is None:
            self._log.warning("a request without a usable sender was dropped")
            return
        wait = self._limiter.admit(asked.user)
        if wait is not None:
            if self._limiter.may_answer_refusal(asked.user):
                await self._send(asked, _refused(asked, _too_many(wait)))
            return
        try:
            answered, answer = await self._carry_out(asked, message)
        finally:
            self._limiter.release(asked.user)
        await self._send(answered, answer)

    async def _carry_out(self, asked: Asked, message: Message) -> tuple[Asked, ConfigAnswer]:
        """The answer, beside the request as far as it could be read."""
        try:
            asked, body = identified(asked, message.payload)
            read = checked(asked, body, retained=message.retain, now=self._wall.now())
            caller = self._admitted(asked, read)
        except RefusedError as error:
            if error.code == "FORBIDDEN":
                await self._desk.denied(asked.user, asked.service, error.code)
            return asked, _refused(asked, error)
        request = Request(
            caller=caller,
            op=asked.op,
            service=asked.service,
            body=read,
            body_sha256=body_digest(asked.op, asked.service, read),
            transaction=asked.transaction or "",
            derived=asked.derived,
            via="mqtt",
        )
        return asked, await self._desk.execute(request)

    def _admitted(self, asked: Asked, read: ConfigRequest) -> Caller:
        """Who asks, if this front may take it.

        Raises:
            RefusedError: an unknown user, or a change that this front takes from nobody now.
        """
        caller = self._desk.caller(asked.user)
        if caller is None:
            raise RefusedError(
                "FORBIDDEN",
                "config-manager does not know this user",
                hint="an administrator adds people to the users file",
            )
        if asked.op in CHANGES and not read.dry_run:
            barred = self._desk.no_writes_over_mqtt()
            if barred is not None:
                raise barred
        return caller

    async def _send(self, asked: Asked, answer: ConfigAnswer) -> None:
        payload = rendered(answer)
        if len(payload) > MAX_ANSWER_BYTES:
            answer = _refused(asked, _too_long())
            payload = rendered(answer)
        try:
            async with asyncio.timeout(ANSWER_PATIENCE_S):
                await self._until_connected()
                await self._bus.publish(
                    asked.answer_topic(answer),
                    payload,
                    qos=1,
                    expiry_s=ANSWER_EXPIRY_S,
                    correlation=asked.correlation,
                )
        except (BusError, TimeoutError) as error:
            self._log.warning("an answer was not sent", kind=type(error).__name__,
                              user=asked.user)  # fmt: skip

    async def _until_connected(self) -> None:
        """What waited at the broker may come a moment before the connection is ready to send."""
        while not self._bus.connected:
            self._connected.clear()
            await self._connected.wait()


def _refused(asked: Asked, error: RefusedError) -> ConfigAnswer:
    return rejected(error, op=asked.op, service=asked.service, transaction=asked.transaction)


def _too_many(wait: float) -> RefusedError:
    return RefusedError(
        "RATE_LIMITED",
        "that were too many requests at once",
        hint="wait a moment, then send it again with the same transaction",
        retry_after_s=round(wait, 3),
    )


def _too_long() -> RefusedError:
    return RefusedError(
        "PAYLOAD_TOO_LARGE",
        "the answer would be longer than the broker passes on",
        hint="ask for less at once, or over REST",
    )
