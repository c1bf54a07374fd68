"""What lies on the configuration topics, read and verified away from the event loop.

One slot a topic, where the newest wins. Bytes that were verified once, or that this process sent
itself, are known by their digest and cost nothing a second time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from parlour_config.errors import SignedConfigError
from parlour_config.signing import TrustedKey
from parlour_config.update import check_update, read_update
from parlour_contracts.topics import CONFIG, CONFIG_KEYS
from parlour_kit.bus import Bus, Message, SubscribeOptions
from parlour_kit.clock import Clock

from config_manager.runtime.reconcile import Seen

QUIET_S = 2.0
"""So long without a new message means that all retained ones have come."""

BATCH = 64
ECHOES = 4
"""So many of the last messages of a topic are known as this process's own by their digest."""

FROM_OTHERS = SubscribeOptions(retain_handling=2, no_local=True)
"""What is retained has been told, and each of this process's own messages would only cost as much
as it cost to send."""

_PREFIX = CONFIG.pattern.partition("{")[0]


@dataclass(frozen=True)
class _Fresh:
    """A message that was not looked at yet; ``own``: this process sent the very same bytes."""

    service: str
    payload: bytes
    digest: bytes
    own: bool


class Collector:
    """Listens to ``system/config/+`` and to the keyset.

    Attributes:
        news: set when something came that was not retained.
        keyset: the last document that was seen, or None.
    """

    def __init__(self, bus: Bus, clock: Clock, keys: Callable[[], Sequence[TrustedKey]]) -> None:
        self._bus = bus
        self._clock = clock
        self._keys = keys
        self._slots: dict[str, bytes] = {}
        self._seen: dict[str, tuple[bytes, Seen]] = {}
        self._sent: dict[str, tuple[bytes, ...]] = {}
        self._missing: set[str] = set()
        self._last = 0.0
        self._arrived = asyncio.Event()
        self.news = asyncio.Event()
        self.keyset: bytes | None = None

    def sent(self, topic: str, payload: bytes) -> None:
        """This process is about to send this: its echo is no news."""
        if topic.startswith(_PREFIX):
            service = topic.removeprefix(_PREFIX)
            self._sent[service] = (*self._sent.get(service, ()), _digest(payload))[-ECHOES:]

    async def listen(self) -> None:
        """Subscribe, or subscribe again so that the broker sends all that is retained."""
        self._slots.clear()
        self.keyset = None
        self._last = self._clock.monotonic()
        await self._bus.subscribe(CONFIG.filter(), self._take, qos=1)
        await self._bus.subscribe(CONFIG_KEYS.topic(), self._take_keyset, qos=1)

    async def settle(self, expected: Iterable[str]) -> None:
        """Return when every expected topic was seen, or nothing new came for two seconds.

        From then on only what others send is heard, until the next :meth:`listen`.
        """
        missing = self._missing = set(expected) - self._slots.keys()
        while missing:
            left = self._last + QUIET_S - self._clock.monotonic()
            if left <= 0:
                break
            self._arrived.clear()
            try:
                async with asyncio.timeout(left):
                    await self._arrived.wait()
            except TimeoutError:
                continue
        await self._bus.subscribe(CONFIG.filter(), self._take, qos=1, options=FROM_OTHERS)

    async def taken(self, *, echoes: bool) -> list[Seen]:
        """Everything since the last time, verified.

        Args:
            echoes: whether what this process sent itself belongs to it.
        """
        self.news.clear()
        slots, self._slots = self._slots, {}
        found: list[Seen] = []
        fresh: list[_Fresh] = []
        for service, payload in slots.items():
            digest = _digest(payload)
            own = digest in self._sent.get(service, ())
            if own and not echoes:
                continue
            known = self._seen.get(service)
            if known is not None and known[0] == digest:
                found.append(known[1])
            else:
                fresh.append(_Fresh(service, payload, digest, own=own))
        keys = tuple(self._keys())
        loop = asyncio.get_running_loop()
        for start in range(0, len(fresh), BATCH):
            batch = fresh[start : start + BATCH]
            judged = await loop.run_in_executor(None, _judge, batch, keys)
            for item, seen in zip(batch, judged, strict=True):
                if seen.epoch is not None:
                    self._seen[item.service] = (item.digest, seen)
                found.append(seen)
        return found

    def forget(self) -> None:
        """The keys changed: what was verified must be verified again."""
        self._seen.clear()

    def _take_keyset(self, message: Message) -> None:
        self.keyset = message.payload

    def _take(self, message: Message) -> None:
        service = message.topic.removeprefix(_PREFIX)
        if message.retain and not message.payload:
            return
        self._slots[service] = message.payload
        self._missing.discard(service)
        self._last = self._clock.monotonic()
        self._arrived.set()
        if not message.retain:
            self.news.set()


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()


def _judge(batch: Sequence[_Fresh], keys: Sequence[TrustedKey]) -> list[Seen]:
    return [read_seen(item.service, item.payload, None if item.own else keys) for item in batch]


def read_seen(service: str, payload: bytes, keys: Sequence[TrustedKey] | None) -> Seen:
    """What a message on a service's topic is.

    Args:
        service: of the topic.
        payload: as it lies there.
        keys: who may have signed it; None when the bytes are known to be this process's own.
    """
    try:
        update = read_update(payload)
        if keys is not None:
            check_update(update, keys)
    except SignedConfigError:
        return Seen(service)
    return Seen(
        service,
        update.config_epoch,
        update.issued_at,
        update.checksum,
        misplaced=update.service != service,
    )
