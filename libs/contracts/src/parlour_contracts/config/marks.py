"""Marks on the types of settings that say more than the type."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue

MASK = "********"
"""What a secret shows of itself."""


class SecretMark:
    """Marks a text as a secret: never printed, masked in answers, sealed in storage."""

    def __get_pydantic_json_schema__(
        self, core: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say so in the schema, in the words that forms know as well."""
        return {**handler(core), "secret": True, "writeOnly": True, "format": "password"}


class PathMark:
    """Marks a text as the path of a file or folder."""

    def __get_pydantic_json_schema__(
        self, core: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say so in the schema."""
        return {**handler(core), "format": "path"}


SecretSetting = Annotated[str, Field(min_length=10, max_length=4096), SecretMark()]
"""A secret, such as a server's key (C031); shorter ones are mistakes."""

PathSetting = Annotated[str, Field(min_length=1, max_length=300), PathMark()]
"""A path on the machine of the service."""
