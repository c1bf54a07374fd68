"""Conversations that somebody should look at (V045). Pure.

A room that thinks or speaks for too long is told of once, while it still does; so is a session in
which people interrupt again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from parlour_contracts.messages.room import ConversationState

from router.states import Transition

Alert = Literal["thinking_long", "responding_long", "interrupted_often"]

LIMITS_S: Final[dict[ConversationState, tuple[Alert, float]]] = {
    "THINKING": ("thinking_long", 5.0),
    "RESPONDING": ("responding_long", 15.0),
}
MAX_INTERRUPTIONS = 5
"""In one session; the next one is too many."""


@dataclass(frozen=True, slots=True)
class Raised:
    """Something to look at: where, in which session, and what.

    ``count`` is that of the interruptions; ``limit`` what was exceeded, in seconds or in number.
    """

    site: str
    session_id: str
    alert: Alert
    limit: float
    count: int = 0


@dataclass(slots=True)
class _Watched:
    session_id: str
    due: tuple[float, Alert, float] | None = None
    interruptions: int = 0


class Alerts:
    """Watches the conversations of all rooms. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Watched] = {}

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`tick`."""
        return min((w.due[0] for w in self._rooms.values() if w.due is not None), default=None)

    def on(self, site: str, session_id: str, step: Transition, now: float) -> list[Raised]:
        """A conversation made a step."""
        if step.after == "ENDED":
            self._rooms.pop(site, None)
            return []
        watched = self._rooms.get(site)
        if watched is None or watched.session_id != session_id:
            watched = self._rooms[site] = _Watched(session_id)
        limit = LIMITS_S.get(step.after)
        watched.due = None if limit is None else (now + limit[1], *limit)
        if step.after == "INTERRUPTED":
            watched.interruptions += 1
            if watched.interruptions == MAX_INTERRUPTIONS + 1:
                return [
                    Raised(
                        site, session_id, "interrupted_often", MAX_INTERRUPTIONS,
                        watched.interruptions,
                    )
                ]  # fmt: skip
        return []

    def tick(self, now: float) -> list[Raised]:
        """Time has passed."""
        raised = []
        for site, watched in self._rooms.items():
            if watched.due is not None and now >= watched.due[0]:
                _, alert, limit = watched.due
                raised.append(Raised(site, watched.session_id, alert, limit))
                watched.due = None
        return raised
