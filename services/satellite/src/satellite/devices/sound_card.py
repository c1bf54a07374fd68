"""A real microphone and a real loudspeaker, through PortAudio."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

import numpy as np
from parlour_audio import StreamResampler
from parlour_audio.frames import Samples, pcm16_from_bytes, pcm16_to_bytes, to_float, to_pcm16

from satellite.devices.device import Exchange
from satellite.errors import DeviceError, DeviceStalledError, SoundMissingError
from satellite.windows import RATE, WINDOW, WINDOW_S

CUSHION: Final = 2
"""Windows that wait for the loudspeaker, so that a pause of this process is not heard."""

DEVICE_S: Final = 0.04
"""What the sound card and its driver keep besides, about."""

STALL_S: Final = 3.0
"""So long without sound from the microphone: it is gone, or hangs (R019)."""

MOST_WAITING: Final = 60
"""Windows that wait to be heard; when this process is later than that the oldest are lost."""


class SoundCard:
    """Captures and plays in step, in blocks of 32 ms.

    Args:
        source: microphone, as PortAudio knows it: a number, a part of its name, or None.
        sink: loudspeaker, likewise.
        rate: of both, in Hz: 16000, 24000 or 48000.
    """

    latency_s = (CUSHION + 1) * WINDOW_S + DEVICE_S

    def __init__(self, source: str | None, sink: str | None, rate: int = RATE) -> None:
        self.rate = rate
        self.lost = 0
        self._devices = (_named(source), _named(sink))
        self._block = WINDOW * rate // RATE
        self._silence = bytes(2 * self._block)
        self._playing: deque[bytes] = deque()

    async def run(self, exchange: Exchange) -> None:
        """Exchange windows until cancelled.

        Raises:
            SoundMissingError: sounddevice or PortAudio is not installed.
            DeviceError: there is no such device, or it stopped.
        """
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def callback(captured: Any, played: Any, _frames: int, _time: Any, _status: Any) -> None:
            """In a thread of PortAudio's: only hand over and take."""
            try:
                played[:] = self._playing.popleft()
            except IndexError:
                played[:] = self._silence
            loop.call_soon_threadsafe(heard.put_nowait, bytes(captured))

        self._playing.clear()
        self._playing.extend([self._silence] * CUSHION)
        stream = await asyncio.to_thread(self._open, callback)
        try:
            await self._exchange_all(heard, exchange)
        finally:
            await asyncio.to_thread(stream.close)

    def hush(self) -> None:
        """Drop what waits for the loudspeaker; the device itself keeps some ms more."""
        waiting = len(self._playing)
        self._playing.clear()
        self._playing.extend([self._silence] * min(waiting, CUSHION))

    async def _exchange_all(self, heard: asyncio.Queue[bytes], exchange: Exchange) -> None:
        resampler = StreamResampler(self.rate, RATE)
        rest: Samples = np.zeros(0, np.float32)
        while True:
            try:
                async with asyncio.timeout(STALL_S):
                    block = await heard.get()
            except TimeoutError:
                raise DeviceStalledError(
                    f"the microphone was silent for {STALL_S:g} s, not even noise came"
                ) from None
            while heard.qsize() > MOST_WAITING:
                heard.get_nowait()
                self.lost += 1
            sound = resampler.process(to_float(pcm16_from_bytes(block)))
            rest = np.concatenate((rest, sound))
            while len(rest) >= WINDOW:
                window, rest = rest[:WINDOW], rest[WINDOW:]
                self._play(exchange(window))

    def _play(self, samples: Samples) -> None:
        """After a pause of this process more waits than should: silence is left out again."""
        if len(self._playing) >= CUSHION and not samples.any():
            return
        self._playing.append(pcm16_to_bytes(to_pcm16(samples)))

    def _open(self, callback: Any) -> Any:
        try:
            import sounddevice  # noqa: PLC0415  # an extra; needs PortAudio
        except (ImportError, OSError) as error:
            raise SoundMissingError(f"no sound card can be used: {error}") from error
        try:
            stream = sounddevice.RawStream(
                samplerate=self.rate, blocksize=self._block, dtype="int16", channels=1,
                device=self._devices, callback=callback,
            )  # fmt: skip
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(f"the sound card cannot be opened: {error}") from error
        return stream


def _named(device: str | None) -> int | str | None:
    return int(device) if device is not None and device.isdigit() else device
