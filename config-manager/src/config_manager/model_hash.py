"""One hash over the settings models: what stored settings must fit.

Names, types, bounds and permitted values count; titles, descriptions, defaults and how a
change is applied do not, so that better words are not a mismatch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from parlour_contracts.config import CONFIGS, ServiceConfigModel

_WORDS = frozenset(
    {"title", "description", "help_text", "default", "examples", "apply", "complexity"}
)


def model_hash(models: Mapping[str, type[ServiceConfigModel]] = CONFIGS) -> str:
    """SHA-256, as 64 lower-case hex digits."""
    schemas = {name: _shape(model.model_json_schema()) for name, model in models.items()}
    text = json.dumps(schemas, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _shape(schema: Any) -> Any:
    """A schema without its words; the names of fields are no words, whatever they are."""
    if isinstance(schema, list):
        return [_shape(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _shape(field) for name, field in value.items()}
        if key in ("properties", "$defs")
        else _shape(value)
        for key, value in schema.items()
        if key not in _WORDS
    }
