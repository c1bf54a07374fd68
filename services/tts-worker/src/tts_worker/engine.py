"""What a voice is to the service: text in, pieces of sound and word times out."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.tts import Word

Samples = NDArray[np.float32]
"""Mono sound, one value per sample; full scale is ±1, and a value may exceed it."""


@dataclass(frozen=True, slots=True)
class Synthesis:
    """One sentence to speak.

    ``speed`` is a factor, 1 is the voice's own. ``voice`` is a name from a request: the loaded
    voice, one of its speakers, or None for the default.
    """

    text: str
    speed: float = 1.0
    voice: str | None = None


class Piece(Protocol):
    """A part of a sentence as it becomes ready.

    ``words`` are those whose times became known with this piece, in order, in milliseconds
    from the first sample of the sentence; all pieces together hold one word for each
    whitespace-separated token of the text. A piece may have sound, words or both.
    """

    @property
    def samples(self) -> Samples:
        """The next sound; may be empty."""
        ...

    @property
    def words(self) -> Sequence[Word]:
        """The words whose times are now known."""
        ...

    @property
    def words_estimated(self) -> bool:
        """Whether those times are a guess."""
        ...


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """The plain form of a :class:`Piece`."""

    samples: Samples
    words: tuple[Word, ...] = ()
    words_estimated: bool = False


class CancelToken:
    """Tells a synthesis, from any thread, that nobody wants it any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._callback: Callable[[], None] | None = None

    @property
    def cancelled(self) -> bool:
        """True from the moment of :meth:`cancel` on."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask to stop; idempotent."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callback = self._callback
        if callback is not None:
            callback()

    def watch(self, callback: Callable[[], None] | None) -> None:
        """Have one callback run when the token is cancelled, at once if it is; None clears it.

        The callback runs in the cancelling thread and must be quick.
        """
        with self._lock:
            self._callback = callback
            late = self._cancelled
        if late and callback is not None:
            callback()


class Cancellable(Protocol):
    """The side of a :class:`CancelToken` that an engine reads."""

    @property
    def cancelled(self) -> bool:
        """Whether to stop."""
        ...

    def watch(self, callback: Callable[[], None] | None) -> None:
        """See :meth:`CancelToken.watch`."""
        ...


class Voice(Protocol):
    """A loaded voice that computes where it is called (in a thread of its own)."""

    @property
    def rate(self) -> int:
        """Samples per second."""
        ...

    def synthesize(self, order: Synthesis, cancel: Cancellable) -> Iterator[Piece]:
        """Speak; ends early, without an error, once cancelled.

        Raises:
            VoiceUnavailableError: the order names a voice that is not loaded.
            SynthesisError: the voice failed.
        """
        ...

    def close(self) -> None:
        """Free the voice."""
        ...


class Engine(Protocol):
    """A voice as the service sees it: the same without blocking."""

    @property
    def rate(self) -> int:
        """Samples per second."""
        ...

    def synthesize(self, order: Synthesis, cancel: CancelToken) -> AsyncGenerator[Piece, None]:
        """Speak; see :meth:`Voice.synthesize`."""
        ...

    async def close(self) -> None:
        """Free the voice."""
        ...


EngineFactory = Callable[[TTSWorkerConfig, Path], Engine]
"""Makes the engine from the settings and the data directory; it may block for seconds."""
