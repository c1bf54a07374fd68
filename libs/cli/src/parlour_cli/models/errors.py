"""Why a model could not be brought."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class PullError(ParlourError):
    """The root of everything that stops a pull."""

    code = "MODEL_PULL_FAILED"


class SourceError(PullError):
    """The source does not have what models.toml says, or refuses it."""

    code = "MODEL_SOURCE_FAILED"
    hint = "check the entry's sources in models.toml and the settings of pip or of HF_ENDPOINT"


class NetworkError(PullError):
    """The source cannot be reached now."""

    code = "MODEL_NO_NETWORK"
    retryable = True
    hint = "check the network and run the same command again; it continues where it stopped"


class WrongContentError(PullError):
    """What came is not the listed file; it has been deleted."""

    code = "MODEL_WRONG_CONTENT"
    hint = "nothing of it was kept; run the same command again or use another source"


class NoSpaceError(PullError):
    """The disk is full, or a quota or limit is reached."""

    code = "MODEL_NO_SPACE"
    hint = "make room, or choose another place with --data, and run the same command again"
