"""The one entrance: a request goes in, an answer comes out."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import structlog
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.requests import ConfigAnswer
from parlour_contracts.messages.signed import moment_text
from parlour_kit.clock import Clock

from config_manager.audit import Chain, ChainReport, verify
from config_manager.commands import secret_ops
from config_manager.commands.answers import accepted, stored_answer
from config_manager.commands.change import carry_out
from config_manager.commands.issue import BATCH, reissue
from config_manager.commands.journal import Journal, write_rows
from config_manager.commands.model import Caller, Request, SecretChange, Signer, SyncState
from config_manager.commands.others import SENDING, rehearsed
from config_manager.commands.reads import Reads
from config_manager.commands.refusal import (
    WRITES,
    Gate,
    RefusedError,
    pass_gate,
    place_of,
    refused_by_store,
    rejected,
)
from config_manager.commands.rights import OPS, check_form, check_right, rule_of
from config_manager.commands.seeding import SeedReport, seed
from config_manager.errors import StoreError
from config_manager.refused import log_refusal
from config_manager.secrets_box import SecretsBox
from config_manager.store import Store, Work
from config_manager.tables import access, configs, epochs, transactions
from config_manager.tables.access import AccessRow, Action

ANSWERS_KEPT = timedelta(hours=24)
ACCESS_KEPT = timedelta(days=90)
ACCESS_SLACK = timedelta(days=1)
"""Requests are forgotten a day late and a day at a time: each time the whole chain is hashed."""

_DENIALS = frozenset({"FORBIDDEN", "SECRET_OVER_MQTT"})
_UNLOGGED = frozenset({"DB_UNAVAILABLE", "BUSY", "RATE_LIMITED", "STARTING", "INTERNAL"})


class Commands:
    """Carries out requests; every front end uses one of these."""

    def __init__(
        self,
        store: Store,
        signer: Callable[[], Signer],
        models: Mapping[str, type[ServiceConfigModel]],
        clock: Clock,
        *,
        gate: Gate,
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
        self._store = store
        self._signer = signer
        self._models = models
        self._clock = clock
        self._gate, self._wake, self._status = gate, wake, status
        self._reads = Reads(models, read_only or {}, status)
        self._journal = Journal(clock.monotonic)
        self._log = structlog.get_logger("parlour.commands")

    async def execute(self, request: Request) -> ConfigAnswer:
        """Carry a request out; never raises but for cancellation."""
        return await self._answered(request, self._execute(request))

    async def set_secret(self, change: SecretChange) -> ConfigAnswer:
        """Set a secret, for front ends that are no broker; never raises but for cancellation."""
        request = secret_ops.request_of(change, self._clock.wall())
        return await self._answered(request, self._set_secret(request, change))

    async def reveal(self, caller: Caller, service: str, key: str, reason: str) -> str:
        """A secret in clear, after this was recorded.

        Raises:
            RefusedError: not an administrator, no such secret, or it could not be recorded.
        """
        now = moment_text(self._clock.wall())
        row = AccessRow(caller.user, "reveal_secret", service, key[:128], True, reason[:500], now)
        try:
            secret_ops.check_reveal(caller, reason)
            rules = self._reads.rules(service)
            key = rules.bare(key)
            return await self._store.transact(
                partial(secret_ops.reveal, rules=rules, key=key, signer=self._signer(), row=row)
            )
        except RefusedError as error:
            action: Action = "unauthorized" if error.code in _DENIALS else "reveal_secret"
            shown = self._known(service, key)
            refused = AccessRow(caller.user, action, service, shown, False, error.code, now)
            await self._note(refused)
            raise
        except StoreError as error:
            raise refused_by_store(error) from error

    async def reissue(self, services: Sequence[str] | None = None) -> int:
        """Sign current configurations anew; how many comes back.

        Args:
            services: which; None means all. They go in transactions of at most 100.

        Raises:
            RefusedError: nothing may be signed now.
            StoreError: the rest was not signed.
        """
        if services is None:
            services = await self._store.read(configs.names)
        for start in range(0, len(services), BATCH):
            pass_gate(self._gate)
            batch = services[start : start + BATCH]
            await self._store.transact(
                partial(reissue, signer=self._signer(), services=batch, now=self._clock.wall())
            )
            self._wake()
        return len(services)

    async def seed(
        self,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        reasons: Mapping[str, str] | None = None,
        first_version: int = 1,
    ) -> SeedReport:
        """See that every service has a row and every row every setting.

        Args:
            settings: service → what differs from the defaults in a new row.
            reasons: service → why, for history.
            first_version: row version of a new row.

        Raises:
            StoreError: some services may be seeded already; calling it again goes on.
        """
        report = await seed(
            self._store, self._signer, self._models, self._reads.rules, self._clock,
            settings or {}, reasons or {}, first_version,
        )  # fmt: skip
        if report.created or report.upgraded:
            self._wake()
        return report

    async def rewrap(self, limit: int = BATCH) -> int:
        """Seal secrets under the current master key; how many services were done comes back.

        Call it until it gives 0.
        """
        work = partial(
            secret_ops.rewrap, signer=self._signer(), rules=self._reads.rules,
            now=self._clock.wall(), limit=min(limit, BATCH),
        )  # fmt: skip
        done = await self._store.transact(work)
        if done:
            self._wake()
        return done

    async def unreadable_secrets(self) -> list[tuple[str, str]]:
        """Service and key of every secret that does not open; each is tried once."""
        return await self._store.read(partial(secret_ops.unreadable, signer=self._signer()))

    async def housekeeping(self) -> None:
        """Write what was counted and forget what is old; once a minute, and at the end.

        Raises:
            StoreError: nothing was written or forgotten; what was counted is kept.
        """
        # Whoever waits for it may be cancelled; whether it was written must be known all the same.
        await asyncio.shield(asyncio.ensure_future(self._tidied()))

    async def verify_audit(self) -> ChainReport:
        """Check the whole audit chain, with what was counted written first."""
        await self.housekeeping()
        return await self._store.read(verify)

    async def _answered(self, request: Request, work: Awaitable[ConfigAnswer]) -> ConfigAnswer:
        """The answer that comes of some work, or the one that says why none does."""
        try:
            return await work
        except RefusedError as error:
            return await self._refused(request, error)
        except StoreError as error:
            return await self._refused(request, refused_by_store(error))
        except Exception as error:  # noqa: BLE001  # a caller gets an answer, whatever happened
            self._log.error(
                "a request failed",
                op=request.op, service=request.service,
                kind=type(error).__name__, where=place_of(error),
            )  # fmt: skip
            broken = RefusedError(
                "INTERNAL", "config-manager could not do that", hint="see its log"
            )
            return await self._refused(request, broken)

    async def _execute(self, request: Request) -> ConfigAnswer:
        rule = rule_of(request.op)
        check_right(request.caller, request.op, request.service)
        check_form(request)
        if not rule.writes:
            return await self._read(request)
        rules = self._reads.rules(request.service)
        earlier = await self._earlier(request)
        if earlier is not None:
            return earlier
        signer, now = self._signer(), self._clock.wall()
        if (send := SENDING.get(request.op)) is not None:
            state = self._status(request.service)
            work = partial(send, request=request, signer=signer, state=state, now=now)
        elif request.body.dry_run:
            return await self._store.read(lambda db: rehearsed(db, request, signer, self._reads))
        else:
            work = partial(carry_out, request=request, rules=rules, signer=signer, now=now)
        return await self._changed(work)

    async def _set_secret(self, request: Request, change: SecretChange) -> ConfigAnswer:
        check_right(change.caller, "patch", change.service)
        rules, signer = self._reads.rules(change.service), self._signer()
        key, box = rules.bare(change.key), SecretsBox(signer)
        request = secret_ops.bound(request, key, change.value, box)
        earlier = await self._earlier(request)
        if earlier is not None:
            return earlier
        rules.require_keys([key])
        secret_ops.require_secret(rules, key)
        sealed = {key: box.seal(change.service, key, change.value)}
        work = partial(
            carry_out, request=request, rules=rules, signer=signer,
            now=self._clock.wall(), sealed=sealed,
        )  # fmt: skip
        return await self._changed(work)

    async def _changed(self, work: Work[ConfigAnswer]) -> ConfigAnswer:
        answer = await self._store.transact(work)
        if not answer.duplicate:
            self._wake()
        return answer

    async def _read(self, request: Request) -> ConfigAnswer:
        def work(db: sqlite3.Connection) -> ConfigAnswer:
            data = self._reads.answer(db, request)
            return accepted(request, data, epoch=epochs.active(db).config_epoch)

        answer = await self._store.read(work)
        self._journal.read(request.caller.user, request.service, request.op)
        if self._journal.full:
            try:
                await self.housekeeping()
            except Exception as error:  # noqa: BLE001  # whoever asked has an answer to get
                code = getattr(error, "code", type(error).__name__)
                self._log.warning("reads are recorded later", code=code)
        return answer

    async def _earlier(self, request: Request) -> ConfigAnswer | None:
        """What a retry gets while nothing may be changed: its answer. None when changes may be.

        Raises:
            RefusedError: nothing may be changed, and this was not answered before; or
                ``TRANSACTION_REUSED``.
        """
        try:
            pass_gate(self._gate)
        except RefusedError:
            now = self._clock.wall()
            with suppress(StoreError):
                earlier = await self._store.read(lambda db: stored_answer(db, request, now))
                if earlier is not None:
                    return earlier
            raise
        return None

    async def _refused(self, request: Request, error: RefusedError) -> ConfigAnswer:
        """Note the refusal, then answer; what cannot be noted is still answered."""
        if error.code not in _UNLOGGED:
            rule = OPS.get(request.op)
            writes = request.op in WRITES or (rule is not None and rule.writes)
            action: Action = "write" if writes else "read"
            await self._note(
                AccessRow(
                    request.caller.user,
                    "unauthorized" if error.code in _DENIALS else action,
                    request.service[:128],
                    self._known(request.service, error.key),
                    False,
                    f"{request.op[:64]}: {error.code}",
                    moment_text(self._clock.wall()),
                )
            )
        return rejected(
            error, op=request.op, service=request.service, transaction=request.transaction
        )

    def _known(self, service: str, key: str | None) -> str | None:
        """A key that the service has; what somebody mistyped may be a secret, and is not kept."""
        fields = self._models[service].model_fields if service in self._models else {}
        return key if key in fields else None

    async def _note(self, row: AccessRow) -> None:
        log_refusal(row.user_id or "", row.service, row.reason or "")
        shown = self._journal.denied(row) if row.action == "unauthorized" else row
        if shown is None:
            return
        try:
            await self._store.transact(lambda db: write_rows(db, [shown]))
        except StoreError as failure:
            self._log.error(
                "a refusal could not be recorded",
                user=row.user_id, reason=row.reason, code=failure.code,
            )  # fmt: skip

    async def _tidied(self) -> None:
        trusted, now = self._signer().clock_trusted(), self._clock.wall()
        counted = self._journal.take()
        rows = counted.rows(moment_text(now))
        try:
            await self._store.transact(partial(_tidy, rows=rows, now=now, trusted=trusted))
        except BaseException:
            self._journal.put_back(counted)
            raise


def _tidy(db: sqlite3.Connection, rows: list[AccessRow], now: datetime, trusted: bool) -> None:
    """In one transaction: write what was counted, forget what is old."""
    write_rows(db, rows)
    transactions.prune(db, moment_text(now - ANSWERS_KEPT) if trusted else None)
    if trusted and access.any_before(db, moment_text(now - ACCESS_KEPT - ACCESS_SLACK)):
        Chain(db).prune_access(moment_text(now - ACCESS_KEPT), moment_text(now))
