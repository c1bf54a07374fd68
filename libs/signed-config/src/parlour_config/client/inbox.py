"""What the broker brings to a service's configuration client: one slot each, the newest wins."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from parlour_contracts.topics import CONFIG, CONFIG_ACCEPTED, CONFIG_HEALTH, CONFIG_KEYS
from parlour_kit.bus import Bus, Message

from parlour_config.client.keysets import MAX_ANSWER_BYTES, documents_of

KEYSET_REQUEST = {"op": "keyset", "config": "_all"}


class Inbox:
    """Takes messages in the receive loop; nothing is parsed there but an answer's outer form.

    ``news`` is set whenever something waits. A burst of configurations costs one change.
    """

    def __init__(self, bus: Bus, service: str, instance: str) -> None:
        self.news = asyncio.Event()
        self.keysets: deque[bytes] = deque(maxlen=16)
        self._bus = bus
        self._topic = CONFIG.topic(service=service)
        self._answers = CONFIG_ACCEPTED.topic(user=instance, **KEYSET_REQUEST)
        self._newest: Message | None = None

    async def open(self, on_manager: Callable[[bytes], None]) -> None:
        """Subscribe; ``on_manager`` is told each health message of config-manager."""
        await self._bus.subscribe(CONFIG_KEYS.topic(), self._on_keyset)
        await self._bus.subscribe(CONFIG_HEALTH.topic(), lambda m: on_manager(m.payload))
        await self._bus.subscribe(self._answers, self._on_answer)
        await self.again()

    async def again(self) -> None:
        """Subscribe to the own topic, again if need be: its retained message comes once more."""
        await self._bus.subscribe(self._topic, self.put)

    def put(self, message: Message) -> None:
        """A configuration came."""
        self._newest = message
        self.news.set()

    def put_back(self, message: Message) -> None:
        """One that was refused may pass now, unless a newer one has come."""
        if self._newest is None:
            self.put(message)

    def take(self) -> Message | None:
        """The newest configuration, once."""
        message, self._newest = self._newest, None
        return message

    def _on_keyset(self, message: Message) -> None:
        self.keysets.append(message.payload)
        self.news.set()

    def _on_answer(self, message: Message) -> None:
        if len(message.payload) <= MAX_ANSWER_BYTES:
            self.keysets.extend(documents_of(message.payload))
            self.news.set()
