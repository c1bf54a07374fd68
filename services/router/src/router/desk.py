"""What a room can do without a language model. Pure."""

from __future__ import annotations

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Say

from router.ambient import Ambient
from router.told import Told

NORMAL = 100


class Desk:
    """Answers commands, and keeps what they change."""

    def __init__(self, ambient: Ambient) -> None:
        self.volume = NORMAL
        """How loud the room is spoken to, in percent of what is configured."""
        self._ambient = ambient

    @property
    def is_empty(self) -> bool:
        """Nothing is kept."""
        return self.volume == NORMAL

    @property
    def spoken_volume(self) -> int | None:
        """As it travels with each sentence; None is what is configured."""
        return None if self.volume == NORMAL else self.volume

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`ring`, if the room is free."""
        return None

    def stops(self, text: str, config: RouterConfig) -> bool:  # noqa: ARG002
        """Whether somebody wants silence."""
        return False

    def told(self, text: str, config: RouterConfig, last: str) -> Told | None:  # noqa: ARG002
        """The answer to a command; None is for the language model."""
        return None

    def ring(self, config: RouterConfig) -> Say | None:  # noqa: ARG002
        """What is to be announced now."""
        return None

    def silence(self) -> None:
        """Whatever rings has been heard."""
