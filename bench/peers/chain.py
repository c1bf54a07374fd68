"""The chain that a home uses today, asked one question: microphone to loudspeaker.

What Home Assistant's Assist pipeline does between a satellite and its add-ons, without Home
Assistant's own cost (its event loop, its web socket, its conversion of the sound by ffmpeg), so
the chain is measured at its best:

1. The microphone is streamed in real time into wyoming-faster-whisper (`transcribe`,
   `audio-start`, `audio-chunk`…) while Silero's VAD watches it; after 0.7 s of silence (see
   `bench.endpoint`) comes `audio-stop`, and then `transcript`. Each turn is a new connection.
2. The text goes with the system prompt to llama.cpp's OpenAI server as a streamed completion.
3. Once more than 60 characters have come, or the answer is whole, the text is streamed into
   wyoming-piper: `synthesize-start`, a `synthesize-chunk` with everything so far, one more for
   each delta, the whole text as `synthesize` (which a streaming server ignores) and
   `synthesize-stop`. wyoming-piper cuts it with sentence-stream and sends each sentence's sound
   when that sentence is complete. The same cutter runs here beside it, only to know when the
   first sentence had been sent.
4. The loudspeaker starts with the first chunk; see `bench.measure.first_audible`.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from parlour_audio.frames import to_float
from parlour_audio.vad import VAD_RATE, SileroVad, WindowedVad
from sentence_stream import SentenceBoundaryDetector

from bench.endpoint import Endpointer, Rule
from bench.measure import first_audible, from_stamps
from bench.peers.openai import stream_chat
from bench.peers.wire import Connection, Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.clips import Clip
    from bench.peers.servers import Ports

FRAME: Final = 320
"""Samples in one microphone frame: 20 ms at 16 kHz."""

STREAM_CHARS: Final = 60
"""Home Assistant's STREAM_RESPONSE_CHARS."""

_FORMAT: Final = {"rate": VAD_RATE, "width": 2, "channels": 1}


@dataclass(frozen=True)
class Prompt:
    """What both sides ask the language model with."""

    system: str
    max_tokens: int
    temperature: float

    def body(self, text: str) -> dict[str, Any]:
        """The request for one question."""
        return {
            "messages": [
                {"role": "system", "content": self.system},
                {"role": "user", "content": text},
            ],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            # The server's own default is 1.1; the library, and so Parlour, uses none.
            "repeat_penalty": 1.0,
        }


@dataclass(frozen=True)
class Answer:
    """What came of one question; ``endpoint_ms`` is from the end of speech to `audio-stop`."""

    transcript: str
    reply: str
    timings: dict[str, float]
    endpoint_ms: float


class Chain:
    """The three servers, used as one assistant."""

    def __init__(self, ports: Ports, prompt: Prompt, rule: Rule) -> None:
        self._ports = ports
        self._prompt = prompt
        self._rule = rule

    async def ask(self, clip: Clip, timeout_s: float = 90.0) -> Answer:
        """Ask one recording.

        Raises:
            TimeoutError: no answer in time.
            ConnectionError: a server failed.
            RuntimeError: nothing was understood, said or audible.
        """
        async with asyncio.timeout(timeout_s):
            began = time.monotonic()
            transcript, final, stopped = await self._listen(clip, began)
            if not transcript:
                raise RuntimeError("nothing was understood")
            voice = _Voice(self._ports.tts)
            try:
                first_token: float | None = None
                async for arrived, delta in stream_chat(
                    self._ports.llm, self._prompt.body(transcript)
                ):
                    first_token = first_token or arrived
                    await voice.feed(delta)
                if first_token is None:
                    raise RuntimeError("the language model said nothing")
                await voice.finish()
            finally:
                await voice.close()
            audio = first_audible(voice.chunks, voice.rate)
            if audio is None:
                raise RuntimeError("the answer cannot be heard")
        # As `parlour ask` counts it: when the frame with the last sample of speech was sent.
        speech_end = (
            began + math.ceil(clip.speech_end_ms * VAD_RATE / 1000 / FRAME) * FRAME / VAD_RATE
        )
        timings = from_stamps(speech_end, final, first_token, voice.first_sentence, audio)
        return Answer(transcript, voice.text, timings, round((stopped - speech_end) * 1000, 1))

    async def _listen(self, clip: Clip, began: float) -> tuple[str, float, float]:
        """``(transcript, when it came, when the end of speech was decided)``."""
        async with await Connection.open(self._ports.stt) as stt:
            await stt.send(Event("transcribe", {"language": "en"}))
            await stt.send(Event("audio-start", dict(_FORMAT)))
            stopped = await self._record(clip, began, stt.send)
            await stt.send(Event("audio-stop"))
            while True:
                event = await stt.receive()
                if event.type == "transcript":
                    return str(event.data["text"]).strip(), time.monotonic(), stopped

    async def _record(
        self, clip: Clip, began: float, send: Callable[[Event], Awaitable[None]]
    ) -> float:
        """Stream the clip, then silence, in real time until the command is over."""
        vad = WindowedVad(SileroVad())
        ears = Endpointer(self._rule)
        silence = np.zeros(FRAME, dtype=np.int16)
        position = 0
        while True:
            frame = clip.pcm[position : position + FRAME]
            frame = np.concatenate((frame, silence[len(frame) :]))
            position += FRAME
            # A frame exists when its last sample has been recorded.
            await asyncio.sleep(max(0.0, began + position / VAD_RATE - time.monotonic()))
            await send(Event("audio-chunk", dict(_FORMAT), frame.tobytes()))
            for probability, start_ms, end_ms in vad.push(to_float(frame)):
                if ears.push((end_ms - start_ms) / 1000, probability):
                    if ears.timed_out:
                        raise RuntimeError(f"no end of speech found in {ears.timeout_s:g} s")
                    return time.monotonic()


class _Voice:
    """The answer's way through wyoming-piper."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cutter = SentenceBoundaryDetector()
        self._connection: Connection | None = None
        self._hearing: asyncio.Task[None] | None = None
        self.text = ""
        self.rate = 22_050
        self.chunks: list[tuple[float, list[int]]] = []
        self.first_sentence = 0.0

    async def feed(self, delta: str) -> None:
        """One more piece of the answer."""
        self.text += delta
        if self._connection is not None:
            await self._say(delta)
        elif len(self.text) > STREAM_CHARS:
            await self._begin()

    async def finish(self) -> None:
        """The answer is whole: wait for the end of its sound."""
        if self._connection is None:
            await self._begin()
        assert self._connection is not None
        assert self._hearing is not None
        await self._connection.send(Event("synthesize", {"text": self.text}))
        self.first_sentence = self.first_sentence or time.monotonic()
        await self._connection.send(Event("synthesize-stop"))
        await self._hearing

    async def close(self) -> None:
        """Hang up."""
        if self._hearing is not None:
            self._hearing.cancel()
        if self._connection is not None:
            await self._connection.close()

    async def _begin(self) -> None:
        self._connection = await Connection.open(self._port)
        self._hearing = asyncio.create_task(self._hear(self._connection))
        await self._connection.send(Event("synthesize-start"))
        await self._say(self.text)

    async def _say(self, text: str) -> None:
        assert self._connection is not None
        if any(self._cutter.add_chunk(text)):
            self.first_sentence = self.first_sentence or time.monotonic()
        await self._connection.send(Event("synthesize-chunk", {"text": text}))

    async def _hear(self, connection: Connection) -> None:
        while (event := await connection.receive()).type != "synthesize-stopped":
            if event.type == "audio-chunk":
                self.rate = int(event.data["rate"])
                samples = np.frombuffer(event.payload, dtype="<i2")
                self.chunks.append((time.monotonic(), samples.tolist()))
