"""The story "a question is answered", and what can go wrong with it, on every bus."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from parlour_audio.wav import write_wav
from parlour_cli.talk.client import Conversation, Outcome
from parlour_cli.talk.recording import load_recording
from parlour_contracts.topics import ROOM_STATE, SPEECH, TRANSCRIPT, TURN_TRACE
from parlour_testkit import Observer
from parlour_testkit.buses import Connect, connections, params
from parlour_testkit.fakes_llm import FakeLlm, LlmScript
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, silence
from story_brokers import MORE
from story_fleet import Scripted, scripted_fleet, spoken

EVERY_BUS = pytest.mark.parametrize("kind", params("embedded"))
REPLY = ("The door is ", "locked. ", "Nobody ", "is at home.")


async def ask(connect: Connect, fleet: Scripted, wav: Path, site: str = "kitchen") -> Outcome:
    recording = load_recording(wav, LoudnessVad())
    assert fleet.messenger is not None
    return await Conversation(fleet.messenger, site).ask_aloud(recording)


@pytest.fixture
def question(tmp_path: Path) -> Path:
    path = tmp_path / "question.wav"
    write_wav(path, spoken(), 16_000)
    return path


@EVERY_BUS
async def test_a_question_is_answered(kind: str, question: Path) -> None:
    """Sound in, words, an answer in sentences, sound out; the trace tells where the time went."""
    engines = Scripted(
        ears=FakeRecogniser(script=["is the front door locked"]),
        mind=FakeLlm(scripts=[LlmScript(REPLY)]),
    )
    async with connections(kind, MORE) as connect, scripted_fleet(connect, engines) as fleet:
        watcher = await Observer(await connect("watcher")).watch(
            TRANSCRIPT, SPEECH, TURN_TRACE, ROOM_STATE
        )
        outcome = await ask(connect, fleet, question)
        trace = await watcher.until(TURN_TRACE, within=10)

    assert outcome.error is None
    assert outcome.transcript == "is the front door locked"
    assert outcome.reply == "The door is locked. Nobody is at home."
    assert np.abs(outcome.sound).max() > 1000
    assert len(outcome.sound) / outcome.rate > 1.0
    assert trace.outcome == "replied"
    assert trace.timings.first_token_to_first_sentence_ms is not None
    (final,) = [t for t in watcher.of(TRANSCRIPT) if t.is_final]
    assert final.kind == "final"
    assert fleet.mind.prompts[0].messages[-1].content == "is the front door locked"
    heard = [s.text for s in watcher.of(SPEECH) if s.event == "sentence"]
    assert " ".join(t for t in heard if t) == outcome.reply


@EVERY_BUS
@pytest.mark.req("F22")
async def test_the_second_question_is_asked_with_both_sides_of_the_first(
    kind: str, question: Path
) -> None:
    engines = Scripted(
        ears=FakeRecogniser(script=["who locked it", "and when"]),
        mind=FakeLlm(scripts=[LlmScript(("Ada did.",)), LlmScript(("At nine.",))]),
    )
    async with connections(kind, MORE) as connect, scripted_fleet(connect, engines) as fleet:
        first = await ask(connect, fleet, question)
        second = await ask(connect, fleet, question)

    assert (first.reply, second.reply) == ("Ada did.", "At nine.")
    assert first.session_id == second.session_id
    said = [(m.role, m.content) for m in fleet.mind.prompts[1].messages]
    assert said[-3:] == [("user", "who locked it"), ("assistant", "Ada did."), ("user", "and when")]
    assert said[0] == (
        fleet.mind.prompts[0].messages[0].role,
        fleet.mind.prompts[0].messages[0].content,
    ), "the prefix of the prompt is byte-stable"


@EVERY_BUS
async def test_silence_is_answered_with_a_request_to_repeat(kind: str, tmp_path: Path) -> None:
    wav = tmp_path / "silence.wav"
    write_wav(wav, silence(1000), 16_000)
    async with connections(kind, MORE) as connect, scripted_fleet(connect) as fleet:
        watcher = await Observer(await connect("watcher")).watch(TURN_TRACE, SPEECH)
        outcome = await ask(connect, fleet, wav)
        trace = await watcher.until(TURN_TRACE, within=20)

    assert outcome.error is not None
    assert trace.outcome == "empty"
    assert "didn't catch that" in " ".join(s.text for s in watcher.of(SPEECH))
    assert fleet.mind.prompts == []


@EVERY_BUS
async def test_a_model_that_fails_is_heard_and_published(kind: str, question: Path) -> None:
    engines = Scripted(mind=FakeLlm(scripts=[LlmScript((), error=RuntimeError("no"))]))
    async with connections(kind, MORE) as connect, scripted_fleet(connect, engines) as fleet:
        watcher = await Observer(await connect("watcher")).watch(TURN_TRACE, SPEECH)
        outcome = await ask(connect, fleet, question)
        trace = await watcher.until(TURN_TRACE, within=40)

    assert outcome.error is not None
    assert trace.outcome == "failed"
    assert trace.error is not None
    assert any(s.event == "sentence" and s.text for s in watcher.of(SPEECH)), "an apology is heard"


@EVERY_BUS
async def test_two_rooms_at_once_do_not_mix(kind: str, question: Path) -> None:
    engines = Scripted(
        ears=FakeRecogniser(script=["one", "two"]),
        mind=FakeLlm(scripts=[LlmScript(("First answer.",)), LlmScript(("Second answer.",))]),
    )
    async with connections(kind, MORE) as connect, scripted_fleet(connect, engines) as fleet:
        kitchen, bedroom = await asyncio.gather(
            ask(connect, fleet, question, "kitchen"), ask(connect, fleet, question, "bedroom")
        )

    assert {kitchen.reply, bedroom.reply} == {"First answer.", "Second answer."}
    assert kitchen.session_id != bedroom.session_id
    pairs = {kitchen.transcript: kitchen.reply, bedroom.transcript: bedroom.reply}
    assert set(pairs) == {"one", "two"}
