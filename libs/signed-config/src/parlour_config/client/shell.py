"""The waiting side of a service's configuration: it takes, applies, stores and reports.

One task takes from the inbox; while it stages a change, the next one waits in its slot. What a
message means is decided in :mod:`~parlour_config.client.activation`; files are written by
:mod:`~parlour_config.client.guard`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.health import ConfigState
from parlour_kit.bus import Message
from parlour_kit.errors import BusError, ParlourError
from parlour_kit.feed import Changed, Stage
from parlour_kit.messenger import Messenger

from parlour_config.client.activation import (
    Activation,
    Apply,
    Identity,
    Known,
    Refresh,
    hook_failed,
)
from parlour_config.client.applying import Applier
from parlour_config.client.asking import Asking, Plan
from parlour_config.client.boot import Boot
from parlour_config.client.freshness import Freshness
from parlour_config.client.guard import Guard
from parlour_config.client.inbox import Inbox
from parlour_config.client.reading import SettingsReader
from parlour_config.client.reporter import Reporter
from parlour_config.client.restarting import Restarting
from parlour_config.client.trusting import NoKeysError, Trusting
from parlour_config.errors import RefusedDocumentError, RefusedUpdateError, StorageError
from parlour_config.keyfiles import ServiceKeys
from parlour_config.lkg_store import LkgStore
from parlour_config.signing import TrustedKey

C = TypeVar("C", bound=ServiceConfigModel)

FIRST_S = 2.0
"""A service that has nothing stored waits so long for the retained message at its start."""

TICK_S = 1.0
TIDY_S = 5.0


class ConfigClient(Generic[C]):
    """A :class:`parlour_kit.feed.ConfigFeed` of verified configuration.

    Args:
        messenger: of the instance.
        who: the instance.
        reader: makes the service's settings of a verified configuration.
        keys: those of the service, as they are now.
        store: its files.
        restart: ends the process so that it is started again.
    """

    def __init__(
        self,
        messenger: Messenger,
        who: Identity,
        reader: SettingsReader[C],
        keys: Callable[[], ServiceKeys],
        store: LkgStore,
        restart: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus = messenger.bus
        self._clock = messenger.clock
        self._reader = reader
        self._trusting = Trusting(keys)
        self._active = Activation[C](
            who, lambda config: reader.read(config, self._trusting.keys.service_keys)
        )
        self._guard = guard = Guard(store, self._clock)
        self._inbox = Inbox(self._bus, who.service, who.instance)
        self._asking = Asking(messenger, who.service)
        self._restarting = Restarting(self._bus, who, self._trusted_keys, restart)
        self._plan = Plan()
        self._fresh = Freshness(self._clock.monotonic())
        self._reporter = Reporter(
            messenger, lambda: self._active.report(self._clock.wall(), guard.age_s)
        )
        self._applier = Applier(self._active, guard, self._reporter, self._clock)
        self._changed: Changed = lambda _state, _problem: None
        self._told: tuple[ConfigState, str] | None = None
        self._first: Apply[C] | None = None
        self._again: Message | None = None
        self._tidied = self._clock.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger("parlour.config")

    @property
    def state(self) -> ConfigState:
        """Which settings run, and where they came from."""
        return self._active.state(stale=self._fresh.stale(self._clock.monotonic()))

    @property
    def problem(self) -> ParlourError | None:
        """Why new settings cannot come."""
        return self._trusting.problem or self._applier.trouble

    async def first(self) -> tuple[C, ConfigState]:
        """The settings to start with; see :class:`parlour_kit.feed.ConfigFeed`."""
        boot = await Boot.of(self._guard, self._trusting, self._reader)
        self._applier.trouble = boot.trouble
        self._active.begin(boot.update, boot.state, boot.source)
        self._active.works = boot.works
        if boot.refusal is not None:
            self._active.refused(boot.refusal)
        await self._inbox.open(self._on_manager)
        await self._restarting.open()
        self._bus.on_connected(self._on_connected)
        self._trust()
        settings = boot.settings
        if boot.update is None and self._trusting.can_trust:
            settings = await self._wait_first() or settings
        return settings, self.state

    def start(self, stage: Stage[C], changed: Changed, *, works: bool = True) -> None:
        """Bring changes from now on."""
        self._applier.stage, self._changed = stage, changed
        spawn = asyncio.get_running_loop().create_task
        self._tasks = [spawn(self._run(works=works), name="config")]

    async def stop(self) -> None:
        """Bring no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._guard.close()

    # At the start.

    async def _wait_first(self) -> C | None:
        """The settings of a verified message, if one comes in time."""
        end = self._clock.monotonic() + FIRST_S
        while (left := end - self._clock.monotonic()) > 0:
            await self._news(left)
            await self._take_keysets()
            message = self._inbox.take()
            decision = self._decide(message) if message else None
            if isinstance(decision, Apply):
                await self._guard.trying(decision.update)
                self._first = decision  # it runs, and is reported, when the service has loaded
                return decision.settings
        return None

    async def _begin(self, *, works: bool) -> None:
        """The service has loaded, or failed to, with the settings that it was given."""
        first, self._first = self._first, None
        if works and first is not None:
            await self._applier.applied(first, "applied")
        elif not works:
            self._active.works = False
            self._applier.refuse(hook_failed("the service could not load with these settings"))
            if first is not None:
                await self._guard.failed()
        elif self._active.running is not None and self._guard.rewrite:
            await self._applier.save()
        self._reporter.tell()
        self._tell()

    # While it runs.

    async def _run(self, *, works: bool) -> None:
        await self._begin(works=works)
        reports = asyncio.get_running_loop().create_task(self._reporter.run(), name="config report")
        self._tasks.append(reports)
        while True:
            await self._news(TICK_S)
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001  # whatever it is, the next may come
                self._log.error("configuration round failed", kind=type(error).__name__)
                self._log.debug("configuration round failed", exc_info=error)

    async def _round(self) -> None:
        await self._take_keysets()
        message = self._inbox.take()
        if message is not None:
            await self._take(message)
        now = self._clock.monotonic()
        await self._guard.tick()
        if now - self._tidied >= TIDY_S:
            self._tidied = now
            await self._tidy()
        await self._ask(now)
        self._tell()

    async def _take(self, message: Message) -> None:
        decision = self._decide(message)
        if isinstance(decision, Refresh):
            self._active.refreshed(decision.update, decision.state)
            if decision.write or self._guard.unsaved:
                await self._applier.save()
            self._reporter.tell()
        elif isinstance(decision, Apply):
            await self._applier.apply(decision)

    def _decide(self, message: Message) -> Apply[C] | Refresh | None:
        """What a message asks for; a refusal is noted."""
        now = self._clock.monotonic()
        self._trust()
        try:
            self._trusting.require(self._active.trusted.keys)
            decision = self._active.offer(
                message.payload, message.topic, message.properties.get("kid"), now
            )
        except (RefusedUpdateError, NoKeysError) as error:
            self._applier.refuse(error)
            self._again = message if error.code in ("BAD_SIGNATURE", "NO_KEYS") else None
            return None
        self._again = None
        self._fresh.valid(now)
        self._plan.heard(now)
        if isinstance(decision, Known):
            if self._active.confirmed():
                self._reporter.tell()
            return None
        if self._active.source == "lkg":
            self._log.info("the stored settings were not the newest",
                           event_type="lkg-older-than-broker")  # fmt: skip
        return decision

    # Keys.

    def _trust(self) -> None:
        """The keys that count now: a file or a keyset may have changed them."""
        self._active.trust(*self._trusting.now(self._active.trusted.state))

    def _trusted_keys(self) -> Sequence[TrustedKey]:
        self._trust()
        return self._active.trusted.keys

    async def _take_keysets(self) -> None:
        while self._inbox.keysets:
            raw = self._inbox.keysets.popleft()
            self._trust()
            try:
                keyset = self._trusting.judge(raw)
                if keyset is None:
                    continue
                await self._guard.save_keyset(raw)
            except RefusedDocumentError as error:
                if error.code == "KEYSET_GAP":
                    await self._asking.keysets(self._trusting.version)
                elif error.code != "NO_ROOT_KEYS":
                    self._log.warning("keyset refused", code=error.code, reason=str(error))
                continue
            except StorageError as error:
                self._log.error("keyset was not written", code=error.code, reason=str(error))
                continue
            state = self._trusting.accepted(keyset, self._active.trusted.state)
            self._active.trusted.commit(state)
            self._log.info("keyset accepted", version=keyset.version)
            if self._active.running is not None and self._active.works:
                await self._applier.save()
            self._look_again()
            self._reporter.tell()

    def _look_again(self) -> None:
        """A message that no key fitted may fit one now."""
        message, self._again = self._again, None
        if message is not None:
            self._inbox.put_back(message)

    # Once in a while.

    async def _tidy(self) -> None:
        """Write what could not be written, and follow the key file."""
        before = self._trusting.keys
        self._trust()
        if self._trusting.keys is not before:
            self._look_again()
        other_key = self._trusting.keys.lkg_keys[:1] != before.lkg_keys[:1]
        if self._guard.unsaved or (other_key and self._active.running is not None):
            await self._applier.save()
            self._reporter.tell()

    async def _ask(self, now: float) -> None:
        step = self._plan.due(now)
        with contextlib.suppress(BusError):
            if step == "subscribe":
                await self._inbox.again()
            elif step == "resend":
                await self._asking.resend()

    def _tell(self) -> None:
        """Pass on what changed of the state."""
        state, problem = self.state, self.problem
        told = (state, str(problem or ""))
        if told != self._told:
            self._told = told
            self._changed(state, problem)

    async def _news(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._inbox.news.wait()
        self._inbox.news.clear()

    def _on_manager(self, payload: bytes) -> None:
        self._fresh.manager(payload, self._clock.monotonic())

    def _on_connected(self) -> None:
        self._plan.connected(self._clock.monotonic())
        self._reporter.tell()
