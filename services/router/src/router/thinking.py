"""An answer asked of the language model: attempts, claims, silence, text in order. Pure.

The rules:

1. A request that nobody claims is made again, under a new id, until ``CLAIM_LIMIT_S``.
2. As long as nothing of the answer was used, a lost worker, or a retryable failure, costs
   another attempt; there are ``MAX_ATTEMPTS`` of those.
3. A worker that has claimed and says nothing is given up only when another is ready: it may
   have other rooms to answer first. One that falls silent within its answer has failed.
4. What comes for an earlier request is ignored; who claims one is told to stop.
"""

from __future__ import annotations

from dataclasses import dataclass

from parlour_contracts.messages.llm import LlmReply, WireError

from router.ambient import Ambient, failure
from router.stream import DeltaStream

CLAIM_S = 2.0
CLAIM_LIMIT_S = 10.0
FIRST_DELTA_S = 15.0
SILENCE_S = 10.0
STREAM_S = 60.0
RETRY_S = 0.5
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """Make this request; whatever came of an earlier one is void."""

    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Tell this worker to stop."""

    request_id: str
    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete, or failed."""

    error: WireError | None = None


Step = Ask | Drop | Text | Done


class Thinking:
    """One answer, from the first request to its last word."""

    def __init__(self, ambient: Ambient) -> None:
        self.instance: str | None = None
        self.worker = ""
        """Who answered last, for the records."""
        self.used = False
        """Something of the answer is being spoken: there is no way back."""
        self.over = False
        self._ambient = ambient
        self._began = ambient.now()
        self._claim_until = self._began + CLAIM_LIMIT_S
        self._attempt = 0
        self._tries = 0
        self._retry_at: float | None = None
        self._request_id = ""
        self._asked = self._heard = self._began
        self._stream = DeltaStream()

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._stream.text

    @property
    def request_id(self) -> str:
        """The request that counts."""
        return self._request_id

    def begin(self) -> list[Step]:
        """Ask for the first time."""
        self._tries = 1
        return [self._ask()]

    def reply(self, reply: LlmReply) -> list[Step]:
        """A worker said something about a request of this turn."""
        mine = reply.request_id == self._request_id
        if self.over or not mine:
            stray = reply.kind == "claimed"
            return [Drop(reply.request_id, reply.instance, "not wanted")] if stray else []
        if self._retry_at is not None or self.instance not in (None, reply.instance):
            return []
        self.instance = self.worker = reply.instance
        self._heard = self._ambient.now()
        if reply.kind == "delta":
            return self._text(self._stream.add(reply.seq, reply.delta))
        if reply.kind == "failed":
            self.instance = None
            error = reply.error or failure("LLM_FAILED", "the language model failed")
            return self._again_or(error) if error.retryable else self._end(error)
        return self._finished(reply) if reply.kind == "done" else []

    def _finished(self, reply: LlmReply) -> list[Step]:
        steps = self._text(self._stream.finish(reply.text))
        if reply.finish_reason in ("cancelled", "error"):
            return steps + self._end(failure("LLM_CANCELLED", "the answer was cut short"))
        if not self.text.strip():
            return self._end(failure("LLM_EMPTY", "the language model had nothing to say"))
        return steps + self._end(None)

    def lost(self, instance: str) -> list[Step]:
        """A worker died."""
        if self.over or instance != self.instance:
            return []
        self.instance = None
        return self._again_or(failure("LLM_LOST", "the llm-worker died while it answered"))

    def unsent(self, request_id: str) -> list[Step]:
        """A request could not be sent."""
        if self.over or request_id != self._request_id:
            return []
        return self._end(failure("BROKER_AWAY", "the broker is away"))

    def cancel(self, reason: str) -> list[Step]:
        """The answer is not wanted any more."""
        if self.over:
            return []
        self.over = True
        return self._drop(reason)

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`tick`."""
        if self.over:
            return None
        if self._retry_at is not None:
            return self._retry_at
        return min(self._silent_at, self._began + STREAM_S)

    @property
    def _silent_at(self) -> float:
        if self.instance is None:
            return min(self._asked + CLAIM_S, self._claim_until)
        return self._heard + (SILENCE_S if self.text else FIRST_DELTA_S)

    def tick(self) -> list[Step]:
        """Time has passed."""
        now = self._ambient.now()
        if self.deadline is None or now < self.deadline:
            return []
        if self._retry_at is not None:
            return [self._ask()]
        if now >= self._began + STREAM_S:
            return self._give_up(failure("LLM_TIMEOUT", "the answer took too long"))
        return self._unclaimed(now) if self.instance is None else self._silent(now)

    def _unclaimed(self, now: float) -> list[Step]:
        if now < self._claim_until:
            return [self._ask()]
        hint = "is a llm-worker running? `parlour doctor` tells"
        return self._give_up(
            failure("LLM_UNAVAILABLE", "no llm-worker took the question", hint=hint)
        )

    def _silent(self, now: float) -> list[Step]:
        if not self.text and not self._another:
            self._heard = now  # it may have others to answer first; the turn's patience decides
            return []
        error = failure("LLM_STALLED", "the language model fell silent")
        return self._again_or(error) if self._another else self._give_up(error)

    @property
    def _another(self) -> bool:
        return any(i != self.instance for i in self._ambient.workers.ready("llm-worker"))

    def _ask(self) -> Ask:
        self._attempt += 1
        self._request_id = self._ambient.new_id()
        self.instance, self._retry_at = None, None
        self._asked = self._heard = self._ambient.now()
        self._stream = DeltaStream()
        return Ask(self._request_id, self._attempt)

    def _again_or(self, error: WireError) -> list[Step]:
        if self.used or self._tries >= MAX_ATTEMPTS:
            return self._give_up(error)
        self._tries += 1
        steps = self._drop("another attempt")
        self._retry_at = self._ambient.now() + RETRY_S
        self._claim_until = self._retry_at + CLAIM_LIMIT_S
        return steps

    def _give_up(self, error: WireError) -> list[Step]:
        return self._drop(error.code) + self._end(error)

    def _drop(self, reason: str) -> list[Step]:
        return [] if self.instance is None else [Drop(self._request_id, self.instance, reason)]

    def _end(self, error: WireError | None) -> list[Step]:
        self.over = True
        return [Done(error)]

    @staticmethod
    def _text(new: str) -> list[Step]:
        return [Text(new)] if new else []
