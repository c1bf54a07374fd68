"""Why a conversation with the fleet did not work."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class TalkError(ParlourError):
    """The root of everything that stops a question, an announcement or the demo."""

    code = "TALK_FAILED"
    hint = "parlour doctor looks for the cause"


class InputError(TalkError):
    """What the caller gave cannot be used; nothing was sent."""

    code = "INPUT_INVALID"
    hint = "parlour ask --help"


class UnreachableError(TalkError):
    """No broker answers where the fleet should be."""

    code = "FLEET_UNREACHABLE"
    retryable = True
    hint = "start the fleet with: parlour up"


class NotClaimedError(TalkError):
    """No stt-worker took the turn."""

    code = "NOT_CLAIMED"
    retryable = True
    hint = "no stt-worker is ready; parlour doctor says why"


class SilenceError(TalkError):
    """The fleet took the question and then told nothing more."""

    code = "NO_ANSWER"
    retryable = True
    hint = "ask again; the log of parlour up says what happened"
