"""What a person sees of a running fleet: lines with the name of who says them.

Lines go to standard error through a thread: a reader that stopped reading must not stop the
fleet, so lines that nobody takes are dropped.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading

COLOURS = ("36", "33", "35", "32", "34", "96", "93", "95")
_RESET = "\x1b[0m"
_LEVELS = {"warning": "\x1b[33m", "error": "\x1b[31m"}
_WIDTH = 14
_BACKLOG = 5000


class Console:
    """Prints the fleet's lines."""

    def __init__(self, descriptor: int = 2, *, colour: bool | None = None) -> None:
        self._descriptor = descriptor
        self._colour = os.isatty(descriptor) and "NO_COLOR" not in os.environ
        if colour is not None:
            self._colour = colour
        self._colour_of: dict[str, str] = {}
        self._lines: queue.Queue[bytes | None] = queue.Queue(_BACKLOG)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="console", daemon=True)
        self._thread.start()

    def line(self, name: str, text: str) -> None:
        """A line of a process."""
        shown = f"{name:<{_WIDTH}} |"
        if self._colour:
            number = self._colour_of.setdefault(name, COLOURS[len(self._colour_of) % len(COLOURS)])
            shown = f"\x1b[{number}m{shown}{_RESET}"
        self._put(f"{shown} {text}\n")

    def say(self, text: str, level: str = "info") -> None:
        """A line of our own."""
        start = _LEVELS.get(level, "") if self._colour else ""
        self._put(f"{start}parlour: {text}{_RESET if start else ''}\n")

    def ready(self, text: str) -> None:
        """The one line for programs, on standard output."""
        with contextlib.suppress(BrokenPipeError):
            print(f"parlour: {text}", flush=True)

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is left, as far as somebody takes it."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=timeout_s)
            self._thread.join(timeout_s)

    def _put(self, text: str) -> None:
        try:
            self._lines.put_nowait(text.encode(errors="replace"))
        except queue.Full:
            self._dropped += 1

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._dropped:
                line = f"parlour: {self._dropped} lines were not shown\n".encode() + line
                self._dropped = 0
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except OSError:
                    break  # nobody listens any more; go on emptying the queue
