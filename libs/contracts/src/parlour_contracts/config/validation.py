"""Says what is wrong with a configuration, key by key, without ever repeating a value."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from parlour_contracts.config.fields import ServiceConfigModel
from parlour_contracts.config.metadata import allowed_of, bare_key
from parlour_contracts.config.registry import CONFIGS
from parlour_contracts.messages.requests import Problem

_WORDS = {
    "missing": "is required",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "literal_error": "must be one of the allowed values",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "does not have the right form",
}


def validate_config(
    service: str, config: Mapping[str, Any], model: type[ServiceConfigModel] | None = None
) -> tuple[ServiceConfigModel | None, list[Problem]]:
    """Check a configuration as strictly as its service will.

    What is left out takes its default. An integer passes for a float, because canonical JSON
    writes ``2.0`` as ``2``; nothing else passes for another type.

    Args:
        service: whose configuration it is.
        config: bare key → value, secrets in clear text.
        model: its settings model; the registered one when left out.

    Returns:
        The settings and no problems, or None and every problem that was found.

    Raises:
        KeyError: no such service.
    """
    model = model or CONFIGS[service]
    try:
        return model.model_validate(dict(config)), []
    except ValidationError as error:
        return None, problems_of(service, error, model)


def problems_of(
    service: str, error: ValidationError, model: type[ServiceConfigModel] | None = None
) -> list[Problem]:
    """What a model's refusal means for people, one problem for each key and cause."""
    model = model or CONFIGS[service]
    # The input is left out: it may be a secret.
    details = error.errors(include_url=False, include_input=False)
    return [_problem(service, model, detail) for detail in details]


def _problem(service: str, model: type[ServiceConfigModel], detail: Mapping[str, Any]) -> Problem:
    names = model.model_fields
    key = ".".join(str(part) for part in detail["loc"][:1])
    if detail["type"] == "extra_forbidden":
        return Problem(key=key[:200], problem=_unknown(service, key, list(names)))
    if not key:
        return _rule(names, _text(detail))
    return Problem(key=key[:200], problem=_text(detail)[:500], allowed=allowed_of(names[key]))


def _unknown(service: str, key: str, names: list[str]) -> str:
    bare = bare_key(service, key)
    if bare in names:
        return f"unknown setting; write {bare}"
    near = get_close_matches(bare, names, n=1)
    return f"unknown setting; did you mean {near[0]}?" if near else "unknown setting"


def _text(detail: Mapping[str, Any]) -> str:
    if detail["type"] == "value_error":
        return str(detail.get("ctx", {}).get("error", detail["msg"]))
    return _WORDS.get(detail["type"], str(detail["msg"]))


def _rule(names: Mapping[str, Any], text: str) -> Problem:
    """A rule between fields: its text begins with the one to be changed."""
    first = text.partition(" ")[0]
    return Problem(key=first if first in names else "", problem=text[:500])
