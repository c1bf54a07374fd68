"""What of the rooms outlives the router, as a file holds it. Pure: bytes in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from parlour_contracts.base import Name, Part, UtcTime, WireModel
from parlour_kit.clock import utc_text
from pydantic import AfterValidator, Field

from router.desk import LOUDEST, NORMAL, Kept
from router.timers import KeptTimer

MAX_BYTES = 8 << 20
"""Of the file: a thousand rooms with timers as far as anybody may set them."""

MAX_NAME = 200


def _a_moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class TimerRecord(Part):
    """A timer: what for, how long in seconds, and when it ends."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)] | None
    seconds: Annotated[float, Field(ge=1, le=604_800)]
    due: Annotated[UtcTime, AfterValidator(_a_moment)]


class RoomRecord(Part):
    """A room: its volume in percent, and its timers."""

    volume: Annotated[int, Field(ge=0, le=LOUDEST)] = NORMAL
    timers: Annotated[list[TimerRecord], Field(max_length=100)] = []


class RoomsFile(WireModel):
    """All rooms of which something is kept."""

    rooms: Annotated[dict[Name, RoomRecord], Field(max_length=1000)]


def write_rooms(rooms: Mapping[str, Kept]) -> bytes:
    """The content of the file."""
    records = {
        site: RoomRecord(
            volume=kept.volume,
            timers=[
                TimerRecord(name=t.name, seconds=t.seconds, due=utc_text(t.due))
                for t in kept.timers
            ],
        )
        for site, kept in rooms.items()
    }
    return RoomsFile(rooms=records).encode()


def read_rooms(data: bytes) -> dict[str, Kept]:
    """What a file holds, checked to the last field.

    Raises:
        ValueError: it is damaged, or of another version.
    """
    file = RoomsFile.decode(data)
    return {
        site: Kept(
            record.volume,
            tuple(
                KeptTimer(t.name, t.seconds, datetime.fromisoformat(t.due).astimezone(UTC))
                for t in record.timers
            ),
        )
        for site, record in file.rooms.items()
    }
