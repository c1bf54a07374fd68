"""Reads a stream of server-sent events. Pure: bytes in, the data of events out."""

from __future__ import annotations

MAX_LINE = 65_536
MAX_EVENT = 262_144


class SseError(ValueError):
    """A line or an event is longer than any honest server sends."""


class SseReader:
    """Splits bytes into events; whatever the bytes are, memory is bounded.

    Raises (from :meth:`feed`):
        SseError: a line exceeds ``MAX_LINE`` or an event ``MAX_EVENT`` bytes.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._after_cr = False
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """The data of each event that this chunk completes, in order."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        events = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) > MAX_LINE:
            raise SseError("a line is too long")
        return events

    def _line(self, line: bytes) -> str | None:
        if len(line) > MAX_LINE:
            raise SseError("a line is too long")
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data).decode("utf-8", "replace") if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._size += len(value) + 1
            if self._size > MAX_EVENT:
                raise SseError("an event is too long")
            self._data.append(value)
        return None
