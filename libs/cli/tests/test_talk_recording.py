"""Recorded questions, also hostile ones, as a microphone would deliver them."""

import struct

import numpy as np
import pytest
from parlour_audio import AudioError, ulaw, wav_bytes
from parlour_cli.talk.errors import InputError
from parlour_cli.talk.recording import FRAME_MS, load_recording, speech_end_s


class LoudVad:
    """Takes every loud window for speech."""

    def probability(self, window):
        return float(np.abs(window).max() > 0.1)

    def reset(self):
        """It remembers nothing."""


def tone(rate, spoken_s, silent_s, channels=1):
    t = np.arange(round(rate * spoken_s)) / rate
    loud = (np.sin(2 * np.pi * 440 * t) * 12_000).astype(np.int16)
    mono = np.concatenate((loud, np.zeros(round(rate * silent_s), np.int16)))
    return np.repeat(mono, channels)


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("encoding", ["pcm", "ulaw"])
def test_what_the_fleet_takes_is_sent_as_it_is(tmp_path, rate, channels, encoding):
    path = tmp_path / "q.wav"
    samples = tone(rate, 0.5, 0.5, channels)
    path.write_bytes(wav_bytes(samples, rate, channels=channels, encoding=encoding))
    found = load_recording(path, LoudVad())

    assert (found.form.rate, found.form.channels, found.form.encoding) == (rate, channels, encoding)
    assert {len(f) for f in found.frames} == {len(found.silence)}
    assert len(found.frames) == 50
    joined = b"".join(found.frames)
    coded = ulaw.encode(samples) if encoding == "ulaw" else samples.astype("<i2").tobytes()
    assert joined.startswith(coded)
    decoded = (
        ulaw.decode(found.silence) if encoding == "ulaw" else np.frombuffer(found.silence, "<i2")
    )
    assert not decoded.any()
    # 0.5 s end within the 16th window of 32 ms, so by 0.512 s: frame 25 holds 500 to 520 ms.
    assert found.speech_end_frame == 25


@pytest.mark.parametrize(("rate", "channels"), [(11_025, 1), (96_000, 2), (16_000, 4), (22_050, 1)])
def test_any_other_format_becomes_one_that_the_fleet_takes(tmp_path, rate, channels):
    path = tmp_path / "q.wav"
    path.write_bytes(wav_bytes(tone(rate, 0.5, 0.5, channels), rate, channels=channels))
    found = load_recording(path, LoudVad())

    assert (found.form.rate, found.form.channels, found.form.encoding) == (16_000, 1, "pcm")
    assert len(found.frames) == 1000 // FRAME_MS


def test_a_recording_in_which_nobody_speaks_has_no_end_of_speech(tmp_path):
    path = tmp_path / "q.wav"
    path.write_bytes(wav_bytes(np.zeros(16_000, np.int16), 16_000))

    assert load_recording(path).speech_end_frame is None


def test_the_end_of_speech_is_the_end_of_the_last_window_with_speech():
    samples = np.zeros(16_000, np.float32)
    samples[1000:3000] = 0.5

    assert speech_end_s(samples, 16_000, LoudVad()) == 3072 / 16_000


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "WAV_INVALID"),
        (b"RIFF\x00\x00\x00\x00WAVE", "WAV_INVALID"),
        (b"not a wav file at all, but text", "WAV_INVALID"),
        (wav_bytes(np.zeros(0, np.int16), 16_000), "WAV_EMPTY"),
        (wav_bytes(np.ones(16_000, np.int16), 16_000)[:30], "WAV_INVALID"),
        (wav_bytes(np.ones(16_000, np.int16), 16_000)[:20_000], "WAV_TRUNCATED"),
        (wav_bytes(np.zeros(600 * 8000, np.int16), 8000), "WAV_TOO_LONG"),
        (wav_bytes(np.ones(100, np.int16), 16_000).replace(
            struct.pack("<HH", 1, 1), struct.pack("<HH", 85, 1)), "WAV_CODEC"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_with_a_code_and_a_hint(tmp_path, content, code):
    path = tmp_path / "q.wav"
    path.write_bytes(content)
    with pytest.raises((AudioError, InputError)) as caught:
        load_recording(path, LoudVad())

    assert caught.value.code == code
    assert caught.value.hint


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(AudioError) as caught:
        load_recording(tmp_path / "none.wav")

    assert caught.value.code == "WAV_UNREADABLE"
