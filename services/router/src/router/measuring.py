"""What the router's traffic means for its metrics."""

from __future__ import annotations

from collections.abc import Callable

from parlour_contracts.messages.llm import LlmCancel, LlmReply, LlmRequest
from parlour_contracts.messages.room import TurnTimings, TurnTrace
from parlour_contracts.messages.tts import TtsRequest
from parlour_contracts.topics import Payload
from parlour_kit.metrics import turns

_OVER = ("done", "failed")


class Measuring:
    """Follows what goes out and what comes back; changes nothing.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._calls = turns.ModelCalls()

    def goes(self, message: Payload) -> None:
        """A message goes out."""
        if isinstance(message, LlmRequest):
            self._calls.asked(message.request_id, message.turn_id, self._now())
        elif isinstance(message, LlmCancel):
            self._calls.over(message.request_id, "cancelled", self._now())
        elif isinstance(message, TtsRequest):
            turns.sentences.inc(bool(message.text))
        elif isinstance(message, TurnTrace):
            code = message.error.code if message.error else None
            turns.turn_over(message.outcome, code, stages_of(message.timings))
            self._calls.turn_over(message.turn_id, self._now())

    def came(self, reply: LlmReply) -> None:
        """A language model answers."""
        if reply.kind in _OVER:
            self._calls.over(reply.request_id, reply.kind, self._now())


def stages_of(timings: TurnTimings) -> dict[str, float | None]:
    """The waterfall of a turn by the names of the metrics' stages, in milliseconds."""
    return {
        "endpoint": timings.endpoint_wait_ms,
        "transcript": timings.transcribe_ms,
        "first_token": timings.final_to_first_token_ms,
        "first_sentence": timings.first_token_to_first_sentence_ms,
        "first_audio": timings.first_sentence_to_first_audio_ms,
        "reply_end": timings.final_to_end_ms,
    }
