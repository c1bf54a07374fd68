"""One sentence: from its text to the last frame of its sound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.tts import TtsRequest, Word
from parlour_kit.clock import Clock

from tts_worker import gain
from tts_worker.engine import CancelToken, Engine, Synthesis
from tts_worker.errors import SynthesisTimeoutError
from tts_worker.framing import Framer, OutFrame

SILENCE_LIMIT_S = 30.0
"""How long the engine may take for one piece (V057)."""

SendFrame = Callable[[OutFrame], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence whose audio is out. Times in milliseconds from when it was taken."""

    words: list[Word]
    words_estimated: bool
    duration_ms: float
    first_audio_ms: float
    total_ms: float
    next_frame: int


class SentenceSession:
    """Speaks one sentence; :meth:`stop` ends it, and no frame is sent from then on.

    Args:
        request: what was asked for.
        text: its speakable text; empty for a sentence that is only an end.
        engine: the voice.
        send: publishes a frame, and returns when the next may follow.
        clock: for durations.
        config: the settings as they are now; asked again for each piece.
        first_frame: the number of its first frame in the utterance.
    """

    def __init__(
        self,
        request: TtsRequest,
        text: str,
        engine: Engine,
        send: SendFrame,
        clock: Clock,
        config: Callable[[], TTSWorkerConfig],
        first_frame: int,
    ) -> None:
        self.request = request
        self.stopped = False
        self._text = text
        self._engine = engine
        self._send = send
        self._clock = clock
        self._config = config
        self._token = CancelToken()
        self._taken = clock.monotonic()
        self._first_audio_ms: float | None = None
        self._words: list[Word] = []
        self._words_estimated = False
        self._framer = Framer(
            rate=engine.rate,
            sentence=request.seq,
            last=request.last,
            first_seq=first_frame,
            small=config().tts_streaming,
        )

    def stop(self) -> None:
        """Be silent at once and let the engine go."""
        self.stopped = True
        self._token.cancel()

    async def run(self) -> Spoken | None:
        """Speak; None when it was stopped.

        Raises:
            SynthesisTimeoutError: the engine made nothing for :data:`SILENCE_LIMIT_S`.
            ParlourError: the engine failed, or the broker is away.
        """
        if self._text:
            await self._synthesize()
        await self._send_all(self._framer.finish())
        if self.stopped:
            return None
        return Spoken(
            words=self._words,
            words_estimated=self._words_estimated,
            duration_ms=self._framer.duration_ms,
            first_audio_ms=self._first_audio_ms or 0.0,
            total_ms=self._elapsed_ms(),
            next_frame=self._framer.next_seq,
        )

    async def _synthesize(self) -> None:
        speed = self.request.speed or self._config().speed
        order = Synthesis(self._text, speed, self.request.voice)
        async with aclosing(self._engine.synthesize(order, self._token)) as pieces:
            while not self.stopped:
                try:
                    async with asyncio.timeout(SILENCE_LIMIT_S):
                        piece = await anext(pieces, None)
                except TimeoutError as error:
                    self._token.cancel()
                    raise SynthesisTimeoutError(f"no sound for {SILENCE_LIMIT_S:.0f} s") from error
                if piece is None:
                    return
                self._words.extend(piece.words)
                self._words_estimated |= piece.words_estimated
                factor = gain.factor(self._config().volume_percent, self.request.volume)
                await self._send_all(self._framer.push(gain.to_pcm16(piece.samples, factor)))

    async def _send_all(self, frames: Iterable[OutFrame]) -> None:
        for frame in frames:
            if self.stopped:
                return
            await self._send(frame)
            if self._first_audio_ms is None and frame.payload:
                self._first_audio_ms = self._elapsed_ms()

    def _elapsed_ms(self) -> float:
        return (self._clock.monotonic() - self._taken) * 1000
