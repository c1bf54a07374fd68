"""``issued_at`` as a logical clock: texts of a fixed width that only ever grow.

The order of two messages is the order of their texts; no service compares one with its own
clock, so a machine without any idea of the time takes part like every other. Only a clock
that is trusted may move the value ahead of "one microsecond more".
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from parlour_contracts.messages.signed import MOMENT_PATTERN, moment_text

from parlour_config.errors import ClockError

__all__ = ["EPOCH_START", "add_us", "ahead_s", "moment_text", "next_issued", "parse_moment"]

EPOCH_START = "1970-01-01T00:00:00.000000Z"
"""The floor of somebody who has seen nothing yet."""

_FORM = re.compile(MOMENT_PATTERN)


def parse_moment(text: str) -> datetime:
    """The aware time that a text names.

    Raises:
        ClockError: not ``YYYY-MM-DDTHH:MM:SS.ffffffZ``, or no day of the calendar.
    """
    if _FORM.fullmatch(text) is None:
        raise ClockError("not the text form of a time")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ClockError("no time of the calendar") from None
    if moment_text(moment) != text:
        raise ClockError("no time of the calendar")
    return moment


def add_us(text: str, microseconds: int) -> str:
    """The text of a time so many microseconds later, or earlier if negative.

    Raises:
        ClockError: the text, or the calendar ends before.
    """
    try:
        return moment_text(parse_moment(text) + timedelta(microseconds=microseconds))
    except OverflowError:
        raise ClockError("the calendar ends there", code="CLOCK_END") from None


def next_issued(floor: str, now: datetime | None) -> str:
    """The next value of the clock: always greater than the floor.

    Args:
        floor: the greatest value that was ever issued or seen.
        now: the wall time if its clock is trusted, else None; aware.

    Raises:
        ClockError: the floor is no time, or the last one there is.
    """
    least = add_us(floor, 1)
    return least if now is None else max(moment_text(now), least)


def ahead_s(floor: str, now: datetime) -> float:
    """By how many seconds the floor is ahead of a trusted clock; negative when behind."""
    return (parse_moment(floor) - now) / timedelta(seconds=1)
