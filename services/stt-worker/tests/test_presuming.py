"""What was said is recognised ahead of the endpoint, and counts when nobody goes on."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import AudioFormat, Transcript
from parlour_contracts.topics import TRANSCRIPT
from parlour_kit.vitals import ThrottleLevel
from parlour_testkit import MemoryBroker
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, silence, tone
from stt_worker.actions import Action, Concluded, Presume, Transcribe
from stt_worker.engine import Piece, Recognition
from stt_worker.session import Hearing, HearingSettings

from .speaking import QUESTION, fake, room, worker
from .test_session import frames, only, play

YES = Recognition((Piece(" Turn on the light.", 0.0, 1.0, -0.1, 0.05),))


def hearing(**config: object) -> Hearing:
    chosen = STTWorkerConfig().model_copy(update={"transcribe_ahead": True, **config})
    return Hearing(AudioFormat(), LoudnessVad(), HearingSettings.of(chosen), 0.0)


def presumed(actions: list[Action]) -> Presume:
    (found,) = only(actions, Presume)
    assert isinstance(found, Presume)
    return found


def test_what_was_recognised_before_the_endpoint_is_final_with_it() -> None:
    turn = hearing()
    presume = presumed(play(turn, frames(tone(1000), silence(300))))
    assert turn.presumed(presume.clip, YES) == []

    (over,) = play(turn, frames(silence(400)), first=65)

    assert isinstance(over, Concluded)
    assert (over.kind, over.heard, over.revision) == ("final", YES, 1)
    assert over.clip is not None
    assert over.clip.endpoint_wait_ms == pytest.approx(500, abs=64)


def test_what_is_recognised_after_the_endpoint_is_not_recognised_twice() -> None:
    turn = hearing()
    actions = play(turn, frames(tone(1000), silence(700)))
    assert only(actions, Transcribe) == []

    (over,) = turn.presumed(presumed(actions).clip, YES)

    assert isinstance(over, Concluded)
    assert (over.kind, over.revision) == ("final", 1)


def test_who_goes_on_speaking_is_heard_whole_and_what_was_presumed_is_void() -> None:
    turn = hearing()
    presume = presumed(play(turn, frames(tone(1000), silence(300))))
    assert turn.still_presumes(presume.clip)
    actions = play(turn, frames(tone(1000)), first=65)

    assert not turn.still_presumes(presume.clip)
    assert turn.presumed(presume.clip, YES) == []
    actions += play(turn, frames(silence(250)), first=115)
    second = presumed(actions)
    assert second.revision == 2
    assert second.clip.speech_end_ms > presume.clip.speech_end_ms
    assert turn.presumed(second.clip, YES) == []
    (over,) = play(turn, frames(silence(400)), first=128)
    assert isinstance(over, Concluded)
    assert over.revision == 2


def test_what_could_not_be_recognised_ahead_is_recognised_at_the_endpoint() -> None:
    early = hearing()
    actions = play(early, frames(tone(1000), silence(300)))
    assert early.presumed(presumed(actions).clip, None) == []
    (job,) = play(early, frames(silence(400)), first=65)
    assert isinstance(job, Transcribe)

    late = hearing()
    actions = play(late, frames(tone(1000), silence(700)))
    (job,) = late.presumed(presumed(actions).clip, None)
    assert isinstance(job, Transcribe)
    over = late.heard(job.clip, YES)
    assert over is not None
    assert (over.kind, over.revision) == ("final", 2)


def test_where_the_end_comes_as_soon_as_the_pause_nothing_is_presumed() -> None:
    actions = play(hearing(vad_silence_duration_ms=200), frames(tone(1000), silence(400)))

    assert only(actions, Presume) == []
    assert len(only(actions, Transcribe)) == 1


def test_a_sender_that_says_that_it_is_over_means_all_of_it() -> None:
    turn = hearing()
    play(turn, frames(tone(1000), silence(300)))

    (job,) = play(turn, frames(silence(20)), first=65, end=True)

    assert isinstance(job, Transcribe)
    assert job.clip.asked


@given(st.lists(st.sampled_from(["tone", "pause", "answer", "fail"]), max_size=12))
@settings(deadline=None)
def test_a_turn_is_concluded_once_whatever_is_presumed(script: list[str]) -> None:
    turn, at, actions = hearing(), 0, []
    open_clips: list[Presume] = []
    for step in [*script, "tone", "pause", "pause"]:
        if step in ("tone", "pause"):
            sound = frames(tone(300) if step == "tone" else silence(300))
            new = play(turn, sound, first=at)
            at += len(sound)
        elif open_clips:
            new = turn.presumed(open_clips.pop(0).clip, YES if step == "answer" else None)
        else:
            new = []
        actions += new
        open_clips += [a for a in new if isinstance(a, Presume)]
    for left in open_clips:
        actions += turn.presumed(left.clip, YES)
    jobs = [a for a in actions if isinstance(a, Transcribe)]
    ended = [a for a in actions if isinstance(a, Concluded)]
    late = [turn.heard(job.clip, YES) for job in jobs]
    ended += [over for over in late if over is not None]

    assert len(ended) == 1
    assert len(jobs) <= 1


async def kinds(broker: MemoryBroker, recogniser: FakeRecogniser, *sound: object) -> list[Transcript]:  # fmt: skip
    async with worker(broker, fake(recogniser), transcribe_ahead=True):
        here = await room(broker)
        await here.ask(*sound)
        found = here.observer.of(TRANSCRIPT)
    return [t for t in found if isinstance(t, Transcript)]


@pytest.mark.req("SC102")
async def test_the_final_transcript_does_not_wait_for_what_is_known_already(
    broker: MemoryBroker,
) -> None:
    soft, final = await kinds(broker, FakeRecogniser(delay_s=0.25), *QUESTION)

    assert (soft.kind, final.kind) == ("soft_final", "final")
    assert soft.revision == final.revision == 1
    assert not soft.is_final
    assert final.timings.transcribe_ms == 0.0


async def test_a_slow_recogniser_is_asked_once_and_only_what_comes_late_counts(
    broker: MemoryBroker,
) -> None:
    recogniser = FakeRecogniser(delay_s=0.8)
    (final,) = await kinds(broker, recogniser, *QUESTION)

    assert len(recogniser.clips) == 1
    assert final.timings.transcribe_ms == pytest.approx(500, abs=60)


async def test_a_pause_in_a_sentence_costs_no_words(broker: MemoryBroker) -> None:
    recogniser = FakeRecogniser(delay_s=0.6)
    *_, final = await kinds(broker, recogniser, tone(1000), silence(350), tone(1000), silence(1500))

    assert recogniser.cancelled == 1
    ((whole, _),) = recogniser.clips
    assert len(whole) > 16 * 2350
    assert final.revision == 2


async def test_an_error_ahead_of_the_endpoint_is_asked_again_at_it(broker: MemoryBroker) -> None:
    recogniser = FakeRecogniser([RuntimeError("no"), "turn on the light"])
    (final,) = await kinds(broker, recogniser, *QUESTION)

    assert (final.kind, final.text) == ("final", "turn on the light")


async def test_on_a_warm_machine_nothing_is_recognised_ahead(broker: MemoryBroker) -> None:
    recogniser = FakeRecogniser()
    async with worker(broker, fake(recogniser), transcribe_ahead=True) as service:
        service.throttled(ThrottleLevel.WARM)
        here = await room(broker)
        assert (await here.ask(*QUESTION)).kind == "final"
        await asyncio.sleep(1)
        assert [t.kind for t in here.observer.of(TRANSCRIPT)] == ["final"]
