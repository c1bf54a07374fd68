"""tts-worker on a bus in memory, with a voice that has a timeline, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.tts import Speech, TtsCancel, TtsRequest
from parlour_contracts.messages.turn import TurnAbort
from parlour_contracts.topics import AUDIO_OUT, SPEECH, TTS_CANCEL, TTS_REQUEST, TURN_ABORT
from parlour_kit.ids import new_id
from parlour_testkit.fakes_tts import FakeVoice
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from tts_worker.engine import SpokenPiece
from tts_worker.errors import VoiceUnavailableError
from tts_worker.service import TtsWorker


class Room:
    """Somebody who asks for speech in a room and hears it."""

    def __init__(self, observer: Observer, worker: TtsWorker, voice: FakeVoice) -> None:
        self.observer = observer
        self.worker = worker
        self.voice = voice

    async def ask(self, text: str, seq: int = 0, *, last: bool = False, **more) -> TtsRequest:
        fields = {"utterance_id": self.utterance, "site": "den"} | more
        request = TtsRequest(seq=seq, last=last, text=text, **fields)
        await self.observer.messenger.send(TTS_REQUEST, request)
        return request

    utterance = new_id()

    async def cancel(self, utterance: str) -> None:
        message = TtsCancel(utterance_id=utterance, reason="barge-in")
        await self.observer.messenger.send(TTS_CANCEL, message, instance="tts-worker")

    async def abort(self, turn: str, revision: int = 1) -> None:
        message = TurnAbort(turn_id=turn, revision=revision, reason="resumed")
        await self.observer.messenger.send(TURN_ABORT, message, site="den")

    async def event(self, kind: str, within: float = 30.0, **match) -> Speech:
        return await self.observer.until(
            SPEECH,
            lambda s: s.event == kind and all(getattr(s, k) == v for k, v in match.items()),
            within,
        )

    @property
    def events(self) -> list[tuple[str, int]]:
        return [(s.event, s.seq) for s in self.observer.of(SPEECH)]

    @property
    def heard(self) -> list[int]:
        """The sentence of each frame, in order, repetitions folded."""
        numbers = [int(f.properties["sentence"]) for f in self.observer.frames(AUDIO_OUT)]
        return [n for i, n in enumerate(numbers) if i == 0 or numbers[i - 1] != n]


@asynccontextmanager
async def room(
    broker: MemoryBroker, *, config: TTSWorkerConfig | None = None, **voice
) -> AsyncIterator[Room]:
    fake = FakeVoice(**voice)
    observer = await Observer(broker.client("observer")).watch(SPEECH, AUDIO_OUT)
    async with memory_service(
        TtsWorker, broker, config=config, engine_factory=fake.factory
    ) as worker:
        yield Room(observer, worker, fake)
    assert fake.closed


async def test_a_sentence_is_spoken_and_told(broker):
    async with room(broker) as r:
        await r.ask("**Good** morning 🎉", last=True)
        await r.event("completed")

        assert r.events == [("started", 0), ("sentence", 0), ("completed", 0)]
        sentence = await r.event("sentence")
        assert sentence.text == "Good morning"
        assert [(w.text, w.start_ms, w.end_ms) for w in sentence.words] == [
            ("Good", 0, 250),
            ("morning", 250, 500),
        ]
        assert (sentence.instance, sentence.duration_ms) == ("tts-worker", 500)
        assert sentence.timings.first_audio_ms == pytest.approx(50)
        assert sentence.timings.total_ms == pytest.approx(100)
        frames = r.observer.frames(AUDIO_OUT)
        sound = np.frombuffer(b"".join(f.payload for f in frames), "<i2")
        assert sound.size == 8000
        assert set(sound) == {round(0.5 * 32767)}
        assert frames[0].properties == {
            "seq": "0", "rate": "16000", "start_ms": "0", "sentence": "0", "end": "0", "last": "0",
        }  # fmt: skip
        assert [frames[-1].properties[k] for k in ("end", "last")] == ["1", "1"]


async def test_the_first_frame_goes_out_while_the_rest_is_made(broker):
    async with room(broker) as r:
        await r.ask("one two three four five six", last=True)
        done = await r.event("sentence")

        assert done.timings.first_audio_ms < done.timings.total_ms / 5


async def test_sentences_that_arrive_out_of_order_are_spoken_in_order(broker):
    async with room(broker) as r:
        for seq in (2, 0, 1):
            await r.ask(f"number {seq}", seq, last=seq == 2)
        await r.event("completed")

        assert [o.text for o in r.voice.orders] == ["number 0", "number 1", "number 2"]
        assert r.heard == [0, 1, 2]
        numbers = [int(f.properties["seq"]) for f in r.observer.frames(AUDIO_OUT)]
        assert numbers == list(range(len(numbers)))


async def test_a_repeated_request_is_spoken_once(broker):
    async with room(broker) as r:
        for _ in range(3):
            await r.ask("only once", last=True)
        await r.event("completed")
        await r.ask("only once", last=True)
        await asyncio.sleep(5)

        assert len(r.voice.orders) == 1
        assert len(r.events) == 3


async def test_a_cancel_in_mid_sentence_lets_no_further_frame_out(broker):
    async with room(broker) as r:
        await r.ask("one two three four five six seven eight", 0)
        await r.ask("never said", 1, last=True)
        await r.event("started")
        await asyncio.sleep(0.16)
        await r.cancel(r.utterance)
        await r.event("cancelled", seq=0)
        count = len(r.observer.frames(AUDIO_OUT))
        await asyncio.sleep(10)

        assert 0 < count == len(r.observer.frames(AUDIO_OUT))
        assert r.events == [("started", 0), ("cancelled", 0)]
        assert r.voice.stopped == ["one two three four five six seven eight"]
        assert len(r.voice.orders) == 1
        assert r.worker.queue() == 0


async def test_a_request_of_a_cancelled_utterance_is_refused_at_once(broker):
    async with room(broker) as r:
        await r.cancel(r.utterance)
        await r.ask("too late", 3)
        await r.event("cancelled", seq=3)

        assert r.voice.orders == []


async def test_after_a_cancel_the_next_utterance_is_spoken(broker):
    async with room(broker) as r:
        await r.ask("one two three four five six", last=True)
        await r.event("started")
        await r.cancel(r.utterance)
        other = new_id()
        await r.ask("here I am", last=True, utterance_id=other)
        await r.event("completed", utterance_id=other)


async def test_an_aborted_turn_falls_silent_and_another_goes_on(broker):
    turn, other = new_id(), new_id()
    async with room(broker) as r:
        await r.ask("one two three four", 0, turn_id=turn)
        await r.ask("five six", 1, last=True, turn_id=turn)
        await r.ask("me too", last=True, utterance_id=other)
        await r.event("started", seq=0)
        await asyncio.sleep(0.07)
        await r.abort(turn)
        await r.event("completed", utterance_id=other)

        assert [o.text for o in r.voice.orders] == ["one two three four", "me too"]
        assert [s.utterance_id for s in r.observer.of(SPEECH) if s.event == "cancelled"] == [
            r.utterance
        ]
        late = await r.ask("late", utterance_id=new_id(), turn_id=turn)
        await r.event("cancelled", utterance_id=late.utterance_id)


async def test_a_newer_revision_silences_the_older_one(broker):
    turn, newer = new_id(), new_id()
    async with room(broker) as r:
        await r.ask("one two three four", last=True, turn_id=turn)
        await r.event("started")
        await r.ask("better", last=True, turn_id=turn, revision=2, utterance_id=newer)
        await r.event("completed", utterance_id=newer)

        assert (await r.event("cancelled")).utterance_id == r.utterance


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (RuntimeError("the secret words"), "SYNTHESIS_FAILED"),
        (VoiceUnavailableError("not loaded"), "VOICE_UNAVAILABLE"),
    ],
)
async def test_a_failing_sentence_is_told_and_the_next_is_spoken(broker, fault, code):
    async with room(broker, faults={"bad luck": fault}) as r:
        await r.ask("bad luck", 0)
        await r.ask("good luck", 1, last=True)
        await r.event("completed")
        failed = await r.event("failed", seq=0)

        assert failed.error is not None
        assert failed.error.code == code
        assert "secret" not in failed.error.message
        assert [e for e, _ in r.events] == ["started", "failed", "started", "sentence", "completed"]


@pytest.mark.req("V057")
async def test_a_voice_that_hangs_fails_after_30_seconds_and_the_next_sentence_is_spoken(broker):
    async with room(broker, faults={"hang here": None}) as r:
        await r.ask("hang here", 0)
        await r.ask("all well", 1, last=True)
        before = asyncio.get_running_loop().time()
        failed = await r.event("failed", within=60)
        waited = asyncio.get_running_loop().time() - before

        assert failed.error is not None
        assert (failed.error.code, failed.error.retryable) == ("SYNTHESIS_TIMEOUT", True)
        assert waited == pytest.approx(30, abs=0.2)
        await r.event("completed")


async def test_an_empty_last_sentence_only_closes_the_utterance(broker):
    async with room(broker) as r:
        await r.ask("hello", 0)
        await r.ask("", 1, last=True)
        await r.event("completed")

        assert r.events == [("started", 0), ("sentence", 0), ("completed", 1)]
        end = r.observer.frames(AUDIO_OUT)[-1]
        assert end.payload == b""
        assert [end.properties[k] for k in ("sentence", "end", "last")] == ["1", "1", "1"]


async def test_a_sentence_of_emoji_is_told_but_makes_no_sound(broker):
    async with room(broker) as r:
        await r.ask("🎉🎉", 0)
        await r.ask("yes", 1, last=True)
        await r.event("completed")

        silent = await r.event("sentence", seq=0)
        assert (silent.text, silent.words, silent.duration_ms) == ("", [], 0)
        assert [o.text for o in r.voice.orders] == ["yes"]


@pytest.mark.req("C025")
async def test_volume_and_speed_of_settings_and_request_are_used(broker):
    config = TTSWorkerConfig(volume_percent=50, speed=2.0)
    async with room(broker, config=config) as r:
        await r.ask("a b", 0)
        await r.ask("a b", 1, last=True, speed=0.5, volume=50)
        await r.event("completed")

        first, second = (s for s in r.observer.of(SPEECH) if s.event == "sentence")
        assert (first.duration_ms, second.duration_ms) == (250, 1000)
        peaks = {
            n: max(
                np.frombuffer(f.payload, "<i2").max()
                for f in r.observer.frames(AUDIO_OUT)
                if f.payload and f.properties["sentence"] == n
            )
            for n in "01"
        }
        assert peaks == {"0": round(0.25 * 32767), "1": round(0.125 * 32767)}


async def test_a_change_of_volume_is_heard_at_once(broker):
    async with room(broker) as r:
        r.worker.config = r.worker.config.model_copy(update={"volume_percent": 0})
        await r.ask("hush", last=True)
        await r.event("completed")

        assert not any(b"".join(f.payload for f in r.observer.frames(AUDIO_OUT)))


@pytest.mark.req("C022")
async def test_without_working_ahead_a_sentence_waits_until_the_last_has_been_played(broker):
    async with room(broker, config=TTSWorkerConfig(tts_pipeline=False)) as r:
        await r.ask("one two three four", 0)
        await r.ask("five", 1, last=True)
        await r.event("completed")

        started = [
            s.at for s in r.observer.seen if s.topic is SPEECH and s.message.event == "started"
        ]
        assert started[1] - started[0] == pytest.approx(0.05 + 1.0, abs=0.01)


async def test_sound_goes_to_the_room_that_was_asked_for(broker):
    async with room(broker) as r:
        await r.ask("hi", last=True, site="kitchen")
        await r.event("completed")

        assert {s.params["site"] for s in r.observer.seen if s.topic in (SPEECH, AUDIO_OUT)} == {
            "kitchen"
        }


async def test_stopping_hands_back_what_was_not_spoken(broker):
    fake = FakeVoice()
    observer = await Observer(broker.client("observer")).watch(SPEECH, AUDIO_OUT)
    async with memory_service(TtsWorker, broker, engine_factory=fake.factory) as worker:
        r = Room(observer, worker, fake)
        await r.ask("one two three four", 0)
        await r.ask("five six", 1, last=True)
        await r.event("started")
        await asyncio.sleep(0.07)

    failed = [s for s in observer.of(SPEECH) if s.event == "failed"]
    assert [(s.seq, s.error.code, s.error.retryable) for s in failed] == [
        (0, "STOPPING", True),
        (1, "STOPPING", True),
    ]
    assert fake.closed


async def test_a_worker_without_a_voice_is_unhealthy_and_leaves_work_to_others(broker):
    def broken(*_args):
        raise VoiceUnavailableError("no voice")

    observer = await Observer(broker.client("observer")).watch(SPEECH)
    fake = FakeVoice()
    async with (
        memory_service(TtsWorker, broker, engine_factory=broken) as one,
        memory_service(
            TtsWorker, broker, instance="tts-worker-2", engine_factory=fake.factory
        ) as two,
    ):
        assert (one.components(), two.components()) == ({"tts": False}, {"tts": True})
        r = Room(observer, two, fake)
        for _ in range(4):
            await r.ask("hello", last=True, utterance_id=new_id())
        for _ in range(4):
            await r.event("completed")
        await asyncio.sleep(5)

    assert [s.instance for s in observer.of(SPEECH) if s.event == "completed"] == [
        "tts-worker-2"
    ] * 4


async def test_too_much_at_once_is_refused_with_an_error_that_says_so(broker):
    async with room(broker, make_s=1.0) as r:
        for n in range(260):
            await r.ask("more and more", n)
        failed = await r.event("failed")

        assert failed.error is not None
        assert (failed.error.code, failed.error.retryable) == ("QUEUE_FULL", True)
        assert r.worker.queue() <= 257


async def test_what_is_spoken_is_in_no_log(broker, caplog, capsys):
    with caplog.at_level("INFO"):
        async with room(broker, faults={"the canary fails": RuntimeError("canary")}) as r:
            await r.ask("the canary sings", 0)
            await r.ask("the canary fails", 1, last=True)
            await r.event("failed")
    out = capsys.readouterr()

    assert "sentence spoken" in caplog.text + out.out + out.err
    assert "canary" not in caplog.text + out.out + out.err


def test_a_spoken_piece_is_a_piece_of_any_engine():
    piece = SpokenPiece(np.zeros(3, np.float32))

    assert (piece.words, piece.words_estimated) == ((), False)
