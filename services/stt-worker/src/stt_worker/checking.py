"""Shows that the recogniser hears, by having it understand a clip whose words are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files

from parlour_audio.frames import Samples, to_float
from parlour_audio.wav import read_wav
from parlour_contracts.config import STTWorkerConfig
from parlour_kit.clock import Clock
from parlour_kit.errors import ParlourError
from parlour_kit.probes.checks import Check, Evidence, GaveWayError, Look, WorkLog
from parlour_kit.probes.checkup import known_check

from stt_worker.ears import Ears
from stt_worker.engine import Options
from stt_worker.errors import CrashedError, NotLoadedError, NotUnderstoodError

WORDS = ("never", "surpassed")
"""Of "has never been surpassed", which a woman says in ``known.wav``: LJ001-0008 of the LJ Speech
recordings, which are in the public domain, at 16 kHz."""

CRASH_S = 60.0
"""So long the ears do not count as well after a recogniser has crashed (H031)."""


class ClipCheck:
    """The checks of stt-worker's ears: ``model`` and ``audio``.

    Args:
        ears: whose current recogniser is checked.
        clock: of the process.
        config: the settings of this moment.
        busy: whether a turn is heard, or none may be begun.
        computing: whether a turn is with the recogniser.
    """

    def __init__(
        self,
        ears: Ears,
        clock: Clock,
        config: Callable[[], STTWorkerConfig],
        busy: Callable[[], bool],
        computing: Callable[[], bool],
    ) -> None:
        self._ears = ears
        self._clock = clock
        self._config = config
        self._busy = busy
        self._computing = computing
        self._work = WorkLog(clock)
        self._crash: Evidence | None = None
        ears.told = self._told

    @property
    def checks(self) -> list[Check]:
        """As the process runs them."""
        return [
            Check("model", self._run, component="audio", look=self._look),
            known_check("audio", self._crashed, component="audio"),
        ]

    def _told(self, error: Exception | None) -> None:
        if error is None or isinstance(error, ParlourError):
            self._work.note(error)
        else:
            self._crash = Evidence(self._clock.monotonic())

    def _crashed(self) -> ParlourError | None:
        if self._crash is None or self._clock.monotonic() - self._crash.at >= CRASH_S:
            return None
        return CrashedError("a recogniser has crashed")

    def _look(self) -> Look:
        trouble = self._ears.trouble
        if trouble is None and not self._ears.loaded:
            trouble = NotLoadedError("no recogniser is loaded")
        elsewhere = self._config().stt_backend == "ws"
        return Look(trouble, self._busy(), self._computing(), self._work.last, elsewhere)

    async def _run(self) -> None:
        recogniser, config = self._ears.current, self._config()
        if recogniser is None or self._busy():
            raise GaveWayError("there is work")
        options = replace(Options.of(config, config.language, quick=True), beam_size=1)
        try:
            heard = await recogniser.transcribe(known_clip(), options)
        except ParlourError:
            if recogniser is self._ears.current:
                raise
        if recogniser is not self._ears.current:
            raise GaveWayError("another recogniser took its place")
        # Whoever listens for another language makes something else of it, or nothing.
        if config.language.startswith("en-") and not any(w in heard.text.lower() for w in WORDS):
            raise NotUnderstoodError("the known clip was not understood")


@cache
def known_clip() -> Samples:
    """Mono, 16 kHz, in ±1.0; about two seconds."""
    return to_float(read_wav(files("stt_worker").joinpath("known.wav").read_bytes()).mono())
