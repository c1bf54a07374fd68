"""The errors of Parlour: each carries a stable code and what a person can do about it."""

from __future__ import annotations

from parlour_contracts.messages.llm import WireError


class ParlourError(Exception):
    """The root of every error that Parlour raises on purpose.

    Attributes:
        code: stable, upper case; callers and clients branch on it.
        retryable: whether the same call may succeed later without anybody acting.
        hint: what the operator can do.

    The message never holds speech, prompts or secrets: it is logged and published.
    """

    code: str = "INTERNAL"
    retryable: bool = False
    hint: str = ""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        if hint is not None:
            self.hint = hint

    def wire(self) -> WireError:
        """The form in which a failure travels."""
        return WireError(
            code=self.code,
            message=str(self)[:500],
            retryable=self.retryable,
            hint=self.hint[:500],
        )


class StartupError(ParlourError):
    """A process cannot start as it is configured."""

    code = "STARTUP"


class TooHotError(ParlourError):
    """The machine was too hot to compute this, and did not cool down in time."""

    code = "TOO_HOT"
    retryable = True
    hint = "cool the machine, or run a worker on another one"


class BusError(ParlourError):
    """The broker could not be reached or refused."""

    code = "BUS"
    retryable = True


class NotConnectedError(BusError):
    """There is no connection now; nothing was sent and nothing will be sent later by itself."""

    code = "NOT_CONNECTED"
    hint = "the broker is away; the process reconnects by itself"


class PublishRefusedError(BusError):
    """The broker refused a message (for example by its access list, reason code 135)."""

    code = "PUBLISH_REFUSED"
    retryable = False
    hint = "check the broker's access list for this user and topic"

    def __init__(self, topic: str, reason: int) -> None:
        super().__init__(f"publish to {topic} was refused, reason code {reason}")
        self.reason = reason


class SubscribeRefusedError(BusError):
    """The broker refused a subscription."""

    code = "SUBSCRIBE_REFUSED"
    retryable = False
    hint = "check the broker's access list for this user and topic"
