"""Settings as a person types them: ``volume_percent=40``, ``piper_voice=en_US-joe-medium``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parlour_config.canonical import load
from parlour_config.errors import RefusedJsonError
from parlour_contracts.config.metadata import bare_key

from parlour_cli.talk.errors import InputError

MAX_TYPED_BYTES = 262_144
_TEXT = frozenset({"string", "enum", "path"})
_EXAMPLES = {"boolean": "true or false", "integer": "such as 40", "float": "such as 0.5"}
_WIDEST = 40

EXAMPLE = """such as '{"speed": 1.1}'"""
"""Settings of one service."""


def parse_assignments(
    words: Sequence[str], fields: Iterable[Mapping[str, Any]], service: str
) -> dict[str, Any]:
    """``KEY=VALUE`` words as settings; a value is read as its field's type wants it.

    Text is taken as it stands, ``null`` is nothing, everything else is JSON (``true``, ``0.5``).

    Args:
        words: what was typed.
        fields: what config-manager says of the service's fields.
        service: whose settings they are.

    Raises:
        InputError: a word is no assignment, its key unknown or a secret, or its value not of
            the type.
    """
    types = {plain_key(str(f["key"]), service): str(f["type"]) for f in fields}
    found: dict[str, Any] = {}
    for word in words:
        typed, equals, text = word.partition("=")
        if not equals:
            example = next(iter(types), "key")
            raise InputError(f"{word[:80]!r} is no KEY=VALUE", hint=f"such as {example}=…")
        key = plain_key(typed.strip(), service)
        if key not in types:
            raise unknown_key(key, types, service)
        if key in found:
            raise InputError(f"{key} is given twice", hint="give each setting once")
        if types[key] == "secret":
            raise InputError(
                f"{key} is a secret, which has no place on a command line",
                hint=f"parlour config secret set {service} {key}",
            )
        found[key] = _value(key, types[key], text)
    return found


def parse_object(text: str, example: str = EXAMPLE) -> dict[str, Any]:
    """Settings that were given as one JSON object.

    Args:
        text: what was typed.
        example: of what is wanted, for the hint.

    Raises:
        InputError: it is none, or JSON that other programs would read in another way.
    """
    try:
        found = load(text.encode("utf-8", "surrogatepass"), MAX_TYPED_BYTES)
    except RefusedJsonError as error:
        raise InputError(f"the settings cannot be read: {error}", hint=example) from None
    if not isinstance(found, dict):
        raise InputError("the settings are no JSON object", hint=example)
    return dict(found)


def unknown_key(key: str, known: Iterable[str], service: str) -> InputError:
    """A setting that the service has not, with the one that was probably meant."""
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"parlour config describe {service}"
    return InputError(f"{service} has no setting {key[:80]!r}", hint=hint)


def plain_key(key: str, service: str) -> str:
    """A key without the service in front: ``stt.whisper_model`` is ``whisper_model``."""
    return bare_key(service, key.removeprefix(f"{service}."))


def shown(value: Any) -> str:
    """A value as one line."""
    if isinstance(value, Mapping) and value.get("$masked"):
        return "(secret)"
    return json.dumps(value, ensure_ascii=False)


def cell(value: Any) -> str:
    """A value as it fits into a column."""
    text = shown(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _value(key: str, kind: str, text: str) -> Any:
    if text == "null":
        return None
    if kind in _TEXT:
        return text
    try:
        return load(text.encode("utf-8", "surrogatepass"), MAX_TYPED_BYTES)
    except RefusedJsonError:
        raise InputError(
            f"{key} is of type {kind}, and {text[:80]!r} is none", hint=_EXAMPLES.get(kind, "")
        ) from None
