"""A whole evening in one room: the real services, scripted engines, a virtual room and its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from parlour_contracts.messages.room import Playback, TurnTrace
from parlour_contracts.topics import BARGE_IN, PLAYBACK, ROOM_STATE, TURN_CLAIMED, TURN_TRACE
from parlour_testkit import Observer
from parlour_testkit.buses import connections
from parlour_testkit.fakes_llm import FakeLlm, LlmScript
from parlour_testkit.fakes_room import spoken as voice
from parlour_testkit.fakes_room import wake_word
from parlour_testkit.fakes_stt import FakeRecogniser
from satellite.virtual import VirtualRoom
from story_fleet import Scripted, scripted_fleet

SHORT = LlmScript(pieces=("That ", "was ", "William ", "Shakespeare ", "himself."))
LONG = LlmScript(
    pieces=tuple(f"Once number {n} there was a little story about nothing. " for n in range(12))
)


@dataclass
class Evening:
    """A room, and what the house says about it."""

    walls: VirtualRoom
    observer: Observer
    fleet: Scripted

    async def traced(self, transcript: str) -> TurnTrace:
        """The trace of the turn in which this was heard."""
        return await self.observer.until(TURN_TRACE, lambda t: t.transcript == transcript, 60)

    async def played(self, event: str, *, of: str | None = None, ms: float = 0) -> Playback:
        """A report of the loudspeaker, about an utterance or any."""
        return await self.observer.until(
            PLAYBACK,
            lambda p: p.event == event and p.played_ms >= ms and of in (None, p.utterance_id),
            60,
        )


@asynccontextmanager
async def evening(
    *heard: str, answers: tuple[LlmScript, ...], walls: VirtualRoom | None = None
) -> AsyncIterator[Evening]:
    room = walls or VirtualRoom()
    scripted = Scripted(ears=FakeRecogniser(list(heard)), mind=FakeLlm(answers))
    async with connections("memory") as connect:
        observer = await Observer(await connect("observer")).watch(
            TURN_CLAIMED, TURN_TRACE, ROOM_STATE, PLAYBACK, BARGE_IN
        )
        async with scripted_fleet(connect, scripted, room=room) as fleet:
            yield Evening(room, observer, fleet)
            for service in fleet.services.values():
                assert service.messenger.counts["handler_failed"] == 0


@pytest.mark.req("R001")
async def test_a_question_its_answer_and_a_second_question_without_the_wake_word() -> None:
    words = ("who wrote hamlet", "and othello")
    async with evening(*words, answers=(SHORT,)) as e:
        e.walls.say(wake_word(), at=1.0)
        e.walls.say(voice(1000), at=1.6)
        first = await e.traced(words[0])
        assert (first.outcome, first.reply) == ("replied", "That was William Shakespeare himself.")
        assert first.utterance_id is not None
        finished = await e.played("finished", of=first.utterance_id)
        assert finished.played_ms == pytest.approx(5 * 250, abs=5)

        await asyncio.sleep(2)
        e.walls.say(voice(1000))
        second = await e.traced(words[1])
        assert second.outcome == "replied"
        assert second.utterance_id is not None
        await e.played("finished", of=second.utterance_id)
        assert len(e.observer.of(TURN_CLAIMED)) == 2

        await asyncio.sleep(12)
        e.walls.say(voice(1000))
        await asyncio.sleep(5)
        assert len(e.observer.of(TURN_CLAIMED)) == 2, "the window is closed"


@pytest.mark.req("V041", "V042")
@pytest.mark.parametrize("echo_db", [float("-inf"), -14.0])
async def test_who_speaks_over_an_answer_is_heard_at_once_and_answered_next(echo_db: float) -> None:
    walls = VirtualRoom(echo_db=echo_db)
    words = ("tell me a story", "what about the garden then")
    async with evening(*words, answers=(LONG, SHORT), walls=walls) as e:
        walls.say(wake_word(), at=1.0)
        walls.say(voice(1000), at=1.6)
        await e.played("position", ms=6000)
        assert not walls.silent(walls.now - 1)
        before = walls.now
        walls.say(voice(1500, 0.6))
        cut = await e.observer.until(BARGE_IN)
        stopped = await e.played("stopped")
        assert walls.now - before < 0.4
        assert (stopped.utterance_id, stopped.played_ms) == (cut.utterance_id, cut.played_ms)
        await asyncio.sleep(0.1)
        silence = walls.now
        await asyncio.sleep(0.5)
        assert walls.silent(silence)

        second = await e.traced(words[1])
        assert second.outcome == "replied"
        assert second.utterance_id is not None
        await e.played("finished", of=second.utterance_id)
        assert len(e.observer.of(TURN_CLAIMED)) == 2, "nothing interrupted itself"


@pytest.mark.req("V041")
async def test_a_cough_stops_an_answer_for_a_moment_and_then_it_goes_on() -> None:
    async with evening("tell me a story", "", answers=(LONG,)) as e:
        e.walls.say(wake_word(), at=1.0)
        e.walls.say(voice(1000), at=1.6)
        await e.played("position", ms=6000)
        e.walls.say(voice(260))
        cut = await e.observer.until(BARGE_IN)
        await e.observer.until(
            PLAYBACK, lambda p: p.event == "finished" and p.utterance_id != cut.utterance_id, 60
        )
        heard = {p.utterance_id: p.played_ms for p in e.observer.of(PLAYBACK)}
        assert len(heard) == 2
        whole = 12 * 10 * 250
        assert whole - 500 <= sum(heard.values()) <= whole + 3000, "from where it was cut"


@pytest.mark.req("R020")
async def test_the_wake_word_over_an_answer_is_an_interruption_to_the_whole_house() -> None:
    words = ("tell me a story", "what about the garden then")
    async with evening(*words, answers=(LONG, SHORT)) as e:
        e.walls.say(wake_word(), at=1.0)
        e.walls.say(voice(1000), at=1.6)
        await e.played("position", ms=6000)
        e.walls.say(wake_word())
        e.walls.say(voice(800), at=e.walls.now + 0.5)
        cut = await e.observer.until(BARGE_IN)
        await e.played("stopped", of=cut.utterance_id)
        await e.observer.until(ROOM_STATE, lambda s: s.state == "INTERRUPTED")
        second = await e.traced(words[1])
        assert second.outcome == "replied"
