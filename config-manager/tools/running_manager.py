"""A whole config-manager on a broker in memory, for tests and for trials."""  # noqa: INP001

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from config_manager.runtime.clock import WallClock
from config_manager.runtime.selftest import FORBIDDEN
from config_manager.service import ConfigManager
from config_manager.settings import ManagerSettings
from config_manager.store import Store
from parlour_contracts.config import CONFIGS, ServiceConfigModel
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.topics import CONFIG_HEALTH
from parlour_kit.bus import Bus, Message
from parlour_kit.errors import PublishRefusedError
from parlour_testkit import MemoryBroker
from parlour_testkit.memory_bus import MemoryBus
from parlour_testkit.running import running_service

BUSY_MS = 50
READY_S = 4.0
"""A first start waits two seconds for retained messages that do not exist."""


class GuardedBus(MemoryBus):
    """A connection to a broker that refuses what its access list forbids to all."""

    async def publish(self, topic: str, payload: bytes, **options: Any) -> None:
        """Send, unless it is forbidden."""
        if topic == FORBIDDEN and self.connected:
            raise PublishRefusedError(topic, 135)
        await super().publish(topic, payload, **options)


def guarded(broker: MemoryBroker, name: str) -> GuardedBus:
    """A new, connected client."""
    bus = GuardedBus(broker, name, None)
    broker.clients.append(bus)
    return bus


class MemoryLine:
    """The request connection, in memory."""

    def __init__(self, broker: MemoryBroker, name: str) -> None:
        self._broker = broker
        self._name = name
        self.bus: MemoryBus | None = None

    async def open(self) -> Bus:
        """A new connection."""
        self.bus = self._broker.client(self._name)
        return self.bus

    async def start(self) -> None:
        """It stands already."""

    async def close(self) -> None:
        """Gone without a will."""
        if self.bus is not None:
            self.bus.kill()
            self.bus = None


def settings_of(folder: Path, **more: Any) -> ManagerSettings:
    """Settings of a manager whose data lie in a folder."""
    return ManagerSettings(_env_file=None, mqtt_url="mqtt://127.0.0.1:9", data_dir=folder, **more)  # type: ignore[call-arg]  # of pydantic-settings


@asynccontextmanager
async def manager(
    broker: MemoryBroker,
    folder: Path,
    *,
    instance: str = "config-manager",
    bus: Bus | None = None,
    models: Mapping[str, type[ServiceConfigModel]] = CONFIGS,
    wall: WallClock | None = None,
    wait_s: float = READY_S,
    **settings: Any,
) -> AsyncIterator[ConfigManager]:
    """A running manager that has had time to get ready."""
    found = settings_of(folder, **settings)
    async with running_service(
        ConfigManager,
        bus or guarded(broker, f"{instance}.pub"),
        instance=instance,
        data_dir=folder,
        settings=found,
        store=Store(found.database, busy_ms=BUSY_MS, models=models),
        models=models,
        line=MemoryLine(broker, instance),
        wall=wall or WallClock(synchronised=lambda: True),
    ) as service:
        await asyncio.sleep(wait_s)
        assert isinstance(service, ConfigManager)
        yield service


def told(broker: MemoryBroker) -> ConfigHealthPayload:
    """The health that is retained."""
    return ConfigHealthPayload.decode(broker.retained[CONFIG_HEALTH.topic()].payload)


def tokens(payload: ConfigHealthPayload) -> tuple[str, dict[str, str]]:
    """Word and tokens of its event."""
    word, *rest = (payload.event or "").split(" ")
    return word, dict(token.split("=", 1) for token in rest)


class Person:
    """Somebody with a broker account who asks for things."""

    def __init__(self, broker: MemoryBroker, name: str = "admin") -> None:
        self.name = name
        self.bus = broker.client(name)
        self.answers: list[tuple[Message, dict[str, Any]]] = []

    async def listen(self) -> Person:
        """Hear answers from now on."""
        await self.bus.subscribe(f"system/config-response/{self.name}/#", self._hear)
        return self

    async def ask(
        self,
        op: str,
        service: str,
        body: object = None,
        *,
        as_user: str | None = None,
        raw: bytes | None = None,
        wait_s: float = 1.0,
        **options: Any,
    ) -> dict[str, Any]:
        """The answer to a request; empty when none came in time."""
        before = len(self.answers)
        payload = raw if raw is not None else json.dumps(body or {}).encode()
        topic = f"system/config-request/{as_user or self.name}/{op}/{service}"
        await self.bus.publish(topic, payload, qos=1, **options)
        for _ in range(int(wait_s / 0.01)):
            if len(self.answers) > before:
                return self.answers[-1][1]
            await asyncio.sleep(0.01)
        return {}

    def _hear(self, message: Message) -> None:
        self.answers.append((message, json.loads(message.payload)))
