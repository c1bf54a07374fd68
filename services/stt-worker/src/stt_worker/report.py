"""What a hearing says to the room, as clean text: an engine may be a stranger's server (H050)."""

from __future__ import annotations

from parlour_contracts.messages.turn import Segment, SttTimings, Transcript, TurnOpen
from parlour_contracts.validation import clean_characters

from stt_worker.actions import Clip, Concluded, Presume
from stt_worker.engine import Recognition

MAX_TEXT = 50_000
MAX_SEGMENTS = 1000
MAX_SEGMENT_TEXT = 5000


def transcript(
    turn: TurnOpen, language: str, how: Concluded, transcribe_ms: float = 0.0
) -> Transcript:
    """The message that ends a turn's hearing.

    Args:
        turn: as it was opened.
        language: in which it was heard.
        how: its conclusion.
        transcribe_ms: how long the recogniser took, its queue included.
    """
    clip, heard = how.clip, how.heard
    timings = SttTimings()
    if clip is not None:
        timings = SttTimings(
            endpoint_wait_ms=clip.endpoint_wait_ms,
            transcribe_ms=transcribe_ms,
            audio_ms=clip.duration_ms,
        )
    return Transcript(
        kind=how.kind,
        turn_id=turn.turn_id,
        attempt=turn.attempt,
        revision=how.revision,
        text=_clean(heard.text, MAX_TEXT) if heard is not None else "",
        language=language,
        confidence=heard.confidence if heard is not None else 0.0,
        is_final=True,
        segments=_segments(heard, clip),
        speech_start_ms=clip.speech_start_ms if clip is not None else None,
        speech_end_ms=clip.speech_end_ms if clip is not None else None,
        timings=timings,
        reason=how.reason[:300] if how.reason is not None else None,
    )


def partial(turn: TurnOpen, language: str, text: str, heard: Recognition) -> Transcript:
    """What is understood of unfinished speech."""
    return Transcript(
        kind="partial",
        turn_id=turn.turn_id,
        attempt=turn.attempt,
        text=_clean(text, MAX_TEXT),
        language=language,
        confidence=heard.confidence,
    )


def soft_final(turn: TurnOpen, language: str, presume: Presume, heard: Recognition) -> Transcript:
    """What was said if nobody goes on speaking; the final one will tell."""
    return Transcript(
        kind="soft_final",
        turn_id=turn.turn_id,
        attempt=turn.attempt,
        revision=presume.revision,
        text=_clean(heard.text, MAX_TEXT),
        language=language,
        confidence=heard.confidence,
        speech_start_ms=presume.clip.speech_start_ms,
        speech_end_ms=presume.clip.speech_end_ms,
    )


def _clean(text: str, limit: int) -> str:
    # Form C has more characters than some texts: the limit holds for it, too.
    return clean_characters(text[:limit])[:limit]


def _segments(heard: Recognition | None, clip: Clip | None) -> list[Segment]:
    if heard is None or clip is None:
        return []
    return [
        Segment(
            text=_clean(piece.text.strip(), MAX_SEGMENT_TEXT),
            start_ms=clip.start_ms + max(piece.start_s, 0.0) * 1000,
            end_ms=clip.start_ms + max(piece.end_s, 0.0) * 1000,
            confidence=piece.confidence,
        )
        for piece in heard.pieces[:MAX_SEGMENTS]
    ]
