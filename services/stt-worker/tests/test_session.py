"""One hearing: frames in, actions out, exactly one conclusion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_audio import ulaw
from parlour_audio.frames import split, to_float
from parlour_audio.resample import resample
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import AudioFormat
from parlour_testkit.fakes_stt import LoudnessVad, silence, tone
from stt_worker.actions import Action, Concluded, Consider, LookAhead, Presume, Transcribe
from stt_worker.engine import Piece, Recognition
from stt_worker.session import LEASE_MS, Hearing, HearingSettings, State

CONFIG = STTWorkerConfig(transcribe_ahead=False)
YES = Recognition((Piece(" Yes.", 0.0, 1.0, -0.1, 0.05),))
UNSURE = Recognition((Piece(" Yes.", 0.0, 1.0, -1.15, 0.05),))


def make(form: AudioFormat | None = None, **config: object) -> Hearing:
    chosen = HearingSettings.of(CONFIG.model_copy(update=config))
    return Hearing(form or AudioFormat(), LoudnessVad(), chosen, 0.0)


def frames(*sounds: np.ndarray, rate: int = 16_000, channels: int = 1) -> list[bytes]:
    whole = np.concatenate(sounds)
    return [f.tobytes() for f in split(whole, rate, 20, channels)]


def play(
    hearing: Hearing, payloads: list[bytes], *, end: bool = False, first: int = 0
) -> list[Action]:
    """In real time: frame n of 20 ms comes at n times 20 ms."""
    actions: list[Action] = []
    for n, payload in enumerate(payloads, first):
        properties = {"seq": str(n)}
        if end and n == first + len(payloads) - 1:
            properties["end"] = "1"
        actions += hearing.frame(payload, properties, n * 0.02)
        actions += hearing.tick(n * 0.02)
    return actions


def only(actions: list[Action], kind: type) -> list[Action]:
    return [a for a in actions if isinstance(a, kind)]


def test_speech_and_silence_make_one_clip_to_recognise() -> None:
    hearing = make()
    actions = play(hearing, frames(silence(1500), tone(1000), silence(2000)))
    (job,) = only(actions, Transcribe)
    assert isinstance(job, Transcribe)
    assert only(actions, Presume) == []
    clip = job.clip
    assert clip.speech_start_ms == pytest.approx(1500, abs=32)
    assert clip.speech_end_ms == pytest.approx(2500, abs=32)
    assert clip.endpoint_wait_ms == pytest.approx(500, abs=64)
    assert clip.start_ms == pytest.approx(clip.speech_start_ms - 1000, abs=1)
    assert hearing.state is State.TRANSCRIBING
    over = hearing.heard(clip, YES)
    assert over == Concluded("final", None, clip, YES)
    assert hearing.heard(clip, YES) is None
    assert hearing.broke("late") is None


@pytest.mark.req("F27")
def test_speech_from_the_first_sample_keeps_its_first_sample() -> None:
    sound = tone(800)
    (job,) = only(play(make(), frames(sound, silence(1000))), Transcribe)
    assert isinstance(job, Transcribe)
    assert job.clip.start_ms == 0
    assert np.array_equal(job.clip.samples[: len(sound)], to_float(sound))


@pytest.mark.req("C016")
def test_the_speech_pad_widens_the_clip() -> None:
    starts = {}
    for pad in (0, 1000):
        payloads = frames(silence(2500), tone(500), silence(2000))
        (job,) = only(play(make(vad_speech_pad_ms=pad), payloads), Transcribe)
        assert isinstance(job, Transcribe)
        starts[pad] = job.clip.start_ms
    assert starts[0] - starts[1000] == pytest.approx(1000, abs=1)


def test_the_last_frame_is_an_endpoint_at_once() -> None:
    hearing = make()
    actions = play(hearing, frames(tone(600)), end=True)
    (job,) = only(actions, Transcribe)
    assert isinstance(job, Transcribe)
    assert job.clip.asked
    assert len(job.clip.samples) == 9600


def test_an_empty_last_frame_ends_the_turn_too() -> None:
    hearing = make()
    play(hearing, frames(tone(600)))
    (job,) = hearing.frame(b"", {"seq": "30", "end": "1"}, 0.6)
    assert isinstance(job, Transcribe)


def test_silence_alone_is_empty() -> None:
    actions = play(make(), frames(silence(9000)))
    assert actions == [Concluded("empty", "nobody spoke")]
    assert play(make(), frames(silence(300)), end=True) == [Concluded("empty", "nobody spoke")]


@pytest.mark.req("F27")
def test_endless_speech_is_cut() -> None:
    (job,) = only(play(make(max_utterance_ms=2000), frames(tone(60_000))), Transcribe)
    assert isinstance(job, Transcribe)
    assert job.clip.duration_ms == pytest.approx(2000, abs=64)


def test_memory_stays_bounded_while_nobody_speaks() -> None:
    hearing = make(no_speech_timeout_ms=60_000)
    play(hearing, frames(silence(50_000)))
    assert hearing._sound.end_ms - hearing._sound.start_ms < 2000


@pytest.mark.req("F25")
def test_a_short_sure_word_ends_the_turn() -> None:
    hearing = make()
    actions = play(hearing, frames(silence(500), tone(150), silence(800)))
    (job,) = only(actions, Consider)
    assert isinstance(job, Consider)
    over = hearing.considered(job.clip, YES)
    assert over is not None
    assert over.kind == "final"


def test_a_click_does_not_end_the_turn() -> None:
    hearing = make()
    (job,) = only(play(hearing, frames(tone(150), silence(800))), Consider)
    assert isinstance(job, Consider)
    assert hearing.considered(job.clip, UNSURE) is None
    assert hearing.state is State.LISTENING
    assert only(play(make(), frames(tone(20), silence(800))), Consider) == []


def test_an_unsure_word_is_looked_at_again_with_the_sound_that_followed() -> None:
    hearing = make()
    first, second = only(play(hearing, frames(silence(500), tone(150), silence(1500))), Consider)
    assert isinstance(first, Consider)
    assert isinstance(second, Consider)
    assert len(second.clip.samples) > len(first.clip.samples)
    assert hearing.considered(first.clip, UNSURE) is None
    over = hearing.considered(second.clip, YES)
    assert over is not None
    assert over.kind == "final"


def test_a_click_before_speech_is_not_the_turn() -> None:
    hearing = make()
    payloads = frames(tone(150), silence(800), tone(400))
    (job,) = only(play(hearing, payloads), Consider)
    assert isinstance(job, Consider)
    assert hearing.considered(job.clip, YES) is None
    (final,) = only(play(hearing, frames(silence(800)), first=len(payloads)), Transcribe)
    assert isinstance(final, Transcribe)
    assert final.clip.speech_start_ms == pytest.approx(950, abs=32)


def test_an_unintelligible_clip_is_empty() -> None:
    hearing = make()
    (job,) = only(play(hearing, frames(tone(600), silence(800))), Transcribe)
    assert isinstance(job, Transcribe)
    over = hearing.heard(job.clip, Recognition())
    assert over is not None
    assert over.kind == "empty"


def test_a_turn_without_frames_fails_when_its_lease_is_over() -> None:
    hearing = make()
    assert hearing.tick(LEASE_MS / 1000 - 0.01) == []
    (over,) = hearing.tick(LEASE_MS / 1000)
    assert isinstance(over, Concluded)
    assert over.kind == "failed"
    assert "no audio" in str(over.reason)
    assert hearing.tick(100.0) == []


def test_each_frame_renews_the_lease() -> None:
    hearing = make()
    hearing.frame(silence(20).tobytes(), {"seq": "0"}, 4.0)
    assert hearing.tick(8.9) == []
    assert len(hearing.tick(9.0)) == 1


@pytest.mark.parametrize(
    "wrong", [{"rate": "8000"}, {"channels": "2"}, {"encoding": "ulaw"}, {"encoding": "mp3"}]
)
def test_another_format_than_the_turns_fails_with_a_reason(wrong: dict[str, str]) -> None:
    (over,) = make().frame(bytes(640), {"seq": "0", **wrong}, 0.0)
    assert isinstance(over, Concluded)
    assert over.kind == "failed"
    assert "format" in str(over.reason)


def test_a_frame_of_seconds_fails_with_a_reason() -> None:
    (over,) = make().frame(bytes(64_000), {"seq": "0"}, 0.0)
    assert isinstance(over, Concluded)
    assert over.kind == "failed"


@pytest.mark.parametrize("seq", [None, "", "-1", "1.5", "x", "９", "9" * 30])
def test_a_frame_without_a_number_is_dropped_and_counted(seq: str | None) -> None:
    hearing = make()
    assert hearing.frame(bytes(640), {} if seq is None else {"seq": seq}, 0.0) == []
    assert hearing.malformed == 1


def test_lost_frames_keep_the_time_of_what_follows() -> None:
    hearing = make()
    payloads = frames(silence(500), tone(1000), silence(1500))
    actions: list[Action] = []
    for n, payload in enumerate(payloads):
        if n not in (40, 41, 60):
            actions += hearing.frame(payload, {"seq": str(n)}, n * 0.02)
        actions += hearing.tick(n * 0.02)
    (job,) = only(actions, Transcribe)
    assert isinstance(job, Transcribe)
    assert job.clip.speech_end_ms == pytest.approx(1500, abs=32)
    assert hearing.counts.lost == 3


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("encoding", ["pcm", "ulaw"])
def test_every_format_is_heard_alike(rate: int, channels: int, encoding: str) -> None:
    form = AudioFormat.model_validate({"rate": rate, "channels": channels, "encoding": encoding})
    hearing = make(form)
    sound = np.concatenate([silence(500, rate), tone(700, rate), silence(900, rate)])
    actions: list[Action] = []
    for n, frame in enumerate(split(np.repeat(sound, channels), rate, 20, channels)):
        payload = ulaw.encode(frame) if encoding == "ulaw" else frame.tobytes()
        properties = {"seq": str(n), "rate": str(rate), "channels": str(channels)}
        actions += hearing.frame(payload, {**properties, "encoding": encoding}, n * 0.02)
    (job,) = only(actions, Transcribe)
    assert isinstance(job, Transcribe)
    assert job.clip.speech_start_ms == pytest.approx(500, abs=64)
    assert job.clip.speech_end_ms == pytest.approx(1200, abs=64)
    expected = resample(to_float(sound), rate, 16_000)
    middle = slice(700 * 16, 1000 * 16)
    offset = round(job.clip.start_ms * 16)
    heard = job.clip.samples[middle.start - offset : middle.stop - offset]
    assert np.abs(heard - expected[middle]).max() < 0.03


def test_settings_change_in_the_middle_of_a_turn() -> None:
    hearing = make(vad_silence_duration_ms=2000)
    payloads = frames(tone(500), silence(600))
    assert only(play(hearing, payloads), Transcribe) == []
    hearing.settings = HearingSettings.of(
        CONFIG.model_copy(update={"vad_silence_duration_ms": 300})
    )
    assert len(only(play(hearing, frames(silence(40)), first=len(payloads)), Transcribe)) == 1


def test_partials_are_looked_for_only_where_they_are_wanted() -> None:
    payloads = frames(tone(2000))
    assert only(play(make(), payloads), LookAhead) == []
    hearing = make(streaming_partials=True)
    looks = only(play(hearing, payloads), LookAhead)
    assert len(looks) == 3
    assert hearing.glimpsed(YES) == "Yes."
    assert hearing.glimpsed(YES) is None


def test_an_aborted_turn_says_nothing_more() -> None:
    hearing = make()
    (job,) = only(play(hearing, frames(tone(600), silence(800))), Transcribe)
    assert isinstance(job, Transcribe)
    hearing.abort()
    assert hearing.heard(job.clip, YES) is None
    assert hearing.frame(bytes(640), {"seq": "99"}, 9.0) == []
    assert hearing.tick(99.0) == []


step = st.one_of(
    st.tuples(
        st.just("frame"), st.integers(0, 60), st.sampled_from(["loud", "quiet", "odd", "end"])
    ),
    st.tuples(st.just("bad"), st.integers(0, 3), st.just("")),
    st.tuples(st.just("wait"), st.integers(0, 8), st.just("")),
    st.tuples(st.just("answer"), st.integers(0, 3), st.just("")),
)
SOUNDS = {
    "loud": tone(100).tobytes(),
    "quiet": silence(100).tobytes(),
    "odd": tone(100).tobytes()[:-1],
}


@settings(max_examples=60)
@given(st.lists(step, max_size=80))
def test_whatever_happens_a_hearing_concludes_once_and_never_raises(
    steps: list[tuple[str, int, str]],
) -> None:
    """Frames in any order, repeated, odd, ended; answers at any time; then nothing but time."""
    hearing = make(max_utterance_ms=2000, no_speech_timeout_ms=1500)
    now, over, clips = 0.0, [], []

    def take(actions: list[Action]) -> None:
        over.extend(a for a in actions if isinstance(a, Concluded))
        clips.extend(a.clip for a in actions if isinstance(a, (Transcribe, Consider)))

    def answer(n: int) -> None:
        if not clips:
            return
        clip = clips[-1]
        done = [
            lambda: hearing.heard(clip, YES) if hearing.state is State.TRANSCRIBING else None,
            lambda: hearing.broke("x"),
            lambda: hearing.considered(clip, YES),
            lambda: (
                hearing.heard(clip, Recognition()) if hearing.state is State.TRANSCRIBING else None
            ),
        ][n]()
        over.extend([] if done is None else [done])

    for what, n, sound in steps:
        now += 0.05
        if what == "frame":
            properties = {"seq": str(n)} | ({"end": "1"} if sound == "end" else {})
            take(hearing.frame(SOUNDS.get(sound, b""), properties, now))
        elif what == "bad":
            take(
                hearing.frame(
                    b"\0" * n,
                    [{}, {"seq": "q"}, {"seq": "9999999"}, {"seq": "1", "end": "x"}][n],
                    now,
                )
            )
        elif what == "wait":
            now += n / 4
            take(hearing.tick(now))
        else:
            answer(n)
    for _ in range(4):
        now += 6
        take(hearing.tick(now))
    if hearing.state is State.TRANSCRIBING:
        answer(0)
    assert hearing.state is State.DONE
    assert len(over) == 1
