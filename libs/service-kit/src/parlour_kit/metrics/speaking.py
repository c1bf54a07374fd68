"""What tts-worker measures: sentences, and how fast they are spoken."""

from __future__ import annotations

from typing import Literal

from parlour_kit.metrics.registry import FACTOR_BUCKETS, TURN_BUCKETS_S, Group, begin_at_zero

_group = Group("tts-worker")

spoken = _group.counter(
    "parlour_tts_sentences_total", "Sentences by how they ended: spoken, failed", ["outcome"]
)
queue_wait = _group.histogram(
    "parlour_tts_queue_seconds", "From a sentence's arrival to its beginning",
    buckets=TURN_BUCKETS_S,
)  # fmt: skip
first_audio = _group.histogram(
    "parlour_tts_first_audio_seconds", "From a sentence's beginning to its first sound",
    buckets=TURN_BUCKETS_S,
)  # fmt: skip
real_time_factor = _group.histogram(
    "parlour_tts_real_time_factor",
    "Time to speak a sentence, by the length of its sound",
    buckets=FACTOR_BUCKETS,
)
audio_seconds = _group.counter("parlour_tts_audio_seconds_total", "Sound made")

begin_at_zero(spoken, ("spoken", "failed"))


def sentence(outcome: Literal["spoken", "failed"]) -> None:
    """A sentence is over."""
    spoken.labels(outcome).inc()


def sentence_spoken(queue_s: float, first_audio_s: float, total_s: float, sound_s: float) -> None:
    """A sentence was spoken.

    Args:
        queue_s: from its arrival to its beginning.
        first_audio_s: from its beginning to its first sound.
        total_s: from its beginning to its last sound.
        sound_s: the length of the sound.
    """
    sentence("spoken")
    queue_wait.observe(queue_s)
    first_audio.observe(first_audio_s)
    if sound_s > 0:
        real_time_factor.observe(total_s / sound_s)
        audio_seconds.inc(sound_s)
