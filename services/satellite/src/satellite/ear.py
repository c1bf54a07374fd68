"""What the microphone's windows mean: the wake word, somebody who speaks, or nothing. Pure.

The rules:

1. Speech counts when it is surer than ``interruption_confidence``, louder than the echo of what
   the loudspeaker plays (`EchoGuard`) and, with ``noise_suppression``, than the room (R013).
2. Somebody speaks when so much of it came together as ``interruption_ms`` says (V041).
3. The detectors hear everything but a microphone that is shut: what is said while another rule
   holds is understood from its beginning once that rule ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from parlour_audio import apply_gain
from parlour_audio.frames import Samples
from parlour_audio.vad import SpeechProbability
from parlour_contracts.config.satellite import SatelliteConfig

from satellite.echo_guard import EchoGuard
from satellite.noise_floor import NoiseFloor
from satellite.speech_run import Run, SpeechRun
from satellite.wake_word import WakeDetector, WakeGate, WakeRules
from satellite.windows import level_db

QUIET: Final = 0.3
"""Below this probability of speech a window tells how loud the room is."""

HUSHED_DB: Final = -60.0
"""What is quieter is not judged while only the wake word counts: an idle room costs little."""


class Attention(Enum):
    """What may be noticed now."""

    SHUT = "shut"
    """Nothing."""
    WAKE = "wake"
    """The wake word."""
    OPEN = "open"
    """The wake word, or somebody who speaks."""
    BUSY = "busy"
    """Nothing new: a turn is being heard."""


@dataclass(frozen=True)
class Woke:
    """The wake word was said; ``confidence`` 0 to 1."""

    word: str
    confidence: float


@dataclass(frozen=True)
class Spoke:
    """Somebody speaks, for long enough to be sure."""

    run: Run


class Ear:
    """Judges the windows of one microphone, in order.

    Args:
        vad: how probable speech is.
        wake: finds the wake word; None: there is none, and only speech opens turns.
        guard: knows what the loudspeaker plays.

    Attributes:
        probability: of speech in the last window.
    """

    def __init__(self, vad: SpeechProbability, wake: WakeDetector | None, guard: EchoGuard) -> None:
        self.probability = 0.0
        self.wake = wake
        self._vad = vad
        self._guard = guard
        self._gate = WakeGate()
        self._noise = NoiseFloor()
        self._run = SpeechRun()
        self._shut = False

    @property
    def suspects(self) -> bool:
        """Whether somebody may be beginning to speak."""
        return self._run.begun

    def window(
        self, number: int, window: Samples, attention: Attention, config: SatelliteConfig,
        now: float,
    ) -> Woke | Spoke | None:  # fmt: skip
        """Judge the next window.

        Args:
            number: of the window, counting without gaps.
            window: 512 samples at 16 kHz.
            attention: what may be noticed.
            config: the settings of now.
            now: seconds of the caller's clock.
        """
        if attention is Attention.SHUT:
            self._shut, self.probability = True, 0.0
            return None
        if self._shut:
            self._reopen()
        idle = attention is Attention.WAKE and level_db(window) < HUSHED_DB
        self.probability = 0.0 if idle else self._vad.probability(window)
        confidence = 0.0
        if self.wake is not None:
            confidence = self.wake.probability(apply_gain(window, config.energy_boost))
        if attention is Attention.BUSY:
            self._run.reset()
            return None
        rules = WakeRules(config.wake_threshold, config.wake_vad, config.wake_retrigger_s)
        if self.wake is not None and self._gate.judge(confidence, self.probability, rules, now):
            self._run.reset()
            return Woke(self.wake.word, min(confidence, 1.0))
        return self._speech(number, window, attention, config)

    def _speech(
        self, number: int, window: Samples, attention: Attention, config: SatelliteConfig
    ) -> Spoke | None:
        level = level_db(window)
        speech = (
            self.probability > config.interruption_confidence
            and self._guard.passes(level, config.echo_margin_db)
            and (self._noise.passes(window) or not config.noise_suppression)
        )
        if not speech:
            self._guard.learn(level)
            if self.probability < QUIET and self._guard.quiet:
                self._noise.learn(window)
        if attention is not Attention.OPEN:
            self._run.reset()
            return None
        run = self._run.push(number, self.probability, speech=speech)
        if run is None or run.speech_ms < config.interruption_ms:
            return None
        self._run.reset()
        return Spoke(run)

    def _reopen(self) -> None:
        """What the detectors heard before the microphone was shut is of another time."""
        self._shut = False
        self._vad.reset()
        self._run.reset()
        if self.wake is not None:
            self.wake.reset()
