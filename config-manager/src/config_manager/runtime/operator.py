"""What only an administrator decides: who leads, and whether a strange clock is right."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable

from parlour_config.clock import parse_moment
from parlour_config.errors import ClockError

from config_manager.commands import Caller, Commands, RefusedError
from config_manager.fronts.rest_models import AuditReport, OperatorDone
from config_manager.runtime.conductor import Conductor
from config_manager.runtime.situation import Situation


class Operator:
    """Each action stores who and why with what it does."""

    def __init__(
        self,
        conductor: Conductor,
        commands: Commands,
        *,
        rebuild_token: str | None,
        rebuild: Callable[[str, str], Awaitable[None]],
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Make it.

        Args:
            conductor: leads.
            commands: of the database.
            rebuild_token: who knows it may have a damaged database made anew.
            rebuild: does so, on whose behalf and why.
            settled: told that a conflict is over.
        """
        self._conductor = conductor
        self._commands = commands
        self._token = rebuild_token
        self._rebuild = rebuild
        self._settled = settled
        self._rebuilding: asyncio.Task[None] | None = None

    async def takeover(self, caller: Caller, *, reason: str, above: str | None) -> OperatorDone:
        """Lead from now on, with a new epoch and the floor above ``above``.

        Raises:
            RefusedError: not an administrator, no usable database, or ``above`` is no time.
        """
        _require_admin(caller)
        self._require_database()
        if above is not None:
            try:
                parse_moment(above)
            except ClockError:
                raise RefusedError(
                    "INVALID_REQUEST",
                    "above must be a time as issued_at shows it",
                    hint="for example 2026-01-31T12:00:00.000000Z",
                ) from None
        self._settled()
        await self._conductor.new_epoch("takeover", caller.user, above or "", reason)
        self._settled()  # and what the last fight brought meanwhile
        return self._done()

    async def confirm_floor(self, caller: Caller, *, reason: str) -> OperatorDone:
        """Sign although the logical clock is far ahead of the time.

        Raises:
            RefusedError: not an administrator, or no usable database.
        """
        _require_admin(caller)
        self._require_database()
        core = self._conductor.core
        await core.parts.ledger.lifecycle(
            "floor-confirmed", caller.user, reason=reason[:500], floor=core.floor
        )
        self._conductor.reconciler.confirm_floor()
        self._conductor.rejoin()
        return self._done()

    async def rebuild(self, caller: Caller, *, reason: str, token: str) -> None:
        """Begin to make a damaged database anew.

        Raises:
            RefusedError: not an administrator, a wrong token, or nothing is damaged.
        """
        _require_admin(caller)
        if self._token is None or not hmac.compare_digest(self._token.encode(), token.encode()):
            raise RefusedError(
                "FORBIDDEN",
                "the token for a rebuild is not the right one",
                hint="set REBUILD_TOKEN in config-manager's environment, and send the same",
            )
        if not self._situation.condition.final:
            raise RefusedError(
                "INVALID_REQUEST",
                "the database is not damaged",
                hint="to begin anew, stop config-manager and move config.db away",
            )
        if self._rebuilding is None or self._rebuilding.done():
            work = self._rebuild(caller.user, reason)
            self._rebuilding = asyncio.ensure_future(work)

    async def close(self) -> None:
        """Let a rebuild come to its end; whoever stops the process says how long that may take."""
        if self._rebuilding is not None:
            await asyncio.wait({self._rebuilding})

    async def record(self, caller: Caller, event: str, **facts: str | None) -> None:
        """Store who did what to the list of people, before it is done.

        Raises:
            RefusedError: not an administrator, or no usable database.
        """
        _require_admin(caller)
        self._require_database()
        await self._conductor.core.parts.ledger.lifecycle(event, caller.user, **facts)

    async def verify_audit(self) -> AuditReport:
        """Go through the chain of audit rows."""
        found = await self._commands.verify_audit()
        if not found.ok:
            self._conductor.core.parts.events.tell("audit-failed", row=found.first_bad)
        return AuditReport(ok=found.ok, rows=found.rows, head=found.head, first_bad=found.first_bad)

    @property
    def _situation(self) -> Situation:
        return self._conductor.core.situation

    def _require_database(self) -> None:
        condition = self._situation.condition
        if not condition.ok:
            raise RefusedError(
                "READ_ONLY",
                f"the database cannot be written: {condition.error}",
                hint=condition.error.hint if condition.error else "",
            )

    def _done(self) -> OperatorDone:
        core = self._conductor.core
        return OperatorDone(
            config_epoch=core.parts.ledger.store.facts.config_epoch, floor=core.floor
        )


def _require_admin(caller: Caller) -> None:
    if caller.role != "admin":
        raise RefusedError(
            "FORBIDDEN", "only an administrator may do this", hint="use an administrator's token"
        )
