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


class NotLoadedError(SttError):
    """Work came while no model is loaded."""

    code = "NOT_LOADED"
    retryable = True
    hint = "The worker's health says what is missing."


class LanguageError(SttError):
    """The model does not know the language of the turn."""

    code = "STT_LANGUAGE"
    hint = "Set language to one that the model knows, or whisper_model to a multilingual one."


class ServerError(SttError):
    """The recogniser is a server, and the exchange with it failed."""

    code = "STT_SERVER_ERROR"
    retryable = True
    hint = "See the log of the server at ws_url."


class ServerUnreachableError(ServerError):
    """No connection to the server."""

    code = "STT_SERVER_UNREACHABLE"
    hint = "Check ws_url, and that the server runs."


class ServerSilentError(ServerError):
    """The server took the sound and gave no answer in time."""

    code = "STT_SERVER_SILENT"


class ServerProtocolError(ServerError):
    """What the server says is not what the protocol promises."""

    code = "STT_SERVER_PROTOCOL"
    hint = "ws_url must name a server that speaks the protocol of vosk-server."


class NotUnderstoodError(SttError):
    """A clip whose words are known was not understood."""

    code = "STT_DEAF"
    hint = "Verify the model with parlour models verify, or choose a larger one."


class CrashedError(SttError):
    """A recogniser failed in a way that nobody foresaw."""

    code = "STT_CRASHED"
    retryable = True
    hint = "See the log of stt-worker."
