"""Whether the wall clock may be believed.

Configuration needs no right time: ``issued_at`` is a counter that moves by a microsecond where
nobody knows the hour. A clock that is right lets people read it as a time, and a clock that is
wrong must not send the counter into the future; so it counts only when the kernel says that it
is synchronised and it is not before the day this release was made.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from parlour_config.clock import parse_moment
from parlour_kit.clock import Clock

from config_manager import moments

BUILT = parse_moment(moments.BUILT)
"""No machine that runs this release lives before this day."""

AHEAD_LIMIT_S = 24 * 3600.0
"""A floor further ahead of a trusted clock than this was moved by a mistake or a thief."""

_TIME_ERROR = 5
_STA_UNSYNC = 0x40
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2); only ``modes`` and ``status`` are looked at."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def kernel_synchronised() -> bool:
    """Whether the kernel, or systemd-timesyncd, says that the clock is set by something."""
    if _TIMESYNCD.exists():
        return True
    try:
        timex = _Timex()
        state = _libc().adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return False
    return 0 <= state != _TIME_ERROR and not timex.status & _STA_UNSYNC


class WallClock:
    """The wall clock and whether it may be believed, looked at afresh every time."""

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        synchronised: Callable[[], bool] = kernel_synchronised,
    ) -> None:
        self._now = now
        self._synchronised = synchronised

    def told(self) -> datetime:
        """What it shows, believed or not; aware UTC."""
        return self._now()

    def trusted(self) -> bool:
        """Whether the time may move the counter."""
        return self._now() >= BUILT and self._synchronised()

    def now(self) -> datetime | None:
        """The time, or None while it may not be believed."""
        moment = self._now()
        return moment if moment >= BUILT and self._synchronised() else None


class OneClock:
    """A clock whose wall time is that of a :class:`WallClock`, so that there is one of them."""

    def __init__(self, clock: Clock, wall: WallClock) -> None:
        self._clock = clock
        self._wall = wall

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return self._clock.monotonic()

    def wall(self) -> datetime:
        """What the wall clock shows."""
        return self._wall.told()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._clock.sleep(seconds)
