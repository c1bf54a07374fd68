"""Time, injected: durations are monotonic, wall time is for display."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a component gets its time."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; for durations."""
        ...

    def wall(self) -> datetime:
        """Aware UTC; for display and logs alone."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class LoopClock:
    """The running event loop's time: real on a real loop, virtual on a virtual one."""

    def monotonic(self) -> float:
        """Seconds of the running loop."""
        return asyncio.get_running_loop().time()

    def wall(self) -> datetime:
        """Now, aware UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running loop."""
        await asyncio.sleep(seconds)


def utc_text(moment: datetime) -> str:
    """ISO 8601 with six decimals and ``Z`` (X8).

    Raises:
        ValueError: the moment is naive.
    """
    if moment.tzinfo is None:
        raise ValueError("a naive time has no place here")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
