"""Nothing that anybody sends stops the fleet: after all of it, a question is answered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from parlour_audio.errors import AudioError
from parlour_audio.wav import wav_bytes, write_wav
from parlour_cli.talk.client import Conversation
from parlour_cli.talk.errors import InputError
from parlour_cli.talk.recording import load_recording
from parlour_contracts.messages.turn import AudioFormat, TurnOpen
from parlour_contracts.topics import (
    STT_AUDIO,
    TOPICS,
    TRANSCRIPT,
    TURN_CLAIMED,
    TURN_OPEN,
    FrameTopic,
    TopicBase,
)
from parlour_kit.bus import Bus
from parlour_kit.ids import new_id
from parlour_testkit import Observer
from parlour_testkit.buses import connections, params
from parlour_testkit.fakes_stt import LoudnessVad, silence
from story_brokers import MORE
from story_fleet import scripted_fleet, spoken

TURN = "0190163d-8694-739b-aea5-966c26f8ad91"
DEEP = b"[" * 20_000
PAYLOADS: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{not json",
    "invalid UTF-8": b'{"text": "\xff\xfe"}',
    "two megabytes": b"x" * 2_000_000,
    "two megabytes of JSON": json.dumps({"text": "x" * 2_000_000}).encode(),
    "unknown fields": b'{"surprise": true}',
    "an unknown version": json.dumps({"v": 99, "turn_id": TURN, "text": "hello"}).encode(),
    "true for one": json.dumps({"v": True, "turn_id": TURN, "revision": True}).encode(),
    "a list": b"[1, 2, 3]",
    "deep nesting": DEEP,
    "NaN": b'{"v": NaN}',
    "a huge number": b'{"v": 1e999, "revision": 123456789012345678901234567890}',
    "NUL": b"\x00" * 64,
    "lone surrogate": b'{"text": "\\ud800"}',
}
FRAME_PROPERTIES: list[dict[str, str]] = [
    {},
    {"seq": "x", "rate": "0", "channels": "99", "encoding": "mp3"},
    {"seq": "-1", "rate": "16000", "channels": "1", "encoding": "pcm"},
    {"seq": "99999999999999999999", "rate": "16000"},
    {"seq": "0", "rate": "16000", "end": "maybe", "surprise": "1"},
]
# The room's own state and health are watched by no handler of the fleet's work.
VALUES = {
    "turn_id": TURN, "utterance_id": TURN, "site": "kitchen",
    "service": "router", "config": "router", "op": "get", "user": "kitchen", "device": "kitchen",
}  # fmt: skip


def addresses(topic: TopicBase) -> list[str]:
    """The topic as each process would receive it."""
    if "instance" not in topic.params:
        return [topic.topic(**{p: VALUES[p] for p in topic.params})]
    return [
        topic.topic(**{**{p: VALUES[p] for p in topic.params if p != "instance"}, "instance": name})
        for name in ("stt-worker", "llm-worker", "tts-worker", "router")
    ]


async def attack(bus: Bus, biggest: int) -> int:
    sent = 0
    for topic in TOPICS:
        for address in addresses(topic):
            for payload in PAYLOADS.values():
                if len(payload) > biggest:
                    continue
                properties = FRAME_PROPERTIES if isinstance(topic, FrameTopic) else [{}]
                for found in properties:
                    await bus.publish(address, payload, qos=0, properties=found)
                    sent += 1
    return sent


@pytest.mark.parametrize("kind", params("embedded"))
@pytest.mark.req("F34")
async def test_every_handler_survives_hostile_input(kind: str, tmp_path: Path) -> None:
    wav = tmp_path / "question.wav"
    write_wav(wav, spoken(), 16_000)
    biggest = 10_000_000 if kind == "memory" else 900_000  # brokers refuse more by themselves
    async with connections(kind, MORE) as connect, scripted_fleet(connect) as fleet:
        attacker = await connect("attacker")
        assert await attack(attacker, biggest) > 300
        await asyncio.sleep(1)
        # What a person may say by accident is spoken or answered; let that end first.
        await asyncio.sleep(60 if kind == "memory" else 5)
        outcome = await Conversation(fleet.messenger, "bedroom").ask_aloud(
            load_recording(wav, LoudnessVad())
        )

    assert outcome.error is None
    assert outcome.reply
    counts = {name: s.messenger.counts for name, s in fleet.services.items()}
    assert all(c["invalid"] > 0 for c in counts.values()), counts
    assert not any(c["handler_failed"] for c in counts.values()), counts


async def test_frames_out_of_order_and_twice_make_the_same_clip(tmp_path: Path) -> None:
    async with connections("memory") as connect, scripted_fleet(connect) as fleet:
        watcher = await Observer(await connect("watcher")).watch(TRANSCRIPT, TURN_CLAIMED)
        clips = []
        frames = np.split(spoken(1200)[:26_880], 84)  # 20 ms each
        for scramble in (False, True):
            turn_id = new_id()
            await watcher.messenger.send(
                TURN_OPEN,
                TurnOpen(turn_id=turn_id, format=AudioFormat(), opened_at="2026-01-02T03:04:05.000006Z"),
                site="kitchen",
            )  # fmt: skip
            await watcher.until(TURN_CLAIMED, lambda c, t=turn_id: c.turn_id == t)
            order = list(range(len(frames)))
            if scramble:
                for i in range(0, len(order) - 1, 2):
                    order[i], order[i + 1] = order[i + 1], order[i]
                order = [i for i in order for _ in range(2)]
            for seq in order:
                await watcher.messenger.send_frame(
                    STT_AUDIO, frames[seq].tobytes(), {"seq": str(seq), "rate": "16000",
                    "channels": "1", "encoding": "pcm", **({"end": "1"} if seq == 83 else {})},
                    instance="stt-worker", site="kitchen", turn_id=turn_id,
                )  # fmt: skip
            await watcher.until(TRANSCRIPT, lambda t, i=turn_id: t.turn_id == i)
            clips.append(fleet.ears.clips[-1][0])

    assert np.array_equal(clips[0], clips[1])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty", b""),
        ("header only", wav_bytes(silence(0), 16_000)),
        ("truncated", wav_bytes(spoken(), 16_000)[:9_001]),
        ("half a header", wav_bytes(spoken(), 16_000)[:20]),
        ("not a WAV", b"ID3" + b"\x00" * 500),
        ("ten minutes", wav_bytes(silence(600_000, 8_000), 8_000)),
    ],
)
def test_a_broken_recording_is_refused_with_a_code_and_a_hint(
    name: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.wav"
    path.write_bytes(content)

    with pytest.raises((AudioError, InputError)) as caught:
        load_recording(path, LoudnessVad())

    assert caught.value.code
    assert caught.value.hint


async def test_speech_that_never_ends_is_cut_and_answered(tmp_path: Path) -> None:
    """Ten minutes of sound end at the longest utterance, not at the end of patience."""
    async with connections("memory") as connect, scripted_fleet(connect) as fleet:
        wav = tmp_path / "long.wav"
        write_wav(wav, spoken(280_000), 16_000)
        outcome = await Conversation(fleet.messenger, "kitchen").ask_aloud(
            load_recording(wav, LoudnessVad())
        )

    assert outcome.reply
    assert len(fleet.ears.clips[0][0]) / 16_000 <= 31
