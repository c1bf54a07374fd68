"""A client's message, ``{"type": …, "data": {…}}``: audio, text or control (S0).

The bytes are measured before they are parsed. What is wrong is told completely: somebody who
writes a client mends it in one go.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args

from parlour_contracts.base import Part
from parlour_contracts.validation.errors import ValidationError, mistake
from parlour_contracts.validation.text import (
    clean_characters,
    decode_text,
    foreign_characters,
    is_blank,
    normalise,
    sanitise_text,
    strip_controls,
)

MAX_MESSAGE_BYTES = 1_048_576
"""A message must be smaller (X13)."""

MAX_TEXT = 5000
MAX_TYPE = 32
MAX_CHUNK_BYTES = 524_288
"""Of decoded sound."""

MAX_PARTS = 2000
"""Strings, commas and brackets. A message has a dozen; a megabyte of empty lists would take a
hundred times as long to parse as a megabyte of sound."""

MAX_EXTRA = 20
"""So many unknown fields are named; their number is the sender's."""

_NFC_SHRINKS_TO = 4
"""Form C makes at most four characters into one, so that more than that are too many for sure."""

AudioCoding = Literal["pcm16", "pcm24", "opus"]
SampleRate = Literal[8000, 16000, 24000, 44100, 48000]
Action = Literal["interrupt", "pause", "resume", "reset"]

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string of JSON, also one that does not end, so that it is tried once for each that there is."""

_LANGUAGE = re.compile(r"[a-z]{2}(?:-[A-Z]{2})?")


class AudioMessage(Part):
    """A piece of sound (H042).

    Attributes:
        chunk: the decoded bytes, at most 512 KiB.
    """

    type: Literal["audio"] = "audio"
    format: AudioCoding
    sample_rate: SampleRate
    chunk: bytes


class TextMessage(Part):
    """What a person typed (H023, H043), sanitised: form C, characters of X14, no model tokens."""

    type: Literal["text"] = "text"
    text: str
    language: str | None = None


class ControlMessage(Part):
    """Something to do (H044)."""

    type: Literal["control"] = "control"
    action: Action


ClientMessage = AudioMessage | TextMessage | ControlMessage


@dataclass(frozen=True)
class Verdict:
    """What became of a message: exactly one of the two is there.

    Attributes:
        message: the valid one.
        errors: all mistakes of one that is not, in the order of its fields.
    """

    message: ClientMessage | None
    errors: tuple[ValidationError, ...] = ()


def validate_message(raw: bytes | str) -> Verdict:
    """Look at a message.

    Args:
        raw: as it came; UTF-8, whose faults become U+FFFD.
    """
    if len(raw) >= MAX_MESSAGE_BYTES or (
        isinstance(raw, str) and len(raw.encode("utf-8", "replace")) >= MAX_MESSAGE_BYTES
    ):
        return _refused([mistake("", "MESSAGE_TOO_LARGE", "a message has less than 1 MiB")])
    text = decode_text(raw) if isinstance(raw, bytes) else raw
    if _parts(text) > MAX_PARTS and _has_many_parts(text):
        return _refused([mistake("", "INVALID_JSON", f"a message has at most {MAX_PARTS} parts")])
    try:
        parsed = json.loads(text, parse_constant=_no_number, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return _refused([mistake("", "INVALID_JSON", "a message is one JSON object")])
    if not isinstance(parsed, dict):
        return _refused([mistake("", "INVALID_JSON", "a message is one JSON object", parsed)])
    errors = _extra(parsed, {"type", "data"}, "")
    kind, data = parsed.get("type"), parsed.get("data")
    errors += _of_type(kind)
    if not isinstance(data, dict):
        errors.append(mistake("data", "INVALID_DATA_FIELD", "data is an object", data))
        return _refused(errors)
    read = _READERS.get(kind) if isinstance(kind, str) else None
    message = read(data, errors) if read is not None else None
    return Verdict(message) if message is not None and not errors else _refused(errors)


def _parts(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{") + text.count('"') // 2


def _has_many_parts(text: str) -> bool:
    """Whether that many are there when what stands within strings does not count."""
    found = end = 0
    for string in _STRING.finditer(text):
        found += 1 + _parts(text[end : string.start()])
        end = string.end()
        if found > MAX_PARTS:
            return True
    return found + _parts(text[end:]) > MAX_PARTS


def _of_type(kind: Any) -> list[ValidationError]:
    if isinstance(kind, str) and len(kind) > MAX_TYPE:
        return [mistake("type", "FIELD_TOO_LONG", f"type has at most {MAX_TYPE} characters", kind)]
    if not isinstance(kind, str) or kind not in _READERS:
        known = ", ".join(_READERS)
        return [mistake("type", "INVALID_MESSAGE_TYPE", f"type is one of {known}", kind)]
    return []


def _audio(data: dict[str, Any], errors: list[ValidationError]) -> AudioMessage | None:
    coding, rate, chunk = data.get("format"), data.get("sample_rate"), data.get("chunk")
    if not isinstance(coding, str) or coding not in get_args(AudioCoding):
        known = ", ".join(get_args(AudioCoding))
        errors.append(
            mistake("data.format", "INVALID_AUDIO_FORMAT", f"format is one of {known}", coding)
        )
    if type(rate) is not int or rate not in get_args(SampleRate):  # true is no rate
        known = ", ".join(map(str, get_args(SampleRate)))
        errors.append(
            mistake(
                "data.sample_rate", "INVALID_SAMPLE_RATE", f"sample_rate is one of {known}", rate
            )
        )
    sound = _decoded(chunk)
    if sound is None:
        size = len(chunk) if isinstance(chunk, str) else None
        shown = f"{size} characters" if size is not None else chunk
        errors.append(
            mistake("data.chunk", "INVALID_AUDIO_CHUNK",
                    "chunk is base64 of 1 byte to 512 KiB of sound", shown)
        )  # fmt: skip
    if errors or sound is None:
        return None
    return AudioMessage.model_validate({"format": coding, "sample_rate": rate, "chunk": sound})


def _text(data: dict[str, Any], errors: list[ValidationError]) -> TextMessage | None:
    errors += _extra(data, {"text", "language"}, "data.")
    text, language = data.get("text"), data.get("language")
    if not isinstance(text, str) or not text:
        errors.append(
            mistake("data.text", "INVALID_DATA_FIELD", f"text has 1 to {MAX_TEXT} characters", text)
        )
    elif len(text) > _NFC_SHRINKS_TO * MAX_TEXT or len(composed := normalise(text)) > MAX_TEXT:
        errors.append(
            mistake("data.text", "TEXT_TOO_LONG", f"text has at most {MAX_TEXT} characters", text)
        )
    elif foreign := foreign_characters(strip_controls(composed)):
        codes = " ".join(f"U+{ord(char):04X}" for char in foreign[:10])
        errors.append(
            mistake("data.text", "INVALID_CHARACTERS",
                    f"text may not hold these characters: {codes}", text)
        )  # fmt: skip
    elif is_blank(clean_characters(text)):
        errors.append(
            mistake("data.text", "INVALID_DATA_FIELD", "text holds nothing to read", text)
        )
    if language is not None and not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
        errors.append(
            mistake(
                "data.language", "INVALID_LANGUAGE", "language is such as en or en-US", language
            )
        )
    return None if errors else TextMessage(text=sanitise_text(str(text)), language=language)


def _control(data: dict[str, Any], errors: list[ValidationError]) -> ControlMessage | None:
    action = data.get("action")
    if not isinstance(action, str) or action not in get_args(Action):
        known = ", ".join(get_args(Action))
        errors.append(mistake("data.action", "INVALID_ACTION", f"action is one of {known}", action))
    return None if errors else ControlMessage.model_validate({"action": action})


_READERS: dict[str, Callable[[dict[str, Any], list[ValidationError]], ClientMessage | None]] = {
    "audio": _audio,
    "text": _text,
    "control": _control,
}


def _extra(found: dict[str, Any], known: set[str], prefix: str) -> list[ValidationError]:
    unknown = [key for key in found if key not in known]
    return [
        mistake(f"{prefix}{key}", "INVALID_DATA_FIELD", "there is no such field", found[key])
        for key in unknown[:MAX_EXTRA]
    ]


def _decoded(chunk: Any) -> bytes | None:
    """The sound of a chunk, or None when it is none or too much."""
    if not isinstance(chunk, str) or len(chunk) > (MAX_CHUNK_BYTES + 2) // 3 * 4:
        return None
    try:
        sound = base64.b64decode(chunk, validate=True)
    except (binascii.Error, ValueError):
        return None
    return sound if 0 < len(sound) <= MAX_CHUNK_BYTES else None


def _refused(errors: list[ValidationError]) -> Verdict:
    return Verdict(None, tuple(errors))


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are there once: of two, some readers take the first, others the last."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is there twice")
    return made
