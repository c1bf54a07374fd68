"""What people say reaches a model as text in one form, never as a command (H050, H051)."""

from __future__ import annotations

from collections.abc import Sequence

from parlour_contracts.messages.llm import ChatMessage
from parlour_contracts.validation import clean_characters, strip_model_tokens


def strip_messages(
    messages: Sequence[ChatMessage], special: Sequence[str] = ()
) -> tuple[ChatMessage, ...]:
    """The conversation with every message but the operator's system prompt sanitised.

    What a model answered is stripped of tokens too: it can be made to spell one in plain letters,
    which would be a command when it comes back as history.

    Args:
        messages: the conversation.
        special: tokens of the model, beside those that are listed.
    """
    return tuple(
        message
        if message.role == "system"
        else message.model_copy(update={"content": _sanitised(message.content, special)})
        for message in messages
    )


def _sanitised(text: str, special: Sequence[str]) -> str:
    # Characters first: one that is stripped may stand in the middle of a token.
    return strip_model_tokens(clean_characters(text), special)
