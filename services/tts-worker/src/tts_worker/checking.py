"""Shows that the voice speaks, by having it say a word that nobody hears (H033)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import numpy as np
from parlour_kit.clock import Clock
from parlour_kit.errors import ParlourError
from parlour_kit.probes.checks import TTS_S, Check, GaveWayError, Look, WorkLog

from tts_worker.engine import CancelToken, Synthesis
from tts_worker.errors import SynthesisError, SynthesisTimeoutError, VoiceMissingError
from tts_worker.voices import Voices

WORD = "Okay."


class VoiceCheck:
    """The check of tts-worker's voice.

    Args:
        voices: whose current voice is checked.
        clock: of the process.
        busy: whether a sentence waits or is spoken, or none may be begun.
        computing: whether a sentence is spoken.
    """

    def __init__(
        self,
        voices: Voices,
        clock: Clock,
        busy: Callable[[], bool],
        computing: Callable[[], bool],
    ) -> None:
        self._voices = voices
        self._busy = busy
        self._computing = computing
        self._work = WorkLog(clock)
        self._cancel: CancelToken | None = None

    @property
    def check(self) -> Check:
        """As the process runs it."""
        return Check("model", self._run, component="tts", limit_s=TTS_S, look=self._look)

    def spoke(self, error: ParlourError | None = None) -> None:
        """A sentence was spoken, or could not be; that it could not be sent is not the voice's."""
        if error is None or isinstance(error, SynthesisError | SynthesisTimeoutError):
            self._work.note(error)

    def give_way(self) -> None:
        """Stop a check that runs: there is work, which the voice takes in order."""
        if self._cancel is not None:
            self._cancel.cancel()

    def _look(self) -> Look:
        trouble = None if self._voices.ready else VoiceMissingError("no voice is loaded")
        return Look(trouble, self._busy(), self._computing(), self._work.last)

    async def _run(self) -> None:
        engine = self._voices.current
        if engine is None or self._busy():
            raise GaveWayError("there is work")
        cancel = self._cancel = CancelToken()
        heard = False
        try:
            async with aclosing(engine.synthesize(Synthesis(WORD), cancel)) as pieces:
                async for piece in pieces:
                    heard = heard or bool(np.any(piece.samples))
        except ParlourError:
            if engine is self._voices.current:
                raise
        finally:
            self._cancel = None
        if cancel.cancelled or engine is not self._voices.current:
            raise GaveWayError("there is work")
        if not heard:
            raise SynthesisError("the voice is silent")
