"""Frames of speech as they come from the wire."""

from __future__ import annotations

import pytest
from parlour_audio.spoken_frame import spoken_frame

GOOD = {"sentence": "2", "start_ms": "40", "seq": "3", "rate": "16000", "end": "1"}


def test_a_frame_knows_its_place_and_how_long_it_sounds() -> None:
    frame = spoken_frame(b"\x01\x00" * 160, GOOD)

    assert frame is not None
    assert frame.key == (2, 40, 3)
    assert (frame.seconds, frame.end, frame.last) == (0.01, True, False)
    assert frame.samples.tolist() == [1] * 160


@pytest.mark.parametrize(
    "wrong",
    [{"rate": "7999"}, {"rate": "48001"}, {"rate": ""}, {"seq": "-1"}, {"seq": "x"},
     {"start_ms": "10000001"}, {"sentence": "123456789"}, {"seq": "\u0663"}],
)  # fmt: skip
def test_what_is_no_frame_is_none(wrong: dict[str, str]) -> None:
    assert spoken_frame(b"\x01\x00", GOOD | wrong) is None


def test_half_a_sample_or_no_rate_is_no_frame() -> None:
    assert spoken_frame(b"\x01\x00\x01", GOOD) is None
    assert spoken_frame(b"\x01\x00", {}) is None
