"""A config-manager that records what the REST front asks of it."""

from __future__ import annotations

from typing import Any

from config_manager.commands import RefusedError, Request, SecretChange
from config_manager.fronts.limits import RateLimiter
from config_manager.fronts.refusals import RefusalLog
from config_manager.fronts.rest_models import (
    AuditReport,
    FleetState,
    OperatorDone,
)
from parlour_config.users import UsersFile
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.requests import ConfigAnswer
from parlour_kit.clock import LoopClock

EPOCH = "550e8400-e29b-41d4-a716-446655440000"
HEALTH = ConfigHealthPayload(
    ok=True,
    database_status="healthy",
    operational_mode="normal",
    config_epoch=EPOCH,
    schema_version=2,
    lkg_cache_valid=True,
    litestream_status="disabled",
)


class Commands:
    """Answers as it is told and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.secrets: list[SecretChange] = []
        self.seen: list[tuple[str, ...]] = []
        self.data: Any = {"success": True, "new_version": 8, "error": None}
        self.answer: ConfigAnswer | None = None
        self.error: Exception | None = None

    async def execute(self, request: Request) -> ConfigAnswer:
        self.asked.append(request)
        return self._answer(request.op, request.service, request.transaction)

    async def set_secret(self, change) -> ConfigAnswer:
        self.secrets.append(change)
        return self._answer("set-secret", change.service, change.transaction)

    async def reveal(self, caller, service, key, reason) -> str:
        if self.error:
            raise self.error
        self.seen.append((caller.user, service, key, reason))
        return "sesame"

    def _answer(self, op: str, service: str, transaction: str | None) -> ConfigAnswer:
        if self.error:
            raise self.error
        return self.answer or ConfigAnswer(
            status="accepted",
            code=200,
            op=op,
            service=service,
            transaction=transaction,
            data=self.data,
            config_epoch=EPOCH,
        )


class Operator:
    """Keeps what an administrator did."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    async def takeover(self, caller, *, reason, above) -> OperatorDone:
        self.done.append(("takeover", caller.user, reason, above))
        return OperatorDone(config_epoch=EPOCH, floor="2026-01-01T00:00:00.000000Z")

    async def confirm_floor(self, caller, *, reason) -> OperatorDone:
        self.done.append(("confirm-floor", caller.user, reason))
        return OperatorDone(config_epoch=EPOCH, floor="2026-01-01T00:00:00.000000Z")

    async def rebuild(self, caller, *, reason, token) -> None:
        if token != "the-token":
            raise RefusedError("FORBIDDEN", "this is not the token")
        self.done.append(("rebuild", caller.user, reason))

    async def record(self, caller, event, **facts) -> None:
        self.done.append((event, caller.user, facts["name"]))

    async def verify_audit(self) -> AuditReport:
        return AuditReport(ok=True, rows=3, head="0" * 64, first_bad=None)


class Manager:
    """What the front sees."""

    def __init__(self, users: UsersFile) -> None:
        self.users = users
        self.commands = Commands()
        self.operator = Operator()
        self.rows: list[Any] = []
        clock = LoopClock()
        self.limiter = RateLimiter(clock)
        self.refusals = RefusalLog(clock, self._write)
        self.keys: Any = None
        self.profiles: Any = None

    async def _write(self, row: Any) -> None:
        self.rows.append((row.user, row.service, row.code, row.count))

    def health(self) -> ConfigHealthPayload:
        return HEALTH

    async def state(self) -> FleetState:
        return FleetState(services=[])


def bearer(manager: Manager, name: str = "admin") -> dict[str, str]:
    return {"Authorization": f"Bearer {manager.users.issue_token(name)}"}
