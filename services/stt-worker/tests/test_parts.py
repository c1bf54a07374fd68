"""The pure parts: order of frames, gate, repetition, partials, sound, threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stt_worker.engine import Piece, Recognition
from stt_worker.engines.cores import choose_threads, physical_cores
from stt_worker.gate import was_said
from stt_worker.ordering import HELD, MAX_JUMP, WAIT_S, FrameOrder, Lost
from stt_worker.partials import PartialPolicy
from stt_worker.repetition import loops, without_loop
from stt_worker.sound import Sound


def heard(text: str, logprob: float = -0.2, no_speech: float = 0.1) -> Recognition:
    return Recognition((Piece(text, 0.0, 1.0, logprob, no_speech),))


# Order of frames


def test_frames_in_order_pass_at_once() -> None:
    order: FrameOrder[int] = FrameOrder()
    assert [order.push(n, n, 0.0) for n in range(3)] == [[0], [1], [2]]


def test_a_late_frame_is_waited_for() -> None:
    order: FrameOrder[int] = FrameOrder()
    order.push(0, 0, 0.0)
    assert order.push(2, 2, 0.0) == []
    assert order.push(1, 1, 0.1) == [1, 2]
    assert order.tick(9.0) == []


def test_a_lost_frame_is_given_up_after_a_while() -> None:
    order: FrameOrder[int] = FrameOrder()
    order.push(0, 0, 0.0)
    order.push(3, 3, 1.0)
    assert order.tick(1.0 + WAIT_S / 2) == []
    assert order.tick(1.01 + WAIT_S) == [Lost(2), 3]
    assert order.push(2, 2, 2.0) == []
    assert order.push(3, 3, 2.0) == []
    assert (order.counts.lost, order.counts.late, order.counts.duplicate) == (2, 1, 1)


def test_few_frames_wait() -> None:
    order: FrameOrder[int] = FrameOrder()
    order.push(0, 0, 0.0)
    out = [x for n in range(2, 3 + HELD) for x in order.push(n, n, 0.0)]
    assert out == [Lost(1), *range(2, 3 + HELD)]


def test_a_sender_that_counts_from_one_loses_nothing() -> None:
    order: FrameOrder[int] = FrameOrder()
    assert order.push(1, 1, 0.0) == []
    assert order.tick(WAIT_S) == [1]
    assert order.counts.lost == 0


def test_a_wild_number_is_no_frame_of_this_stream() -> None:
    order: FrameOrder[int] = FrameOrder()
    assert order.push(MAX_JUMP, 0, 0.0) == []
    assert order.push(0, 0, 0.0) == [0]
    assert order.counts.wild == 1


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 0.3)), max_size=80))
def test_whatever_comes_each_frame_is_given_once_in_order_with_its_gaps(
    arrivals: list[tuple[int, float]],
) -> None:
    order: FrameOrder[int] = FrameOrder()
    now, out = 0.0, []
    for seq, wait in arrivals:
        now += wait
        out += order.tick(now)
        out += order.push(seq, seq, now)
    for later in range(1, HELD + 2):
        out += order.tick(now + later)
    expected = None
    for item in out:
        if isinstance(item, Lost):
            assert expected is not None
            expected += item.count
        else:
            assert expected in (None, item)
            expected = item + 1
    assert {i for i in out if not isinstance(i, Lost)} <= {seq for seq, _ in arrivals}
    assert not order._held


@given(st.permutations(list(range(HELD))))
def test_frames_that_are_only_shuffled_all_arrive(shuffled: list[int]) -> None:
    order: FrameOrder[int] = FrameOrder()
    assert [x for n in shuffled for x in order.push(n, n, 0.0)] == list(range(HELD))


# Gate


@pytest.mark.parametrize("word", ["Yes.", "No.", "Stop.", "Okay"])
@pytest.mark.req("F25", "R015")
def test_a_sure_short_answer_counts(word: str) -> None:
    assert was_said(heard(word, -0.01), active_ms=150, span_ms=150)
    assert was_said(heard(word, -1.0, 0.3), active_ms=150, span_ms=150)


@pytest.mark.parametrize(
    ("recognition", "active_ms"),
    [
        (Recognition(), 2000),
        (heard(" ... "), 2000),
        (heard("Thank you", -1.25), 2000),
        (heard("Thank you", -0.9, 0.7), 2000),
        (heard("Thank you", -1.15), 200),
        (heard("You", -1.0, 0.59), 200),
    ],
)
@pytest.mark.req("R015")
def test_noise_is_not_an_answer(recognition: Recognition, active_ms: float) -> None:
    assert not was_said(recognition, active_ms, span_ms=active_ms)


def test_little_speech_in_a_long_span_must_be_sure() -> None:
    assert not was_said(heard("Thank you", -1.15), active_ms=500, span_ms=2000)
    assert was_said(heard("Thank you", -1.15), active_ms=700, span_ms=2000)


def test_who_marks_the_end_has_said_something() -> None:
    assert was_said(heard("Pause.", -1.3), active_ms=128, span_ms=128, asked=True)
    assert not was_said(heard(" . "), active_ms=128, span_ms=128, asked=True)


# Repetition


def test_a_loop_is_seen_and_said_once() -> None:
    assert loops("lock the door " * 30)
    assert loops("Lock the door, lock the door. lock the door lock the door")
    assert without_loop("now lock the door " + "lock the door " * 9 + "lock the") == (
        "now lock the door"
    )
    assert without_loop("no no no no no, wait") == "no wait"


@pytest.mark.parametrize("text", ["", "no, no, no", "set a timer for five minutes", " Hello.  You"])
def test_what_people_say_is_left_as_it_is(text: str) -> None:
    assert not loops(text)
    assert without_loop(text) == text


@given(st.text(alphabet="ab ", max_size=60))
def test_no_loop_remains(text: str) -> None:
    once = without_loop(text)
    assert without_loop(once) == once
    assert len(once) <= len(text)


# Partials


@pytest.mark.req("R014")
def test_partials_are_looked_for_every_600_ms_of_enough_speech() -> None:
    policy = PartialPolicy()
    looks = [policy.due(now_s=n / 8, audio_ms=n * 125) for n in range(18)]
    assert [n for n, look in enumerate(looks) if look] == [4, 9, 14]


@pytest.mark.req("R014")
def test_a_partial_says_something_new_in_letters() -> None:
    policy = PartialPolicy()
    said = ["tur", "turn", "turn", "turn o", "turn on", "1234 56", "12 abcde"]
    assert [t for t in said if policy.worth(t)] == ["turn", "turn o", "12 abcde"]


# Sound


@given(st.lists(st.integers(0, 400), max_size=20), st.integers(0, 300), st.integers(0, 300))
def test_sound_is_cut_by_position_whatever_was_forgotten(
    sizes: list[int], start_ms: int, length_ms: int
) -> None:
    whole = np.arange(sum(sizes), dtype=np.float32)
    sound, position = Sound(), 0
    for size in sizes:
        sound.append(whole[position : position + size])
        position += size
        sound.forget(sound.end_ms - 30)
    assert sound.end_ms == position / 16
    assert sound.start_ms <= max(sound.end_ms - 30, 0)
    samples, from_ms = sound.cut(start_ms, start_ms + length_ms)
    first = round(from_ms * 16)
    assert np.array_equal(samples, whole[first : first + len(samples)])
    if sound.start_ms <= start_ms <= start_ms + length_ms <= sound.end_ms:
        assert (from_ms, len(samples)) == (start_ms, length_ms * 16)


# Threads


def test_threads_are_chosen_by_physical_cores(tmp_path: Path) -> None:
    assert choose_threads(3) == 3
    assert 1 <= choose_threads(0) <= 4
    assert physical_cores(tmp_path) >= 1
