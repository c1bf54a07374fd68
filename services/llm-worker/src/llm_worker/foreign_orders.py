"""Whether the newest question tries to give the model orders (H052); nothing is blocked."""

from __future__ import annotations

from collections.abc import Sequence

from parlour_contracts.messages.llm import ChatMessage
from parlour_contracts.validation import clean_characters, find_injection
from parlour_contracts.validation.injection import MAX_LOOKED_AT, Attempt


def attempt_in(messages: Sequence[ChatMessage]) -> Attempt | None:
    """What the newest message of a person attempts; older ones were looked at when they came."""
    newest = next((m.content for m in reversed(messages) if m.role == "user"), "")
    return find_injection(clean_characters(newest[:MAX_LOOKED_AT]))
