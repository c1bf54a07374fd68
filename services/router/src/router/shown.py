"""The retained state of a room: published when it is another one than before. Pure."""

from __future__ import annotations

from parlour_contracts.messages.room import RoomState
from parlour_contracts.topics import ROOM_STATE

from router.ambient import Publish


class Shown:
    """What everybody sees of a room."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._state: RoomState | None = None

    def forget(self) -> None:
        """Whatever was published may be lost."""
        self._state = None

    def show(self, state: RoomState) -> list[Publish]:
        """The message that is due, if any."""
        before = self._state
        if before is not None:
            if before.status == "ended" and state.status == "idle":
                return []  # the end stands until something new begins
            if before.state == state.state and before.session_id == state.session_id:
                state = state.model_copy(update={"since": before.since})
        if state == before:
            return []
        self._state = state
        return [Publish(ROOM_STATE, state, {"site": self._site})]
