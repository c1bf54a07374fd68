"""Messages of the configuration protocol (source document S2)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from parlour_contracts.base import UtcTime

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
