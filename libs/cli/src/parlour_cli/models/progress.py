"""Showing how far a pull is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

STEP_PERCENT = 5
QUIET_S = 1.0
"""Seconds between plain lines: what is fast needs none."""

PLAIN_FROM_BYTES = 1_000_000
"""Smaller files come and go without a plain line."""


class Progress(Protocol):
    """Takes the state of one download at a time."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def begin(self, label: str, total: int) -> None:
        """A download of ``total`` bytes starts; it takes the place of the last one."""

    def at(self, done: int) -> None:
        """``done`` bytes of it are here; may go back when it has to start over."""

    def say(self, text: str) -> None:
        """Show a line."""


class PlainProgress:
    """A line whenever another few percent are here."""

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stdout
        self._clock = clock
        self._next = 0.0
        self._label = ""
        self._total = 0
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is left open."""

    def begin(self, label: str, total: int) -> None:
        """See Progress."""
        self._label, self._total, self._shown = label, total, 0
        self._next = self._clock() + QUIET_S

    def at(self, done: int) -> None:
        """See Progress."""
        if self._total < PLAIN_FROM_BYTES:
            return
        percent = min(100, done * 100 // self._total)
        step = percent - percent % STEP_PERCENT
        # Going back means starting over: its percents are shown again.
        self._shown = min(self._shown, step)
        if step > self._shown and self._clock() >= self._next:
            self.say(f"{self._label}: {step} % of {megabytes(self._total)}")
            self._shown, self._next = step, self._clock() + QUIET_S

    def say(self, text: str) -> None:
        """See Progress."""
        print(text, file=self._stream, flush=True)


class BarProgress:
    """A bar with speed and remaining time."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def begin(self, label: str, total: int) -> None:
        """See Progress."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(label, total=total)

    def at(self, done: int) -> None:
        """See Progress."""
        if self._task is not None:
            self._bars.update(self._task, completed=done)

    def say(self, text: str) -> None:
        """See Progress."""
        self._bars.console.print(text, markup=False, highlight=False)


def make_progress() -> Progress:
    """The progress display that fits where standard output goes."""
    console = Console()
    return BarProgress(console) if console.is_terminal else PlainProgress()


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
