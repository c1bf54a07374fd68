"""A recogniser behind a WebSocket, in the protocol of vosk-server.

    ▶ {"config": {"sample_rate": N, …}}   once
    ▶ PCM16, little-endian, mono, N Hz    a quarter of a second each
    ▶ {"eof" : 1}                         the end
    ◀ {"partial": …} or {"text": …, "result": [{"word", "conf", "start", "end"}]}

The server answers each piece of sound, and with the last answer it closes. Others answer less
often and only close; both ways end an exchange. One connection a clip: a server that restarts
or moves costs no more than the clip that it had. What it sends is bounded and never trusted,
and all of it must be over in time, because a person waits.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from typing import Any

import numpy as np
from parlour_audio.frames import Samples, to_pcm16
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidURI,
    WebSocketException,
)

from stt_worker.engine import Options, Piece, Recognition
from stt_worker.errors import (
    ServerError,
    ServerProtocolError,
    ServerSilentError,
    ServerUnreachableError,
)

CONNECT_S = 5.0
ANSWER_S = 10.0
"""Time for the answer, on top of the length of the clip."""

GOODBYE_S = 0.1
"""Most servers have closed by then; a person waits for what is known already."""

CHUNK_S = 0.25
WARM_UP_S = 0.1
MAX_MESSAGE = 256 * 1024
MAX_TEXT = 50_000
"""Characters of all answers together; a transcript carries no more."""

EOF = '{"eof" : 1}'
"""To the letter: vosk-server compares the text, it does not parse it."""

UNRATED = 0.6
"""The confidence of words that come without one: below what the server itself calls sure."""

_LEAST = 1e-4

# Its debug lines hold what was said.
_SILENT = logging.getLogger("stt_worker.websockets")
_SILENT.setLevel(logging.CRITICAL)


class _Connect(connect):
    """A connection to the configured server and no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none: the address is a decision of the household."""
        return exc


class WsEngine:
    """An :class:`~stt_worker.engine.Engine` whose model is elsewhere.

    Args:
        url: ``ws://`` or ``wss://``; a user and password in it are sent to the server.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def warm_up(self, options: Options) -> None:
        """Have a moment of silence recognised: then the server is there and speaks the protocol.

        Raises:
            ServerError: it is not, or does not.
        """
        self.transcribe(np.zeros(round(WARM_UP_S * options.sample_rate) + 1, np.float32), options)

    def transcribe(self, samples: Samples, options: Options) -> Recognition:
        """Have one clip recognised.

        Raises:
            ServerError: the server is away, silent or talks nonsense.
        """
        if len(samples) == 0:
            return Recognition()
        return asyncio.run(self._recognise(samples, options.sample_rate))

    async def _recognise(self, samples: Samples, rate: int) -> Recognition:
        seconds = len(samples) / rate
        try:
            async with asyncio.timeout(ANSWER_S + seconds):
                link = await self._connected()
                try:
                    pieces = await _exchange(link, samples, rate)
                    await link.close()
                finally:
                    link.transport.abort()  # a goodbye would block where the sound did
                return Recognition(tuple(pieces))
        except TimeoutError:
            raise ServerSilentError("the recogniser's server gave no answer in time") from None
        except WebSocketException as error:
            raise ServerError(f"the exchange broke off ({type(error).__name__})") from None

    async def _connected(self) -> ClientConnection:
        """A connection; the texts of errors are dropped, they may hold the address."""
        try:
            return await _Connect(
                self._url,
                compression=None,
                user_agent_header=None,
                proxy=None,  # a proxy of the machine must not hear the household
                open_timeout=CONNECT_S,
                close_timeout=GOODBYE_S,
                ping_interval=None,
                max_size=MAX_MESSAGE,
                logger=_SILENT,
            )
        except (InvalidHandshake, InvalidURI) as error:
            kind = type(error).__name__
            raise ServerProtocolError(f"there is no WebSocket at ws_url ({kind})") from None
        except (OSError, ValueError, TimeoutError) as error:
            kind = type(error).__name__
            raise ServerUnreachableError(f"no connection to the server ({kind})") from None


async def _exchange(link: ClientConnection, samples: Samples, rate: int) -> list[Piece]:
    """Send a clip and collect the answers, both at once: neither side must wait for the other."""
    sound = to_pcm16(samples).astype("<i2", copy=False).tobytes()
    size = max(round(rate * CHUNK_S), 1) * 2
    chunks = [sound[start : start + size] for start in range(0, len(sound), size)]
    config = {"sample_rate": rate, "words": True, "max_alternatives": 0}

    async def send() -> None:
        await link.send(json.dumps({"config": config}))
        for chunk in chunks:
            await link.send(chunk)
        await link.send(EOF)

    sending = asyncio.ensure_future(send())
    try:
        return await _answers(link, len(chunks) + 1, sending)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _answers(link: ClientConnection, most: int, sending: asyncio.Future[None]) -> list[Piece]:
    pieces: list[Piece] = []
    final, room = False, MAX_TEXT
    try:
        for _ in range(most):
            answer = _parsed(await link.recv())
            if "partial" in answer:
                continue
            final = True
            piece = _piece(answer)
            if piece is not None and room > 0:
                pieces.append(piece)
                room -= len(piece.text)
    except ConnectionClosedOK:
        if not sending.done():
            raise ServerError("the server closed before it had heard all") from None
    except ConnectionClosed:
        raise ServerError("the server broke off the connection") from None
    if not final:
        raise ServerProtocolError("the server ended without a result")
    return pieces


def _parsed(message: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ServerProtocolError("the server's answers are no JSON objects")
    return value


def _piece(answer: dict[str, Any]) -> Piece | None:
    """The words of a result; None when there are none.

    A server that was started with alternatives ignores the wish for none: its first one counts.
    """
    alternatives = answer.get("alternatives")
    if isinstance(alternatives, list) and alternatives and isinstance(alternatives[0], dict):
        answer = alternatives[0]
    text = answer.get("text")
    if not isinstance(text, str) or not text.strip():
        return None
    result = answer.get("result")
    words = [w for w in result if isinstance(w, dict)] if isinstance(result, list) else []
    starts, ends = _numbers(words, "start"), _numbers(words, "end")
    sure = _numbers(words, "conf") or [UNRATED]
    logprob = sum(math.log(min(max(c, _LEAST), 1.0)) for c in sure) / len(sure)
    return Piece(
        " " + text.strip()[:MAX_TEXT],
        starts[0] if starts else 0.0,
        ends[-1] if ends else 0.0,
        logprob,
        0.0,  # the server speaks only of speech
    )


def _numbers(words: list[dict[str, Any]], key: str) -> list[float]:
    values = (word.get(key) for word in words)
    return [
        float(v)
        for v in values
        if isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1e6
    ]
