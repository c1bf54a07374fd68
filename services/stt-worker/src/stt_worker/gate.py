"""Whether a text was said, or only imagined by the recogniser (R015, F25)."""

from __future__ import annotations

from stt_worker.engine import Recognition

MIN_ACTIVE_MS = 400.0
MIN_ACTIVE_SHARE = 0.30
MAX_NO_SPEECH = 0.60
MIN_LOGPROB = -1.20
SURE = 0.33
SURE_NO_SPEECH = 0.50
"""What makes a short sound a word: "Yes." is a whole answer.

Measured with Whisper base: the least clear one-word commands of the recordings came to 0.37 and
0.29, bursts of noise to 0.32 and 0.59 at best, and most of them to less than 0.1.
"""


def is_sure(heard: Recognition) -> bool:
    """Whether the recogniser is sure enough for a short sound to be a word."""
    return heard.confidence >= SURE and heard.no_speech_prob <= SURE_NO_SPEECH


def was_said(heard: Recognition, active_ms: float, span_ms: float, *, asked: bool = False) -> bool:
    """Judge what was understood.

    Args:
        heard: the recogniser's answer.
        active_ms: how long the speech detector heard speech.
        span_ms: from the first to the last speech.
        asked: whether somebody marked the end of the speech, and so said that there is some.

    Returns:
        False for an empty text and, unless it was asked for, for improbable words and for
        doubtful words in too little speech.
    """
    if not any(c.isalnum() for c in heard.text):
        return False
    if asked:
        return True
    if heard.avg_logprob < MIN_LOGPROB:
        return False
    if is_sure(heard):
        return True
    brief = active_ms < MIN_ACTIVE_MS or active_ms < MIN_ACTIVE_SHARE * span_ms
    return not brief and heard.no_speech_prob <= MAX_NO_SPEECH
