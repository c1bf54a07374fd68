"""The lease on the broker: told while this process leads, read from everybody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from parlour_config.errors import SignedConfigError
from parlour_config.lease import PERIOD_S, TTL_S, build_lease, read_lease
from parlour_config.signing import SigningKey, TrustedKey
from parlour_contracts.topics import CONFIG_LEADER
from parlour_kit.bus import Bus, Message
from parlour_kit.clock import Clock, utc_text
from parlour_kit.errors import BusError

from config_manager.runtime.leader import Heard, Leadership, Role


class LeaseKeys(Protocol):
    """What signs leases and what verifies them."""

    @property
    def signing(self) -> SigningKey:
        """The key in use."""
        ...

    @property
    def trusted(self) -> Sequence[TrustedKey]:
        """Every key that may have signed."""
        ...


class LeaseTopic:
    """Tells the own lease and hears others'."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        leadership: Leadership,
        *,
        instance: str,
        boot: str,
        keys: Callable[[], LeaseKeys],
        epoch: Callable[[], str],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._leadership = leadership
        self._instance = instance
        self._boot = boot
        self._keys = keys
        self._epoch = epoch
        self._seq = -1
        self._told_at = 0.0
        self._log = structlog.get_logger("parlour.lease")

    async def listen(self) -> None:
        """Hear leases from now on."""
        await self._bus.subscribe(CONFIG_LEADER.topic(), self._take, qos=1)

    async def tell(self, *, now: bool = False) -> None:
        """Tell the own lease when it is due and this process leads, or claims to.

        Args:
            now: it is due at once.
        """
        due = now or self._clock.monotonic() - self._told_at >= PERIOD_S
        if not due or self._leadership.role not in (Role.ACTIVE, Role.CLAIMING):
            return
        if not self._bus.connected or not self._epoch():
            return  # a database that cannot be read has no epoch to lead
        self._seq += 1
        self._told_at = self._clock.monotonic()
        await self._send(
            build_lease(
                self._keys().signing,
                instance=self._instance,
                config_epoch=self._epoch(),
                boot_id=self._boot,
                lease_seq=self._seq,
                sent_at=utc_text(self._clock.wall()),
                ttl_s=TTL_S,
            )
        )

    async def withdraw(self) -> None:
        """A clean end: nobody need wait for the lease to run out."""
        if self._leadership.leads and self._bus.connected:
            await self._send(b"")

    async def _send(self, payload: bytes) -> None:
        try:
            await self._bus.publish(CONFIG_LEADER.topic(), payload, qos=1, retain=True)
        except BusError as error:
            self._log.warning("the lease was not told", code=error.code)

    def _take(self, message: Message) -> None:
        now = self._clock.monotonic()
        if not message.payload:
            self._leadership.withdrawn()
            return
        try:
            lease = read_lease(message.payload, self._keys().trusted)
        except SignedConfigError as error:
            self._log.warning("a lease was refused", code=error.code)
            return
        self._leadership.heard(
            Heard(lease.instance, lease.boot_id, lease.lease_seq, lease.ttl_s, not message.retain),
            now,
        )
