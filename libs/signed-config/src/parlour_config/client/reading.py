"""From a verified configuration to a service's own settings: secrets opened, types checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.annotations import is_secret
from parlour_kit.log import keep_secret
from pydantic import ValidationError

from parlour_config.errors import RefusedUpdateError, SignedConfigError
from parlour_config.sealing import open_sealed

C = TypeVar("C", bound=ServiceConfigModel)

ENV_PREFIX = "CONFIG_ENV_"
"""A secret may come from the environment alone: ``api_key`` from ``CONFIG_ENV_API_KEY``."""


class SettingsReader(Generic[C]):
    """Step 10 for one service. What the environment says of a secret counts most.

    Args:
        service: the own name; secrets are bound to it.
        model: of its settings.
        environment: of the process.
    """

    def __init__(self, service: str, model: type[C], environment: Mapping[str, str]) -> None:
        self._service = service
        self._model = model
        self._secrets = [name for name, field in model.model_fields.items() if is_secret(field)]
        self._own = {
            name: environment[ENV_PREFIX + name.upper()]
            for name in self._secrets
            if environment.get(ENV_PREFIX + name.upper())
        }
        keep_secret(*self._own.values())

    @property
    def from_environment(self) -> bool:
        """Whether a setting comes from the environment."""
        return bool(self._own)

    def defaults(self) -> C:
        """The settings of a service that nobody has told anything.

        Raises:
            RefusedUpdateError: ``SCHEMA_INVALID``: the environment holds no such secret.
        """
        return self._checked(dict(self._own))

    def read(self, config: Mapping[str, Any], keys: Mapping[str, bytes]) -> C:
        """The settings in a verified configuration.

        Args:
            config: as it was signed.
            keys: open the service's secrets, by the id of the master key.

        Raises:
            RefusedUpdateError: ``SECRET_UNREADABLE`` or ``SCHEMA_INVALID``; the text names
                settings, never a value.
        """
        plain = dict(config)
        for name in self._secrets:
            if name in self._own:
                plain[name] = self._own[name]
            elif plain.get(name) is not None:
                plain[name] = self._opened(plain[name], keys, name)
        return self._checked(plain)

    def _opened(self, sealed: object, keys: Mapping[str, bytes], name: str) -> str:
        try:
            return open_sealed(sealed, keys, service=self._service, name=name)
        except SignedConfigError as error:
            raise RefusedUpdateError("SECRET_UNREADABLE", str(error)) from None

    def _checked(self, plain: dict[str, Any]) -> C:
        try:
            return self._model.model_validate(plain, strict=True)
        except ValidationError as error:
            # The input is left out: it may be a secret.
            found = error.errors(include_url=False, include_input=False, include_context=False)
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in found[:10]
            )
            raise RefusedUpdateError("SCHEMA_INVALID", problems[:500]) from None
