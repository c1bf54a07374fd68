"""An event loop whose time jumps: when nothing can run, the clock moves to the next timer.

Thirty seconds of conversation take microseconds, and always the same way. Threads and sockets
work (the loop still polls them) but time does not wait for them unless they are waited for
with :func:`real_work`.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that never waits for time: it tells the loop to jump instead."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.loop.real:
            return list(super().select(timeout))
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.loop.outside_work:
            return list(super().select(0.01 if self.loop.outside_work else 5.0))
        self.loop.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own, starting at 1000 s."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._now = 1000.0
        self._since = 0.0
        self.outside_work = 0
        self.real = False
        self._scheduled: list[asyncio.TimerHandle]
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds; real ones after :meth:`become_real`."""
        return time.monotonic() - self._since if self.real else self._now

    def become_real(self) -> None:
        """Go on in real time: the test is about to meet something with a clock of its own."""
        if not self.real:
            self._since = time.monotonic() - self._now
            self.real = True

    def jump(self, seconds: float) -> None:
        """Move the clock, to the next timer exactly: the sum may fall a hair short of it."""
        self._now += seconds
        due: float | None = min((timer.when() for timer in self._scheduled[:1]), default=None)
        if due is not None and 0 < due - self._now < 1e-6:
            self._now = due

    def run_in_executor(  # type: ignore[override]  # the stub's type variables are its own
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """Run in a thread; the clock stands still until it is done."""
        self.outside_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _future: object) -> None:
        self.outside_work -= 1


@contextmanager
def real_work() -> Iterator[None]:
    """Let the clock stand still while a thread of our own does something."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.outside_work += 1
    try:
        yield
    finally:
        loop.outside_work -= 1
