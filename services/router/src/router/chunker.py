"""A stream of text into fragments to speak, each as early as it may be spoken. Pure.

The rules:

1. The first fragment may end at a clause, so that sound starts early; it has at least
   ``FIRST_MIN_CHARS`` characters, or ``min_chars`` where that is less.
2. Later fragments end where a sentence ends, once they have ``min_chars``; with
   ``boundary_only`` off, also at the next blank.
3. No fragment is longer than ``max_chars`` if it has a blank: it is cut at its last clause, or
   at its last blank; a single word is cut after ``HARD_MAX_CHARS``.
4. The fragments together are the text, but for blanks, and do not depend on how it arrived.
"""

from __future__ import annotations

from dataclasses import dataclass

from parlour_contracts.config import RouterConfig
from parlour_contracts.config.router import DEFAULT_BOUNDARY

from router.boundaries import Boundaries, goes_on, long_enough

FIRST_MIN_CHARS = 10
HARD_MAX_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in characters; see the module for the rules. Without ``stream`` nothing is cut."""

    min_chars: int = 30
    max_chars: int = 200
    boundary_only: bool = True
    expression: str = DEFAULT_BOUNDARY
    stream: bool = True

    @classmethod
    def of(cls, config: RouterConfig) -> Limits:
        """As the router is configured."""
        return cls(
            config.router_stream_min_chars,
            config.router_stream_max_chars,
            config.router_stream_boundary_only,
            config.router_stream_boundary_regex,
            config.router_llm_tts_stream,
        )


class Chunker:
    """Cuts one answer."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._boundaries = Boundaries(limits.expression)
        self._rest = ""
        self._first = True

    def feed(self, text: str) -> list[str]:
        """More text; returns the fragments that are certain now."""
        fragments: list[str] = []
        # Piece by piece: a fragment is never searched for in more text than it may have.
        for start in range(0, len(text), HARD_MAX_CHARS):
            self._rest = (self._rest + text[start : start + HARD_MAX_CHARS]).lstrip()
            while (at := self._cut()) is not None:
                fragments.append(self._take(at))
        return fragments

    def finish(self) -> list[str]:
        """The text is complete; returns what is left of it."""
        rest = self._rest.strip()
        return [self._take(len(self._rest))] if rest else []

    def _take(self, at: int) -> str:
        fragment, self._rest = self._rest[:at].strip(), self._rest[at:].lstrip()
        self._first = False
        return fragment

    def _cut(self) -> int | None:
        """Where the next fragment ends, once that is certain."""
        text, limits = self._rest, self._limits
        if not limits.stream:
            return _within(text, HARD_MAX_CHARS)
        least = min(limits.min_chars, FIRST_MIN_CHARS) if self._first else limits.min_chars
        if len(text) <= least:
            return None
        reach = limits.max_chars + 1
        clauses = self._boundaries.clauses(text, reach)
        ends = [self._boundaries.sentence(text, least, reach)]
        if self._first:
            ends.append(next((e for e in clauses if long_enough(text, e, least)), None))
        if not limits.boundary_only:
            least = limits.min_chars
            blanks = self._boundaries.blanks(text)
            ends.append(next((e for e in blanks if long_enough(text, e, least)), None))
        at = min((e for e in ends if e is not None), default=None)
        if at is not None and not long_enough(text, at, reach):
            return at
        if len(text) <= HARD_MAX_CHARS and not goes_on(text, limits.max_chars):
            return None
        fitting = [e for e in clauses if e >= limits.min_chars]
        return max(fitting, default=None) or _within(text, limits.max_chars)


def _within(text: str, limit: int) -> int | None:
    """The last blank of a text that is too long; of a single word, its end or the hard limit."""
    if len(text) <= HARD_MAX_CHARS and not goes_on(text, limit):
        return None
    blanks = [e for e in Boundaries.blanks(text[: HARD_MAX_CHARS + 1]) if e <= HARD_MAX_CHARS]
    fitting = [e for e in blanks if not long_enough(text, e, limit + 1)]
    if blanks:
        return fitting[-1] if fitting else blanks[0]
    return HARD_MAX_CHARS if len(text) > HARD_MAX_CHARS else None
