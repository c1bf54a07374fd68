"""What the description of the API says beyond what FastAPI finds out by itself.

Bodies are read raw, for the strict loader's sake, so their models are named here.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi.routing import APIRoute
from parlour_contracts.messages.requests import STATUS_OF, TRANSACTION_PATTERN, ConfigAnswer
from pydantic import BaseModel

from config_manager.fronts.rest_answers import CHANGES

_REF = "#/components/schemas/{model}"
_MQTT_ONLY = frozenset({"SECRET_OVER_MQTT", "RETAINED_REQUEST", "EXPIRED"})
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The transaction; the same id and request get the stored answer again.",
    "schema": {"type": "string", "pattern": f"^{TRANSACTION_PATTERN}$"},
}
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
        if code not in _MQTT_ONLY:
            by_status.setdefault(status, []).append(code)
    return {
        status: {"model": ConfigAnswer, "description": ", ".join(codes)}
        for status, codes in sorted(by_status.items())
    }


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the models of the bodies in it, and each failure said once."""
    components: dict[str, Any] = document.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for name, model in _models.items():
        schema = model.model_json_schema(ref_template=_REF)
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
    components["schemas"] = dict(sorted(schemas.items()))
    shared: dict[str, Any] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            _shorten(operation, shared)
    components["responses"] = dict(sorted(shared.items()))
    return document


def operation_id(route: APIRoute) -> str:
    """The op of the protocol, or what the route is called."""
    return route.name


def _shorten(operation: dict[str, Any], shared: dict[str, Any]) -> None:
    """Point to failures instead of repeating them; say which header makes a retry safe."""
    responses = operation["responses"]
    for status, response in responses.items():
        if int(status) >= HTTPStatus.BAD_REQUEST and _is_refusal(response):
            shared[status] = response
            responses[status] = {"$ref": f"#/components/responses/{status}"}
        elif int(status) < HTTPStatus.BAD_REQUEST:
            response["description"] = HTTPStatus(int(status)).phrase
    if operation["operationId"] in CHANGES:
        operation.setdefault("parameters", []).append(_IDEMPOTENCY)


def _is_refusal(response: dict[str, Any]) -> bool:
    """Whether its body is the one that every failure has."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return bool(schema.get("$ref") == _REF.format(model=ConfigAnswer.__name__))
