"""The command layer as both fronts see it: the database when it can be read, else the copy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from parlour_config.users import UsersFile
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.requests import ConfigAnswer

from config_manager.commands import Caller, Commands, RefusedError, Request, SecretChange
from config_manager.fronts.refusals import RefusalLog
from config_manager.runtime.fallback import Fallback
from config_manager.runtime.situation import Situation

_INSTANCE = re.compile(r"(.+?)(?:-[0-9]+)?")


class Desk:
    """Carries requests out, and knows who asks."""

    def __init__(
        self,
        commands: Commands,
        fallback: Fallback,
        users: UsersFile,
        refusals: RefusalLog,
        models: Mapping[str, type[ServiceConfigModel]],
        situation: Callable[[], Situation],
    ) -> None:
        self._commands = commands
        self._fallback = fallback
        self._users = users
        self._refusals = refusals
        self._models = models
        self._situation = situation

    async def execute(self, request: Request) -> ConfigAnswer:
        """Carry a request out; what is wrong with it is in the answer."""
        if self._situation().condition.readable:
            return await self._commands.execute(request)
        return self._fallback.execute(request)

    async def set_secret(self, change: SecretChange) -> ConfigAnswer:
        """Seal and store a secret; what is wrong with it is in the answer."""
        return await self._commands.set_secret(change)

    async def reveal(self, caller: Caller, service: str, key: str, reason: str) -> str:
        """A secret in clear, once that is on record; raises ParlourError."""
        return await self._commands.reveal(caller, service, key, reason)

    async def denied(self, user: str, service: str | None, code: str) -> None:
        """Put on record that somebody was refused."""
        await self._refusals.note(user, service, code)

    def caller(self, user: str) -> Caller | None:
        """Who a broker user is: a person of the users file, an instance, or nobody."""
        role = self._users.role_of(user)
        if role is not None:
            return Caller(user, role)
        service = service_of(user, self._models)
        return Caller(user, "instance", service) if service else None

    def no_writes_over_mqtt(self) -> RefusedError | None:
        """Why changes are not taken over MQTT although they are elsewhere, or None."""
        return self._situation().mqtt_gate()


def service_of(instance: str, services: Mapping[str, object]) -> str | None:
    """The service of an instance: its name, perhaps with a number behind it."""
    if instance in services:
        return instance
    match = _INSTANCE.fullmatch(instance)
    return match[1] if match and match[1] in services else None
