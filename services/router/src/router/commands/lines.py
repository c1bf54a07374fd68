"""What is said in answer to a command, in plain English. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))

NOTHING_TO_REPEAT = "There is nothing to repeat."
NO_TIMERS = "There is no timer."
WELCOME = "You're welcome."
TOO_SHORT = "A timer needs at least one second."
ALL_CANCELLED = "All timers are cancelled."


def time_line(now: datetime) -> str:
    """The time of day, as its hours and minutes are spoken."""
    hour = now.hour % 12 or 12
    half = "AM" if now.hour < 12 else "PM"
    return f"It's {hour}:{now.minute:02d} {half}." if now.minute else f"It's {hour} {half}."


def date_line(now: datetime) -> str:
    """The day of the week and the date; names do not follow the machine's language."""
    return f"Today is {_DAYS[now.weekday()]}, {_MONTHS[now.month - 1]} {now.day}, {now.year}."


def greeting_line(part: str) -> str:
    """The greeting given back; ``part`` is that of the day, if one was named."""
    if part == "night":
        return "Good night."
    return f"Good {part}! What can I do for you?" if part else "Hello! What can I do for you?"


def volume_line(percent: int) -> str:
    """How loud it is now."""
    return f"Volume {percent} percent."


def volume_refusal(highest: int) -> str:
    """It cannot be that loud."""
    return f"The volume goes from 0 to {highest} percent."


def duration_line(seconds: float) -> str:
    """A duration in whole seconds: "1 hour and 5 minutes". No comma: speech pauses there."""
    left = round(seconds)
    parts = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(_count(count, unit))
    if len(parts) < 2:
        return "".join(parts) or "0 seconds"
    return f"{' '.join(parts[:-1])} and {parts[-1]}"


def rough_duration_line(seconds: float) -> str:
    """A duration by its two largest units, such as people ask for."""
    left = round(seconds)
    for size, _ in _UNITS:
        if left >= size:
            step = max(1, size // (24 if size == 86_400 else 60))
            left = left // step * step
            break
    return duration_line(left)


def listed(parts: Sequence[str]) -> str:
    """A row of things: "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _count(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
