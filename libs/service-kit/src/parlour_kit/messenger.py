"""Typed messages over a bus: the registry's models out and in, handlers that cannot hurt.

What comes in is measured before it is parsed and validated before anybody sees it. A plain
handler runs in the receive loop, in order, and must return at once; a coroutine handler runs
as a task of its own, so the receive loop goes on and a cancel is seen while work is done.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from parlour_contracts.topics import TOPICS, FrameTopic, Payload, Topic, TopicBase

from parlour_kit.bus import Bus, Message
from parlour_kit.clock import Clock
from parlour_kit.metrics import traffic

M = TypeVar("M", bound=Payload)
Params = dict[str, str]

_EXACT = {topic.pattern: topic for topic in TOPICS if not topic.params}
"""Topics without open levels, by their name: each has a message of its own."""

MAX_TASKS = 1024
"""Handlers at work at once; more work than that is dropped and counted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A binary audio frame and the user properties that describe it."""

    payload: bytes
    properties: Mapping[str, str]


Handler = Callable[[M, Params], Awaitable[None] | None]
FrameHandler = Callable[[Frame, Params], Awaitable[None] | None]


class Messenger:
    """Sends and receives the registry's messages for one instance.

    ``counts`` holds what happened: ``received``, ``sent``, ``too_big``, ``invalid``,
    ``handler_failed``, ``dropped``.
    """

    def __init__(self, bus: Bus, instance: str, clock: Clock) -> None:
        self.bus = bus
        self.instance = instance
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("parlour.messenger")

    async def send(
        self, topic: Topic[M], message: M, *, expiry_s: int | None = None, **params: str
    ) -> None:
        """Send a message to its topic; at QoS 1, return when the broker has it.

        Raises:
            NotConnectedError: the broker is away.
            PublishRefusedError: the broker refused it.
            BadTopicError: a level of the topic is missing or malformed.
        """
        await self.bus.publish(
            topic.topic(**params),
            message.encode(),
            qos=topic.qos_of(message),
            retain=topic.retain,
            expiry_s=expiry_s,
        )
        self.counts["sent"] += 1
        traffic.sent.inc()

    async def send_frame(
        self, topic: FrameTopic, frame: bytes, properties: Mapping[str, str], **params: str
    ) -> None:
        """Send a binary frame; errors as in :meth:`send`."""
        await self.bus.publish(
            topic.topic(**params), frame, qos=topic.qos, retain=False, properties=properties
        )
        self.counts["sent"] += 1
        traffic.sent.inc()

    async def on(self, topic: Topic[M], handler: Handler[M], **params: str) -> None:
        """Call the handler with every valid message of a topic.

        Args:
            topic: a topic of the registry.
            handler: called with the message and the topic's open levels.
            params: levels to narrow the subscription to.
        """

        def receive(message: Message) -> None:
            levels = self._admit(topic, message)
            if levels is None:
                return
            try:
                decoded = topic.model.decode(message.payload)
            except ValueError as error:
                self.counts["invalid"] += 1
                traffic.refused("invalid")
                self._log.warning(
                    "message refused", event_type="validation_error", topic=message.topic,
                    problems=problems_of(error),
                )  # fmt: skip
                return
            self._deliver(topic, handler, decoded, levels)

        await self.bus.subscribe(topic.filter(**params), _shielded(self, topic, receive),
                                 qos=topic.qos)  # fmt: skip

    async def on_frame(self, topic: FrameTopic, handler: FrameHandler, **params: str) -> None:
        """Call the handler with every frame of a topic; see :meth:`on`."""

        def receive(message: Message) -> None:
            levels = self._admit(topic, message)
            if levels is None:
                return
            self._deliver(topic, handler, Frame(message.payload, message.properties), levels)

        await self.bus.subscribe(topic.filter(**params), _shielded(self, topic, receive),
                                 qos=topic.qos)  # fmt: skip

    async def off(self, topic: TopicBase, **params: str) -> None:
        """Receive no more of a topic."""
        await self.bus.unsubscribe(topic.filter(**params))

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside the rest; its failure is logged and counted, never fatal."""
        task = asyncio.get_running_loop().create_task(self._guard(coroutine, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel every handler at work and wait for them."""
        tasks = [t for t in self._tasks if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _admit(self, topic: TopicBase, message: Message) -> Params | None:
        """The open levels of a message worth parsing, else None."""
        if _EXACT.get(message.topic, topic) is not topic:
            return None  # another topic's, which a wildcard caught as well
        self.counts["received"] += 1
        traffic.received.inc()
        if len(message.payload) > topic.max_bytes:
            self.counts["too_big"] += 1
            traffic.refused("too_big")
            self._log.warning(
                "message too big", event_type="validation_error", topic=message.topic,
                size=len(message.payload), limit=topic.max_bytes,
            )  # fmt: skip
            return None
        levels = topic.parse(message.topic)
        if levels is None:
            self.counts["invalid"] += 1
            traffic.refused("invalid")
        return levels

    def _deliver(
        self, topic: TopicBase, handler: Callable[[Any, Params], Any], payload: Any, levels: Params
    ) -> None:
        if not inspect.iscoroutinefunction(handler):
            handler(payload, levels)
        elif len(self._tasks) >= MAX_TASKS:
            self.counts["dropped"] += 1
            traffic.refused("overload")
            self._log.error("too much work at once", topic=topic.name, limit=MAX_TASKS)
        else:
            self.spawn(handler(payload, levels), f"on:{topic.name}")

    async def _guard(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await coroutine
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the process lives on
            self.failed(name, error)

    def failed(self, name: str, error: Exception) -> None:
        """Count and log a failure by its kind; its text stays at DEBUG, it may hold speech."""
        self.counts["handler_failed"] += 1
        traffic.handler_failures.inc()
        self._log.error("handler failed", handler=name, kind=type(error).__name__,
                        code=getattr(error, "code", None))  # fmt: skip
        self._log.debug("handler failed", handler=name, exc_info=error)


def _shielded(
    messenger: Messenger, topic: TopicBase, receive: Callable[[Message], None]
) -> Callable[[Message], None]:
    """Nothing that a message does may reach the receive loop."""

    def guarded(message: Message) -> None:
        try:
            receive(message)
        except Exception as error:  # noqa: BLE001  # whatever it is, the loop goes on
            messenger.failed(f"on:{topic.name}", error)

    return guarded


def problems_of(error: ValueError) -> list[str]:
    """What is wrong with a payload: field names and kinds, never the values (D008)."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return [type(error).__name__]
    found = errors(include_url=False, include_context=False, include_input=False)
    return [f"{'.'.join(str(p) for p in e['loc']) or 'payload'}: {e['type']}" for e in found][:20]
