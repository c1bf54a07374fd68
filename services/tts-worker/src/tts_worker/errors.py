"""What can go wrong with a voice."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class TtsError(ParlourError):
    """The root of this package's errors."""

    code = "TTS_FAILED"


class EngineMissingError(TtsError):
    """The library of the engine is not installed."""

    code = "ENGINE_MISSING"
    hint = "Install tts-worker with its dependencies: make setup"


class VoiceMissingError(TtsError):
    """No voice could be loaded so far."""

    code = "VOICE_MISSING"
    hint = "Install the voice with parlour models pull, or choose another one."


class VoiceBrokenError(TtsError):
    """The files of the voice are there but cannot be used."""

    code = "VOICE_BROKEN"
    hint = "Verify the voice with: parlour models verify"


class VoiceUnavailableError(TtsError):
    """A request names a voice that this worker has not loaded."""

    code = "VOICE_UNAVAILABLE"
    hint = "Leave the voice out of the request or set piper_voice."


class SynthesisError(TtsError):
    """The engine failed on a sentence."""

    code = "SYNTHESIS_FAILED"
    retryable = True


class SynthesisTimeoutError(TtsError):
    """The engine made no sound for too long (V057)."""

    code = "SYNTHESIS_TIMEOUT"
    retryable = True
    hint = "The machine may be overloaded; look at its load and temperature."


class QueueFullError(TtsError):
    """More sentences wait than this worker will hold."""

    code = "QUEUE_FULL"
    retryable = True
    hint = "Send less at a time, or run another tts-worker."


class StoppingError(TtsError):
    """The worker ends before it could speak."""

    code = "STOPPING"
    retryable = True
    hint = "Ask again; another worker, or this one after its start, will speak."
