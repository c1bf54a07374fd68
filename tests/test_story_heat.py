"""The story "the machine gets too hot while somebody asks"."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parlour_audio.wav import write_wav
from parlour_cli.talk.client import Conversation, Outcome
from parlour_cli.talk.recording import load_recording
from parlour_contracts.topics import HEALTH, SPEECH
from parlour_testkit import Observer
from parlour_testkit.buses import connections
from parlour_testkit.fakes_llm import FakeLlm, LlmScript
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad
from parlour_testkit.fakes_vitals import FakeSensors
from story_fleet import Scripted, scripted_fleet, spoken

ASKED, SAID = "is the front door locked", "The door is locked. Nobody is at home."


@pytest.fixture
def question(tmp_path: Path) -> Path:
    path = tmp_path / "question.wav"
    write_wav(path, spoken(), 16_000)
    return path


def engines(sensors: FakeSensors) -> Scripted:
    return Scripted(
        ears=FakeRecogniser(script=[ASKED]), mind=FakeLlm(scripts=[LlmScript((SAID,))]),
        sensors=sensors,
    )  # fmt: skip


async def ask(fleet: Scripted, wav: Path) -> Outcome:
    assert fleet.messenger is not None
    return await Conversation(fleet.messenger, "kitchen").ask_aloud(
        load_recording(wav, LoudnessVad())
    )


def computed(fleet: Scripted) -> tuple[int, int, int]:
    """Clips, answers and sentences that an engine was given."""
    return len(fleet.ears.clips), len(fleet.mind.prompts), len(fleet.voice.orders)


@pytest.mark.req("H056", "SC113")
@pytest.mark.parametrize(
    ("asked_at", "done"),
    [(1.4, (0, 0, 0)), (1.1, (1, 0, 0)), (0.9, (1, 1, 0)), (0.6, (1, 1, 1))],
    ids=["recognition waits", "the model waits", "the voice waits", "the second sentence waits"],
)
async def test_a_question_that_meets_heat_is_answered_as_soon_as_it_is_cool(
    question: Path, asked_at: float, done: tuple[int, int, int]
) -> None:
    """The machine is looked at each second, so the third look meets the turn at one stage."""
    sensors = FakeSensors()
    async with connections("memory") as connect, scripted_fleet(connect, engines(sensors)) as fleet:
        await asyncio.sleep(asked_at)
        asking = asyncio.ensure_future(ask(fleet, question))
        await asyncio.sleep(2.5 - asked_at)
        sensors.set(temperature_c=87.0)
        await asyncio.sleep(12)
        meanwhile = computed(fleet)
        sensors.set(temperature_c=75.0)
        cooled = asyncio.get_running_loop().time()
        outcome = await asking

    assert meanwhile == done
    assert outcome.error is None
    assert (outcome.transcript, outcome.reply) == (ASKED, SAID)
    assert asyncio.get_running_loop().time() - cooled <= 10.0


@pytest.mark.req("H056")
async def test_nothing_is_computed_while_it_is_hot_and_everybody_says_so(question: Path) -> None:
    sensors = FakeSensors()
    async with connections("memory") as connect, scripted_fleet(connect, engines(sensors)) as fleet:
        watcher = await Observer(await connect("watcher")).watch(HEALTH, SPEECH)
        sensors.set(temperature_c=87.0)
        await asyncio.sleep(2)
        asking = asyncio.ensure_future(ask(fleet, question))
        await asyncio.sleep(12)
        meanwhile = computed(fleet)
        sensors.set(temperature_c=60.0)
        await asking

    assert meanwhile == (0, 0, 0)
    told = {h.instance: (h.throttle, h.status, h.ready) for h in watcher.of(HEALTH)
            if h.throttle == "hot"}  # fmt: skip
    assert told == dict.fromkeys(
        ("stt-worker", "llm-worker", "tts-worker", "router"), ("hot", "degraded", True)
    )
