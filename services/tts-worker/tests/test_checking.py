"""The check of tts-worker: the voice says a word, and no sentence waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.tts import TtsRequest
from parlour_contracts.topics import AUDIO_OUT, SPEECH, TTS_REQUEST
from parlour_kit.clock import LoopClock
from parlour_kit.ids import new_id
from parlour_kit.models.errors import ModelMissingError
from parlour_kit.probes.checks import TTL_S, TTS_S, CheckBook, CheckResult
from parlour_testkit import MemoryBroker, Observer, memory_service
from parlour_testkit.fakes_tts import FakeVoice
from tts_worker.checking import WORD
from tts_worker.engine import SpokenPiece
from tts_worker.errors import SynthesisError
from tts_worker.service import TtsWorker


class FailingVoice(FakeVoice):
    """Fails at the first word, or makes no sound."""

    error: Exception | None = None

    async def synthesize(self, order, cancel):
        if self.error is not None:
            raise self.error
        yield SpokenPiece(np.zeros(100, np.float32))


async def checked(service: TtsWorker) -> CheckResult:
    (result,) = await CheckBook(service.checks(), LoopClock()).fresh()
    return result


def worker(broker: MemoryBroker, voice: FakeVoice):
    return memory_service(TtsWorker, broker, engine_factory=voice.factory)


async def speak(broker: MemoryBroker, text: str) -> Observer:
    observer = await Observer(broker.client("observer")).watch(SPEECH, AUDIO_OUT)
    request = TtsRequest(utterance_id=new_id(), site="den", seq=0, last=True, text=text)
    await observer.messenger.send(TTS_REQUEST, request)
    return observer


@pytest.mark.req("H033")
async def test_a_voice_that_says_a_word_is_healthy_and_nobody_hears_it(
    broker: MemoryBroker,
) -> None:
    voice = FakeVoice()
    observer = await Observer(broker.client("observer")).watch(SPEECH, AUDIO_OUT)
    async with worker(broker, voice) as service:
        result = await checked(service)

    assert (result.name, result.component, result.state) == ("model", "tts", "healthy")
    assert [order.text for order in voice.orders] == [WORD]
    assert observer.seen == []


@pytest.mark.req("H033", "F32")
@pytest.mark.parametrize(
    ("voice", "message"),
    [
        (FakeVoice(make_s=TTS_S), "CHECK_TIMEOUT"),
        (FakeVoice(make_s=1e6), "CHECK_TIMEOUT"),
        (FailingVoice(), "SYNTHESIS_FAILED"),
    ],
)
async def test_a_voice_that_needs_3_s_or_makes_no_sound_is_unhealthy(
    broker: MemoryBroker, voice: FakeVoice, message: str
) -> None:
    async with worker(broker, voice) as service:
        began = asyncio.get_running_loop().time()
        result = await checked(service)
        assert asyncio.get_running_loop().time() - began <= TTS_S

    assert (result.state, result.message.partition(":")[0]) == ("unhealthy", message)


async def test_a_voice_that_breaks_is_unhealthy_with_its_code_and_no_word_of_the_text(
    broker: MemoryBroker,
) -> None:
    voice = FailingVoice()
    voice.error = SynthesisError("cannot say: my secret")
    async with worker(broker, voice) as service:
        result = await checked(service)

    assert result.message == "SYNTHESIS_FAILED"


@pytest.mark.req("F32")
async def test_a_worker_without_a_voice_is_unhealthy(broker: MemoryBroker) -> None:
    def missing(*_args: object) -> FakeVoice:
        raise ModelMissingError("no voice")

    async with memory_service(TtsWorker, broker, engine_factory=missing) as service:
        result = await checked(service)

    assert (result.state, result.message.partition(":")[0]) == ("unhealthy", "VOICE_MISSING")


@pytest.mark.req("H033")
async def test_a_sentence_of_the_last_30_s_counts_as_the_check(broker: MemoryBroker) -> None:
    voice = FakeVoice()
    async with worker(broker, voice) as service:
        observer = await speak(broker, "Good morning.")
        await observer.until(SPEECH, lambda s: s.event == "completed")
        book = CheckBook(service.checks(), LoopClock())
        (counts,) = await book.fresh()
        assert (counts.state, len(voice.orders)) == ("healthy", 1)
        await asyncio.sleep(TTL_S + 1)
        await book.fresh()

    assert [order.text for order in voice.orders] == ["Good morning.", WORD]


async def test_a_sentence_that_the_voice_could_not_say_is_told(broker: MemoryBroker) -> None:
    voice = FakeVoice(faults={"Good morning.": SynthesisError("x")})
    async with worker(broker, voice) as service:
        observer = await speak(broker, "Good morning.")
        await observer.until(SPEECH, lambda s: s.event == "failed")
        result = await checked(service)

    assert result.message == "SYNTHESIS_FAILED"


async def test_nothing_is_checked_while_a_sentence_is_spoken(broker: MemoryBroker) -> None:
    voice = FakeVoice(make_s=1.0)
    async with worker(broker, voice) as service:
        observer = await speak(broker, "A long sentence.")
        await asyncio.sleep(0.5)
        result = await checked(service)
        assert (result.works, len(voice.orders)) == (True, 1)
        await observer.until(SPEECH, lambda s: s.event == "completed")


async def test_a_sentence_that_comes_while_the_check_runs_stops_it(broker: MemoryBroker) -> None:
    voice = FakeVoice(make_s=1.0)
    async with worker(broker, voice) as service:
        checking = asyncio.create_task(checked(service))
        await asyncio.sleep(0.5)
        observer = await speak(broker, "Hello.")
        await observer.until(SPEECH, lambda s: s.event == "completed")
        result = await checking

    assert result.works
    assert WORD in voice.stopped


@pytest.mark.model
@pytest.mark.req("H033", "F32")
async def test_the_real_voice_says_its_word(broker: MemoryBroker, data_dir: Path) -> None:
    config = TTSWorkerConfig(piper_voice="en_US-joe-medium")
    async with memory_service(TtsWorker, broker, config=config, data_dir=data_dir) as service:
        result = await checked(service)

    assert result.state == "healthy", result
