"""The session of a room: what was said, and for how long it lasts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import ChatMessage

KEPT = 500
"""Messages remembered at most; a session of two hours does not reach it."""

MAX_QUESTION = 10_000
"""Characters of a question; more is not spoken in one turn."""

PROMPT_CHARS = 30_000
"""Of history and question in one request, so that it fits its topic in any script."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One message; ``interrupted`` where only the beginning of it was heard."""

    role: Literal["user", "assistant"]
    text: str
    interrupted: bool = False


class Session:
    """What a room's conversation remembers. Times are seconds of a monotonic clock."""

    def __init__(self, session_id: str, now: float) -> None:
        self.id = session_id
        self.opened = now
        self.active = now
        self.messages: list[Remark] = []
        self.failures = 0

    def expired(self, config: RouterConfig, now: float) -> bool:
        """Whether it has been silent, or open, for too long."""
        return (
            now - self.active >= config.session_idle_s or now - self.opened >= config.session_max_s
        )

    def touch(self, now: float) -> None:
        """Something happened."""
        self.active = now

    def add(self, role: Literal["user", "assistant"], text: str, *, interrupted: bool) -> None:
        """Remember a message; an empty one leaves no trace."""
        if text.strip():
            self.messages.append(Remark(role, text.strip(), interrupted))
            del self.messages[:-KEPT]

    def interrupt(self, heard: str) -> None:
        """The last answer was not heard to its end, only so far."""
        if self.messages and self.messages[-1].role == "assistant":
            self.messages.pop()
            self.add("assistant", heard, interrupted=True)

    def resumed(self, heard: str, *, interrupted: bool) -> None:
        """More of the answer that was cut has been heard; ``interrupted``: but not all."""
        if self.messages and self.messages[-1].role == "assistant":
            heard = f"{self.messages.pop().text} {heard}"
        self.add("assistant", heard, interrupted=interrupted)

    def prompt(self, config: RouterConfig, question: str) -> list[ChatMessage]:
        """What the model is given: the system prompt, the last messages, the question.

        The system prompt is always first and always the same bytes, so that a model need not
        compute it again. Messages of one role in a row (a question that got no answer) are
        joined, as chat templates want the roles to alternate.
        """
        count = config.history_messages
        kept = [*(self.messages[-count:] if count else []), Remark("user", question[:MAX_QUESTION])]
        size = 0
        first = len(kept)
        for remark in reversed(kept):
            size += len(remark.text)
            if size > PROMPT_CHARS and first < len(kept):
                break
            first -= 1
        turns: list[ChatMessage] = []
        for remark in kept[first:]:
            if turns and turns[-1].role == remark.role:
                joined = f"{turns.pop().content}\n{remark.text}"
                turns.append(ChatMessage(role=remark.role, content=joined))
            elif turns or remark.role == "user":
                turns.append(ChatMessage(role=remark.role, content=remark.text))
        return [ChatMessage(role="system", content=config.system_prompt), *turns]

    def succeeded(self) -> None:
        """A turn went well: the next failure is a first one again."""
        self.failures = 0

    def failed(self, config: RouterConfig) -> str:
        """A turn went wrong; returns the line for so many in a row."""
        self.failures += 1
        lines = (config.line_tier1, config.line_tier2, config.line_tier3)
        return lines[min(self.failures, len(lines)) - 1]


class Aside(Session):
    """A turn beside the conversation: it keeps the session alive, and leaves nothing in it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.id, session.opened)
        self._session = session

    def touch(self, now: float) -> None:
        """Something happened."""
        self._session.touch(now)

    def succeeded(self) -> None:
        """A turn went well."""
        self._session.succeeded()

    def failed(self, config: RouterConfig) -> str:
        """A turn went wrong; returns the line for so many in a row."""
        return self._session.failed(config)
