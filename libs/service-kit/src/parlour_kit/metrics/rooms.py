"""What a satellite measures: turns by what opened them, their ends, and its devices."""

from __future__ import annotations

from typing import Literal

from parlour_kit.metrics.registry import Group, begin_at_zero

Cause = Literal["wake", "speech", "interruption"]

_group = Group("satellite")

opened = _group.counter(
    "parlour_satellite_turns_total",
    "Turns by what opened them: wake, speech (live mode, follow-up), interruption",
    ["cause"],
)
reopened = _group.counter(
    "parlour_satellite_turns_reopened_total", "How often a turn was opened again for another worker"
)
claim = _group.histogram(
    "parlour_satellite_claim_seconds",
    "From the opening of a turn to the claim of a worker",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0),
)
frames_sent = _group.counter(
    "parlour_satellite_frames_sent_total", "Frames of turns that were sent"
)
utterances = _group.counter(
    "parlour_satellite_utterances_total",
    "What was played: finished (heard to its end) or stopped",
    ["end"],
)
device_failures = _group.counter(
    "parlour_satellite_device_failures_total", "How often the sound card failed or was not there"
)

begin_at_zero(opened, ("wake", "speech", "interruption"))
begin_at_zero(utterances, ("finished", "stopped"))


def turn_opened(attempt: int, cause: Cause) -> None:
    """A turn was opened, the first time or again."""
    if attempt == 1:
        opened.labels(cause).inc()
    else:
        reopened.inc()
