"""A turn's timings as a small bar chart for a terminal. Pure."""

from __future__ import annotations

from parlour_cli.talk.timings import Timings

BAR = 30
"""Columns of the chart."""

_PARTS = (
    ("end of speech → transcript", "speech_end_to_final_ms"),
    ("transcript → first token", "final_to_first_token_ms"),
    ("first token → first sentence", "first_token_to_first_sentence_ms"),
    ("first sentence → first sound", "first_sentence_to_first_audio_ms"),
)
_TOTAL = "end of speech → first sound"
_LABEL = max(len(label) for label, _ in _PARTS)


def waterfall(timings: Timings) -> list[str]:
    """One line per part that occurred, each bar beginning where the one before ends."""
    values = timings.as_dict()
    parts = [(label, v) for label, key in _PARTS if (v := values[key]) is not None]
    whole = sum(max(v, 0.0) for _, v in parts)
    if whole <= 0:
        return []
    lines, passed = [], 0.0
    for label, value in parts:
        begin = round(passed / whole * BAR)
        passed += max(value, 0.0)
        end = max(round(passed / whole * BAR), begin + 1)
        end = min(end, BAR)
        begin = min(begin, end - 1)
        bar = " " * begin + "█" * (end - begin)
        lines.append(f"{label:<{_LABEL}}  {bar:<{BAR}}  {value:>6.0f} ms")
    total = timings.speech_end_to_first_audio_ms
    if total is not None:
        lines.append(f"{_TOTAL:<{_LABEL}}  {'─' * BAR}  {total:>6.0f} ms")
    return lines
