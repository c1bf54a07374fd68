"""What the description of the API says beyond what FastAPI finds out by itself.

Bodies are read raw, for the strict loader's sake, so their models are named here.
"""

from __future__ import annotations

from typing import Any

from parlour_contracts.messages.requests import STATUS_OF, ConfigAnswer
from pydantic import BaseModel

_REF = "#/components/schemas/{model}"
_models: dict[str, type[BaseModel]] = {}
"""Models of bodies, collected while the routes are declared."""


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """``openapi_extra`` of a route whose body is this model."""
    _models[model.__name__] = model
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }


def failures() -> dict[int | str, dict[str, Any]]:
    """Every status of a failure, with the codes that come under it."""
    by_status: dict[int, list[str]] = {}
    for code, status in STATUS_OF.items():
        if code not in ("SECRET_OVER_MQTT", "RETAINED_REQUEST"):
            by_status.setdefault(status, []).append(code)
    return {
        status: {"model": ConfigAnswer, "description": ", ".join(codes)}
        for status, codes in by_status.items()
    }


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the models of the bodies in it, and without FastAPI's own errors."""
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    for name, model in _models.items():
        schema = model.model_json_schema(ref_template=_REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document
