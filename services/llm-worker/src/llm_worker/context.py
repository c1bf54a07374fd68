"""Fits a conversation into a context window. Pure: the token counter is handed in.

What goes first is the oldest turn: a user message with the answers to it. The system prompt
and the last user message always stay; of the latter the head is cut, and only when it does
not fit alone. Turns go two at a time, because each change at the front of the conversation
makes everything behind it new to the engine, and computing a prompt anew is what makes small
machines slow.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parlour_contracts.messages.llm import ChatMessage

from llm_worker.errors import ContextTooLongError

DROP_TURNS = 2
"""Turns that are dropped together, counted from the first turn of the conversation."""

CHARS_PER_TOKEN = 16
"""More characters than this for each token of the budget are not even counted: no speech is
that dense, and tokenisers take very long over long runs of one character."""

Messages = tuple[ChatMessage, ...]
Counter = Callable[[Messages], int]
"""Messages → tokens of the prompt made of them; more messages never cost fewer tokens."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is left, and how much was given up for it."""

    messages: Messages
    dropped: int = 0
    cut_chars: int = 0


def reserve(window: int, max_tokens: int) -> int:
    """Tokens of the window that are kept free for the answer: at most half of it."""
    return min(max_tokens, window // 2)


def fit(messages: Sequence[ChatMessage], budget: int, count: Counter) -> Fitted:
    """The newest part of the conversation whose prompt has at most ``budget`` tokens.

    Args:
        messages: oldest first.
        budget: tokens that the prompt may have.
        count: how many tokens a prompt has; called a number of times that grows with the
            logarithm of the conversation, not with its length.

    Raises:
        ContextTooLongError: the system prompt and what follows the last user message leave
            no room for a single character of that message.
    """
    whole = tuple(messages)

    def fits(candidate: Messages) -> bool:
        chars = sum(len(message.content) for message in candidate)
        return chars <= budget * CHARS_PER_TOKEN and count(candidate) <= budget

    if fits(whole):
        return Fitted(whole)
    starts = _turn_starts(whole)
    cuts = [0, *range(DROP_TURNS, len(starts) - 1, DROP_TURNS), len(starts) - 1]
    index = bisect_left(cuts, True, lo=1, key=lambda cut: fits(_from(whole, starts[cut])))
    kept = _from(whole, starts[cuts[min(index, len(cuts) - 1)]])
    dropped = len(whole) - len(kept)
    if index < len(cuts):
        return Fitted(kept, dropped)
    cut, cut_chars = _cut_last(kept, fits)
    return Fitted(cut, dropped, cut_chars)


def _turn_starts(messages: Messages) -> list[int]:
    """Where each turn begins; the last entry is the last user message (or last message)."""
    spoken = [i for i, message in enumerate(messages) if message.role != "system"]
    users = [i for i in spoken if messages[i].role == "user"]
    if not users:
        return [spoken[-1] if spoken else len(messages)]
    # An answer at the very front belongs to a turn whose question is gone already.
    return users if users[0] == spoken[0] else [spoken[0], *users]


def _from(messages: Messages, start: int) -> Messages:
    return tuple(m for i, m in enumerate(messages) if i >= start or m.role == "system")


def _cut_last(messages: Messages, fits: Callable[[Messages], bool]) -> tuple[Messages, int]:
    """The conversation with the head of its last user message cut off."""
    at = max((i for i, m in enumerate(messages) if m.role == "user"), default=None)
    if at is None:
        raise ContextTooLongError("the prompt does not fit and holds no user message to cut")
    text = messages[at].content

    def with_tail(cut: int) -> Messages:
        tail = messages[at].model_copy(update={"content": text[cut:]})
        return (*messages[:at], tail, *messages[at + 1 :])

    # Characters cut, 1 … all but one; the first that fits keeps the most.
    cut = bisect_left(
        range(len(text)), True, lo=1, key=lambda n: fits(with_tail(n))
    ) if text else 0  # fmt: skip
    if cut >= len(text):
        raise ContextTooLongError("the system prompt leaves no room for the question")
    return with_tail(cut), cut
