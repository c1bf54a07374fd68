"""Heeds the order to start anew, when config-manager signed it for this very run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from parlour_contracts.topics import RESTART
from parlour_kit.bus import Bus, Message
from parlour_kit.errors import SubscribeRefusedError

from parlour_config.client.activation import Identity
from parlour_config.errors import RefusedDocumentError
from parlour_config.restart import MAX_RESTART_BYTES, read_restart
from parlour_config.signing import TrustedKey


class Restarting:
    """Listens from :meth:`open` on.

    Args:
        bus: of the instance.
        who: the instance, and the run of its process.
        keys: whom it trusts now.
        restart: ends the process as if it had been told to; its supervisor starts it again.
    """

    def __init__(
        self,
        bus: Bus,
        who: Identity,
        keys: Callable[[], Sequence[TrustedKey]],
        restart: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._who = who
        self._keys = keys
        self._restart = restart
        self._log = structlog.get_logger("parlour.config")

    async def open(self) -> None:
        """Heed orders from now on; where the broker forbids it, the service runs without."""
        try:
            await self._bus.subscribe(RESTART.topic(instance=self._who.instance), self._take)
        except SubscribeRefusedError as error:
            self._log.warning("no order to start anew can come", code=error.code, hint=error.hint)

    def _take(self, message: Message) -> None:
        if len(message.payload) > MAX_RESTART_BYTES:
            return
        try:
            order = read_restart(message.payload, self._keys())
        except RefusedDocumentError as error:
            self._log.warning("an order to start anew was refused", code=error.code)
            return
        if (order.instance, order.boot_id) != (self._who.instance, self._who.boot):
            self._log.info("an order to start anew was for another run")
            return
        self._log.info("told to start anew", kid=order.kid)
        self._restart()
