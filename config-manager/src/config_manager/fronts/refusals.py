"""Refusals for lack of rights, as rows: at most one a second and user, with a count.

A flood of refused requests must not fill the disk, and none may go unseen either: what is not
written at once is counted and written with the next row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from parlour_kit.clock import Clock

from config_manager.refused import log_refusal

EVERY_S = 1.0
NOBODY = "anonymous"
"""Stands for a caller who could not be told from anybody else."""


@dataclass(frozen=True)
class Unauthorized:
    """A row to be written.

    Attributes:
        user: who asked; :data:`NOBODY` without a valid token.
        service: what it was about, or None.
        code: of the answer.
        count: how many of this user this row stands for.
    """

    user: str
    service: str | None
    code: str
    count: int


Write = Callable[[Unauthorized], Awaitable[None]]


@dataclass
class _Pending:
    last: Unauthorized | None = None
    count: int = 0
    timer: asyncio.Task[None] | None = field(default=None, repr=False)


class RefusalLog:
    """Writes the first refusal at once and the others of that second together.

    Errors of ``write`` are the caller's to handle: they end nothing here.
    """

    def __init__(self, clock: Clock, write: Write) -> None:
        self._clock = clock
        self._write = write
        self._pending: dict[str, _Pending] = {}

    async def note(self, user: str, service: str | None, code: str) -> None:
        """A refusal happened."""
        pending = self._pending.get(user)
        if pending is None:
            pending = self._pending[user] = _Pending()
            pending.timer = asyncio.create_task(self._later(user, pending))
            await self._tell(Unauthorized(user, service, code, 1))
            return
        pending.count += 1
        pending.last = Unauthorized(user, service, code, pending.count)

    async def close(self) -> None:
        """Write what is still counted."""
        for user, pending in list(self._pending.items()):
            if pending.timer is not None:
                pending.timer.cancel()
                with suppress(asyncio.CancelledError):
                    await pending.timer
            if pending.last is not None:
                await self._tell(pending.last)
            self._pending.pop(user, None)

    async def _later(self, user: str, pending: _Pending) -> None:
        while True:
            await self._clock.sleep(EVERY_S)
            if pending.last is None:
                self._pending.pop(user, None)
                return
            row, pending.last, pending.count = pending.last, None, 0
            await self._tell(row)

    async def _tell(self, row: Unauthorized) -> None:
        log_refusal(row.user, row.service, row.code, row.count)
        await self._write(row)
