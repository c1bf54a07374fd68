"""What an earlier run of the router left in a room's retained state, cleared up. Pure."""

from __future__ import annotations

from parlour_contracts.messages.room import RoomState, TurnTrace
from parlour_contracts.messages.turn import TurnAbort
from parlour_contracts.topics import TURN_ABORT, TURN_TRACE

from router.ambient import Publish, failure


def orphan_of(left: RoomState) -> str | None:
    """The turn that has lost its router and ends.

    One that was being heard will still send its transcript here; one that was being thought about
    has nobody.
    """
    return left.turn_id if left.state == "THINKING" and left.session_id is not None else None


def ended(site: str, left: RoomState, turn_id: str) -> list[Publish]:
    """The end of such a turn."""
    assert left.session_id is not None, "an orphan has a session"
    reason = "the router was started again"
    abort = TurnAbort(turn_id=turn_id, revision=1, reason=reason)
    trace = TurnTrace(
        turn_id=turn_id,
        session_id=left.session_id,
        outcome="failed",
        error=failure("ROUTER_RESTARTED", reason),
    )
    levels = {"site": site}
    return [Publish(TURN_ABORT, abort, levels), Publish(TURN_TRACE, trace, levels)]
