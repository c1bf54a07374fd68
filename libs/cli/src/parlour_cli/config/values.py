"""Settings as a person types them: ``volume_percent=40``, ``piper_voice=en_US-joe-medium``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parlour_cli.talk.errors import InputError

_TEXT = {"string", "enum", "path", "secret"}


def parse_assignments(
    words: Sequence[str], fields: Iterable[Mapping[str, Any]], service: str
) -> dict[str, Any]:
    """``KEY=VALUE`` words as settings; a value is read as its field's type wants it.

    Text is taken as it stands, ``null`` is nothing, everything else is JSON (``true``, ``0.5``).

    Args:
        words: what was typed.
        fields: what config-manager says of the service's fields.
        service: for messages.

    Raises:
        InputError: a word is no assignment, its key unknown, or its value not of the type.
    """
    types = {bare(str(f["key"])): str(f["type"]) for f in fields}
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise InputError(
                f"{word!r} is no KEY=VALUE", hint=f"such as {next(iter(types), 'key')}=…"
            )
        if key not in types:
            raise unknown_key(key, types, service)
        if key in found:
            raise InputError(f"{key} is given twice")
        found[key] = _value(key, types[key], text)
    return found


def unknown_key(key: str, known: Iterable[str], service: str) -> InputError:
    """A setting that the service has not, with the one that was probably meant."""
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"parlour config describe {service}"
    return InputError(f"{service} has no setting {key!r}", hint=hint)


def bare(key: str) -> str:
    """A key without the service in front: ``stt.whisper_model`` is ``whisper_model``."""
    return key.partition(".")[2] or key


def _value(key: str, kind: str, text: str) -> Any:
    if text == "null":
        return None
    if kind in _TEXT and not text.startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(
            f"{key} is of type {kind}, and {text!r} is none", hint=_example(kind)
        ) from None


def _example(kind: str) -> str:
    return {"boolean": "true or false", "integer": "such as 40", "float": "such as 0.5"}.get(
        kind, "such as {}"
    )


def shown(value: Any) -> str:
    """A value as one line."""
    if isinstance(value, Mapping) and value.get("$masked"):
        return "(secret)"
    return json.dumps(value, ensure_ascii=False)
