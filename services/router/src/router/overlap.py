"""Speech over speech: what was interrupted, and what of the heard is no turn. Pure.

The rules:

1. An interruption keeps the rest of what was said until it is known whether words came.
2. What sounded while somebody was heard, or up to ``TAIL_S`` before, may be what was heard.
3. A nod is no turn while something is said or waits to go on, but for the answer to a question.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import BargeIn

from router.ambient import Ambient
from router.delivery import Subject
from router.echo import is_echo, is_nod
from router.progress import Cut
from router.resumption import UNCLAIMED_S, Unheard
from router.turn import Heard

TAIL_S = 1.0
"""Sound that ended so long before somebody was heard cannot be what was heard."""

KEPT_S = 180.0
KEPT = 16

ECHO = "ECHO"
NOD = "NOD"
FALSE_INTERRUPTION = "FALSE_INTERRUPTION"


class Spoken(Protocol):
    """Something that a room says."""

    @property
    def sounded(self) -> str:
        """What of it has sounded, or is about to."""
        ...

    @property
    def subject(self) -> Subject:
        """Where and how."""
        ...

    @property
    def cut(self) -> Cut | None:
        """How far it was heard, once it was stopped."""
        ...


def is_interruption(report: BargeIn, config: RouterConfig) -> bool:
    """Whether somebody speaks surely and long enough to be let speak (V041)."""
    sure = report.confidence > config.barge_in_confidence
    return config.barge_in and sure and report.speech_ms >= config.barge_in_speech_ms


class Overlap:
    """What a room knows of speech over speech."""

    def __init__(self, ambient: Ambient) -> None:
        self.unheard: Unheard | None = None
        self._ambient = ambient
        self._said: deque[tuple[float, str]] = deque(maxlen=KEPT)

    def ended(self, item: Spoken) -> None:
        """It is silent now."""
        if item.sounded:
            self._said.append((self._ambient.now(), item.sounded))

    def interrupted(self, item: Spoken, *, somebody_listens: bool) -> None:
        """Somebody spoke over it and it was stopped; keep what was not heard."""
        if item.cut is None or not item.cut.unheard:
            return
        until = None if somebody_listens else self._ambient.now() + UNCLAIMED_S
        self.unheard = Unheard(item.cut.unheard, item.cut.heard, item.subject, until)

    @property
    def deadlines(self) -> list[float]:
        """When an interruption that no turn followed was none."""
        due = self.unheard.until if self.unheard is not None else None
        return [] if due is None else [due]

    def claimed(self) -> None:
        """A stt-worker listens: its transcript will tell."""
        if self.unheard is not None:
            self.unheard.until = None

    def take(self) -> Unheard | None:
        """What waits to go on; it does so once."""
        unheard, self.unheard = self.unheard, None
        return unheard

    def verdict(
        self, heard: Heard, began: float | None, running: Spoken | None, config: RouterConfig
    ) -> str | None:
        """Why a transcript is no turn; None when it is one.

        Args:
            heard: the transcript.
            began: when a stt-worker began to listen, if that is known.
            running: what is being said.
            config: the settings.
        """
        if heard.kind == "empty":
            return FALSE_INTERRUPTION if self.unheard is not None else None
        if heard.kind != "said":
            return None
        if is_echo(heard.text, self._sounded(began, running), config.echo_similarity):
            return ECHO
        before = running.sounded if running is not None else ""
        if self.unheard is not None:
            before = self.unheard.heard
        elif running is None:
            return None
        asked = before.rstrip().endswith("?")
        return NOD if is_nod(heard.text) and not asked and not config.nods_interrupt else None

    def _sounded(self, began: float | None, running: Spoken | None) -> list[str]:
        now = self._ambient.now()
        earliest = (now if began is None else max(began, now - KEPT_S)) - TAIL_S
        texts = [text for ended, text in self._said if ended >= earliest]
        return texts if running is None else [*texts, running.sounded]
