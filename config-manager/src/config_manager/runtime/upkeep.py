"""What has to be done now and then, beside leading: each at its own pace, none stops another."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from parlour_kit.clock import Clock
from parlour_kit.errors import ParlourError

MIN_FREE_BYTES = 64 * 1_048_576
MIN_FREE_SHARE = 0.05


class Upkeep:
    """Runs chores for ever."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger("parlour.upkeep")

    def every(
        self, seconds: float, name: str, chore: Callable[[], Awaitable[object]], *, first: float
    ) -> None:
        """Do something every so many seconds, beginning after ``first``."""
        self._tasks.append(
            asyncio.get_running_loop().create_task(
                self._for_ever(seconds, name, chore, first), name=name
            )
        )

    async def stop(self) -> None:
        """Do nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _for_ever(
        self, seconds: float, name: str, chore: Callable[[], Awaitable[object]], first: float
    ) -> None:
        await self._clock.sleep(first)
        while True:
            try:
                await chore()
            except ParlourError as error:
                self._log.warning("put off", chore=name, code=error.code, reason=str(error))
            except Exception as error:  # noqa: BLE001  # the next time may go well
                self._log.error("failed", chore=name, kind=type(error).__name__)
                self._log.debug("failed", chore=name, exc_info=error)
            await self._clock.sleep(seconds)


def disk_is_low(folder: Path) -> bool:
    """Whether little room is left where the database lies."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return False
    return usage.free < MIN_FREE_BYTES or usage.free < usage.total * MIN_FREE_SHARE
