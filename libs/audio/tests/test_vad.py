"""The speech detector on windows of a stream, and on real speech."""

from __future__ import annotations

import numpy as np
import pytest
from parlour_audio.vad import VAD_WINDOW, SileroVad, WindowedVad


class Loudness:
    """Judges a window by its mean, so that a test sees which samples it got."""

    def probability(self, window: np.ndarray) -> float:
        assert window.shape == (VAD_WINDOW,)
        return float(window.mean())

    def reset(self) -> None:
        pass


@pytest.mark.parametrize("block", [1, 100, 512, 1600, 5000])
def test_windows_do_not_depend_on_the_size_of_the_blocks(block: int) -> None:
    stream = np.repeat(np.arange(10, dtype=np.float32) / 10, VAD_WINDOW)[:-100]
    vad = WindowedVad(Loudness())
    seen = [w for i in range(0, len(stream), block) for w in vad.push(stream[i : i + block])]
    seen += vad.finish()
    assert [s for _, s, _ in seen] == [i * 32.0 for i in range(10)]
    assert [e for _, _, e in seen] == [*(i * 32.0 for i in range(1, 10)), len(stream) / 16]
    assert [p for p, _, _ in seen[:-1]] == pytest.approx([i / 10 for i in range(9)])
    assert seen[-1][0] == pytest.approx(0.9 * 412 / 512)
    assert list(vad.finish()) == []


def test_silence_and_noise_are_not_speech() -> None:
    vad = SileroVad()
    noise = np.random.default_rng(1).normal(0, 0.01, 512 * 30).astype(np.float32)
    for stream in (np.zeros(512 * 30, np.float32), noise):
        vad.reset()
        assert max(p for p, _, _ in WindowedVad(vad).push(stream)) < 0.5


def test_a_reset_detector_judges_as_a_new_one() -> None:
    rng = np.random.default_rng(2)
    stream = (rng.normal(0, 0.1, 512 * 10)).astype(np.float32)
    vad = SileroVad()
    first = [p for p, _, _ in WindowedVad(vad).push(stream)]
    vad.reset()
    assert [p for p, _, _ in WindowedVad(vad).push(stream)] == first
