"""What the settings of a service must be: its model, its secrets, its read-only keys. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from parlour_config.sealing import is_masked, is_sealed
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.metadata import bare_key, fields_of, full_key
from parlour_contracts.config.validation import validate_config
from parlour_contracts.messages.configuration import ConfigFieldMetadata, ConfigSource
from parlour_contracts.messages.requests import Problem

from config_manager.commands.refusal import RefusedError
from config_manager.secrets_box import SecretsBox


@dataclass(frozen=True)
class Rules:
    """The rules of one service.

    Attributes:
        service: its name.
        model: of its settings.
        defaults: every key with its default.
        secret: keys whose values are secrets.
        read_only: keys whose values come from the service's environment.
        fields: bare key → what is known of it.
    """

    service: str
    model: type[ServiceConfigModel]
    defaults: Mapping[str, Any]
    secret: frozenset[str]
    read_only: frozenset[str]
    fields: Mapping[str, ConfigFieldMetadata]

    @property
    def stored(self) -> list[str]:
        """The keys that a stored configuration has: all but the read-only ones."""
        return [key for key in self.defaults if key not in self.read_only]

    def metadata(self) -> list[ConfigFieldMetadata]:
        """What is known of every field, under its full name (X6)."""
        return [
            field.model_copy(
                update={
                    "key": full_key(self.service, key),
                    "service": self.service,
                    "secret_source": (
                        ConfigSource.ENV if key in self.read_only else ConfigSource.DATABASE
                    )
                    if field.is_secret
                    else None,
                }
            )
            for key, field in self.fields.items()
        ]

    def require_keys(self, keys: Collection[str]) -> None:
        """Refuse keys that do not exist or cannot be changed here.

        Raises:
            RefusedError: ``UNKNOWN_KEY`` or ``READ_ONLY_KEY``.
        """
        unknown = [key for key in keys if key not in self.fields]
        if unknown:
            _, found = validate_config(self.service, dict.fromkeys(unknown), self.model)
            problems = [problem for problem in found if problem.key in unknown]
            raise RefusedError(
                "UNKNOWN_KEY",
                f"{self.service} has no setting {_listed(unknown)}",
                hint=f"ask for describe/{self.service} to see what there is",
                details=problems,
                key=unknown[0][:128],
            )
        fixed = [key for key in keys if key in self.read_only]
        if fixed:
            raise RefusedError(
                "READ_ONLY_KEY",
                f"{_listed(fixed)} comes from the environment of {self.service}",
                hint="change it there and restart the service",
                details=[Problem(key=key, problem="comes from the environment") for key in fixed],
                key=fixed[0],
            )

    def bare(self, key: str) -> str:
        """A key without its service in front."""
        return bare_key(self.service, key)

    def checked(self, config: Mapping[str, Any], box: SecretsBox) -> dict[str, Any]:
        """The configuration as it is stored: complete, of the right types, secrets sealed.

        Args:
            config: every key that is stored; secrets are sealed or null.
            box: opens secrets, because their rules apply as well.

        Raises:
            RefusedError: ``VALIDATION_FAILED`` with every problem.
            UnreadableSecretError: a secret cannot be opened any more.
        """
        clear = {
            key: box.open(self.service, key, value) if is_sealed(value) else value
            for key, value in config.items()
        }
        model, problems = validate_config(self.service, clear, self.model)
        if model is None:
            raise RefusedError(
                "VALIDATION_FAILED",
                _told(problems),
                hint=f"ask for describe/{self.service} to see what is allowed",
                details=problems[:50],
                key=problems[0].key[:128] if len(problems) == 1 else None,
            )
        values = model.model_dump(mode="json")
        return {
            key: config[key] if is_sealed(config.get(key)) else values[key] for key in self.stored
        }


def require_plain(rules: Rules, given: Mapping[str, Any], *, over_mqtt: bool) -> None:
    """Refuse what a request may not hold: secrets in clear, and the names kept for them.

    Raises:
        RefusedError: ``SECRET_OVER_MQTT`` or ``VALIDATION_FAILED``.
    """
    for key, value in given.items():
        if key in rules.secret and (value is None or is_masked(value)):
            continue
        if _has_reserved(value):
            raise RefusedError(
                "VALIDATION_FAILED",
                f"{key}: names that begin with $ are kept for secrets",
                hint='a secret is changed over REST; send {"$masked": true} to leave it as it is',
                details=[Problem(key=key[:200], problem="has a name that begins with $")],
                key=key[:128],
            )
        if key in rules.secret:
            if over_mqtt:
                raise RefusedError(
                    "SECRET_OVER_MQTT",
                    f"{key} is a secret, and a broker may write what it carries to its disk",
                    hint=f"use REST: PUT /v1/secrets/{rules.service}/{key}",
                    key=key,
                )
            raise RefusedError(
                "VALIDATION_FAILED",
                f"{key} is a secret and is not set with the other settings",
                hint=f"use PUT /v1/secrets/{rules.service}/{key}",
                details=[Problem(key=key, problem="is a secret; it has a door of its own")],
                key=key,
            )


@lru_cache(maxsize=64)
def _of_model(
    model: type[ServiceConfigModel],
) -> tuple[Mapping[str, Any], frozenset[str], Mapping[str, ConfigFieldMetadata]]:
    defaults = model().model_dump(mode="json")
    metadata = fields_of("any", model)
    fields = {bare_key("any", field.key): field for field in metadata}
    return defaults, frozenset(k for k, field in fields.items() if field.is_secret), fields


def rules_of(
    service: str, model: type[ServiceConfigModel], read_only: frozenset[str] = frozenset()
) -> Rules:
    """The rules of a service; what a model says of itself is worked out once."""
    defaults, secret, fields = _of_model(model)
    from_env = {k for k, field in fields.items() if field.secret_source is ConfigSource.ENV}
    return Rules(service, model, defaults, secret, read_only | from_env, fields)


def dropped_rules(service: str) -> Rules:
    """The rules of a service that this release no longer has: nothing is known of its settings."""
    return Rules(service, ServiceConfigModel, {}, frozenset(), frozenset(), {})


def _has_reserved(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key.startswith("$") or _has_reserved(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_reserved(item) for item in value)


def _listed(keys: Collection[str]) -> str:
    shown = [key[:60] for key in keys][:5]
    return ", ".join(shown) + (" and others" if len(keys) > len(shown) else "")


def _told(problems: list[Problem]) -> str:
    first = problems[0]
    more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
    allowed = f" (allowed: {first.allowed})" if first.allowed else ""
    return f"{first.key} {first.problem}{allowed}{more}".strip()[:1000]
