"""The settings of a process: from the environment, checked before anything else happens.

What a household tunes is not here but in the service's configuration. These are the few
things that must be known before a process can ask for that: where the broker is, who it is,
where its data lies.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from parlour_contracts.base import Name
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from parlour_kit.errors import StartupError
from parlour_kit.mqtt_link import MqttOptions
from parlour_kit.vitals.settings import VitalsSettings

S = TypeVar("S", bound="ProcessSettings")


class ProcessSettings(VitalsSettings):
    """What every process needs to start; names are those of the environment."""

    model_config = SettingsConfigDict(
        env_file=".env", case_sensitive=False, extra="ignore", hide_input_in_errors=True
    )

    mqtt_url: SecretStr = Field(
        description="mqtt://[user:password@]host[:port], or mqtts:// for TLS"
    )
    mqtt_user: str | None = Field(None, description="user, when it is not in MQTT_URL")
    mqtt_password: SecretStr | None = Field(None, description="password, when not in MQTT_URL")
    mqtt_password_file: Path | None = Field(None, description="file that holds the password")
    mqtt_ca_file: Path | None = Field(None, description="certificate authority of the broker")
    instance: Name | None = Field(None, description="unique name of this process")
    data_dir: Path = Field(description="folder for models and caches (DATA_DIR)")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"
    health_interval_s: Annotated[float, Field(gt=0, le=300)] | None = Field(
        None, description="seconds between two health messages; the service's own when unset"
    )
    probe_host: str = Field(
        "127.0.0.1", description="address that /healthz, /ready, /health and /metrics answer on"
    )
    probe_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        0, description="port of these; 0 for none"
    )
    prometheus_metrics_enabled: bool = Field(True, description="false: there is no /metrics")

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("mqtt_url")
    @classmethod
    def _usable_url(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError("must look like mqtt://host:1883 or mqtts://host:8883")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("the port must be a number up to 65535") from None
        return value

    @field_validator("mqtt_password_file", "mqtt_ca_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("no such file")
        return value

    def secrets(self) -> tuple[str, ...]:
        """What no log may hold: every secret of these settings, and the broker's password."""
        kept = [
            value.get_secret_value()
            for name, value in vars(self).items()
            if isinstance(value, SecretStr) and name != "mqtt_url"
        ]
        with suppress(OSError):  # said where the file is used
            kept.append(self.mqtt_options().password or "")
        return tuple(kept)

    def mqtt_options(self) -> MqttOptions:
        """How to reach the broker; user and password of the URL count first (F5)."""
        parts = urlsplit(self.mqtt_url.get_secret_value())
        tls = parts.scheme == "mqtts"
        password = self.mqtt_password.get_secret_value() if self.mqtt_password else None
        if self.mqtt_password_file is not None:
            password = self.mqtt_password_file.read_text().strip()
        return MqttOptions(
            host=parts.hostname or "",
            port=parts.port or (8883 if tls else 1883),
            user=unquote(parts.username) if parts.username else self.mqtt_user,
            password=unquote(parts.password) if parts.password else password,
            tls=tls,
            ca_file=str(self.mqtt_ca_file) if self.mqtt_ca_file else None,
        )


def load_settings(model: type[S]) -> S:
    """Read the environment.

    Raises:
        StartupError: naming every missing or wrong variable at once, never a value.
    """
    try:
        return model()  # the values come from the environment
    except ValidationError as error:
        raise StartupError(
            "cannot start, the environment is incomplete or wrong:\n"
            + "\n".join(_problem(model, e["loc"], e["msg"], e["type"]) for e in error.errors()),
            hint="set the variables named above in the environment or in .env",
        ) from None


def _problem(
    model: type[ProcessSettings], loc: tuple[int | str, ...], message: str, kind: str
) -> str:
    name = str(loc[0]) if loc else "?"
    field = model.model_fields.get(name)
    about = f" ({field.description})" if field is not None and field.description else ""
    what = "missing" if kind == "missing" else message.removeprefix("Value error, ")
    return f"  {name.upper()}: {what}{about}"
