"""What is said about timers, in plain English. Pure."""

from __future__ import annotations

from router.commands.lines import duration_line, listed, rough_duration_line
from router.timers import KeptTimer, Timer, Timers

TOLD = 5
"""So many timers are named one by one."""

LATE_S = 10.0
"""A ring that comes so much later than its timer's end says so."""


def set_line(timer: KeptTimer) -> str:
    """A timer runs."""
    return f"{_capital(_one(timer.name))} is set for {duration_line(timer.seconds)}."


def cancelled_line(timers: list[Timer]) -> str:
    """These are gone."""
    names = [call(timer.kept) for timer in timers[:TOLD]]
    if len(timers) > TOLD:
        return f"{len(timers)} timers are cancelled."
    return f"{_capital(listed(names))} {'is' if len(names) == 1 else 'are'} cancelled."


def left_line(timers: Timers, found: list[Timer]) -> str:
    """How long these go on."""
    parts = [
        f"{duration_line(_whole(timers.left(timer)))} on {call(timer.kept)}"
        for timer in found[:TOLD]
    ]
    if len(found) == 1:
        return f"{_capital(duration_line(_whole(timers.left(found[0]))))} left."
    return f"There are {listed(parts)}{_and_more(found)}."


def list_line(timers: Timers) -> str:
    """All that run, and how long they go on."""
    found = timers.running
    if len(found) == 1:
        left = duration_line(_whole(timers.left(found[0])))
        return f"There is {_one(found[0].kept.name)} with {left} left."
    return f"There are {len(found)} timers: " + left_line(timers, found).removeprefix("There are ")


def which_line(found: list[Timer]) -> str:
    """Several could be meant."""
    names = [call(timer.kept) for timer in found[:TOLD]]
    return f"Which one? There are {listed(names)}{_and_more(found)}."


def unknown_line(name: str | None, seconds: float | None) -> str:
    """None is meant."""
    if name is not None:
        return f"There is no {name} timer."
    return f"There is no timer for {duration_line(seconds)}." if seconds else "There is no timer."


def too_many_line(limit: int) -> str:
    """No more."""
    return f"There are already {limit} timers." if limit > 1 else "There is already a timer."


def too_long_line(limit_s: float) -> str:
    """Not so long."""
    return f"A timer can run for {duration_line(limit_s)} at most."


def ring_line(timer: Timer) -> str:
    """It has ended."""
    kept = timer.kept
    name = f"{kept.name} timer" if kept.name else f"timer for {duration_line(kept.seconds)}"
    if timer.late_s < LATE_S:
        return f"Your {name} is done."
    return f"Your {name} was done {rough_duration_line(timer.late_s)} ago."


def call(timer: KeptTimer) -> str:
    """How a timer is spoken of."""
    if timer.name:
        return f"the {timer.name} timer"
    return f"the timer for {duration_line(timer.seconds)}"


def _one(name: str | None) -> str:
    if name is None:
        return "a timer"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} timer"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _and_more(found: list[Timer]) -> str:
    return f", and {len(found) - TOLD} more" if len(found) > TOLD else ""


def _whole(seconds: float) -> float:
    """What is left, never said as nothing."""
    return max(1.0, seconds)
