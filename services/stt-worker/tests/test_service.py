"""The service on a bus in memory, under virtual time, with a scripted recogniser."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import numpy as np
import pytest
from parlour_audio.frames import split
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import AudioFormat, Transcript, TurnAbort, TurnOpen
from parlour_contracts.topics import (
    HEALTH,
    STT_AUDIO,
    TRANSCRIPT,
    TURN_ABORT,
    TURN_CLAIMED,
    TURN_OPEN,
)
from parlour_kit.clock import utc_text
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker, Observer, memory_service
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, heard, silence, tone
from stt_worker.errors import ModelBrokenError
from stt_worker.service import MAX_TURNS, SttWorker

QUESTION = (silence(300), tone(1000), silence(1500))


def opened(turn_id: str | None = None, **fields: object) -> TurnOpen:
    now = utc_text(datetime(2026, 1, 1, tzinfo=UTC))
    return TurnOpen(turn_id=turn_id or new_id(), opened_at=now, **fields)


class Room:
    """A satellite: opens turns, waits for the claim, streams in real time."""

    def __init__(self, observer: Observer, site: str = "kitchen") -> None:
        self.observer = observer
        self.site = site

    async def open(self, turn: TurnOpen | None = None) -> TurnOpen:
        turn = turn or opened()
        await self.observer.messenger.send(TURN_OPEN, turn, site=self.site)
        return turn

    async def claimed(self, turn: TurnOpen) -> str:
        claim = await self.observer.until(
            TURN_CLAIMED, lambda c: (c.turn_id, c.attempt) == (turn.turn_id, turn.attempt)
        )
        return claim.instance

    async def send(self, turn: TurnOpen, instance: str, payload: bytes, **properties: str) -> None:
        await self.observer.messenger.send_frame(
            STT_AUDIO, payload, properties, instance=instance, site=self.site, turn_id=turn.turn_id
        )

    async def play(
        self, turn: TurnOpen, instance: str, *sounds: np.ndarray, end: bool = False
    ) -> None:
        rate, channels = turn.format.rate, turn.format.channels
        whole = list(split(np.concatenate(sounds), rate, 100, channels))
        for n, frame in enumerate(whole):
            properties = {"seq": str(n), "rate": str(rate), "channels": str(channels)}
            if end and n == len(whole) - 1:
                properties["end"] = "1"
            await self.send(turn, instance, frame.tobytes(), encoding="pcm", **properties)
            await asyncio.sleep(0.1)

    async def result(self, turn: TurnOpen) -> Transcript:
        return await self.observer.until(
            TRANSCRIPT, lambda t: t.turn_id == turn.turn_id and t.is_final
        )

    async def ask(self, *sounds: np.ndarray, end: bool = False, **fields: object) -> Transcript:
        turn = await self.open(opened(**fields))
        await self.play(turn, await self.claimed(turn), *sounds, end=end)
        return await self.result(turn)


@contextlib.asynccontextmanager
async def worker(
    broker: MemoryBroker, fake: FakeRecogniser, instance: str | None = None, **config: object
) -> AsyncIterator[SttWorker]:
    settings = STTWorkerConfig().model_copy(update={"transcribe_ahead": False, **config})
    async with memory_service(
        SttWorker, broker, config=settings, instance=instance,
        recogniser=fake.factory(), vad=LoudnessVad,
    ) as service:  # fmt: skip
        assert isinstance(service, SttWorker)
        yield service


async def room(broker: MemoryBroker, site: str = "kitchen") -> Room:
    observer = await Observer(broker.client(site)).watch(TURN_CLAIMED, TRANSCRIPT, HEALTH)
    return Room(observer, site)


async def settle(seconds: float = 10.0) -> None:
    await asyncio.sleep(seconds)


def finals(here: Room) -> list[Transcript]:
    return [t for t in here.observer.of(TRANSCRIPT) if t.is_final]


async def test_a_question_is_claimed_heard_and_told(broker: MemoryBroker) -> None:
    fake = FakeRecogniser(["turn on the light"])
    async with worker(broker, fake):
        here = await room(broker)
        result = await here.ask(*QUESTION)
    assert (result.kind, result.text, result.is_final) == ("final", "turn on the light", True)
    assert result.confidence == pytest.approx(0.9)
    assert result.speech_start_ms == pytest.approx(300, abs=40)
    assert result.speech_end_ms == pytest.approx(1300, abs=40)
    assert result.timings.endpoint_wait_ms == pytest.approx(500, abs=130)
    assert result.timings.transcribe_ms == pytest.approx(200, abs=1)
    (segment,) = result.segments
    assert segment.text == "turn on the light"
    claim = here.observer.of(TURN_CLAIMED)[0]
    assert claim.audio_topic == f"stt/stt-worker/audio/kitchen/{result.turn_id}"


async def test_the_end_of_the_stream_is_the_endpoint(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser()):
        result = await (await room(broker)).ask(tone(600), end=True)
    assert result.kind == "final"
    assert result.timings.endpoint_wait_ms < 50


async def test_silence_is_empty_and_never_reaches_the_recogniser(broker: MemoryBroker) -> None:
    fake = FakeRecogniser()
    async with worker(broker, fake):
        result = await (await room(broker)).ask(silence(9000))
    assert (result.kind, result.text, result.speech_start_ms) == ("empty", "", None)
    assert fake.clips == []


async def test_a_text_that_nobody_said_is_empty(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser([heard("Thank you.", confidence=0.2)])):
        result = await (await room(broker)).ask(*QUESTION)
    assert (result.kind, result.text) == ("empty", "")


@pytest.mark.parametrize("error", [ModelBrokenError("gone"), RuntimeError("secret words")])
async def test_a_failing_recogniser_fails_the_turn_and_the_next_one_works(
    broker: MemoryBroker, error: Exception
) -> None:
    async with worker(broker, FakeRecogniser([error, "hello"])):
        here = await room(broker)
        broken = await here.ask(*QUESTION)
        well = await here.ask(*QUESTION)
    assert broken.kind == "failed"
    assert broken.reason
    assert "secret" not in broken.reason
    assert well.kind == "final"


async def test_frames_repeated_and_out_of_order_change_nothing(broker: MemoryBroker) -> None:
    fake = FakeRecogniser()
    async with worker(broker, fake) as service:
        here = await room(broker)
        turn = await here.open()
        instance = await here.claimed(turn)
        payloads = [f.tobytes() for f in split(np.concatenate(QUESTION), 16_000, 100)]
        order = [1, 0, 0, 3, 2, 1, *range(4, len(payloads))]
        for n in order:
            await here.send(turn, instance, payloads[n], seq=str(n))
            await asyncio.sleep(0.05)
        result = await here.result(turn)
        assert service.counts["final"] == 1
    assert result.kind == "final"
    samples, _ = fake.clips[0]
    assert np.array_equal(
        (samples * 32_768).astype(np.int16), np.concatenate(QUESTION)[: len(samples)]
    )


async def test_a_wrong_format_fails_with_a_reason(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser()):
        here = await room(broker)
        turn = await here.open()
        await here.send(turn, await here.claimed(turn), bytes(640), seq="0", rate="48000")
        result = await here.result(turn)
    assert result.kind == "failed"
    assert "format" in str(result.reason)


async def test_hostile_frames_do_no_harm(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser()) as service:
        here = await room(broker)
        turn = await here.open()
        instance = await here.claimed(turn)
        for payload, properties in [
            (b"", {}), (b"\xff", {"seq": "-1"}), (b"x" * 639, {"seq": "seven"}),
            (bytes(2_000_000), {"seq": "0"}), (b"\x01", {"seq": "0"}), (b"", {"seq": "1"}),
        ]:  # fmt: skip
            await here.send(turn, instance, payload, **properties)
        await here.send(opened(), instance, bytes(640), seq="0")
        bad_topic = f"stt/{instance}/audio/kitchen/not-a-turn"
        await here.observer.bus.publish(bad_topic, b"x", qos=0, retain=False, properties={})
        for payload in (b"", b"{", b"\xff\xfe", b'{"v":2}', b"x" * 2_000_000):
            await here.observer.bus.publish(
                "voice/kitchen/turn/open", payload, qos=1, retain=False, properties={}
            )
        await asyncio.sleep(0.1)
        assert service.counts["frames_unknown"] == 1
        for n, frame in enumerate(split(np.concatenate(QUESTION), 16_000, 100), 2):
            await here.send(turn, instance, frame.tobytes(), seq=str(n))
        assert (await here.result(turn)).kind == "final"


async def test_an_aborted_turn_says_nothing_more(broker: MemoryBroker) -> None:
    fake = FakeRecogniser(delay_s=5.0)
    async with worker(broker, fake) as service:
        here = await room(broker)
        turn = await here.open()
        await here.play(turn, await here.claimed(turn), *QUESTION)
        assert service.queue() == 1
        abort = TurnAbort(turn_id=turn.turn_id, revision=1, reason="barge-in")
        await here.observer.messenger.send(TURN_ABORT, abort, site="kitchen")
        await settle()
        assert finals(here) == []
        assert (fake.cancelled, service.turns, service.queue()) == (1, {}, 0)
        assert (await here.ask(*QUESTION)).kind == "final"


async def test_an_abort_from_another_room_is_none_of_ours(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser()):
        here = await room(broker)
        turn = await here.open()
        instance = await here.claimed(turn)
        abort = TurnAbort(turn_id=turn.turn_id, revision=1, reason="spite")
        await here.observer.messenger.send(TURN_ABORT, abort, site="attic")
        await here.play(turn, instance, *QUESTION)
        assert (await here.result(turn)).kind == "final"


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
async def test_the_recogniser_always_gets_16_khz(
    broker: MemoryBroker, rate: int, channels: int
) -> None:
    fake = FakeRecogniser()
    form = AudioFormat.model_validate({"rate": rate, "channels": channels})
    sounds = [
        np.repeat(s, channels) for s in (silence(300, rate), tone(1000, rate), silence(900, rate))
    ]
    async with worker(broker, fake):
        result = await (await room(broker)).ask(*sounds, format=form)
    assert result.kind == "final"
    samples, _ = fake.clips[0]
    assert len(samples) / 16 == pytest.approx(result.timings.audio_ms)
    assert result.speech_end_ms == pytest.approx(1300, abs=64)


@pytest.mark.req("F27")
async def test_ten_minutes_of_speech_are_cut(broker: MemoryBroker) -> None:
    fake = FakeRecogniser()
    async with worker(broker, fake, max_utterance_ms=5000) as service:
        here = await room(broker)
        turn = await here.open()
        instance = await here.claimed(turn)
        payload = tone(100).tobytes()
        for n in range(6000):
            await here.send(turn, instance, payload, seq=str(n))
            await asyncio.sleep(0.1)
        assert len(finals(here)) == 1
        assert service.counts["frames_unknown"] > 5900
    assert len(fake.clips[0][0]) == pytest.approx(5 * 16_000, rel=0.02)


async def test_two_rooms_are_heard_at_once(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser(["kitchen", "attic"], delay_s=0.5)) as service:
        kitchen, attic = await room(broker), await room(broker, "attic")

        async def later() -> Transcript:
            await asyncio.sleep(0.05)
            return await attic.ask(*QUESTION)

        first, second = await asyncio.gather(kitchen.ask(*QUESTION), later())
        assert (first.text, second.text) == ("kitchen", "attic")
        assert second.timings.transcribe_ms > first.timings.transcribe_ms + 300
        assert service.turns == {}
    assert [t.text for t in finals(kitchen) if t.turn_id == first.turn_id] == ["kitchen"]


async def test_a_turn_without_frames_fails(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser()) as service:
        here = await room(broker)
        turn = await here.open()
        result = await here.result(turn)
        assert result.kind == "failed"
        assert "no audio" in str(result.reason)
        await settle()
        assert len(finals(here)) == 1
        assert not service._ticking


async def test_a_repeated_open_is_claimed_again_but_heard_once(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser()) as service:
        here = await room(broker)
        turn = await here.open()
        instance = await here.claimed(turn)
        await here.open(turn)
        await here.play(turn, instance, *QUESTION)
        await here.result(turn)
        await here.open(turn)
        await settle()
        assert len(here.observer.of(TURN_CLAIMED)) == 2
        assert len(finals(here)) == 1
        assert service.counts["open_repeated"] == 2


async def test_a_higher_attempt_begins_the_turn_again(broker: MemoryBroker) -> None:
    fake = FakeRecogniser(["first", "second"])
    async with worker(broker, fake):
        here = await room(broker)
        turn = await here.open()
        await here.play(turn, await here.claimed(turn), tone(500))
        again = await here.open(opened(turn.turn_id, attempt=2))
        await here.play(again, await here.claimed(again), *QUESTION)
        result = await here.result(turn)
        await settle()
        assert (result.attempt, result.text) == (2, "first")
        assert len(finals(here)) == 1
        await here.open(turn)
        await settle(1)
        assert len(here.observer.of(TURN_CLAIMED)) == 2


async def test_a_worker_that_has_no_model_says_so(broker: MemoryBroker) -> None:
    fake = FakeRecogniser(load_error=ModelBrokenError("the model lacks model.bin"))
    async with worker(broker, fake) as service:
        here = await room(broker)
        turn = await here.open()
        result = await here.result(turn)
        assert (result.kind, result.reason) == ("failed", "no model is loaded")
        assert service.components() == {"model": False}
        health = await here.observer.until(HEALTH, lambda h: h.service == "stt-worker" and not h.ok)
        assert not health.ready


async def test_a_busy_worker_refuses(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser()):
        here = await room(broker)
        turns = [await here.open() for _ in range(MAX_TURNS + 1)]
        result = await here.result(turns[-1])
        assert (result.kind, result.reason) == ("failed", "the worker is busy")


async def test_a_stopping_worker_fails_its_turns(broker: MemoryBroker) -> None:
    here = await room(broker)
    async with worker(broker, FakeRecogniser()):
        turn = await here.open()
        await here.claimed(turn)
    result = await here.result(turn)
    assert (result.kind, result.reason) == ("failed", "the worker stops")


async def test_one_of_two_workers_takes_a_turn(broker: MemoryBroker) -> None:
    fakes = FakeRecogniser(["one"]), FakeRecogniser(["two"])
    async with worker(broker, fakes[0], "stt-one"), worker(broker, fakes[1], "stt-two"):
        here = await room(broker)
        texts = [(await here.ask(*QUESTION)).text for _ in range(2)]
        assert sorted(texts) == ["one", "two"]
        assert len(here.observer.of(TURN_CLAIMED)) == 2


@pytest.mark.req("R014", "C014")
async def test_partials_come_where_they_are_wanted(broker: MemoryBroker) -> None:
    fake = FakeRecogniser(["turn", "turn on the", "turn on the light"])
    async with worker(broker, fake, streaming_partials=True):
        here = await room(broker)
        await here.ask(*QUESTION)
    kinds = [(t.kind, t.text) for t in here.observer.of(TRANSCRIPT)]
    assert kinds == [
        ("partial", "turn"), ("partial", "turn on the"), ("final", "turn on the light")
    ]  # fmt: skip


@pytest.mark.req("C017")
async def test_settings_are_read_while_a_turn_runs(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser(), vad_silence_duration_ms=2000) as service:
        here = await room(broker)
        turn = await here.open()
        instance = await here.claimed(turn)
        service.config = service.config.model_copy(update={"vad_silence_duration_ms": 200})
        await here.play(turn, instance, *QUESTION)
        result = await here.result(turn)
    assert result.timings.endpoint_wait_ms < 400


async def test_the_language_is_the_turns_or_the_settings(broker: MemoryBroker) -> None:
    fake = FakeRecogniser()
    async with worker(broker, fake, language="de-DE"):
        here = await room(broker)
        await here.ask(*QUESTION)
        await here.ask(*QUESTION, language="fr-FR")
    assert [options.language for _, options in fake.clips] == ["de-DE", "fr-FR"]


async def test_a_transcript_waits_for_the_broker(broker: MemoryBroker) -> None:
    async with worker(broker, FakeRecogniser(delay_s=1.0)):
        here = await room(broker)
        turn = await here.open()
        await here.play(turn, await here.claimed(turn), tone(600), silence(700))
        broker.stop()
        await asyncio.sleep(2)
        broker.start()
        assert (await here.result(turn)).kind == "final"
