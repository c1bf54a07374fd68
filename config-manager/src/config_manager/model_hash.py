"""One hash over the settings models: what stored settings must fit.

Names, types, bounds and permitted values count; titles, descriptions, defaults and how a
change is applied do not, so that better words are not a mismatch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from parlour_contracts.config import CONFIGS, ServiceConfigModel

_WORDS = frozenset(
    {"title", "description", "help_text", "default", "examples", "apply", "complexity"}
)


def model_hash(models: Mapping[str, type[ServiceConfigModel]] = CONFIGS) -> str:
    """SHA-256, as 64 lower-case hex digits."""
    whole = hashlib.sha256()
    for name in sorted(models):
        whole.update(f"{name} {_of_model(models[name])}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=64)
def _of_model(model: type[ServiceConfigModel]) -> str:
    text = json.dumps(_shape(model.model_json_schema()), sort_keys=True, separators=(",", ":"))
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
