"""What a transcript says to a room. Pure."""

from __future__ import annotations

from typing import Literal

from parlour_contracts.messages.turn import MUTED, Transcript

from router.ambient import failure
from router.turn import Heard


def heard_of(transcript: Transcript, worker: str | None) -> Heard:
    """A transcript as a room takes it; ``worker`` is the instance that listened, if known."""
    said = transcript.kind != "empty" and bool(transcript.text.strip())
    kind: Literal["said", "empty", "failed"] = "said" if said else "empty"
    error = None
    if transcript.kind == "failed":
        kind = "failed"
        # The worker's reason may name what it could not do, never what was said.
        code = MUTED if transcript.reason == MUTED else "STT_FAILED"
        error = failure(code, (transcript.reason or "speech was not recognised")[:200])
    return Heard(
        transcript.turn_id,
        kind,
        transcript.text,
        transcript.revision,
        worker,
        transcript.timings.endpoint_wait_ms,
        transcript.timings.transcribe_ms,
        error,
    )
