"""The timers of a room: set, asked for, cancelled, rung. Pure.

The rules:

1. A timer ends by the monotonic clock, so that a clock that is set does not move it. What is kept
   over a restart is when it ends by the wall clock.
2. One that was kept is looked at by the wall clock every ``LOOK_S`` until it ends: a machine
   without a battery starts in the past and learns the time later. It never ends later than it
   would have if the restart had taken no time.
3. A timer that has ended rings: when nothing else sounds, a voice is ready and nobody speaks, up to
   so many times, one interval from begin to begin. It is gone after its last ring, or once
   somebody has said stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.ambient import Ambient

LOOK_S = 30.0
NO_VOICE_S = 30.0
"""So often is looked for a voice that can ring; one that becomes ready tells by itself."""


@dataclass(frozen=True, slots=True)
class KeptTimer:
    """What of a timer outlives the process.

    Attributes:
        name: what it is for, if somebody said so.
        seconds: for how long it was set.
        due: when it ends, aware UTC.
    """

    name: str | None
    seconds: float
    due: datetime


@dataclass(slots=True, eq=False)
class Timer:
    """One timer; ``ends`` and ``rings_at`` are monotonic seconds."""

    kept: KeptTimer
    ends: float
    rings_at: float
    rung: int = 0
    late_s: float = 0.0
    """For how long it had ended when it rang first."""
    by_wall: bool = False
    """It comes from an earlier run, and its end is still looked for by the wall clock."""


class Timers:
    """The timers of one room, the next one first."""

    def __init__(self, ambient: Ambient) -> None:
        self._ambient = ambient
        self._timers: list[Timer] = []
        self._look_at: float | None = None
        self._mute_until = 0.0

    def __len__(self) -> int:
        return len(self._timers)

    @property
    def running(self) -> list[Timer]:
        """Those that have not ended."""
        return [timer for timer in self._timers if timer.ends > self._ambient.now()]

    @property
    def is_ringing(self) -> bool:
        """Somebody may have heard a ring."""
        return any(timer.rung for timer in self._timers)

    @property
    def kept(self) -> list[KeptTimer]:
        """What outlives the process."""
        return [timer.kept for timer in self._timers]

    def left(self, timer: Timer) -> float:
        """Seconds until a timer ends; never negative."""
        return max(0.0, timer.ends - self._ambient.now())

    def find(self, name: str | None, seconds: float | None) -> list[Timer]:
        """The running timers of this name and length; None is any."""
        return [
            timer
            for timer in self.running
            if name in (None, timer.kept.name) and seconds in (None, timer.kept.seconds)
        ]

    def set(self, seconds: float, name: str | None) -> Timer:
        """Begin a timer."""
        due = self._ambient.wall() + timedelta(seconds=seconds)
        ends = self._ambient.now() + seconds
        timer = Timer(KeptTimer(name, seconds, due), ends, ends)
        self._add([timer])
        return timer

    def restore(self, kept: Iterable[KeptTimer]) -> None:
        """Take up the timers of an earlier run."""
        now, wall = self._ambient.now(), self._ambient.wall()
        restored = []
        for one in kept:
            ends = now + min((one.due - wall).total_seconds(), one.seconds)
            restored.append(Timer(one, ends, max(ends, now), by_wall=True))
        self._add(restored)
        self._look_at = now + LOOK_S

    def cancel(self, timers: Iterable[Timer]) -> None:
        """Forget these."""
        gone = list(timers)
        self._timers = [timer for timer in self._timers if timer not in gone]

    def clear(self) -> None:
        """Forget all, whether they ring or not."""
        self._timers = []

    def silence(self) -> bool:
        """Somebody has heard what rings; returns whether anything did."""
        ringing = [timer for timer in self._timers if timer.rung]
        self.cancel(ringing)
        return bool(ringing)

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`ring`, if the room is free."""
        times = [max(timer.rings_at, self._mute_until) for timer in self._timers]
        if self._look_at is not None and any(timer.by_wall for timer in self._timers):
            times.append(self._look_at)
        return min(times, default=None)

    def ring(self, times: int, interval_s: float) -> Timer | None:
        """The timer that rings now, if one does.

        Args:
            times: how often one rings.
            interval_s: from ring to ring.
        """
        now = self._ambient.now()
        self._look(now)
        due = [timer for timer in self._timers if timer.rings_at <= now]
        if not due:
            return None
        if not self._ambient.workers.ready("tts-worker"):
            self._mute_until = now + NO_VOICE_S
            return None
        self._mute_until = 0.0
        timer = min(due, key=lambda timer: (timer.rings_at, timer.ends))
        if not timer.rung:
            timer.late_s, timer.by_wall = now - timer.ends, False
        timer.rung += 1
        timer.rings_at = now + interval_s
        if timer.rung >= times:
            self.cancel([timer])
        return timer

    def _look(self, now: float) -> None:
        """The wall clock may have learnt the time: what comes from an earlier run may be due."""
        if self._look_at is None or now < self._look_at:
            return
        self._look_at = now + LOOK_S
        wall = self._ambient.wall()
        for timer in self._timers:
            if timer.by_wall:
                timer.ends = min(timer.ends, now + (timer.kept.due - wall).total_seconds())
                timer.rings_at = min(timer.rings_at, max(timer.ends, now))
        self._timers.sort(key=lambda timer: timer.ends)

    def _add(self, timers: list[Timer]) -> None:
        self._timers = sorted([*self._timers, *timers], key=lambda timer: timer.ends)
