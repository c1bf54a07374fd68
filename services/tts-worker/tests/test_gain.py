"""Loudness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tts_worker import gain

sounds = hnp.arrays(
    np.float32,
    st.integers(0, 200),
    elements=st.floats(-8, 8, width=32),
)


@pytest.mark.req("C025")
@given(sounds, st.integers(0, 200), st.none() | st.integers(0, 200))
def test_no_volume_wraps_or_flips_a_sample(sound: np.ndarray, volume: int, asked: int | None):
    out = gain.to_pcm16(sound, gain.factor(volume, asked))

    assert out.dtype == np.int16
    assert np.all(np.abs(out.astype(np.int32)) <= 32767)
    assert np.all((out == 0) | (np.sign(out) == np.sign(sound)))


@pytest.mark.req("C025")
@given(sounds)
def test_the_limiter_keeps_the_order_of_samples(sound: np.ndarray):
    """A hard clip would make loud samples equal; a wrap would put them in another order."""
    order = np.argsort(sound)

    assert np.all(np.diff(gain.limit(sound)[order]) >= 0)


def test_loud_samples_are_bent_not_cut():
    out = gain.limit(np.array([0.9, 1.0, 1.1, 1.3], np.float32))

    assert np.all(np.diff(out) > 0)
    assert out[-1] < 1.0


@given(hnp.arrays(np.float32, 50, elements=st.floats(-0.75, 0.75, width=32)))
def test_sound_below_the_knee_is_untouched(sound: np.ndarray):
    assert np.array_equal(sound, gain.limit(sound))


@given(sounds, st.integers(0, 200))
def test_pieces_sound_as_the_whole(sound: np.ndarray, cut: int):
    whole = gain.to_pcm16(sound, 1.5)
    parts = [gain.to_pcm16(sound[:cut], 1.5), gain.to_pcm16(sound[cut:], 1.5)]

    assert np.array_equal(whole, np.concatenate(parts))


def test_what_is_not_a_number_is_silent():
    out = gain.to_pcm16(np.array([np.nan, np.inf, -np.inf], np.float32), 1.0)

    assert out[0] == 0
    assert out[1] == -out[2] > 0


@pytest.mark.parametrize(
    ("setting", "asked", "factor"),
    [(100, None, 1.0), (50, None, 0.5), (50, 50, 0.25), (200, 200, 4.0), (0, 200, 0.0)],
)
def test_a_request_scales_the_volume_of_the_settings(setting, asked, factor):
    assert gain.factor(setting, asked) == factor
