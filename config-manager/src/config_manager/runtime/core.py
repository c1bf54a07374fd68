"""The parts that the runtime is made of, and what they know together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from parlour_config.keyfiles import ManagerKeys
from parlour_contracts.topics import CONFIG
from parlour_kit.bus import Bus
from parlour_kit.clock import Clock

from config_manager.commands.issue import BATCH, issued_at_of
from config_manager.runtime.applied import SyncBook
from config_manager.runtime.clock import WallClock
from config_manager.runtime.collector import Collector
from config_manager.runtime.epoch_file import EpochFiles
from config_manager.runtime.events import Events
from config_manager.runtime.leader import Leadership, Role
from config_manager.runtime.ledger import Ledger
from config_manager.runtime.lkg_file import LkgFile
from config_manager.runtime.publisher import Publisher
from config_manager.runtime.refresh import RefreshPlan
from config_manager.runtime.selftest import Acl
from config_manager.runtime.situation import Situation, floor_is_ahead

CONFIG_PREFIX = CONFIG.pattern.partition("{")[0]
_CHECKSUM = slice(len(b'{"checksum":"'), len(b'{"checksum":"') + 64)
"""Where canonical bytes of an update have their checksum: its key is the first of the seven."""


@dataclass(frozen=True)
class Parts:
    """What the runtime is given.

    Attributes:
        services: every service that has settings; its topic is expected to be retained.
        minted: epochs that began in this start.
        has_acl: the broker is said to enforce an access list.
        changed: called when health has something new to tell.
    """

    ledger: Ledger
    bus: Bus
    clock: Clock
    wall: WallClock
    instance: str
    boot: str
    keys: Callable[[], ManagerKeys]
    files: EpochFiles
    lkg: LkgFile
    events: Events
    services: frozenset[str]
    has_acl: bool
    refresh_s: float
    minted: frozenset[str]
    changed: Callable[[], None]


class Core:
    """What everything in the runtime shares.

    Attributes:
        leadership: whether this process leads.
        book: desired and reported.
        collector: what lies on the configuration topics.
        publisher: sends the outbox.
        refresh: when what is signed anew.
        acl: what is known of the broker's access list.
        reconciled: what was retained at the start has been dealt with.
        replica_bad: the copy of the database is late.
        listening: tells whether the connection for requests stands.
        minted: epochs that began in this start.
        floor: the logical clock, as last seen.
        confirmed: the floor that the operator said is right.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.leadership = Leadership(parts.instance, parts.boot, conflict=parts.files.conflict())
        self.book = SyncBook()
        self.acl = Acl.UNKNOWN if parts.has_acl else Acl.NONE
        self.alone = False
        self.reconciled = False
        self.replica_bad = False
        self.listening: Callable[[], bool] = lambda: True
        self.minted = parts.minted
        self.floor = ""
        self.confirmed = parts.files.confirmed_floor()
        self.collector = Collector(parts.bus, parts.clock, lambda: parts.keys().trusted)
        self.refresh = RefreshPlan(parts.refresh_s)
        self.publisher = Publisher(
            parts.bus,
            parts.ledger,
            parts.clock,
            may_send=lambda: self.reconciled and self.situation.may_sign,
            sent=self._sent,
            kid=lambda: parts.keys().signing.kid,
        )

    @property
    def situation(self) -> Situation:
        """What may be done now."""
        parts = self.parts
        return Situation(
            condition=parts.ledger.store.condition,
            role=self.leadership.role,
            why=self.leadership.why,
            reconciled=self.reconciled,
            connected=parts.bus.connected,
            acl=self.acl,
            floor_ahead=bool(self.floor)
            and floor_is_ahead(self.floor, parts.wall.now(), self.confirmed),
            replica_bad=self.replica_bad,
            listening=self.listening(),
            refused=self.publisher.refused is not None,
            alone=self.alone,
        )

    @property
    def answers(self) -> bool:
        """Whether requests are taken over MQTT.

        Without a usable database nobody can lead, but reads are answered all the same.
        """
        if self.acl is Acl.UNKNOWN:
            return False
        if self.leadership.role is Role.STARTING:
            alone = not self.leadership.other_lives(self.parts.clock.monotonic())
            return alone and self.parts.ledger.store.condition.mode == "read-only-fallback"
        return self.leadership.answers

    async def sign_again(self, services: Iterable[str]) -> int:
        """Sign what these services should run with, and send it; how many were signed.

        Signing and sending take turns: two threads of one interpreter that both have much to do
        wait for each other longer than they work.
        """
        left, signed = sorted(services), 0
        while left and self.situation.may_sign:
            batch, left = left[:BATCH], left[BATCH:]
            await self.parts.ledger.sign_again(batch)
            signed += len(batch)
            self.publisher.wake()
            await self.publisher.rest()
        return signed

    async def learn_desired(self) -> dict[str, str]:
        """Service → checksum, as the database says, and noted."""
        desired = await self.parts.ledger.desired()
        now = self.parts.clock.monotonic()
        self.book.want_all(desired.items(), now)
        self.refresh.know(desired, now)
        return desired

    def _sent(self, topic: str, payload: bytes) -> None:
        self.collector.sent(topic, payload)
        if topic.startswith(CONFIG_PREFIX) and payload:
            now = self.parts.clock.monotonic()
            service = topic.removeprefix(CONFIG_PREFIX)
            self.refresh.published(service, now)
            self.book.sent(service, issued_at_of(payload))
            self.book.want(service, payload[_CHECKSUM].decode("ascii", "replace"), now)
