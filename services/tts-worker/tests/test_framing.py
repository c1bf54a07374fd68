"""How a sentence is cut into frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tts_worker.framing import Framer, OutFrame


def cut(pieces: list[int], **options) -> tuple[np.ndarray, list[OutFrame], Framer]:
    rng = np.random.default_rng(1)
    sounds = [rng.integers(-32767, 32767, n).astype(np.int16) for n in pieces]
    given_ = {"rate": 16_000, "sentence": 2, "last": False, "first_seq": 0, "small": False}
    framer = Framer(**(given_ | options))
    frames = [f for s in sounds for f in framer.push(s)]
    frames += framer.finish()
    return np.concatenate([np.zeros(0, np.int16), *sounds]), frames, framer


@given(
    st.lists(st.integers(0, 9000), max_size=6),
    st.sampled_from([8000, 16_000, 22_050, 24_000, 48_000]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 50),
)
def test_frames_are_the_sound_in_order_whatever_the_pieces(pieces, rate, small, last, first_seq):
    sound, frames, framer = cut(pieces, rate=rate, small=small, last=last, first_seq=first_seq)

    assert b"".join(f.payload for f in frames) == sound.astype("<i2").tobytes()
    assert [int(f.properties["seq"]) for f in frames] == list(
        range(first_seq, first_seq + len(frames))
    )
    assert framer.next_seq == first_seq + len(frames)
    assert [f.properties["end"] for f in frames] == ["0"] * (len(frames) - 1) + ["1"]
    assert frames[-1].properties["last"] == ("1" if last else "0")
    assert all(f.properties["last"] == "0" for f in frames[:-1])
    assert framer.duration_ms == pytest.approx(sound.size * 1000 / rate)


@given(st.lists(st.integers(0, 9000), max_size=4))
def test_start_ms_is_where_the_frame_begins_in_its_sentence(pieces):
    _, frames, _ = cut(pieces)
    at = 0
    for frame in frames:
        assert int(frame.properties["start_ms"]) == round(at * 1000 / 16_000)
        at += len(frame.payload) // 2


@pytest.mark.req("V057")
def test_frames_last_100_ms_and_the_first_of_an_utterance_20_ms():
    _, frames, _ = cut([16_000])

    assert [len(f.payload) // 2 for f in frames] == [320, *[1600] * 9, 1280]


@pytest.mark.req("C021")
def test_small_frames_last_20_ms():
    _, frames, _ = cut([1600], small=True, first_seq=7)

    assert [len(f.payload) // 2 for f in frames] == [320] * 5


def test_a_later_sentence_begins_with_a_whole_frame():
    _, frames, _ = cut([4000], first_seq=3)

    assert [len(f.payload) // 2 for f in frames] == [1600, 1600, 800]


def test_a_sentence_without_sound_is_one_empty_frame_that_ends_it():
    _, frames, _ = cut([], last=True)

    assert frames == [
        OutFrame(
            b"",
            {
                "seq": "0",
                "rate": "16000",
                "start_ms": "0",
                "sentence": "2",
                "end": "1",
                "last": "1",
            },
        )
    ]
