"""How settings change while a process runs: two phases, of which only the first may fail."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

Outcome = Literal["applied", "pending_restart"]
"""What became of a change: it counts now, or from the next start on."""

Step = Callable[[], Awaitable[Outcome | None] | Outcome | None]


class Switch(Protocol):
    """New settings that stand ready: exactly one of the two is called, once."""

    async def commit(self) -> Outcome:
        """Take them; must not fail. Work that runs ends as it began, new work is done anew."""
        ...

    async def discard(self) -> None:
        """Let go of what was prepared; nothing has changed."""
        ...


class _Steps:
    def __init__(self, commit: Step, discard: Step | None) -> None:
        self._commit = commit
        self._discard = discard

    async def commit(self) -> Outcome:
        return await _done(self._commit()) or "applied"

    async def discard(self) -> None:
        if self._discard is not None:
            await _done(self._discard())


async def _done(result: Awaitable[Outcome | None] | Outcome | None) -> Outcome | None:
    if inspect.isawaitable(result):
        return await result
    return result


def switch_of(commit: Step, discard: Step | None = None) -> Switch:
    """A switch of plain functions or coroutine functions.

    Args:
        commit: what makes the change; its result is the outcome, ``applied`` when it has none.
        discard: what frees the prepared parts when the change does not come.
    """
    return _Steps(commit, discard)
