"""Takes the control tokens of language models out of what people say (H051).

A prompt is text in which some sequences are commands (``<|im_end|>`` ends a message). Spoken
or typed by a person they must not be. A token becomes a blank, so that what stood on both of
its sides can never join to form another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

LISTED = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|system|>", "<|user|>", "<|assistant|>",
    "</s>", "<s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
)  # fmt: skip
_HEADINGS = r"#{3,}[ \t]*(?:(?:instruction|response|input|system|user|assistant)s?\b[ \t]*:?)?"


@lru_cache(maxsize=8)
def _pattern(special: tuple[str, ...]) -> re.Pattern[str]:
    known = {token for token in special if _is_command(token)} | set(LISTED)
    longest_first = sorted(known, key=lambda token: (-len(token), token))
    return re.compile("|".join([*map(re.escape, longest_first), _HEADINGS]), re.IGNORECASE)


def _is_command(token: str) -> bool:
    """Whether a special token is visibly one; a vocabulary may also mark plain words."""
    return len(token) >= 3 and not token[0].isalnum() and not token[-1].isalnum()


def strip_model_tokens(text: str, special: Sequence[str] = ()) -> str:
    """The text without model tokens: the listed ones and the ``special`` ones of a model.

    Runs in time linear in the text.
    """
    parts = _pattern(tuple(special)).split(text)
    if len(parts) == 1:
        return text
    cleaned = (part.strip(" \t") for part in parts)
    return " ".join(part for part in cleaned if part)
