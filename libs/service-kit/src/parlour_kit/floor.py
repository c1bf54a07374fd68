"""Who listens to a turn: opened, claimed, and opened again when the listener is gone. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final

from parlour_contracts.messages.turn import TurnClaimed

from parlour_kit.attendance import Fleet

REOPEN_S: Final = 3.0
"""An ``open`` that nobody answered may have gone to a worker that died: it is sent again."""

CLAIM_S: Final = 15.0
"""So long may it take until somebody listens; a crashed worker needs a few seconds to return."""

AGAIN_S: Final = 0.5
"""A listener that seems to be gone may only be newer than what is known of it: its health may come
after its claim. So an ``open`` follows another one no sooner."""

MAX_ATTEMPTS: Final = 100


class Move(Enum):
    """What to do now."""

    WAIT = "wait"
    OPEN = "open"
    """Send ``turn/open`` with the floor's attempt."""
    GIVE_UP = "give up"


class Floor:
    """The attempts of one turn; times are seconds of the caller's clock.

    Attributes:
        attempt: the number of the ``open`` that counts; 0 before the first.
        claim: who listens now.
    """

    def __init__(self, turn_id: str, fleet: Fleet, now: float) -> None:
        self.turn_id = turn_id
        self.attempt = 0
        self.claim: TurnClaimed | None = None
        self._fleet = fleet
        self._boot: str | None = None
        self._opened_at = now
        self._deaf_since = now

    def claimed(self, claim: TurnClaimed) -> bool:
        """Take a claim in; tells whether it is the first answer to the current attempt."""
        if claim.turn_id != self.turn_id or claim.attempt != self.attempt or self.claim is not None:
            return False
        self.claim = claim
        self._boot = self._fleet.boot(claim.instance)
        return True

    def decide(self, now: float) -> Move:
        """What to do at this time; after ``OPEN`` the attempt is a new one."""
        if self.claim is not None:
            gone = self._fleet.is_gone(self.claim.instance, self._boot, now)
            if not gone or now - self._opened_at < AGAIN_S:
                return Move.WAIT
            self.claim = None
            self._deaf_since = now
            return self._open(now)
        if self.attempt == 0:
            return self._open(now)
        if now - self._deaf_since >= CLAIM_S:
            return Move.GIVE_UP
        # What was opened before a worker was ready has not reached it.
        late = self._fleet.newly_ready("stt-worker", self._opened_at)
        return self._open(now) if late or now - self._opened_at >= REOPEN_S else Move.WAIT

    def _open(self, now: float) -> Move:
        if self.attempt >= MAX_ATTEMPTS:
            return Move.GIVE_UP
        self.attempt += 1
        self._opened_at = now
        return Move.OPEN
