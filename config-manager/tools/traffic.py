"""People who change settings all the time and ask again until they are answered, for tests."""  # noqa: INP001

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from parlour_kit.backoff import Backoff
from parlour_kit.bus import Message
from parlour_kit.clock import LoopClock
from parlour_kit.errors import BusError
from parlour_kit.link import MqttOptions
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.mqtt_link import PahoLink

AGAIN_S = 1.0
"""Without an answer for so long, a request is sent again under its transaction."""

PASSING = frozenset({423, 429, 503, 507})
"""Codes of refusals that say: later."""

Kind = Literal["good", "spoilt", "stale", "guarded"]


@dataclass
class Change:
    """One change that somebody wants.

    Attributes:
        transaction: its id; it begins with who asks.
        service: whose settings.
        values: what they shall become.
        kind: ``spoilt`` and ``stale`` must be refused, ``guarded`` names a version that may hold.
        version: the row version that it names, if any.
        sent: how often it was sent.
        put_off: how often the answer was: later.
        new_version: of the accepted one.
        error: of the refused one.
    """

    transaction: str
    service: str
    values: dict[str, Any]
    kind: Kind = "good"
    version: int | None = None
    sent: int = 0
    put_off: int = 0
    new_version: int | None = None
    error: str | None = None

    @property
    def answered(self) -> bool:
        """Whether it is known what became of it."""
        return self.new_version is not None or self.error is not None


@dataclass
class Log:
    """What all of them asked for and were told.

    Attributes:
        changes: by transaction.
        problems: answers that contradict each other or the rules.
        duplicates: answers that were repeated from the store.
        heard_at: when an answer came last, on the monotonic clock.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    duplicates: int = 0
    heard_at: float = 0.0

    @property
    def accepted(self) -> list[Change]:
        """Those that were accepted."""
        return [c for c in self.changes.values() if c.new_version is not None]

    @property
    def refused(self) -> list[Change]:
        """Those that were refused for good."""
        return [c for c in self.changes.values() if c.error is not None]

    def note(self, answer: dict[str, Any]) -> None:
        """Take an answer; a second one must say what the first said."""
        self.heard_at = time.monotonic()
        change = self.changes.get(answer["transaction"] or "")
        if change is None:
            self.problems.append(f"an answer to nothing: {answer}")
        elif answer["status"] == "accepted":
            self.duplicates += bool(answer["duplicate"])
            self._accepted(change, int(answer["data"]["new_version"]))
        elif answer["code"] in PASSING:
            change.put_off += 1
        else:
            self._refused(change, str(answer["error"]))

    def _accepted(self, change: Change, version: int) -> None:
        if change.kind in ("spoilt", "stale"):
            self.problems.append(f"{change.transaction} was accepted although it is {change.kind}")
        if change.error is not None:
            self.problems.append(f"{change.transaction} was refused and then accepted")
        if change.new_version not in (None, version):
            self.problems.append(f"{change.transaction} was accepted twice")
        if change.kind == "guarded" and version != (change.version or 0) + 1:
            self.problems.append(f"{change.transaction} changed another version than it named")
        change.new_version = version

    def _refused(self, change: Change, error: str) -> None:
        wanted = {"spoilt": "VALIDATION_FAILED", "stale": "VERSION_CONFLICT",
                  "guarded": "VERSION_CONFLICT"}.get(change.kind)  # fmt: skip
        if error != wanted:
            self.problems.append(f"{change.transaction} was refused with {error}")
        if change.new_version is not None:
            self.problems.append(f"{change.transaction} was accepted and then refused")
        change.error = error


class Writer:
    """One person with an account of their own."""

    def __init__(self, name: str, bus: MqttBus, log: Log, chance: random.Random) -> None:
        self.name = name
        self._bus = bus
        self._log = log
        self._chance = chance
        self._number = 0
        self._told: dict[str, int] = {}
        self._news = asyncio.Event()
        self._go = asyncio.Event()
        self._idle = asyncio.Event()
        self._go.set()

    async def run(self) -> None:
        """Change settings until cancelled."""
        await self._bus.subscribe(f"system/config-response/{self.name}/#", self._hear)
        while True:
            if not self._go.is_set():
                self._idle.set()
                await self._go.wait()
            change = self._next()
            self._log.changes[change.transaction] = change
            while not change.answered:
                await self._ask(change)
            if change.new_version is not None:
                self._told[change.service] = change.new_version
            await asyncio.sleep(self._chance.uniform(0, 0.05))

    def pause(self) -> None:
        """Begin nothing new."""
        self._idle.clear()
        self._go.clear()

    def go_on(self) -> None:
        """Begin again."""
        self._go.set()

    async def finished(self) -> None:
        """Return when what was begun before a pause is answered."""
        await self._idle.wait()

    def _next(self) -> Change:
        """What to ask for; the values follow from the id, so that each is another."""
        self._number += 1
        transaction = f"{self.name}-{self._number}"
        service = self._chance.choice(("router", "router", "tts-worker", "stt-worker"))
        values: dict[str, Any] = {
            "router": {"system_prompt": transaction, "history_messages": self._number % 100},
            "tts-worker": {"volume_percent": self._number % 200},
            "stt-worker": {"vad_speech_pad_ms": 100 + self._number % 300},
        }[service]
        kind: Kind = self._chance.choices(
            ("good", "guarded", "spoilt", "stale"), weights=(6, 2, 1, 1)
        )[0]
        if kind == "spoilt":
            return Change(transaction, service, {**values, **_SPOILT[service]}, kind)
        if kind == "good" or service not in self._told:
            return Change(transaction, service, values)
        known = self._told[service]
        return Change(transaction, service, values, kind, known if kind == "guarded" else known - 1)

    async def _ask(self, change: Change) -> None:
        body: dict[str, Any] = {"transaction": change.transaction, "config": change.values}
        if change.version is not None:
            body["version"] = change.version
        self._news.clear()
        change.sent += 1
        before = change.put_off
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S):
                try:
                    await self._bus.publish(
                        f"system/config-request/{self.name}/patch/{change.service}",
                        json.dumps(body).encode(),
                        qos=1,
                    )
                except BusError:
                    await asyncio.sleep(0.1)
                    return
                while not change.answered and change.put_off == before:
                    await self._news.wait()
                    self._news.clear()
        if change.put_off > before:
            await asyncio.sleep(0.1)

    def _hear(self, message: Message) -> None:
        self._log.note(json.loads(message.payload))
        self._news.set()


_SPOILT: dict[str, dict[str, Any]] = {
    "router": {"history_messages": -1},
    "tts-worker": {"volume_percent": 1000},
    "stt-worker": {"vad_threshold": 2.0},
}


def quiet() -> None:
    """Nothing but the end of the world is logged: brokers come and go here all the time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@asynccontextmanager
async def connected(options: MqttOptions, name: str) -> AsyncIterator[MqttBus]:
    """A connection that comes back within half a second, so that it is not what is measured."""
    bus = MqttBus(
        lambda will, receive: PahoLink(options, name, will, receive),
        LoopClock(),
        backoff=Backoff(0.1, 0.5),
    )
    await bus.start()
    try:
        await bus.wait_connected()
        yield bus
    finally:
        await bus.stop()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Return when something holds that nobody announces; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # it is in a file or a broker, not in here
            await asyncio.sleep(0.02)


@asynccontextmanager
async def people(
    options: Callable[[str], MqttOptions], names: Sequence[str], log: Log, seed: int
) -> AsyncIterator[list[Writer]]:
    """Writers at work, each over a connection of their own."""
    async with AsyncExitStack() as stack:
        writers = []
        for name in names:
            bus = await stack.enter_async_context(connected(options(name), name))
            chance = random.Random(f"{seed} {name}")  # noqa: S311  # for values, not for secrets
            writers.append(Writer(name, bus, log, chance))
        tasks = [asyncio.create_task(writer.run()) for writer in writers]
        try:
            yield writers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def rest(writers: Sequence[Writer], seconds: float) -> None:
    """Let them begin nothing new; return when all is answered; raises TimeoutError."""
    for writer in writers:
        writer.pause()
    async with asyncio.timeout(seconds):
        for writer in writers:
            await writer.finished()


class Reader:
    """Reads what the broker retains.

    Attributes:
        sequence: every message as it came, topic and payload, retained ones too.
    """

    def __init__(self, bus: MqttBus, topic_filter: str) -> None:
        self._bus = bus
        self._filter = topic_filter
        self._found: dict[str, bytes] = {}
        self.sequence: list[tuple[str, bytes]] = []

    async def listen(self) -> None:
        """Hear from now on."""
        await self._bus.subscribe(self._filter, self._hear)

    async def retained(
        self, enough: Callable[[dict[str, bytes]], bool], seconds: float = 0.5
    ) -> dict[str, bytes]:
        """What is there now: asked of the broker afresh, until it is enough or time is up."""
        self._found = {}
        with suppress(BusError, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bus.subscribe(self._filter, self._hear)
                await until(lambda: enough(self._found), seconds)
        return dict(self._found)

    def _hear(self, message: Message) -> None:
        self._found[message.topic] = message.payload
        self.sequence.append((message.topic, message.payload))
