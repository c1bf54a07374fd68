"""How the checks of a service reach those who ask it, and those who read its health."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.health import Health
from parlour_kit.clock import LoopClock
from parlour_kit.errors import ParlourError
from parlour_kit.health import HealthReporter
from parlour_kit.messenger import Messenger
from parlour_kit.probes import answers
from parlour_kit.probes.answers import STUCK_S
from parlour_kit.probes.checks import TTL_S, Check
from parlour_kit.probes.checkup import Checkup
from parlour_kit.runtime import Runtime
from parlour_kit.service import Context, Service
from parlour_testkit import MemoryBroker


class DeafError(ParlourError):
    code = "DEAF"
    hint = "Shout."


class Example(Service[RouterConfig]):
    """A service whose check is as a test wants it."""

    name = "router"
    config_model = RouterConfig
    trouble: Exception | None = None
    broken: ParlourError | None = None
    runs = 0
    takes_s = 0.1

    def checks(self) -> list[Check]:
        return [Check("model", self._check, component="llm")]

    async def _check(self) -> None:
        self.runs += 1
        await asyncio.sleep(self.takes_s)
        if self.trouble is not None:
            raise self.trouble

    async def load(self) -> None:
        if self.broken is not None:
            raise self.broken

    async def serve(self) -> None: ...


class House:
    """A process in parts, with a checkup that it runs itself."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        clock = LoopClock()
        bus = broker.client("router")
        ctx = Context("router", bus, Messenger(bus, "router", clock), clock, None)
        self.service = Example(ctx, RouterConfig())
        self.health = HealthReporter(bus, "router", self.service.compose_health(), clock, 5.0)
        self.checkup = Checkup(bus, clock, self.health.state)
        self.runtime = Runtime(self.service, 5.0, health=self.health, checkup=self.checkup)

    @property
    def told(self) -> Health:
        return Health.decode(self.broker.retained["system/health/router"].payload)

    async def ready(self) -> tuple[int, dict[str, Any]]:
        found = answers.readiness(
            await self.checkup.checked(), self.checkup.wall(), self.checkup.obstacle
        )
        return found.code, json.loads(found.encode())

    async def answer(self) -> tuple[int, dict[str, Any]]:
        found = answers.health(await self.checkup.facts(), self.checkup.wall())
        return found.code, json.loads(found.encode())


@asynccontextmanager
async def running(broker: MemoryBroker, **fields: Any) -> AsyncIterator[House]:
    house = House(broker)
    for name, value in fields.items():
        setattr(house.service, name, value)
    await house.runtime.start()
    try:
        yield house
    finally:
        await house.runtime.stop()


@pytest.mark.req("H001", "F32")
async def test_a_check_that_fails_is_told_in_the_health_message_without_anybody_asking(
    broker: MemoryBroker,
) -> None:
    async with running(broker) as house:
        await asyncio.sleep(7)
        assert (house.told.status, house.told.components) == ("healthy", {"llm": True})
        house.service.trouble = DeafError("at /home/kim")
        await asyncio.sleep(40)
        told = house.told
        house.service.trouble = None
        await asyncio.sleep(40)
        healed = house.told

    assert (told.status, told.ok, told.ready) == ("unhealthy", False, True)
    assert told.components == {"llm": False}
    (detail,) = told.details
    assert (detail.component_name, detail.is_healthy) == ("llm", False)
    assert detail.details == "model: DEAF: Shout."
    assert (healed.status, healed.details) == ("healthy", [])


@pytest.mark.req("H015")
async def test_who_asks_gets_a_result_that_is_no_older_than_30_s(broker: MemoryBroker) -> None:
    async with running(broker) as house:
        first = await house.ready()
        house.service.trouble = DeafError("x")
        again = await house.ready()
        await asyncio.sleep(TTL_S + 1)
        later = await house.ready()
        health = await house.answer()

    assert (first[0], again[0], later[0]) == (200, 200, 503)
    assert first[1]["checks"].keys() == {"model", "mqtt"}
    assert later[1]["checks"]["model"]["message"] == "DEAF: Shout."
    assert health[0] == 503
    assert health[1]["components"] == {"llm": False}
    assert health[1]["error"] == "model: DEAF: Shout."


@pytest.mark.req("SC107")
async def test_who_asks_regularly_waits_for_a_check_once_and_never_again(
    broker: MemoryBroker,
) -> None:
    waited: list[float] = []
    loop = asyncio.get_running_loop()
    async with running(broker, takes_s=1.5) as house:
        for _ in range(40):
            asked = loop.time()
            await house.ready()
            waited.append(loop.time() - asked)
            await asyncio.sleep(15)
        ran, began = house.service.runs, loop.time()
        await asyncio.sleep(600)
        alone = (house.service.runs - ran) * 1.5 / (loop.time() - began)

    assert max(waited[1:]) == 0.0
    assert 600 / TTL_S <= ran <= 2 * 600 / TTL_S
    assert alone <= 0.015, "nobody asks any more"


@pytest.mark.req("H015")
async def test_a_change_of_settings_makes_the_next_question_check_anew(
    broker: MemoryBroker,
) -> None:
    async with running(broker) as house:
        await house.ready()
        switch = await house.runtime._stage(RouterConfig())
        await switch.commit()
        await house.ready()

    assert house.service.runs == 2


async def test_a_service_that_could_not_load_is_not_ready_whatever_its_checks_say(
    broker: MemoryBroker,
) -> None:
    async with running(broker, broken=DeafError("at /home/kim")) as house:
        code, body = await house.ready()

    assert code == 503
    assert body["checks"]["start"]["message"] == "DEAF: Shout."


async def test_a_process_without_its_broker_is_not_ready(broker: MemoryBroker) -> None:
    async with running(broker) as house:
        broker.stop()
        await asyncio.sleep(1)
        code, body = await house.ready()
        health = await house.answer()

    assert code == 503
    assert body["checks"]["mqtt"]["message"].startswith("NOT_CONNECTED")
    assert health[1]["status"] == "unhealthy"


async def test_before_the_start_and_after_the_end_nobody_is_ready_and_nothing_is_checked(
    broker: MemoryBroker,
) -> None:
    house = House(broker)
    before = await house.ready(), await house.answer()
    await house.runtime.start()
    await house.runtime.stop()
    after = await house.ready()

    assert [code for code, _ in (*before, after)] == [503, 503, 503]
    assert before[1][1]["components"] == {"llm": False}
    assert after[1]["checks"]["start"]["message"] == "stops"
    assert house.service.runs == 0


@pytest.mark.req("P012")
async def test_a_main_loop_that_stood_still_is_not_alive_until_it_turns_again(
    broker: MemoryBroker,
) -> None:
    house = House(broker)
    beating = asyncio.create_task(house.checkup.pulse.run())
    await asyncio.sleep(60)
    assert answers.liveness(house.checkup.beat_age_s, house.checkup.wall()).code == 200

    beating.cancel()
    await asyncio.sleep(STUCK_S + 1)

    assert answers.liveness(house.checkup.beat_age_s, house.checkup.wall()).code == 503
