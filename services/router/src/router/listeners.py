"""Which turns of a room stt-workers listen to, and for how long that is believed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from parlour_contracts.messages.turn import Transcript, TurnClaimed

from router.ambient import Ambient, failure
from router.heard import heard_of
from router.turn import Heard

RECLAIM_S = 6.0
"""How long after the death of its worker another may claim a turn."""

LONGEST_HEARING_S = 180.0
"""A turn that was claimed and came to no end: longer than any utterance and its recognition."""

MOST = 256


@dataclass(slots=True)
class _Hearing:
    claim: TurnClaimed
    until: float
    began: float


class Listeners:
    """The turns that are being heard."""

    def __init__(self, ambient: Ambient) -> None:
        self._ambient = ambient
        self._turns: dict[str, _Hearing] = {}

    def __bool__(self) -> bool:
        """Whether somebody is listened to."""
        return bool(self._turns)

    @property
    def newest(self) -> str | None:
        """The turn that was claimed last."""
        return next(reversed(self._turns), None)

    @property
    def deadlines(self) -> list[float]:
        """When each is given up."""
        return [hearing.until for hearing in self._turns.values()]

    def claimed(self, claim: TurnClaimed) -> bool:
        """A stt-worker listens to a turn; whether that is news."""
        known = self._turns.get(claim.turn_id)
        if known is not None and known.claim.attempt >= claim.attempt:
            return False
        if len(self._turns) >= MOST:
            return False
        now = self._ambient.now()
        began = now if known is None else known.began
        self._turns[claim.turn_id] = _Hearing(claim, now + LONGEST_HEARING_S, began)
        return True

    def ended(self, transcript: Transcript) -> tuple[Heard, float | None] | None:
        """What a turn's last transcript says, and when its hearing began, if that is known.

        None where a later attempt listens to the turn by now.
        """
        known = self._turns.get(transcript.turn_id)
        if known is not None and transcript.attempt < known.claim.attempt:
            return None
        worker = known.claim.instance if known is not None else None
        return heard_of(transcript, worker), known.began if known is not None else None

    def lost(self, instance: str) -> None:
        """A worker died; another may claim its turns for a while."""
        soon = self._ambient.now() + RECLAIM_S
        for hearing in self._turns.values():
            if hearing.claim.instance == instance:
                hearing.until = min(hearing.until, soon)

    def given_up(self) -> list[Heard]:
        """The turns whose time is over, as failed."""
        now = self._ambient.now()
        error = failure("STT_LOST", "the stt-worker that listened is gone")
        return [
            Heard(turn_id, "failed", worker=hearing.claim.instance, error=error)
            for turn_id, hearing in self._turns.items()
            if now >= hearing.until
        ]

    def forget(self, turn_id: str) -> None:
        """A turn is heard no more."""
        self._turns.pop(turn_id, None)
