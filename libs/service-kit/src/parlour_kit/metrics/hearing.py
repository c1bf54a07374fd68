"""What stt-worker measures: frames, turns, and how fast speech is recognised (V018)."""

from __future__ import annotations

from typing import Literal

from parlour_kit.metrics.registry import FACTOR_BUCKETS, Group, begin_at_zero

RECOGNISE_BUCKETS_S = (0.05, 0.1, 0.15, 0.25, 0.4, 0.5, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0)

_group = Group("stt-worker")

chunks_received = _group.counter("parlour_stt_chunks_received_total", "Frames that came in")
chunks_forwarded = _group.counter(
    "parlour_stt_chunks_forwarded_total", "Frames that were taken in their order and listened to"
)
transcripts_received = _group.counter(
    "parlour_stt_transcripts_received_total", "Clips that the recogniser understood"
)
errors = _group.counter("parlour_stt_errors_total", "Clips that the recogniser failed at")
reconnections = _group.counter(
    "parlour_stt_reconnections_total", "How often a recogniser in trouble came back"
)
heard = _group.counter(
    "parlour_stt_turns_total", "Turns by what was heard: final, empty, failed", ["kind"]
)
real_time_factor = _group.histogram(
    "parlour_stt_real_time_factor",
    "Time to recognise a clip, by the length of the clip; waiting for its turn included",
    buckets=FACTOR_BUCKETS,
)
recognise = _group.histogram(
    "parlour_stt_recognise_seconds",
    "Time to recognise a clip: whole (a turn) or quick (a part of one, while it goes on)",
    ["pass"],
    buckets=RECOGNISE_BUCKETS_S,
)

begin_at_zero(heard, ("final", "empty", "failed"))
begin_at_zero(recognise, ("whole", "quick"))


def recognised(seconds: float, sound_s: float, *, quick: bool) -> None:
    """The recogniser understood a clip.

    Args:
        seconds: how long it took.
        sound_s: the length of the clip.
        quick: whether it was a part of a turn that goes on.
    """
    transcripts_received.inc()
    recognise.labels("quick" if quick else "whole").observe(seconds)
    if sound_s > 0 and not quick:
        real_time_factor.observe(seconds / sound_s)


def turn_over(kind: Literal["final", "empty", "failed"], taken: int) -> None:
    """A turn is over; ``taken`` of its frames were listened to."""
    heard.labels(kind).inc()
    chunks_forwarded.inc(taken)
