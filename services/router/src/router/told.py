"""What a turn is answered with when no language model is asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that is known at once.

    Attributes:
        text: what is said; empty says nothing, and the turn is over.
        intent: what was wanted, for the records.
        remembered: whether question and answer belong to the conversation that a language model
            is given with the next question.
    """

    text: str
    intent: str
    remembered: bool = True
