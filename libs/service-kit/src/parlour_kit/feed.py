"""Where a service's settings come from, and how changes of them reach it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.health import ConfigState

from parlour_kit.errors import ParlourError
from parlour_kit.messenger import Messenger
from parlour_kit.settings import ProcessSettings
from parlour_kit.switch import Switch

C = TypeVar("C", bound=ServiceConfigModel)
C_co = TypeVar("C_co", bound=ServiceConfigModel, covariant=True)

Stage = Callable[[C], Awaitable[Switch]]
"""Phase one of a change; :meth:`parlour_kit.service.Service.stage`, run one at a time."""

Changed = Callable[[ConfigState, ParlourError | None], None]
"""Told after each change of the state: what runs, and what is wrong with getting more."""


class ConfigFeed(Protocol[C_co]):
    """Gives a service its first settings, then each change of them."""

    @property
    def state(self) -> ConfigState:
        """Which settings run, and where they came from."""
        ...

    @property
    def problem(self) -> ParlourError | None:
        """Why new settings cannot come, such as ``NO_KEYS``; None when they can."""
        ...

    async def first(self) -> tuple[C_co, ConfigState]:
        """The settings to start with; within 1 s when the last known good ones are here, else 3 s.

        Never fails: without anything that can be trusted, it gives the defaults.
        """
        ...

    def start(self, stage: Stage[C_co], changed: Changed, *, works: bool = True) -> None:
        """Bring every change to ``stage``, then commit it; newest first, one at a time.

        Args:
            stage: phase one of a change.
            changed: told of each change of the state.
            works: whether the service could load with its first settings.
        """
        ...

    async def stop(self) -> None:
        """Bring no more."""
        ...


@dataclass(frozen=True)
class Ground:
    """What a feed is made from: whom it is for, and the connection that it may use.

    ``boot`` names the run of the process, as its health does.
    """

    service: str
    instance: str
    model: type[ServiceConfigModel]
    messenger: Messenger
    boot: str
    settings: ProcessSettings


MakeFeed = Callable[[Ground], ConfigFeed[ServiceConfigModel]]
