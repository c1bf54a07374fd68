"""What the REST front needs of the running manager, and nothing more."""

from __future__ import annotations

from typing import Protocol

from parlour_config.users import UsersFile
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.requests import ConfigAnswer

from config_manager.commands import Caller, Request, SecretChange
from config_manager.fronts.limits import RateLimiter
from config_manager.fronts.refusals import RefusalLog
from config_manager.fronts.rest_models import (
    AuditReport,
    FleetState,
    KeyName,
    KeysReport,
    OperatorDone,
)
from config_manager.profile_models import (
    Profile,
    ProfileActivated,
    ProfileBody,
    ProfileInfo,
)


class CommandLayer(Protocol):
    """The one layer below both fronts: roles, limits of values, codes, audit, transactions."""

    async def execute(self, request: Request) -> ConfigAnswer:
        """Carry out a request; what is wrong with it is in the answer."""
        ...

    async def set_secret(self, change: SecretChange) -> ConfigAnswer:
        """Seal and store a secret; what is wrong with it is in the answer."""
        ...

    async def reveal(self, caller: Caller, service: str, key: str, reason: str) -> str:
        """A secret in clear, once the row that says so is stored; raises ParlourError."""
        ...


class Operator(Protocol):
    """What only an administrator does; each stores who and why before it acts."""

    async def takeover(self, caller: Caller, *, reason: str, above: str | None) -> OperatorDone:
        """Become the active manager with a new epoch, the floor above ``above``."""
        ...

    async def confirm_floor(self, caller: Caller, *, reason: str) -> OperatorDone:
        """Sign although the floor is far ahead of the clock."""
        ...

    async def rebuild(self, caller: Caller, *, reason: str, token: str) -> None:
        """Begin to build the database anew; raises ParlourError if the token is not the one."""
        ...

    async def record(self, caller: Caller, event: str, **facts: str | None) -> None:
        """Store who is about to do what; raises ParlourError if that cannot be stored."""
        ...

    async def verify_audit(self) -> AuditReport:
        """Go through the chain of audit rows."""
        ...


class KeyDesk(Protocol):
    """Keys and their rotation."""

    async def report(self) -> KeysReport:
        """Public halves, ids and where rotations stand."""
        ...

    async def start(
        self, name: KeyName, *, by: str, reason: str, compromised: bool = False
    ) -> None:
        """Begin a rotation, or leave the one that is under way where it is."""
        ...

    async def accept_keyset(self, document: bytes, *, by: str, reason: str) -> int:
        """Take the next keyset; returns its version, raises ParlourError."""
        ...


class ProfileDesk(Protocol):
    """Named settings of several services."""

    async def listed(self) -> list[ProfileInfo]:
        """Every profile."""
        ...

    async def get(self, name: str) -> Profile:
        """One profile; raises ParlourError."""
        ...

    async def put(self, caller: Caller, name: str, body: ProfileBody) -> Profile:
        """Keep one."""
        ...

    async def delete(self, caller: Caller, name: str) -> None:
        """Forget one."""
        ...

    async def activate(self, caller: Caller, name: str, reason: str) -> ProfileActivated:
        """Set all its services, or none."""
        ...


class ManagerApi(Protocol):
    """The running config-manager, as the REST front sees it."""

    @property
    def commands(self) -> CommandLayer:
        """Reads and changes."""
        ...

    @property
    def operator(self) -> Operator:
        """Actions of administrators."""
        ...

    @property
    def keys(self) -> KeyDesk:
        """Keys."""
        ...

    @property
    def profiles(self) -> ProfileDesk:
        """Profiles."""
        ...

    @property
    def users(self) -> UsersFile:
        """Who may do what."""
        ...

    @property
    def limiter(self) -> RateLimiter:
        """The limits of both fronts."""
        ...

    @property
    def refusals(self) -> RefusalLog:
        """Where refusals for lack of rights are noted."""
        ...

    def health(self) -> ConfigHealthPayload:
        """The health as it would be published now."""
        ...

    async def state(self) -> FleetState:
        """Desired and reported settings."""
        ...
