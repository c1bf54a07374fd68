"""Every setting changes how a running worker behaves, without a restart."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_kit.ids import new_id

from .wardrobe import Wardrobe, listening


@pytest.mark.req("C020", "C085")
async def test_setting_piper_voice_another_voice_speaks_the_next_sentence(broker):
    async with listening(broker) as r:
        await r.say("good morning")
        await r.change(piper_voice="bob")
        await r.say("good evening")

        anna, bob = r.wardrobe.voices
        assert [o.text for o in anna.orders] == ["good morning"]
        assert [o.text for o in bob.orders] == ["good evening"]
        assert anna.closed
        assert not bob.closed


@pytest.mark.req("C085")
async def test_setting_threads_the_voice_is_loaded_again_with_so_many(broker):
    async with listening(broker) as r:
        await r.change(threads=3)
        await r.say("good morning")

        assert [(c.piper_voice, c.threads) for c, _ in r.wardrobe.made] == [
            ("anna", 0),
            ("anna", 3),
        ]
        assert len(r.wardrobe.voices[1].orders) == 1


@pytest.mark.req("C021", "C085")
async def test_setting_tts_streaming_the_next_sentence_comes_in_small_frames(broker):
    async with listening(broker) as r:
        await r.say("one two three")
        await r.change(tts_streaming=True)
        after = await r.say("one two three")

        sizes = {sound.size for _, sound in r.frames(after.utterance_id)}
        assert max(sizes) == 16_000 * 20 // 1000
        assert len(r.wardrobe.made) == 1


@pytest.mark.req("C022", "C085")
async def test_setting_tts_pipeline_a_sentence_that_waits_for_the_last_to_be_played_goes_ahead(
    broker,
):
    async with listening(broker, tts_pipeline=False) as r:
        await r.ask("one two three four five six seven eight", 0)
        await r.ask("nine", 1, last=True)
        await r.event("sentence", seq=0)
        await asyncio.sleep(0.1)
        assert len(r.started()) == 1
        before = asyncio.get_running_loop().time()
        await r.change(tts_pipeline=True)
        await r.event("started", seq=1)

        assert asyncio.get_running_loop().time() - before < 0.05


@pytest.mark.req("C023", "C085")
async def test_setting_tts_aggregate_by_utt_another_answer_need_no_longer_wait(broker):
    async with listening(broker, tts_aggregate_timeout_sec=10.0) as r:
        await r.ask("my first part", 0)
        await r.event("sentence", seq=0)
        await r.ask("somebody else", last=True, utterance_id=new_id())
        await asyncio.sleep(1)
        assert len(r.started()) == 1
        await r.change(tts_aggregate_by_utt=False)
        await r.event("sentence", text="somebody else", within=0.5)


@pytest.mark.req("C024", "C085")
async def test_setting_tts_aggregate_timeout_sec_an_answers_place_is_kept_for_so_long(broker):
    async with listening(broker, tts_aggregate_timeout_sec=10.0) as r:
        await r.ask("my first part", 0)
        await r.event("sentence", seq=0)
        held = asyncio.get_running_loop().time()
        await r.ask("somebody else", last=True, utterance_id=new_id())
        await asyncio.sleep(1)
        await r.change(tts_aggregate_timeout_sec=3.0)
        await r.event("started", text="somebody else")

        assert r.started()[-1][1] - held == pytest.approx(3.0, abs=0.05)


@pytest.mark.req("C025", "C085")
async def test_setting_volume_percent_is_heard_in_the_middle_of_a_sentence(broker):
    async with listening(broker) as r:
        utterance = await r.ask("one two three four", last=True)
        await r.event("started")
        await asyncio.sleep(0.12)
        await r.change(volume_percent=50)
        await r.event("completed")

        sound = np.concatenate([s for _, s in r.frames(utterance)]).astype(float)
        assert sound[0] == round(0.5 * 32767)
        assert sound[-1] == round(0.25 * 32767)


@pytest.mark.req("C085")
async def test_setting_speed_the_next_sentence_is_spoken_at_it(broker):
    async with listening(broker) as r:
        before = await r.say("one two")
        await r.change(speed=2.0)
        after = await r.say("one two")

        assert (before.duration_ms, after.duration_ms) == (500, 250)


@pytest.mark.req("C085", "F7")
def test_every_setting_of_the_worker_has_a_test_of_its_own():
    tested = [name for name in globals() if name.startswith("test_setting_")]

    for field in TTSWorkerConfig.model_fields:
        assert any(name.startswith(f"test_setting_{field}_") for name in tested), field


@pytest.mark.req("C085")
async def test_a_setting_of_the_moment_loads_no_voice(broker):
    async with listening(broker) as r:
        await r.change(volume_percent=10, speed=1.5, tts_streaming=True, tts_pipeline=False)

        assert len(r.wardrobe.made) == 1
        assert r.worker.config.speed == 1.5


async def test_several_changes_in_a_row_end_with_the_last_and_free_all_others(broker):
    async with listening(broker, Wardrobe()) as r:
        for name in ("bob", "anna", "bob", "anna"):
            await r.change(piper_voice=name)
        done = await r.say("here I am")

        assert r.rates(done.utterance_id) == [16_000]
        assert [v.closed for v in r.wardrobe.voices] == [True, True, True, True, False]
