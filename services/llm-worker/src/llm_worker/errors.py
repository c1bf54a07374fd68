"""What can go wrong with an answer, one class per cause that a caller tells apart."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class LlmError(ParlourError):
    """The root of llm-worker's errors."""

    code = "LLM_FAILED"


class EngineMissingError(LlmError):
    """The library of the configured engine is not installed."""

    code = "LLM_ENGINE_MISSING"


class ModelLoadError(LlmError):
    """The model file is there but cannot be used."""

    code = "LLM_MODEL_LOAD"


class EngineFailedError(LlmError):
    """The engine broke while computing; the next request may work."""

    code = "LLM_FAILED"
    retryable = True


class ContextTooLongError(LlmError):
    """System prompt and last message do not fit into the context window."""

    code = "CONTEXT_TOO_LONG"
    hint = "raise context_window, or shorten the system prompt or max_tokens"


class QueueFullError(LlmError):
    """Too many requests wait already."""

    code = "QUEUE_FULL"
    retryable = True
    hint = "start a second llm-worker or a smaller model"


class AnswerTimeoutError(LlmError):
    """The answer was not complete in time."""

    code = "LLM_TIMEOUT"
    retryable = True
    hint = "raise timeout_s, lower max_tokens or choose a smaller model"


class StoppingError(LlmError):
    """This worker is going away; another one may answer."""

    code = "WORKER_STOPPING"
    retryable = True


class ServerError(LlmError):
    """The OpenAI-compatible server failed; ``delays`` are the waits before each retry (V052)."""

    code = "LLM_SERVER_ERROR"
    retryable = True
    delays: tuple[float, ...] = (0.0, 0.5, 1.0)


class ServerUnreachableError(ServerError):
    """No connection to the server."""

    code = "LLM_SERVER_UNREACHABLE"
    hint = "check base_url and that the server runs"


class ServerBusyError(ServerError):
    """Status 429: too many requests."""

    code = "LLM_SERVER_BUSY"
    delays = (5.0, 10.0, 20.0)


class ServerUnavailableError(ServerError):
    """Status 503: the server is loading or overloaded."""

    code = "LLM_SERVER_UNAVAILABLE"
    delays = (1.0, 3.0, 5.0)


class ServerSilentError(ServerError):
    """The server took the request and then said nothing for too long."""

    code = "LLM_SERVER_SILENT"
    delays = ()


class ServerRefusedError(ServerError):
    """A status that no retry heals: 401, 403, 404 and other refusals."""

    code = "LLM_SERVER_REFUSED"
    retryable = False
    delays = ()


class ServerProtocolError(ServerError):
    """The server's answer is not the stream that the protocol promises."""

    code = "LLM_SERVER_PROTOCOL"
    delays = ()
    hint = "check that base_url names an OpenAI-compatible server, up to and with /v1"
