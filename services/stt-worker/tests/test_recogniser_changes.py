"""The recogniser changes while people speak, and no turn is lost meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from parlour_contracts.messages.turn import Transcript, TurnOpen
from parlour_contracts.topics import HEALTH, TURN_OPEN
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker
from parlour_testkit.fakes_stt import FakeRecogniser
from stt_worker.errors import (
    LanguageError,
    ModelBrokenError,
    ServerSilentError,
    ServerUnreachableError,
)

from .speaking import QUESTION, Room, change, changed, fake, room, worker


@dataclass
class Workshop:
    """Makes recognisers: each understands ``heard N``, and takes a while to load."""

    made: list[FakeRecogniser] = field(default_factory=list)
    load_error: Exception | None = None
    load_s: float = 0.0

    def __call__(self) -> Any:
        recogniser = FakeRecogniser([f"heard {len(self.made)}"], load_error=self.load_error)
        if self.load_s:
            recogniser.load = self._late  # type: ignore[method-assign]
        self.made.append(recogniser)
        return recogniser

    async def _late(self, _config: object, _data_dir: object) -> None:
        await asyncio.sleep(self.load_s)


async def test_a_turn_is_heard_to_its_end_by_the_recogniser_that_it_was_opened_with(
    broker: MemoryBroker,
) -> None:
    """One turn in the middle of its speech, one that is being recognised, one that comes after."""
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        kitchen, attic = await room(broker), await room(broker, "attic")
        workshop.made[0].delay_s = 3.0
        early = await attic.open()
        await attic.play(early, *QUESTION)
        running = await kitchen.open()
        playing = asyncio.ensure_future(kitchen.play(running, *QUESTION))
        await asyncio.sleep(0.5)
        await change(service, whisper_model="tiny.en")
        late = await attic.ask()
        await playing
        assert late.text == "heard 1"
        assert not workshop.made[0].closed
        assert [(await r.result(t)).text for r, t in ((attic, early), (kitchen, running))] == [
            "heard 0", "heard 0"
        ]  # fmt: skip
        await asyncio.sleep(0.1)
        assert workshop.made[0].closed
        assert service.counts["failed"] == 0
    assert workshop.made[1].closed


async def test_turns_go_on_while_a_model_is_loaded(broker: MemoryBroker) -> None:
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        here = await room(broker)
        workshop.load_s = 60.0
        changing = asyncio.ensure_future(change(service, whisper_model="large"))
        texts = [(await here.ask()).text for _ in range(5)]
        await changing
        assert texts == ["heard 0"] * 5
        assert (await here.ask()).text == "heard 1"


async def test_many_changes_in_a_row_lose_no_turn_and_leave_one_recogniser(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop(load_s=0.7)
    async with worker(broker, workshop) as service:
        rooms = [await room(broker, f"room-{n}") for n in range(4)]
        going = True
        results: list[Transcript] = []

        async def talk(here: Room) -> None:
            while going:
                results.append(await here.ask())

        talking = [asyncio.ensure_future(talk(here)) for here in rooms]
        for n in range(20):
            await change(service, whisper_model=f"model-{n}")
            await asyncio.sleep(0.3)
        going = False
        await asyncio.gather(*talking)
        await asyncio.sleep(0.1)
        assert len(results) > 20
        assert {r.kind for r in results} == {"final"}
        assert [m.closed for m in workshop.made] == [True] * 20 + [False]


@pytest.mark.req("C011")
async def test_a_model_that_cannot_be_loaded_changes_nothing(broker: MemoryBroker) -> None:
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        here = await room(broker)
        turn = await here.open()
        workshop.load_error = ModelBrokenError("the model lacks model.bin")
        before = service.config
        with pytest.raises(ModelBrokenError):
            await service.stage(changed(before, whisper_model="tiny.en", beam_size=1))
        assert service.config is before
        assert service.components() == {"model": True}
        assert workshop.made[1].closed
        await here.play(turn, *QUESTION)
        assert (await here.result(turn)).text == "heard 0"


async def test_a_language_that_the_model_does_not_know_is_refused(broker: MemoryBroker) -> None:
    recogniser = FakeRecogniser(check_error=LanguageError("the model does not know xx"))
    async with worker(broker, fake(recogniser)) as service:
        with pytest.raises(LanguageError):
            await service.stage(changed(service.config, language="xx-XX"))
        await change(service, beam_size=2)


async def test_a_change_that_is_not_wanted_any_more_frees_what_was_loaded(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        switch = await service.stage(changed(service.config, whisper_model="tiny.en"))
        await switch.discard()
        assert workshop.made[1].closed
        workshop.load_s = 60.0
        changing = asyncio.ensure_future(
            service.stage(changed(service.config, whisper_model="large"))
        )
        await asyncio.sleep(1)
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
        await asyncio.sleep(0.1)
        assert workshop.made[2].closed
        assert (await (await room(broker)).ask()).text == "heard 0"


@pytest.mark.req("C011")
async def test_a_worker_that_came_up_without_a_model_takes_a_good_one(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop(load_error=ModelBrokenError("the model lacks model.bin"))
    async with worker(broker, workshop) as service:
        here = await room(broker)
        assert (await here.result(await opened_anyway(here))).kind == "failed"
        workshop.load_error = None
        await change(service, whisper_model="tiny.en")
        assert service.components() == {"model": True}
        assert (await here.ask()).kind == "final"


async def opened_anyway(here: Room) -> TurnOpen:
    """A turn that nobody claims."""
    turn = TurnOpen(turn_id=new_id(), opened_at="2026-01-01T00:00:00.000000Z")
    await here.observer.messenger.send(TURN_OPEN, turn, site=here.site)
    return turn


# A recogniser that is a server may be away for a while


async def test_a_server_that_was_away_at_the_start_is_found_later(broker: MemoryBroker) -> None:
    workshop = Workshop(load_error=ServerUnreachableError("no connection"))
    async with worker(broker, workshop) as service:
        here = await room(broker)
        await asyncio.sleep(15)
        assert service.components() == {"model": False}
        workshop.load_error = None
        await asyncio.sleep(15)
        assert service.components() == {"model": True}
        assert (await here.ask()).kind == "final"
        health = await here.observer.until(HEALTH, lambda h: h.service == "stt-worker" and h.ok)
        assert health.ready
        assert all(m.closed for m in workshop.made[:-1])


async def test_a_model_that_is_missing_is_not_looked_for_again_and_again(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop(load_error=ModelBrokenError("the model lacks model.bin"))
    async with worker(broker, workshop):
        await asyncio.sleep(120)
    assert len(workshop.made) == 1


async def test_a_server_that_goes_away_is_in_the_health_until_it_is_back(
    broker: MemoryBroker,
) -> None:
    recogniser = FakeRecogniser([ServerSilentError("no answer in time"), "turn on the light"])
    recogniser.check_error = ServerUnreachableError("no connection")
    async with worker(broker, fake(recogniser)) as service:
        here = await room(broker)
        failed = await here.ask()
        assert (failed.kind, str(failed.reason)[:17]) == ("failed", "STT_SERVER_SILENT")
        await asyncio.sleep(15)
        assert service.components() == {"model": False}
        recogniser.check_error = None
        await asyncio.sleep(15)
        assert service.components() == {"model": True}
        assert (await here.ask()).kind == "final"


async def test_settings_that_change_during_a_recheck_are_the_ones_that_stay(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop(load_error=ServerUnreachableError("no connection"))
    async with worker(broker, workshop) as service:
        here = await room(broker)
        workshop.load_error, workshop.load_s = None, 5.0
        await asyncio.sleep(11)  # the recheck is loading
        workshop.load_s = 0.0
        await change(service, whisper_model="tiny.en")
        await asyncio.sleep(10)
        assert (await here.ask()).text == "heard 2"
        assert [m.closed for m in workshop.made] == [True, True, False]
