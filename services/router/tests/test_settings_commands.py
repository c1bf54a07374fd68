"""The settings of what needs no language model count at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from parlour_contracts.config import RouterConfig
from parlour_kit.clock import utc_text
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.scripted_workers import ScriptedLlmWorker
from router.errors import ZoneError

from .conftest import House, MakeHouse
from .test_settings_live import C085, change

QUARTER_TO = datetime(2026, 7, 1, 22, 45, tzinfo=UTC)


async def said(house: House, text: str) -> list[str]:
    """What is said in answer, and what is announced within a minute after it."""
    before = len(house.said())
    await house.trace(await house.ask(text))
    await asyncio.sleep(60)
    return house.said()[before:]


@C085
@pytest.mark.req("R006")
async def test_setting_rule_intents_off_the_model_is_asked_everything(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, "It is nine.")) as h:
        assert (await said(h, "Say hello."))[0] == "hello."
        assert h.llm.requests == []
        await change(h, rule_intents=False)

        assert await said(h, "Say hello.") == ["It is nine."]
        assert len(h.llm.requests) == 1


@C085
async def test_setting_rule_intents_off_a_timer_that_runs_rings_all_the_same(
    make_house: MakeHouse,
) -> None:
    async with make_house() as h:
        await h.trace(await h.ask("Set a timer for 30 seconds."))
        await change(h, rule_intents=False)
        await asyncio.sleep(40)

        assert h.said()[-1] == "Your timer for 30 seconds is done."


@C085
async def test_setting_time_zone_the_time_of_another_place_is_told(make_house: MakeHouse) -> None:
    async with make_house() as h:
        h.router._ambient = replace(h.router._ambient, utc=lambda: utc_text(QUARTER_TO))
        await change(h, time_zone="Europe/Berlin")
        assert await said(h, "What time is it?") == ["It's 12:45 AM."]
        assert await said(h, "What's the date?") == ["Today is Thursday, July 2, 2026."]
        await change(h, time_zone="Asia/Kolkata")

        assert await said(h, "What time is it?") == ["It's 4:15 AM."]


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Europe", "A/../B"])
async def test_a_zone_that_the_machine_does_not_know_is_refused(
    zone: str, make_house: MakeHouse
) -> None:
    async with make_house() as h:
        bad = RouterConfig.model_construct(**{**dict(h.router.config), "time_zone": zone})
        with pytest.raises(ZoneError):
            await h.router.stage(bad)


async def test_a_zone_that_is_gone_at_the_start_costs_no_answer(make_house: MakeHouse) -> None:
    async with make_house(config=RouterConfig(time_zone="Europe/Atlantis")) as h:
        assert (await h.trace(await h.ask("What time is it?"))).outcome == "replied"


@C085
async def test_setting_timers_max_no_more_timers_are_set(make_house: MakeHouse) -> None:
    async with make_house() as h:
        await change(h, timers_max=2)
        answers = [(await said(h, "Set a timer for two hours."))[0] for _ in range(3)]

        assert answers[1:] == ["A timer is set for 2 hours.", "There are already 2 timers."]


@C085
async def test_setting_timer_max_s_no_longer_timer_is_set(make_house: MakeHouse) -> None:
    async with make_house() as h:
        assert await said(h, "Set a timer for two hours.") == ["A timer is set for 2 hours."]
        await change(h, timer_max_s=3600)

        assert await said(h, "Set a timer for two hours.") == [
            "A timer can run for 1 hour at most."
        ]


@C085
async def test_setting_timer_rings_a_timer_rings_as_often(make_house: MakeHouse) -> None:
    async with make_house() as h:
        await change(h, timer_rings=2)
        rung = await said(h, "Set a timer for 5 seconds.")
        await asyncio.sleep(60)

        assert rung[1:] == ["Your timer for 5 seconds is done."] * 2


@C085
async def test_setting_timer_ring_interval_s_a_timer_rings_faster(make_house: MakeHouse) -> None:
    async with make_house() as h:
        await change(h, timer_ring_interval_s=7.0)
        await said(h, "Set a timer for 5 seconds.")

        first, second, third = h.tts.spoken["kitchen"].at[-3:]
        assert [second - first, third - second] == pytest.approx([7, 7], abs=0.5)
