"""When to look at unfinished speech, and which partial texts are worth telling (R014)."""

from __future__ import annotations

from dataclasses import dataclass

INTERVAL_S = 0.6
MIN_AUDIO_MS = 500.0
MIN_CHARACTERS = 4
MIN_NEW = 2
MIN_LETTERS = 0.5


@dataclass
class PartialPolicy:
    """The partials of one turn."""

    last_look_s: float | None = None
    last_text: str = ""

    def due(self, now_s: float, audio_ms: float) -> bool:
        """Whether to recognise what there is so far; counts as a look when it says yes."""
        if audio_ms < MIN_AUDIO_MS:
            return False
        if self.last_look_s is not None and now_s - self.last_look_s < INTERVAL_S:
            return False
        self.last_look_s = now_s
        return True

    def worth(self, text: str) -> bool:
        """Whether this text says more than the last one; remembers it when it does."""
        letters = sum(c.isalpha() for c in text)
        if len(text) < MIN_CHARACTERS or letters < MIN_LETTERS * len(text):
            return False
        common = 0
        for old, new in zip(self.last_text, text, strict=False):
            if old != new:
                break
            common += 1
        if len(text) - common < MIN_NEW:
            return False
        self.last_text = text
        return True
