"""Frames, µ-law, gain, resampling and the decoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from parlour_audio import AudioError, StreamDecoder, StreamResampler, apply_gain, limit, ulaw
from parlour_audio.frames import (
    first_channel,
    pcm16_from_bytes,
    pcm16_to_bytes,
    split,
    to_float,
    to_mono,
    to_pcm16,
)

FINITE = st.floats(-1e6, 1e6, width=32)


def tone(rate: int, seconds: float = 0.5, hz: float = 440.0) -> np.ndarray:
    return (np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate) * 8000).astype(np.int16)


@given(hnp.arrays(np.int16, st.integers(0, 100)))
def test_pcm16_survives_bytes_and_floats(samples: np.ndarray) -> None:
    assert np.array_equal(pcm16_from_bytes(pcm16_to_bytes(samples)), samples)
    assert np.array_equal(to_pcm16(to_float(samples)), samples)


def test_mulaw_has_the_values_of_the_standard() -> None:
    """G.711: 0xFF is zero, 0x80 and 0x00 are the extremes, and a code is its own round trip."""
    assert ulaw.decode(bytes([0xFF, 0x80, 0x00])).tolist() == [0, 32_124, -32_124]
    codes = bytes(c for c in range(256) if c != 0x7F)  # 0x7F is the second zero
    assert ulaw.encode(ulaw.decode(codes)) == codes


@given(hnp.arrays(np.int16, st.integers(1, 50)))
def test_mulaw_errs_by_a_step_of_its_segment_at_most(samples: np.ndarray) -> None:
    heard = ulaw.decode(ulaw.encode(samples)).astype(int)
    bound = np.maximum(np.abs(samples.astype(int)) / 16, 8) + 4
    assert (np.abs(heard - samples) <= bound).all()


def test_both_channels_are_mixed_or_the_live_one_is_taken() -> None:
    pair = np.array([100, 300, -32_768, -32_768, 7], dtype=np.int16)
    assert to_mono(pair, 2).tolist() == [200, -32_768]
    assert first_channel(pair, 2).tolist() == [100, -32_768]
    assert first_channel(np.array([0, 5, 0, 6], dtype=np.int16), 2).tolist() == [5, 6]
    with pytest.raises(AudioError):
        to_mono(pair, 0)


def test_a_stream_is_split_into_frames() -> None:
    parts = list(split(tone(16_000, 0.05), 16_000, 20))
    assert [len(p) for p in parts] == [320, 320, 160]
    with pytest.raises(AudioError):
        list(split(parts[0], 16_000, 0))


@given(hnp.arrays(np.float32, st.integers(0, 100), elements=st.floats(width=32)), st.floats(0, 100))
def test_gain_never_wraps_whatever_comes_in(samples: np.ndarray, gain: float) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        out = apply_gain(samples, gain)
    assert np.isfinite(out).all()
    assert (np.abs(out) <= 1.0).all()
    assert (np.sign(out) * np.sign(np.nan_to_num(samples)) >= 0).all()


@given(hnp.arrays(np.float32, 50, elements=FINITE))
def test_louder_stays_louder(samples: np.ndarray) -> None:
    ordered = np.sort(samples)
    assert (np.diff(limit(ordered)) >= 0).all()
    quiet = ordered[np.abs(ordered) <= 0.8]
    assert np.array_equal(limit(quiet), quiet)


def test_a_gain_is_not_negative() -> None:
    with pytest.raises(ValueError, match="negative"):
        apply_gain(np.zeros(1, np.float32), -1.0)


def test_equal_rates_pass_through() -> None:
    block = to_float(tone(16_000))
    stream = StreamResampler(16_000, 16_000)
    assert stream.process(block) is block
    assert len(stream.flush()) == 0


def test_a_flushed_stream_is_over() -> None:
    stream = StreamResampler(48_000, 16_000)
    stream.process(to_float(tone(48_000)))
    assert len(stream.flush()) > 0
    assert len(stream.flush()) == 0


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("encoding", ["pcm", "ulaw"])
@pytest.mark.parametrize("piece", [7, 1921])
def test_every_format_gives_the_same_sound_at_16_khz(
    rate: int, channels: int, encoding: str, piece: int
) -> None:
    """Also when the bytes are cut anywhere, within a sample or between the channels."""
    source = np.repeat(tone(rate), channels)
    data = ulaw.encode(source) if encoding == "ulaw" else source.tobytes()
    decoder = StreamDecoder(rate, channels, encoding)
    parts = [decoder.feed(data[i : i + piece]) for i in range(0, len(data), piece)]
    out = np.concatenate([*parts, decoder.finish()])
    expected = to_float(tone(16_000))
    assert abs(len(out) - len(expected)) <= 2
    middle = slice(800, 7200)
    assert np.abs(out[middle] - expected[middle]).max() < 0.02


def test_lost_sound_is_concealed_in_its_length() -> None:
    decoder = StreamDecoder(16_000)
    before = decoder.feed(b"\x10\x00" * 160 + b"\x55")
    gap = decoder.conceal(20)
    after = decoder.feed(b"\x10\x00" * 160)
    assert (len(before), len(gap), len(after)) == (160, 320, 160)
    assert not gap.any()
    assert after[0] == before[0]  # the half sample from before the gap shifts nothing


@pytest.mark.parametrize("form", [(11_025, 1, "pcm"), (16_000, 3, "pcm"), (16_000, 1, "opus")])
def test_an_unknown_format_is_refused(form: tuple[int, int, str]) -> None:
    with pytest.raises(AudioError) as caught:
        StreamDecoder(*form)
    assert caught.value.code == "AUDIO_FORMAT"


def test_bytes_have_a_duration() -> None:
    assert StreamDecoder(8000, 2, "ulaw").duration_ms(bytes(1600)) == 100
    assert StreamDecoder(48_000, 2).duration_ms(bytes(19_200)) == 100
