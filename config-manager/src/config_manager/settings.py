"""What config-manager reads from its environment, beside what every process does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from parlour_contracts.acl import DISCOVERY_PREFIX, PREFIX_PATTERN
from parlour_kit.link import MqttOptions
from parlour_kit.settings import ProcessSettings
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

REFRESH_S = 6 * 3600.0
"""How often every service's configuration is signed anew."""


class ManagerSettings(ProcessSettings):
    """The settings of the process; names are those of the environment, empty ones are unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    keys_dir: Path | None = Field(
        None, description="folder of the key files; DATA_DIR/keys when unset"
    )
    config_seed_file: Path | None = Field(
        None, description="JSON file with the settings that services begin with"
    )
    users_file: Path | None = Field(
        None, description="JSON list of people; DATA_DIR/config-manager/users.json when unset"
    )
    rebuild_token: SecretStr | None = Field(
        None, description="whoever knows it may have a damaged database made anew over REST"
    )
    rest_host: str = Field("127.0.0.1", description="address that HTTP is served on")
    rest_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None, description="port of HTTP; none when unset"
    )
    rest_cert_file: Path | None = Field(None, description="certificate for HTTPS")
    rest_key_file: Path | None = Field(None, description="private key of the certificate")
    mqtt_acl: Literal["enforced", "none"] = Field(
        "enforced", description="none: the broker does not tell users apart"
    )
    config_auto_rebuild: bool = Field(
        False, description="make a damaged database anew from its backup"
    )
    allow_auto_rebuild: bool = Field(False, description="the same as CONFIG_AUTO_REBUILD")
    config_backup_dir: Path | None = Field(
        None, description="folder of the daily copy; beside the database when unset"
    )
    config_refresh_s: Annotated[float, Field(ge=60, le=7 * 86_400)] = Field(
        REFRESH_S, description="seconds after which unchanged settings are signed anew"
    )
    config_requests_per_s: Annotated[float, Field(gt=0, le=100_000)] = Field(
        5.0, description="requests that each user may make in a second"
    )
    config_requests_at_once: Annotated[int, Field(ge=1, le=1000)] = Field(
        10, description="requests that each user may have under way"
    )
    litestream_socket: Path | None = Field(
        None, description="control socket of Litestream, when it copies the database"
    )
    litestream_env_file: Path | None = Field(
        None, description="file in which Litestream finds the epoch; beside the database when unset"
    )

    home_assistant: bool = Field(
        False, description="tell Home Assistant of the fleet, over its MQTT discovery"
    )
    home_assistant_prefix: Annotated[str, Field(pattern=rf"^{PREFIX_PATTERN}\z")] = Field(
        DISCOVERY_PREFIX, description="first level of Home Assistant's topics"
    )

    @field_validator("config_seed_file", "rest_cert_file", "rest_key_file")
    @classmethod
    def _there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("no such file")
        return value

    def mqtt_options(self) -> MqttOptions:
        """Of the connection that publishes; its session lives longer than its will waits."""
        return replace(
            super().mqtt_options(), keepalive_s=10, receive_maximum=64, session_expiry_s=10
        )

    def request_options(self) -> MqttOptions:
        """Of the connection for requests: what is sent within a minute of a restart is kept."""
        return replace(
            super().mqtt_options(),
            keepalive_s=10,
            clean_start=False,
            session_expiry_s=60,
            receive_maximum=16,
            maximum_packet_size=1_048_576,
        )

    @property
    def database(self) -> Path:
        """The database file."""
        return self.data_dir / "config-manager" / "config.db"

    @property
    def keys(self) -> Path:
        """The folder of the key files."""
        return self.keys_dir or self.data_dir / "keys"

    @property
    def users(self) -> Path:
        """The users file."""
        return self.users_file or self.data_dir / "config-manager" / "users.json"

    @property
    def backup(self) -> Path:
        """The daily copy of the database."""
        return (self.config_backup_dir or self.database.parent / "backup") / self.database.name

    @property
    def litestream_env(self) -> Path:
        """Where Litestream finds host and epoch."""
        return self.litestream_env_file or self.database.with_name("litestream.env")

    @property
    def rebuilds(self) -> bool:
        """Whether a damaged database may be made anew without asking."""
        return self.config_auto_rebuild or self.allow_auto_rebuild
