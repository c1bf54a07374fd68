"""A voice is loaded beside the one that speaks and takes its place between two sentences."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.health import ConfigState, Health
from parlour_contracts.messages.tts import TtsCancel
from parlour_contracts.topics import AUDIO_OUT, HEALTH, SPEECH, TTS_CANCEL
from parlour_kit.errors import ParlourError
from parlour_kit.feed import Changed, Stage
from parlour_kit.ids import new_id
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from parlour_testkit.virtual_time import VirtualTimeLoop, real_work
from tts_worker.errors import VoiceBrokenError
from tts_worker.service import TtsWorker

from .wardrobe import Listener, Wardrobe, listening


def real_time() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.become_real()


REPLY = ["one two three", "four five six", "seven eight", "nine ten"]


@pytest.mark.req("C020", "C085")
async def test_a_running_reply_loses_no_sentence_and_finishes_the_begun_one_with_its_voice(broker):
    async with listening(broker) as r:
        for seq, text in enumerate(REPLY):
            await r.ask(text, seq, last=seq == len(REPLY) - 1)
        await r.event("started", seq=1)
        await r.change(piper_voice="bob")
        await r.event("completed")

        assert r.rates(r.utterance) == [16_000, 16_000, 8000, 8000]
        told = [(s.event, s.seq) for s in r.observer.of(SPEECH) if s.event != "started"]
        assert told == [*(("sentence", n) for n in range(4)), ("completed", 3)]
        numbers = [int(p["seq"]) for p, _ in r.frames(r.utterance)]
        assert numbers == list(range(len(numbers)))
        assert r.wardrobe.voices[0].stopped == []


async def test_the_old_voice_is_freed_only_when_its_sentence_is_over(broker):
    async with listening(broker) as r:
        await r.ask("one two three four", 0, last=True)
        await r.event("started")
        await r.change(piper_voice="bob")
        await asyncio.sleep(0.1)
        anna = r.wardrobe.voices[0]
        assert not anna.closed
        await r.event("completed")
        await asyncio.sleep(0)

        assert anna.closed


@pytest.mark.req("C085")
async def test_the_running_voice_goes_on_while_another_is_loaded(broker):
    wardrobe = Wardrobe(make_s=0.001)
    async with listening(broker, wardrobe) as r:
        real_time()  # a voice that loads in its thread would hold the clock
        wardrobe.gate = threading.Event()
        staging = asyncio.ensure_future(r.worker.stage(r.changed(piper_voice="bob")))
        said = [await r.say(text) for text in REPLY]
        assert not staging.done()
        wardrobe.gate.set()
        switch = await staging
        before = await r.say("still the old one")
        await switch.commit()
        after = await r.say("and now the new one")

        assert {r.rates(s.utterance_id)[0] for s in [*said, before]} == {16_000}
        assert r.rates(after.utterance_id) == [8000]


@pytest.mark.req("C085")
async def test_a_voice_that_cannot_be_loaded_leaves_everything_as_it_was(broker):
    async with listening(broker) as r:
        with pytest.raises(VoiceBrokenError):
            await r.worker.stage(r.changed(piper_voice="nobody", volume_percent=1))
        done = await r.say("as before")

        assert r.rates(done.utterance_id) == [16_000]
        assert (r.worker.config.piper_voice, r.worker.config.volume_percent) == ("anna", 100)
        assert r.worker.components() == {"tts": True}


async def test_a_change_that_is_discarded_frees_the_voice_it_had_loaded(broker):
    async with listening(broker) as r:
        switch = await r.worker.stage(r.changed(piper_voice="bob"))
        await switch.discard()
        await asyncio.sleep(0)
        done = await r.say("as before")

        assert r.rates(done.utterance_id) == [16_000]
        assert [v.closed for v in r.wardrobe.voices] == [False, True]


async def test_a_voice_that_nobody_waits_for_any_more_is_freed_when_it_has_loaded(broker):
    wardrobe = Wardrobe()
    async with listening(broker, wardrobe) as r:
        wardrobe.gate = threading.Event()
        staging = asyncio.ensure_future(r.worker.stage(r.changed(piper_voice="bob")))
        await asyncio.sleep(0)
        staging.cancel()
        await asyncio.gather(staging, return_exceptions=True)
        wardrobe.gate.set()
        with real_work():
            while len(wardrobe.voices) < 2 or not wardrobe.voices[1].closed:  # noqa: ASYNC110  # a thread
                await asyncio.sleep(0)

        assert not wardrobe.voices[0].closed


async def test_a_sentence_that_named_the_voice_of_then_is_spoken_by_the_one_of_now(broker):
    async with listening(broker) as r:
        await r.ask("one two three", 0, voice="anna")
        await r.ask("four five", 1, last=True, voice="anna")
        await r.event("started", seq=0)
        await r.change(piper_voice="bob")
        await r.event("completed")
        await r.ask("too late", last=True, utterance_id=new_id(), voice="anna")
        await r.event("started", text="too late")

        assert r.rates(r.utterance) == [16_000, 8000]
        anna, bob = r.wardrobe.voices
        assert [o.voice for o in (*anna.orders, *bob.orders)] == ["anna", None, "anna"]


async def test_a_cancelled_reply_stays_silent_after_the_change(broker):
    async with listening(broker) as r:
        await r.ask("one two three four", 0)
        await r.ask("never said", 1, last=True)
        await r.event("started")
        await r.change(piper_voice="bob")
        message = TtsCancel(utterance_id=r.utterance, reason="barge-in")
        await r.observer.messenger.send(TTS_CANCEL, message, instance="tts-worker")
        await r.event("cancelled")
        await asyncio.sleep(5)

        assert r.wardrobe.voices[1].orders == []
        assert r.wardrobe.voices[0].closed


class Feed:
    """Gives a service settings when the test says so."""

    problem: ParlourError | None = None

    def __init__(self, config: TTSWorkerConfig) -> None:
        self.config = config
        self.state = ConfigState(source="default")
        self._stage: Stage[Any] | None = None

    async def first(self) -> tuple[TTSWorkerConfig, ConfigState]:
        return self.config, self.state

    def start(self, stage: Stage[Any], changed: Changed, *, works: bool = True) -> None:
        self._stage = stage

    async def stop(self) -> None:
        pass

    async def give(self, config: TTSWorkerConfig) -> None:
        assert self._stage is not None
        await (await self._stage(config)).commit()


@pytest.mark.req("C020", "C085")
async def test_a_worker_without_a_voice_takes_a_good_setting_and_becomes_ready(broker):
    feed, wardrobe = Feed(TTSWorkerConfig(piper_voice="nobody")), Wardrobe()
    observer = await Observer(broker.client("observer")).watch(SPEECH, AUDIO_OUT, HEALTH)
    async with memory_service(
        TtsWorker, broker, feed=lambda *_: feed, engine_factory=wardrobe.make
    ) as worker:
        r = Listener(worker, observer, wardrobe)
        sick: Health = await observer.until(HEALTH, lambda h: h.err is not None)
        assert not sick.ready
        await r.ask("left to others", last=True)
        await asyncio.sleep(1)
        assert worker.queue() == 0
        with pytest.raises(VoiceBrokenError):
            await feed.give(feed.config)

        await feed.give(r.changed(piper_voice="bob"))
        await observer.until(HEALTH, lambda h: h.ready and h.err is None)
        done = await r.say("here I am")

        assert r.rates(done.utterance_id) == [8000]
        assert worker.components() == {"tts": True}
        await feed.give(r.changed(piper_voice="anna"))
        assert r.rates((await r.say("and here")).utterance_id) == [16_000]


@given(
    st.lists(st.sampled_from(["bob", "anna"]), min_size=1, max_size=4),
    st.lists(st.floats(0, 0.4), min_size=4, max_size=4),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.req("C085")
def test_changes_at_any_moment_of_a_reply_lose_no_sentence(names, pauses):
    async def reply() -> None:
        async with listening(MemoryBroker()) as r:
            for seq, text in enumerate(REPLY):
                await r.ask(text, seq, last=seq == len(REPLY) - 1)
            for name, pause in zip(names, pauses, strict=False):
                await asyncio.sleep(pause)
                await r.change(piper_voice=name)
            await r.event("completed")

            spoken = [s.text for s in r.observer.of(SPEECH) if s.event == "sentence"]
            assert spoken == REPLY
            assert not any(s.event == "failed" for s in r.observer.of(SPEECH))
            assert sum(len(v.orders) for v in r.wardrobe.voices) == len(REPLY)
            assert not any(v.stopped for v in r.wardrobe.voices)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(reply())
