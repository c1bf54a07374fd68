"""WAV files that are what they say, and files that are not."""

from __future__ import annotations

import io
import struct
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_audio import AudioError, read_wav, wav_bytes, write_wav

if TYPE_CHECKING:
    from pathlib import Path

TONE = (np.sin(np.arange(1600) / 8) * 12_000).astype(np.int16)


def riff(codec: int, bits: int, body: bytes, *, channels: int = 1, rate: int = 16_000) -> bytes:
    step = channels * bits // 8
    form = struct.pack("<HHIIHH", codec, channels, rate, rate * step, step, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def code_of(data: bytes, **caps: float) -> str:
    with pytest.raises(AudioError) as caught:
        read_wav(data, **caps)
    assert caught.value.hint
    return caught.value.code


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a b.wav"
    write_wav(path, TONE, 16_000)
    wav = read_wav(path)
    assert (wav.rate, wav.channels, wav.truncated) == (16_000, 1, False)
    assert wav.duration_s == pytest.approx(0.1)
    assert np.array_equal(wav.mono(), TONE)


def test_the_standard_library_reads_what_is_written() -> None:
    with wave.open(io.BytesIO(wav_bytes(TONE, 8000, channels=2))) as other:
        assert other.getparams()[:4] == (2, 2, 8000, 800)
        assert other.readframes(800) == TONE.tobytes()


def test_mulaw_survives_within_its_step() -> None:
    wav = read_wav(wav_bytes(TONE, 8000, encoding="ulaw"))
    assert np.abs(wav.mono().astype(int) - TONE).max() <= 512


@pytest.mark.parametrize(
    ("codec", "bits", "body", "tolerance"),
    [
        (1, 8, ((TONE.astype(int) // 256) + 128).astype(np.uint8).tobytes(), 256),
        (1, 24, b"".join((s * 256).to_bytes(3, "little", signed=True) for s in TONE.tolist()), 0),
        (1, 32, (TONE.astype("<i4") * 65_536).tobytes(), 0),
        (3, 32, (TONE / 32_768).astype("<f4").tobytes(), 0),
        (3, 64, (TONE / 32_768).astype("<f8").tobytes(), 0),
    ],
)
def test_other_codings_give_the_same_sound(
    codec: int, bits: int, body: bytes, tolerance: int
) -> None:
    samples = read_wav(riff(codec, bits, body)).mono()
    assert np.abs(samples.astype(int) - TONE).max() <= tolerance


def test_the_extensible_form_names_its_coding_further_on() -> None:
    data = riff(1, 16, TONE.tobytes())
    form = struct.pack("<HHIIHH", 0xFFFE, 1, 16_000, 32_000, 2, 16)
    form += struct.pack("<HHIH", 22, 16, 4, 1) + b"\0" * 14
    extensible = b"RIFF" + data[4:12] + b"fmt " + struct.pack("<I", len(form)) + form + data[36:]
    assert np.array_equal(read_wav(extensible).mono(), TONE)


def test_other_chunks_are_passed_over() -> None:
    data = riff(1, 16, TONE.tobytes())
    listed = data[:12] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + data[12:]
    assert np.array_equal(read_wav(listed).mono(), TONE)


@pytest.mark.parametrize("sizes", [(0xFFFFFFFF, 0xFFFFFFFF), (0, 0)])
def test_a_streaming_writer_does_not_know_its_sizes(sizes: tuple[int, int]) -> None:
    data = bytearray(riff(1, 16, TONE.tobytes()))
    struct.pack_into("<I", data, 4, sizes[0])
    struct.pack_into("<I", data, 40, sizes[1])
    wav = read_wav(bytes(data))
    assert np.array_equal(wav.mono(), TONE)
    assert not wav.truncated


def test_a_truncated_recording_gives_what_is_there_and_says_so() -> None:
    wav = read_wav(riff(1, 16, TONE.tobytes())[:-501])
    assert wav.truncated
    assert np.array_equal(wav.mono(), TONE[: len(wav.mono())])
    assert len(wav.mono()) == 1600 - 251


def test_a_stereo_file_is_mixed() -> None:
    both = np.stack([TONE, TONE // 2], axis=1)
    mono = read_wav(wav_bytes(both.reshape(-1), 16_000, channels=2)).mono()
    assert np.abs(mono.astype(int) - TONE * 0.75).max() <= 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "WAV_INVALID"),
        (b"RIFF", "WAV_INVALID"),
        (b"ID3\x04" + b"\0" * 100, "WAV_INVALID"),
        (riff(1, 16, b"")[:30], "WAV_INVALID"),
        (riff(1, 16, b"")[:36], "WAV_INVALID"),
        (riff(1, 16, b""), "WAV_EMPTY"),
        (riff(1, 16, b"\0"), "WAV_EMPTY"),
        (riff(1, 16, TONE.tobytes(), channels=0), "WAV_INVALID"),
        (riff(1, 16, TONE.tobytes(), channels=400), "WAV_INVALID"),
        (riff(1, 16, TONE.tobytes(), rate=0), "WAV_INVALID"),
        (riff(1, 12, TONE.tobytes()), "WAV_CODEC"),
        (riff(0x55, 16, TONE.tobytes()), "WAV_CODEC"),
    ],
)
def test_a_broken_file_is_refused_with_a_code(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_ten_minutes_are_refused() -> None:
    assert code_of(riff(1, 16, bytes(8000 * 2 * 600), rate=8000)) == "WAV_TOO_LONG"


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    assert code_of(bytes(101), max_bytes=100) == "WAV_TOO_LARGE"
    path = tmp_path / "large.wav"
    path.write_bytes(bytes(101))
    with pytest.raises(AudioError) as caught:
        read_wav(path, max_bytes=100)
    assert caught.value.code == "WAV_TOO_LARGE"


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(AudioError) as caught:
        read_wav(tmp_path / "none.wav")
    assert caught.value.code == "WAV_UNREADABLE"


@given(
    st.binary(max_size=200), st.integers(0, 60), st.binary(min_size=1, max_size=8), st.integers(0)
)
def test_whatever_the_bytes_the_answer_is_sound_or_an_audio_error(
    tail: bytes, at: int, poke: bytes, cut: int
) -> None:
    whole = bytearray(riff(1, 16, TONE.tobytes()) + tail)
    whole[at : at + len(poke)] = poke
    try:
        wav = read_wav(bytes(whole[: cut % (len(whole) + 1)]))
    except AudioError:
        return
    assert wav.samples.dtype == np.int16
    assert wav.samples.ndim == 2
