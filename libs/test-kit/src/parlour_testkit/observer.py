"""Somebody who listens to everything and remembers it, typed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from parlour_contracts.topics import FrameTopic, Payload, Topic, TopicBase
from parlour_kit.bus import Bus
from parlour_kit.clock import LoopClock
from parlour_kit.messenger import Frame, Messenger

M = TypeVar("M", bound=Payload)


@dataclass(frozen=True)
class Seen:
    """A message, where it was and when (seconds of the loop)."""

    topic: TopicBase
    params: dict[str, str]
    message: Any
    at: float


class Observer:
    """Records the messages of topics; call :meth:`watch` first.

    Its messenger is there to speak with, too: ``await observer.messenger.send(...)``.
    """

    def __init__(self, bus: Bus, name: str = "observer") -> None:
        self.bus = bus
        self.messenger = Messenger(bus, name, LoopClock())
        self.seen: list[Seen] = []
        self._news = asyncio.Event()

    async def watch(self, *topics: TopicBase) -> Observer:
        """Record these topics, for every room and instance."""
        for topic in topics:

            def note(message: Any, params: dict[str, str], topic: TopicBase = topic) -> None:
                now = asyncio.get_running_loop().time()
                self.seen.append(Seen(topic, params, message, now))
                self._news.set()

            if isinstance(topic, FrameTopic):
                await self.messenger.on_frame(topic, note)
            elif isinstance(topic, Topic):
                await self.messenger.on(topic, note)
        return self

    def of(self, topic: Topic[M]) -> list[M]:
        """The messages of a topic, in order."""
        return [s.message for s in self.seen if s.topic is topic]

    def frames(self, topic: FrameTopic) -> list[Frame]:
        """The frames of a topic, in order."""
        return [s.message for s in self.seen if s.topic is topic]

    async def until(
        self, topic: Topic[M], matches: Callable[[M], bool] = lambda _m: True, within: float = 30.0
    ) -> M:
        """Wait for a message, also one that is already there.

        Raises:
            TimeoutError: it did not come in time (seconds of the loop).
        """
        async with asyncio.timeout(within):
            while True:
                for message in self.of(topic):
                    if matches(message):
                        return message
                self._news.clear()
                await self._news.wait()
