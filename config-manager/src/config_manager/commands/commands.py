"""The one entrance: a request goes in, an answer comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.requests import ConfigAnswer
from parlour_kit.clock import Clock

from config_manager.commands.model import Caller, Request, Signer, SyncState
from config_manager.commands.refusal import RefusedError
from config_manager.store import Store


class Commands:
    """Carries out requests; every front end uses one of these."""

    def __init__(
        self,
        store: Store,
        signer: Callable[[], Signer],
        models: Mapping[str, type[ServiceConfigModel]],
        clock: Clock,
        *,
        gate: Callable[[], RefusedError | None],
        wake: Callable[[], None],
        status: Callable[[str], SyncState],
        read_only: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        """Put it together.

        Args:
            store: the open database.
            signer: the keys of now; asked once for each change.
            models: service → the model of its settings.
            clock: wall time for access rows.
            gate: why nothing may be changed now, or None.
            wake: called after a commit that left something in the outbox.
            status: whether a service runs what is desired.
            read_only: service → keys whose values come from the service's environment.
        """
        raise NotImplementedError

    async def execute(self, request: Request) -> ConfigAnswer:
        """Carry a request out; never raises but for cancellation."""
        raise NotImplementedError

    async def set_secret(
        self,
        caller: Caller,
        service: str,
        key: str,
        value: str,
        version: int,
        *,
        transaction: str | None = None,
        reason: str | None = None,
    ) -> ConfigAnswer:
        """Set a secret; for front ends that are no broker."""
        raise NotImplementedError

    async def reveal(self, caller: Caller, service: str, key: str, reason: str) -> str:
        """A secret in clear, after this was recorded.

        Raises:
            RefusedError: not an administrator, no such secret, or it could not be recorded.
        """
        raise NotImplementedError
