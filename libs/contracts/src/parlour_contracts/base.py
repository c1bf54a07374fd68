"""The base of everything that travels: strict, closed, versioned models and their ids."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

NAME_PATTERN = r"[a-z][a-z0-9-]{0,62}"
"""Names of services, instances, sites and people (``config-protocol.md`` section 3.1)."""

_NAME = re.compile(NAME_PATTERN)
_LANGUAGE = re.compile(r"[a-z]{2}-[A-Z]{2}")


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError(f"must match {NAME_PATTERN}")
    return value


def _uuid7(value: str) -> str:
    try:
        parsed = UUID(value)
    except ValueError:
        raise ValueError("must be a UUIDv7") from None
    if str(parsed) != value or parsed.version != 7:
        raise ValueError("must be a UUIDv7, in lower case")
    return value


def _language(value: str) -> str:
    if _LANGUAGE.fullmatch(value) is None:
        raise ValueError("language must be in format: en-US")
    return value


Name = Annotated[str, AfterValidator(_name)]
"""A service, an instance, a site or a person."""

Uuid7 = Annotated[str, AfterValidator(_uuid7)]
"""A time-ordered id in text form; version and variant are checked (X16)."""

Language = Annotated[str, AfterValidator(_language)]
"""A language and a region, such as ``en-US`` (V005)."""

Ms = Annotated[float, Field(ge=0, le=1e12)]
"""A duration in milliseconds, from a monotonic clock."""

UtcTime = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$", max_length=27
    ),
]
"""Wall time for display and logs: ISO 8601, UTC, six decimals (X8)."""

MAX_SPOKEN = 5000
SpokenText = Annotated[str, Field(max_length=MAX_SPOKEN)]
"""Text to be spoken or transcribed, at most 5000 characters (V057)."""


class WireModel(BaseModel):
    """A payload: strict types, no unknown fields, an explicit version of its form."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    v: Annotated[int, Field(ge=1, le=1)] = 1
    """Version of the form; a literal would take ``true`` for 1."""

    def encode(self) -> bytes:
        """The bytes that go on the wire: JSON, UTF-8."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the bytes of a message.

        Raises:
            pydantic.ValidationError: the bytes are not this message.
        """
        return cls.model_validate_json(payload)


class Part(BaseModel):
    """A piece of a payload: strict and closed, without a version of its own."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


JsonObject = dict[str, Any]
