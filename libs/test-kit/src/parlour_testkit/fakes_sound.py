"""PortAudio's Python library without a sound card: a module to be put in its place."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

Callback = Callable[[bytes, bytearray, int, Any, Any], None]


class PortAudioError(Exception):
    """What the library raises."""


class FakeStream:
    """A stream of both directions; a test lets time pass in it.

    Attributes:
        options: what it was opened with.
        running: whether it was started and not closed.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.running = False
        self._callback: Callback = options["callback"]

    def start(self) -> None:
        """Begin."""
        self.running = True

    def close(self) -> None:
        """End."""
        self.running = False

    def exchange(self, captured: bytes) -> bytes:
        """One block of the microphone for one of the loudspeaker: PCM16."""
        played = bytearray(2 * self.options["blocksize"])
        self._callback(captured, played, self.options["blocksize"], None, None)
        return bytes(played)


class FakeSoundDevice(ModuleType):
    """The module ``sounddevice``.

    Attributes:
        streams: what was opened.
        refuses: why nothing can be opened; None: it can.
    """

    PortAudioError: Final = PortAudioError

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.streams: list[FakeStream] = []
        self.refuses: Exception | None = None

    def RawStream(self, **options: Any) -> FakeStream:  # noqa: N802  # the library's name
        """Open a stream."""
        if self.refuses is not None:
            raise self.refuses
        stream = FakeStream(options)
        self.streams.append(stream)
        return stream
