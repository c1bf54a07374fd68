"""The life of a service, from load to goodbye."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.health import ConfigState, Health
from parlour_contracts.messages.room import Say
from parlour_contracts.topics import SAY
from parlour_kit.clock import LoopClock
from parlour_kit.errors import ParlourError
from parlour_kit.messenger import Messenger
from parlour_kit.runtime import DRAIN_S, FEED_S, Runtime
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


class SlowFeed:
    """A feed that goes on when it is told to stop, or raises."""

    state = ConfigState()
    problem = None

    def __init__(self, trouble: Exception | None) -> None:
        self.trouble = trouble

    def start(self, *_args, works: bool = True) -> None:
        return

    async def stop(self) -> None:
        if self.trouble:
            raise self.trouble
        await asyncio.sleep(3600)


@pytest.mark.parametrize("trouble", [None, OSError("the card is gone")])
async def test_a_feed_that_does_not_stop_keeps_no_service_from_its_drain(
    broker: MemoryBroker, trouble: Exception | None
) -> None:
    bus = broker.client("router")
    ctx = Context("router", bus, Messenger(bus, "router", LoopClock()), LoopClock(), None)
    service = Example(ctx, RouterConfig(), slow=3600)
    runtime = Runtime(service, feed=SlowFeed(trouble))
    await runtime.start()
    await service.messenger.send(SAY, Say(text="x"), site="kitchen")
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()

    await runtime.stop()

    assert service.happened[2:] == ["work", "drain", "let go", "close"]
    assert asyncio.get_running_loop().time() - began <= FEED_S + DRAIN_S + 0.1
    assert Health.decode(broker.retained["system/health/router"].payload).event == "stopping"


async def test_an_engine_that_cannot_be_freed_keeps_nobody_from_saying_goodbye(
    broker: MemoryBroker,
) -> None:
    class Stuck(Example):
        async def close(self) -> None:
            await asyncio.sleep(3600)

    async with memory_service(Stuck, broker):
        await asyncio.sleep(1)

    assert Health.decode(broker.retained["system/health/router"].payload).event == "stopping"


_LOADS_FOR_EVER = """
import asyncio, sys, time
from parlour_contracts.config import RouterConfig
from parlour_kit import process
from parlour_kit.service import Service

class Slow(Service[RouterConfig]):
    name = "router"
    config_model = RouterConfig

    async def load(self):
        print("loading", flush=True)
        await asyncio.to_thread(time.sleep, 60)

    async def serve(self): ...

process.LEAVE_S = 0.5
sys.modules["slow"] = sys.modules["__main__"]
process.main("slow:Slow")
"""


def test_a_process_ends_in_time_although_a_thread_still_loads(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _LOADS_FOR_EVER],
        env={**os.environ, "MQTT_URL": "mqtt://127.0.0.1:1", "DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while "loading" not in (line := process.stdout.readline()):
            assert line, "it ended before it loaded"
        process.send_signal(signal.SIGTERM)

        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()

    assert process.returncode == 0
    assert "a thread was cut off" in said


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
