"""The messages that answer a request. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from parlour_contracts.messages.llm import (
    FinishReason,
    LlmReply,
    LlmRequest,
    LlmTimings,
    LlmTokens,
    WireError,
)


@dataclass(frozen=True, slots=True)
class Replies:
    """Makes the replies to one request; deltas count from 0, ``done`` carries their number."""

    request: LlmRequest
    instance: str

    def claimed(self) -> LlmReply:
        """This worker will answer."""
        return LlmReply(
            kind="claimed",
            request_id=self.request.request_id,
            revision=self.request.revision,
            instance=self.instance,
        )

    def delta(self, seq: int, text: str) -> LlmReply:
        """The next piece."""
        return LlmReply(
            kind="delta",
            request_id=self.request.request_id,
            revision=self.request.revision,
            instance=self.instance,
            seq=seq,
            delta=text,
        )

    def done(
        self,
        seq: int,
        text: str,
        finish_reason: FinishReason,
        tokens: LlmTokens,
        timings: LlmTimings,
    ) -> LlmReply:
        """The whole answer, complete or as far as it came before a cancel."""
        return LlmReply(
            kind="done",
            request_id=self.request.request_id,
            revision=self.request.revision,
            instance=self.instance,
            seq=seq,
            done=True,
            text=text,
            finish_reason=finish_reason,
            tokens=tokens,
            timings=timings,
        )

    def failed(self, seq: int, error: WireError, timings: LlmTimings) -> LlmReply:
        """There will be no answer."""
        return LlmReply(
            kind="failed",
            request_id=self.request.request_id,
            revision=self.request.revision,
            instance=self.instance,
            seq=seq,
            done=True,
            finish_reason="error",
            error=error,
            timings=timings,
        )
