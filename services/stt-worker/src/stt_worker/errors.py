"""What can go wrong with hearing."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class SttError(ParlourError):
    """The root of this package's errors; no message of it holds what was said."""

    code = "STT_FAILED"


class EngineMissingError(SttError):
    """The library of the recogniser is not installed."""

    code = "ENGINE_MISSING"
    hint = "Install stt-worker with its dependencies: make setup"


class ModelBrokenError(SttError):
    """The files of the model are there but cannot be used."""

    code = "MODEL_BROKEN"
    hint = "Verify the model with: parlour models verify"


class BackendUnsupportedError(SttError):
    """The configuration asks for a recogniser that this worker does not have."""

    code = "STT_BACKEND"
    hint = "Set stt_backend to whisper."


class NotLoadedError(SttError):
    """Work came while no model is loaded."""

    code = "NOT_LOADED"
    retryable = True
    hint = "The worker's health says what is missing."


class LanguageError(SttError):
    """The model does not know the language of the turn."""

    code = "STT_LANGUAGE"
    hint = "Set language to one that the model knows, or whisper_model to a multilingual one."
