"""What a microphone with a loudspeaker is to the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from parlour_audio.frames import Samples

Exchange = Callable[[Samples], Samples]
"""A window of the microphone (512 samples at 16 kHz) in; 32 ms for the loudspeaker out."""


class Device(Protocol):
    """Captures and plays in step."""

    @property
    def rate(self) -> int:
        """Of the loudspeaker, in Hz."""
        ...

    @property
    def latency_s(self) -> float:
        """From the handing of samples to the moment in which the last of them is heard."""
        ...

    async def run(self, exchange: Exchange) -> None:
        """Exchange windows until cancelled.

        Raises:
            DeviceError: there is no such device, or it stopped.
        """
        ...

    def hush(self) -> None:
        """Drop what was handed over and is not heard yet."""
        ...
