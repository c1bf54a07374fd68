"""The real wake words, spoken by the real voice: each wakes its own detector and no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from parlour_audio import resample
from parlour_audio.frames import Samples
from parlour_audio.vad import SileroVad
from parlour_contracts.config import SatelliteConfig, TTSWorkerConfig
from parlour_kit.ids import new_id
from satellite.engines.micro import MicroWake
from satellite.room import Open, Room
from satellite.virtual import VirtualRoom
from satellite.windows import RATE, WINDOW, WINDOW_S
from tts_worker.backends import make_engine
from tts_worker.engine import CancelToken, Synthesis

pytestmark = [pytest.mark.model, pytest.mark.req("R019")]

WORDS = {
    "okay_nabu": "Okay Nabu.",
    "hey_jarvis": "Hey Jarvis.",
    "hey_mycroft": "Hey Mycroft.",
    "alexa": "Alexa.",
}
OTHERS = ("Turn on the kitchen lights, please.", "What is the weather like tomorrow?")


async def say(text: str, data_dir: Path) -> Samples:
    """A text in the starter voice, 16 kHz."""
    engine = make_engine(TTSWorkerConfig(piper_voice="en_US-joe-medium"), data_dir)
    try:
        async with aclosing(engine.synthesize(Synthesis(text), CancelToken())) as pieces:
            parts = [piece.samples async for piece in pieces]
    finally:
        await engine.close()
    return resample(np.concatenate(parts), engine.rate, RATE)


def opened(room: Room, walls: VirtualRoom, seconds: float) -> Iterator[tuple[float, Open]]:
    """The turns that a room opens, and when."""
    played = np.zeros(WINDOW, np.float32)
    for n in range(round(seconds / WINDOW_S)):
        played = room.hear(walls.capture(played), n * WINDOW_S)
        yield from ((walls.now, command) for command in room.out if isinstance(command, Open))
        room.out.clear()


@pytest.mark.parametrize("name", WORDS)
async def test_a_spoken_wake_word_opens_one_turn_at_its_end(name: str, data_dir: Path) -> None:
    word = await say(WORDS[name], data_dir)
    walls = VirtualRoom(noise_db=-62)
    over = walls.say(word, at=2.0, level_db=-26)
    room = Room(SatelliteConfig(wake_word=name), SileroVad(), MicroWake(name), new_id)  # type: ignore[arg-type]  # one of the literals

    ((at, turn),) = list(opened(room, walls, 5))

    assert turn.attempt == 1
    assert turn.wake is not None
    assert turn.wake.word.lower().replace(" ", "_") == name
    assert over - 0.6 < at < over + 0.3


async def test_other_sentences_wake_nobody(data_dir: Path) -> None:
    walls = VirtualRoom(noise_db=-62)
    at = 1.0
    for text in (*OTHERS, WORDS["hey_jarvis"], WORDS["alexa"]):
        at = walls.say(await say(text, data_dir), at=at, level_db=-26) + 1.0
    room = Room(SatelliteConfig(), SileroVad(), MicroWake("okay_nabu"), new_id)

    assert list(opened(room, walls, at)) == []
