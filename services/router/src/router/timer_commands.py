"""Carries out what is said about timers. Pure."""

from __future__ import annotations

from parlour_contracts.config import RouterConfig

from router import timer_lines
from router.commands import Command, lines
from router.timers import Timers


def about_timers(command: Command, timers: Timers, config: RouterConfig) -> str:
    """Do what is wanted of a room's timers; returns what is said to it."""
    match command.intent:
        case "timer_set":
            return _set(command, timers, config)
        case "timer_left":
            return _left(command, timers)
        case "timer_list":
            return timer_lines.list_line(timers) if timers.running else lines.NO_TIMERS
        case "timer_cancel_all":
            return _clear(timers)
        case _:
            return _cancel(command, timers)


def _set(command: Command, timers: Timers, config: RouterConfig) -> str:
    seconds = float(round(command.seconds or 0.0))
    if seconds < 1:
        return lines.TOO_SHORT
    if seconds > config.timer_max_s:
        return timer_lines.too_long_line(config.timer_max_s)
    if len(timers) >= config.timers_max:
        return timer_lines.too_many_line(config.timers_max)
    return timer_lines.set_line(timers.set(seconds, command.name).kept)


def _left(command: Command, timers: Timers) -> str:
    found = timers.find(command.name, None)
    if not found:
        return timer_lines.unknown_line(command.name, None)
    return timer_lines.left_line(timers, found)


def _clear(timers: Timers) -> str:
    if not len(timers):
        return lines.NO_TIMERS
    timers.clear()
    return lines.ALL_CANCELLED


def _cancel(command: Command, timers: Timers) -> str:
    found = timers.find(command.name, command.seconds)
    if not found:
        return timer_lines.unknown_line(command.name, command.seconds)
    if len(found) > 1 and command.is_any:
        return timer_lines.which_line(found)
    timers.cancel(found)
    return timer_lines.cancelled_line(found)
