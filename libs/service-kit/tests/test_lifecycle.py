"""The life of a service, from load to goodbye."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.room import Say
from parlour_contracts.topics import SAY
from parlour_kit.clock import LoopClock
from parlour_kit.errors import ParlourError
from parlour_kit.messenger import Messenger
from parlour_kit.runtime import DRAIN_S, Runtime
from parlour_kit.service import Context, Service
from parlour_testkit import MemoryBroker, memory_service


class Example(Service[RouterConfig]):
    """A service that remembers what happened to it."""

    name = "router"
    config_model = RouterConfig
    story: ClassVar[list[str]] = []

    def __init__(self, ctx, config, *, trouble: Exception | None = None, slow: float = 0) -> None:
        super().__init__(ctx, config)
        self.happened: list[str] = []
        self.trouble = trouble
        self.slow = slow

    async def load(self) -> None:
        self.happened.append("load")
        if self.trouble:
            raise self.trouble

    async def serve(self) -> None:
        self.happened.append("serve")
        await self.messenger.on(SAY, self.work)

    async def work(self, _message: Say, _params: dict[str, str]) -> None:
        self.happened.append("work")
        try:
            await asyncio.sleep(3600)
        finally:
            self.happened.append("let go")

    async def drain(self) -> None:
        self.happened.append("drain")
        await asyncio.sleep(self.slow)

    async def close(self) -> None:
        self.happened.append("close")


async def test_the_steps_of_a_life_come_in_order(broker: MemoryBroker) -> None:
    async with memory_service(Example, broker) as service:
        await service.messenger.send(SAY, Say(text="x"), site="kitchen")
        await asyncio.sleep(1)

    assert service.happened == ["load", "serve", "work", "drain", "let go", "close"]


async def test_a_process_whose_engine_does_not_load_lives_and_says_why(
    broker: MemoryBroker,
) -> None:
    trouble = ParlourError("no model", code="MODEL_MISSING", hint="parlour models pull base")

    async with memory_service(Example, broker, trouble=trouble):
        await asyncio.sleep(1)
        health = Health.decode(broker.retained["system/health/router"].payload)

    assert (health.ready, health.status) == (False, "unhealthy")
    assert health.err is not None
    assert health.err.code == "MODEL_MISSING"


async def test_a_drain_that_does_not_end_is_cut_off(broker: MemoryBroker) -> None:
    began = 0.0
    async with memory_service(Example, broker, slow=3600):
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() - began <= DRAIN_S + 1


async def test_a_process_that_no_longer_hears_itself_ends(broker: MemoryBroker) -> None:
    """Trap 1: connected, but deaf."""
    bus = broker.client("router")
    ctx = Context("router", bus, Messenger(bus, "router", LoopClock()), LoopClock(), None)
    runtime = Runtime(Example(ctx, RouterConfig()), 5.0)
    await runtime.start()
    await asyncio.sleep(60)
    assert not runtime.deaf.is_set()
    bus.receivers.clear()

    await asyncio.sleep(60)

    assert runtime.deaf.is_set()
    await runtime.stop()
