"""The data model of source document S2: what config-manager stores, answers and says of itself."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from parlour_contracts.base import Name, UtcTime
from parlour_contracts.messages.signed import Digest, Epoch, Moment

DatabaseStatus = Literal["healthy", "locked", "corrupted", "schema-mismatch"]
OperationalMode = Literal["normal", "read-only-fallback", "rebuilding"]


class ConfigHealthPayload(BaseModel):
    """The health of config-manager (C036); ``event`` has the grammar of section 3.13."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    ok: bool
    database_status: DatabaseStatus
    operational_mode: OperationalMode
    config_epoch: Annotated[str, Field(max_length=36)]
    schema_version: Annotated[int, Field(ge=0)]
    lkg_cache_valid: bool
    litestream_status: Literal["healthy", "error", "disabled"]
    last_backup: UtcTime | None = None
    event: Annotated[str, Field(max_length=512)] | None = None
    err: Annotated[str, Field(max_length=500)] | None = None

    def encode(self) -> bytes:
        """The bytes that go on the wire."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the bytes of a message.

        Raises:
            pydantic.ValidationError: the bytes are not this message.
        """
        return cls.model_validate_json(payload)


KEY_PATTERN = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*"
"""A configuration key, dotted for nested values (C049); at most 128 characters."""


def _key(value: str) -> str:
    if len(value) > 128 or re.fullmatch(KEY_PATTERN, value) is None:
        raise ValueError(f"must match {KEY_PATTERN} and have at most 128 characters")
    return value


Key = Annotated[str, AfterValidator(_key)]


class ConfigComplexity(StrEnum):
    """``simple`` is shown by default (C002)."""

    SIMPLE = "simple"
    ADVANCED = "advanced"


class ConfigType(StrEnum):
    """Kinds of values (C003)."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    ENUM = "enum"
    PATH = "path"
    SECRET = "secret"  # noqa: S105  # the name of a kind


class ConfigSource(StrEnum):
    """Where a value comes from (C004); one from the environment cannot be changed here."""

    ENV = "env"
    DATABASE = "database"
    DEFAULT = "default"


class S2Model(BaseModel):
    """A model of S2: closed (C001). Enums and times come as text from JSON."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ConfigFieldMetadata(S2Model):
    """What is known of a field (C005). ``key`` carries the service as prefix (X6)."""

    key: str
    service: Name
    type: ConfigType
    complexity: ConfigComplexity = ConfigComplexity.SIMPLE
    description: str
    help_text: str = ""
    is_secret: bool = False
    secret_source: ConfigSource | None = None
    validation_min: int | float | None = None
    validation_max: int | float | None = None
    validation_pattern: str | None = None
    validation_allowed: list[str] | None = None


class ServiceConfig(S2Model):
    """The complete configuration of a service; ``version`` is the row version (C006)."""

    service: Name
    config: dict[str, Any]
    version: Annotated[int, Field(ge=1)] = 1
    updated_at: Moment
    config_epoch: Epoch


class ConfigItem(S2Model):
    """One key and its value, for search and history (C007)."""

    id: int | None = None
    service: Name
    key: Key
    value_json: str
    type: ConfigType
    complexity: ConfigComplexity
    description: str
    help_text: str = ""
    is_secret: bool = False
    updated_at: Moment
    updated_by: str | None = None


class SchemaVersion(S2Model):
    """The form of the database (C008)."""

    id: Literal[1] = 1
    version: int
    model_hash: Digest
    updated_at: Moment


class ConfigEpochMetadata(S2Model):
    """The epoch of a database, also kept in a file beside it (C009, C067)."""

    config_epoch: Epoch
    schema_version: int
    created_at: Moment
    last_rebuild: Moment | None = None


class LKGCache(S2Model):
    """Last-known-good settings (C010, X4)."""

    payload: dict[str, dict[str, Any]]
    config_epoch: Epoch
    generated_at: Moment
    signature: Digest
    algorithm: Literal["hmac-sha256"] = "hmac-sha256"


class ConfigReadRequest(S2Model):
    """Read one service's configuration (C037)."""

    service: Name


class ConfigReadResponse(S2Model):
    """A service's configuration, secrets masked, and what is known about it (C037)."""

    service: Name
    config: dict[str, Any]
    metadata: dict[str, Any]


class ConfigUpdateRequest(S2Model):
    """Replace a service's configuration (C038); ``version`` is the one that was read."""

    service: Name
    config: dict[str, Any]
    version: int


class ConfigUpdateResponse(S2Model):
    """What became of a change (C038)."""

    success: bool
    new_version: int | None = None
    error: str | None = None


class ConfigSearchRequest(S2Model):
    """Find settings (C039, C081)."""

    query: Annotated[str, Field(max_length=200)] = ""
    service_filter: str | None = None
    complexity_filter: ConfigComplexity | None = None
    type_filter: ConfigType | None = None
    max_results: Annotated[int, Field(ge=1, le=200)] = 50


class ConfigSearchResponse(S2Model):
    """Found settings, best first; ``total`` counts all matches (C040)."""

    results: list[ConfigItem]
    total: int


class EncryptionMetadata(S2Model):
    """Which keys are in use and whether one is being replaced (C062)."""

    master_key_id: str
    hmac_key_id: str
    signature_public_key_hash: str
    rotation_status: Literal["idle", "in-progress", "completed"] = "idle"
    grace_window_until: Moment | None = None
