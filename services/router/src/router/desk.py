"""What a room can do without a language model: the time, the volume, timers and such. Pure.

What a command changes stays here: how loud the room is spoken to, and its timers. ``kept`` is what
of it outlives the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Say

from router.ambient import Ambient
from router.commands import Command, lines, understand
from router.errors import ZoneError
from router.timer_commands import about_timers
from router.timer_lines import ring_line
from router.timers import KeptTimer, Timers
from router.told import Told
from router.zones import zone_of

NORMAL = 100
LOUDEST = 200
STEP = 20
RING_VOLUME = 40
"""A timer is heard, however quiet the room is: it rings at least so loud, in percent."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a room outlives the process: its volume in percent, and its timers."""

    volume: int = NORMAL
    timers: tuple[KeptTimer, ...] = ()


class Desk:
    """Answers the commands of a room."""

    def __init__(self, ambient: Ambient) -> None:
        self.volume = NORMAL
        """How loud the room is spoken to, in percent of what is configured."""
        self.timers = Timers(ambient)
        self._ambient = ambient

    # What is kept

    @property
    def kept(self) -> Kept:
        """What outlives the process."""
        return Kept(self.volume, tuple(self.timers.kept))

    def restore(self, kept: Kept) -> None:
        """Take up what an earlier run has left."""
        self.volume = kept.volume
        self.timers.restore(kept.timers)

    @property
    def is_empty(self) -> bool:
        """Nothing is kept that would be missed."""
        return self.volume == NORMAL and not len(self.timers)

    @property
    def spoken_volume(self) -> int | None:
        """As it travels with each sentence; None is what is configured."""
        return None if self.volume == NORMAL else self.volume

    # What is heard

    def stops(self, text: str, config: RouterConfig) -> bool:
        """Whether somebody wants silence: of what is said, or of a timer that rings."""
        command = understand(text) if config.rule_intents else None
        return command is not None and self._silences(command)

    def told(self, text: str, config: RouterConfig, last: str) -> Told | None:
        """Carry out a command; None: it is none, and for the language model.

        Args:
            text: the whole utterance.
            config: what holds now.
            last: the last answer in this session, empty if there is none.
        """
        command = understand(text) if config.rule_intents else None
        if command is None:
            return None
        if self._silences(command):
            self.silence()
            return Told("", command.intent, remembered=False)
        match command.intent:
            case "repeat":
                return Told(last or lines.NOTHING_TO_REPEAT, "repeat", remembered=False)
            case "louder" | "quieter" | "volume" | "volume_level":
                return Told(self._speak_at(command), command.intent, remembered=False)
            case _:
                return Told(self._answer(command, config), command.intent)

    def _silences(self, command: Command) -> bool:
        return command.intent == "stop" or (
            command.intent == "timer_cancel" and command.is_any and self.timers.is_ringing
        )

    # What rings

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`ring`, if the room is free."""
        return self.timers.deadline

    def ring(self, config: RouterConfig) -> Say | None:
        """What a timer announces now."""
        timer = self.timers.ring(config.timer_rings, config.timer_ring_interval_s)
        if timer is None:
            return None
        volume = max(self.volume, RING_VOLUME)
        return Say(text=ring_line(timer), volume=None if volume == NORMAL else volume)

    def silence(self) -> None:
        """Whatever rings has been heard."""
        self.timers.silence()

    # Answers

    def _now(self, config: RouterConfig) -> datetime:
        try:
            zone = zone_of(config.time_zone)
        except ZoneError:  # settings that come from another machine
            zone = None
        return self._ambient.wall().astimezone(zone)

    def _answer(self, command: Command, config: RouterConfig) -> str:
        match command.intent:
            case "time":
                return lines.time_line(self._now(config))
            case "date":
                return lines.date_line(self._now(config))
            case "greeting":
                return lines.greeting_line(command.text)
            case "thanks":
                return lines.WELCOME
            case "say":
                return command.text
            case _:
                return about_timers(command, self.timers, config)

    def _speak_at(self, command: Command) -> str:
        if command.intent == "louder":
            self.volume = min(LOUDEST, self.volume + STEP)
        elif command.intent == "quieter":
            self.volume = max(0, self.volume - STEP)
        elif command.percent is not None:
            if command.percent > LOUDEST:
                return lines.volume_refusal(LOUDEST)
            self.volume = round(command.percent)
        return lines.volume_line(self.volume)
