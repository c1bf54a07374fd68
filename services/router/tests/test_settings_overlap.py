"""The settings of speech over a reply count at once."""

from __future__ import annotations

import asyncio

import pytest
from parlour_contracts.messages.room import BargeIn
from parlour_contracts.messages.tts import Speech
from parlour_contracts.topics import BARGE_IN, SPEECH
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.scripted_workers import ScriptedLlmWorker, ScriptedSttWorker

from .conftest import House, MakeHouse
from .test_settings_live import C085, LONG, change

STRONG = {"confidence": 0.9, "speech_ms": 250.0}


async def speak_over(house: House, played_ms: float = 500.0, **strength: float) -> list[str]:
    """A reply sounds, and somebody speaks over it; the states of the room from then on."""
    before = len(house.observer.of(SPEECH))
    await house.ask("Sun?")
    await house.observer.until(
        SPEECH, lambda s: s.event == "sentence" and s in house.observer.of(SPEECH)[before:], 30.0
    )
    told = len(house.states())
    report = BargeIn.model_validate(
        {"utterance_id": spoken(house).utterance_id, "played_ms": played_ms} | STRONG | strength
    )
    await house.observer.messenger.send(BARGE_IN, report, site="kitchen")
    await asyncio.sleep(0.5)
    return house.states()[told:]


def spoken(house: House) -> Speech:
    found = house.observer.of(SPEECH)[-1]
    assert isinstance(found, Speech)
    return found


@C085
@pytest.mark.req("V041")
async def test_setting_barge_in_off_nobody_stops_a_reply(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        assert "INTERRUPTED" in await speak_over(h)
        await asyncio.sleep(60)
        await change(h, barge_in=False)

        assert await speak_over(h) == []


@C085
@pytest.mark.req("V041")
async def test_setting_barge_in_confidence_only_what_is_surer_stops_a_reply(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        await change(h, barge_in_confidence=0.95)
        assert await speak_over(h) == []
        await asyncio.sleep(60)
        await change(h, barge_in_confidence=0.5)

        assert "INTERRUPTED" in await speak_over(h, confidence=0.6)


@C085
@pytest.mark.req("V041")
async def test_setting_barge_in_speech_ms_only_what_is_longer_stops_a_reply(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        await change(h, barge_in_speech_ms=600)
        assert await speak_over(h) == []
        await asyncio.sleep(60)
        await change(h, barge_in_speech_ms=100)

        assert "INTERRUPTED" in await speak_over(h, speech_ms=120.0)


@C085
async def test_setting_resume_reply_off_an_interrupted_reply_does_not_go_on(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        await speak_over(h)
        await asyncio.sleep(60)
        told = len(h.tts.requests)
        await change(h, resume_reply=False)
        await speak_over(h)
        sent = [r for r in h.tts.requests[told:] if r.revision > 1]
        await asyncio.sleep(60)

        assert sent == []
        assert [r for r in h.tts.requests[:told] if r.revision == 2]


@C085
async def test_setting_nods_interrupt_a_mere_okay_is_a_turn(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    llm = ScriptedLlmWorker(broker, LONG)
    async with make_house(stt=ScriptedSttWorker(broker, "Okay.", "Okay."), llm=llm) as h:
        for asked, nods in ((1, False), (3, True)):
            await change(h, nods_interrupt=nods)
            await h.ask("Sun?")
            await asyncio.sleep(1.0)
            await h.open_turn()
            await asyncio.sleep(5.0)
            assert len(llm.requests) == asked
            await asyncio.sleep(60)


@C085
@pytest.mark.req("R016")
async def test_setting_echo_similarity_at_one_only_the_same_words_are_an_echo(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    almost = "The son is a star and it is very far away from us here."
    llm = ScriptedLlmWorker(broker, LONG)
    async with make_house(stt=ScriptedSttWorker(broker, almost, almost), llm=llm) as h:
        for asked, similarity in ((1, 0.85), (3, 1.0)):
            await change(h, echo_similarity=similarity)
            await h.ask("Sun?")
            await asyncio.sleep(2.0)
            await h.open_turn()
            await asyncio.sleep(5.0)
            assert len(llm.requests) == asked
            await asyncio.sleep(60)
