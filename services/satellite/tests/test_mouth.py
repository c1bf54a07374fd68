"""What is played when, and what is told about it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_kit.ids import new_id
from satellite.mouth import STARVED_S, Mouth
from satellite.sequence import (
    LOST_FRAME_S,
    LOST_LAST_S,
    LOST_SENTENCE_S,
    MOST_WAITING_S,
    Sequence,
)
from satellite.windows import WINDOW, WINDOW_S

RATE = 16_000
PIECE = 1600
"""Samples of a frame: 100 ms."""


class Loudspeaker:
    """Takes from a mouth as a device does."""

    def __init__(self, rate: int = RATE, latency_s: float = WINDOW_S) -> None:
        self.mouth = Mouth(rate, latency_s)
        self.now = 0.0
        self.sound: list[np.ndarray] = []
        self.told: list[tuple[float, str, str, float]] = []

    def send(self, utterance: str, value: float, *, rate: int = RATE, **properties: int) -> None:
        """A frame of 100 ms, all samples alike."""
        known = {"seq": 0, "start_ms": 0, "sentence": 0, "rate": rate} | properties
        payload = np.full(rate // 10, round(value * 32_768), "<i2").tobytes()
        self.mouth.frame(utterance, payload, {k: str(v) for k, v in known.items()}, self.now)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / WINDOW_S)):
            self.now += WINDOW_S
            size = WINDOW * self.mouth.rate // RATE
            sound, reports = self.mouth.take(size, self.now)
            assert len(sound) == size
            self.sound.append(sound)
            self.told += [(self.now, r.utterance_id, r.event, r.played_ms) for r in reports]

    def values(self) -> list[float]:
        """The loudness of what was played, each run of equal samples once; silence left out."""
        whole = np.concatenate(self.sound)
        changes = np.flatnonzero(np.diff(whole)) + 1
        found = [float(piece[0]) for piece in np.split(whole, changes)]
        return [round(v, 3) for v in found if v != 0]


A, B = new_id(), new_id()


@pytest.mark.req("V049")
@given(st.permutations(range(12)), st.integers(min_value=1, max_value=4))
@settings(max_examples=60, deadline=None)
def test_whatever_order_frames_come_in_they_are_played_in_theirs(order, sentences) -> None:
    each = 12 // sentences
    speaker = Loudspeaker()
    frames = []
    for n in range(each * sentences):
        sentence, place = divmod(n, each)
        end = place == each - 1
        frames.append(
            (0.1 + n * 0.05, {
                "seq": n, "sentence": sentence, "start_ms": place * 100, "end": int(end),
                "last": int(end and sentence == sentences - 1),
            })
        )  # fmt: skip
    for n in order:
        if n < len(frames):
            speaker.send(A, frames[n][0], **frames[n][1])
            speaker.send(A, frames[n][0], **frames[n][1])  # twice makes no difference
    speaker.run(3)

    assert speaker.values() == [round(v, 3) for v, _ in frames]
    assert speaker.told[0][2] == "started"
    assert speaker.told[-1][2:] == ("finished", pytest.approx(100 * len(frames)))


@pytest.mark.req("R021")
def test_a_position_is_told_four_times_a_second_and_the_end_when_it_was_heard() -> None:
    speaker = Loudspeaker(latency_s=0.1)
    for n in range(20):
        speaker.send(A, 0.5, seq=n, start_ms=n * 100, end=int(n == 19), last=int(n == 19))
    speaker.run(3)

    events = [(at, event, ms) for at, _, event, ms in speaker.told]
    assert [e for _, e, _ in events] == ["started", *["position"] * 7, "finished"]
    gaps = np.diff([at for at, e, _ in events if e == "position"])
    assert gaps == pytest.approx(np.full(6, 0.256), abs=0.033)
    begin = events[0][0]
    for at, _, ms in events[1:-1]:
        assert ms == pytest.approx((at + WINDOW_S - begin - 0.1) * 1000, abs=1)
    assert events[-1][2] == pytest.approx(2000)
    assert events[-1][0] - begin == pytest.approx(2.1, abs=0.05)


def test_a_lost_frame_is_silence_of_its_length_so_that_later_words_keep_their_time() -> None:
    speaker = Loudspeaker()
    for n in (0, 1, 3):
        speaker.send(A, 0.1 + n / 10, seq=n, start_ms=n * 100, end=int(n == 3), last=int(n == 3))
    speaker.run(0.25)
    assert speaker.values() == [0.1, 0.2]
    speaker.run(LOST_FRAME_S + 1)

    assert speaker.values() == [0.1, 0.2, 0.4]
    assert speaker.told[-1][2:] == ("finished", pytest.approx(400))


def test_a_sentence_that_comes_late_is_waited_for_and_one_that_failed_is_not() -> None:
    speaker = Loudspeaker()
    speaker.send(A, 0.3, sentence=1, end=1, last=1)
    speaker.run(LOST_SENTENCE_S - 1)
    assert speaker.values() == []
    speaker.send(A, 0.1, sentence=0, end=1)
    speaker.run(1)
    assert speaker.values() == [0.1, 0.3]

    speaker = Loudspeaker()
    speaker.send(B, 0.3, sentence=1, end=1, last=1)
    speaker.mouth.sentence_failed(B, 0)
    speaker.run(0.2)
    assert speaker.values() == [0.3]


def test_a_sentence_that_failed_and_is_made_anew_is_waited_for_again() -> None:
    speaker = Loudspeaker()
    speaker.send(A, 0.3, sentence=1, end=1, last=1)
    speaker.mouth.sentence_failed(A, 0)
    speaker.mouth.sentence_expected(A, 0)
    speaker.run(1)
    assert speaker.values() == []

    speaker.send(A, 0.1, sentence=0, end=1)
    speaker.run(1)
    assert speaker.values() == [0.1, 0.3]


def test_a_sentence_that_never_comes_is_left_out_after_a_while() -> None:
    speaker = Loudspeaker()
    speaker.send(A, 0.3, sentence=2, end=1, last=1)
    speaker.run(LOST_SENTENCE_S + 1)

    assert speaker.values() == [0.3]


def test_an_utterance_whose_last_frame_was_lost_ends_after_the_news_that_all_is_out() -> None:
    speaker = Loudspeaker()
    speaker.send(A, 0.3)
    speaker.run(1)
    assert speaker.told[-1][2] == "position"
    speaker.mouth.all_out(A, speaker.now)
    speaker.run(LOST_LAST_S + 0.2)

    assert speaker.told[-1][2:] == ("finished", pytest.approx(100))


def test_an_utterance_of_which_nothing_comes_any_more_is_stopped_and_the_next_one_played() -> None:
    speaker = Loudspeaker()
    speaker.send(A, 0.3)
    speaker.run(1)
    speaker.send(B, 0.6, end=1, last=1)
    speaker.run(STARVED_S + 1)

    assert [(u, e) for _, u, e, _ in speaker.told if e not in ("position", "started")] == [
        (A, "stopped"), (B, "finished"),
    ]  # fmt: skip


def test_an_announcement_waits_behind_the_answer_that_runs() -> None:
    speaker = Loudspeaker()
    speaker.send(A, 0.2)
    speaker.send(B, 0.6, end=1, last=1)
    speaker.run(0.5)
    assert speaker.values() == [0.2]
    speaker.send(A, 0.4, seq=1, start_ms=100, end=1, last=1)
    speaker.run(0.5)

    assert speaker.values() == [0.2, 0.4, 0.6]


def test_what_waits_and_is_stopped_was_never_heard_and_is_not_told() -> None:
    speaker = Loudspeaker()
    speaker.send(A, 0.2)
    speaker.send(B, 0.6, end=1, last=1)
    speaker.run(0.1)

    assert speaker.mouth.stop(B, speaker.now) == []
    assert [r.event for r in speaker.mouth.stop_all(speaker.now)] == ["stopped"]
    assert speaker.mouth.stop_all(speaker.now) == []


def test_what_the_device_still_keeps_when_it_is_stopped_does_not_count_as_played() -> None:
    speaker = Loudspeaker(latency_s=0.5)
    speaker.send(A, 0.2, end=1, last=1)
    speaker.run(0.3)
    (stopped,) = speaker.mouth.stop_all(speaker.now)

    assert stopped.event == "stopped"
    assert stopped.played_ms == 0


@pytest.mark.req("C025")
def test_volume_changes_what_is_heard_without_a_jump_and_never_wraps() -> None:
    speaker = Loudspeaker()
    for n in range(30):
        speaker.send(A, 0.9, seq=n, start_ms=n * 100)
    speaker.run(0.5)
    speaker.mouth.gain = 2.0
    speaker.run(0.5)
    speaker.mouth.gain = 0.0
    speaker.run(0.5)
    whole = np.concatenate(speaker.sound)

    assert 0.9 < whole.max() <= 1.0
    assert whole.min() >= 0
    assert np.abs(np.diff(whole[WINDOW:])).max() < 0.01
    assert not whole[-WINDOW:].any()


def test_more_sound_than_anybody_says_is_not_kept() -> None:
    hole = Sequence()
    for n in range(1, 4000):
        properties = {"rate": "16000", "start_ms": str(n * 100), "seq": str(n)}
        hole.put(bytes(2 * PIECE), properties)
    assert hole.malformed == pytest.approx(3999 - MOST_WAITING_S * 10, abs=1)


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 48_000])
def test_a_voice_of_any_rate_lasts_as_long_as_it_is(rate) -> None:
    speaker = Loudspeaker()
    for n in range(20):
        last = int(n == 19)
        speaker.send(A, 0.5, rate=rate, seq=n, start_ms=n * 100, end=last, last=last)
    speaker.run(4)

    assert speaker.told[-1][2:] == ("finished", pytest.approx(2000, abs=2))


def test_a_loudspeaker_of_another_rate_plays_windows_of_its_own_size() -> None:
    speaker = Loudspeaker(48_000)
    speaker.send(A, 0.5, end=1, last=1)
    speaker.run(0.5)

    assert speaker.told[-1][2:] == ("finished", pytest.approx(100, abs=2))


@given(
    st.binary(max_size=401),
    st.dictionaries(
        st.sampled_from(["seq", "rate", "start_ms", "sentence", "end", "last", "other"]),
        st.sampled_from(
            ["", "-1", "0", "1", "16000", "22050", "99999999", "9" * 40, "²", "a", "1.5"]
        ),
    ),
)
@settings(max_examples=150, deadline=None)
def test_no_frame_whatsoever_breaks_the_loudspeaker(payload, properties) -> None:
    speaker = Loudspeaker()
    speaker.mouth.frame(A, payload, properties, 0.0)
    speaker.send(B, 0.5, end=1, last=1)
    speaker.run(0.3)

    assert all(np.isfinite(s).all() and np.abs(s).max() <= 1 for s in speaker.sound)


@given(
    st.lists(
        st.sampled_from(
            ["frame a", "frame b", "last a", "last b", "stop a", "stop", "run", "out a"]
        ),
        max_size=40,
    )
)
@settings(max_examples=150, deadline=None)
def test_what_is_told_of_an_utterance_has_one_beginning_and_one_end_and_never_goes_back(
    acts,
) -> None:
    speaker = Loudspeaker(latency_s=0.08)
    places = {A: 0, B: 0}
    for act in acts:
        which = A if act.endswith(" a") else B
        if act.startswith(("frame", "last")):
            last = int(act.startswith("last"))
            speaker.send(which, 0.5, seq=places[which], start_ms=100 * places[which],
                         end=last, last=last)  # fmt: skip
            places[which] += 1
        elif act == "stop a":
            stopped = speaker.mouth.stop(A, speaker.now)
            speaker.told += [(speaker.now, r.utterance_id, r.event, r.played_ms) for r in stopped]
        elif act == "stop":
            stopped = speaker.mouth.stop_all(speaker.now)
            speaker.told += [(speaker.now, r.utterance_id, r.event, r.played_ms) for r in stopped]
        elif act == "out a":
            speaker.mouth.all_out(A, speaker.now)
        else:
            speaker.run(0.16)
    speaker.run(STARVED_S * 2 + 6)

    for utterance in (A, B):
        told = [(event, ms) for _, u, event, ms in speaker.told if u == utterance]
        if not told:
            continue
        assert told[0][0] == "started"
        assert told[-1][0] in ("finished", "stopped")
        assert all(event == "position" for event, _ in told[1:-1])
        played = [ms for _, ms in told]
        assert played == sorted(played)
        assert played[-1] <= places[utterance] * 100 + 1
    assert not speaker.mouth.pending
