"""What a rotation needs of the rest of config-manager, and how patient it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from parlour_config.provision import RotatedKey


@dataclass(frozen=True)
class Grace:
    """How long old keys still count after all was done with the new one."""

    signing: timedelta = timedelta(days=7)
    hmac: timedelta = timedelta(days=7)
    master: timedelta = timedelta(minutes=60)

    def of(self, name: RotatedKey) -> timedelta:
        """The grace of one key."""
        grace: timedelta = getattr(self, name)
        return grace


class Work(Protocol):
    """What the commands do for a rotation."""

    async def reissue(self, services: Sequence[str] | None = None) -> int:
        """Sign current configurations anew."""
        ...

    async def rewrap(self) -> int:
        """Seal some secrets under the current master key; 0 when none is left."""
        ...

    async def unreadable_secrets(self) -> list[tuple[str, str]]:
        """Secrets that do not open."""
        ...


class Fleet(Protocol):
    """What the runtime knows and does for a rotation."""

    def keyset_versions(self) -> Mapping[str, int]:
        """Every living instance and the keyset that it says it has."""
        ...

    async def key_revoked(self, by: str) -> None:
        """Begin a new epoch because of a revoked signing key."""
        ...
