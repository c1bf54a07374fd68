"""How the fuzzer damages a document: each takes chance, the bytes, and another document's bytes."""

# ruff: noqa: INP001  # beside a script; chance from a seed is the point

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from fuzz_readers import (
    ABOVE,
    BELOW,
    CONFIG,
    FLOOR,
    LEFT,
    NEVER,
    NOW,
    OTHER,
    REVOKED,
    ROOT,
    SERVICE,
    SIGNER,
)
from parlour_config.canonical import checksum
from parlour_config.pae import KEYSET, LEASE

Mutate: TypeAlias = Callable[[random.Random, bytes, bytes], bytes]


def _flip(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    raw = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 8)) if raw else 0):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw)


def _cut(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] if chance.random() < 0.5 else data[:at] + data[at + chance.randrange(1, 20) :]


def _insert(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(PIECES) + data[at:]


def _splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + other[chance.choice((at, chance.randrange(len(other) + 1))) :]


def _swap_fields(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Take over fields of another genuine document, its signature included."""
    one, two = _object(data), _object(other)
    for name in chance.sample(sorted(two), min(len(two), chance.choice((1, 1, 2, 3)))):
        one[name] = two[name]
    return _text(one)


def _field(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    """One value anywhere becomes another."""
    document = _object(data)
    at: Any = document
    name: Any = None
    while isinstance(at, (dict, list)) and at:
        holder, name = at, chance.choice(sorted(at) if isinstance(at, dict) else range(len(at)))
        at = holder[name]
        if not isinstance(at, (dict, list)) or not at or chance.random() < 0.3:
            holder[name] = chance.choice(VALUES)
            break
    return _text(document)


def _drop_or_add(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    document = _object(data)
    if chance.random() < 0.5 and document:
        del document[chance.choice(sorted(document))]
    else:
        document[chance.choice(("extra", "$x", "Version", "version ", "sig", "config\u0000"))] = 1
    return _text(document)


def _twice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """A key for a second time: in front, where some readers look, or behind, where others do."""
    one, two = _object(data), _object(other)
    if not one or not two:
        return data
    name = chance.choice(sorted(two))
    spelt = name if chance.random() < 0.5 else f"\\u{ord(name[0]):04x}{name[1:]}"
    pair = f'"{spelt}":{json.dumps(two[name], ensure_ascii=False)}'.encode()
    body = _text(one)
    return (
        b"{" + pair + b"," + body[1:] if chance.random() < 0.5 else body[:-1] + b"," + pair + b"}"
    )


def _base64(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    """Another text of the same bytes of a signature."""
    found = list(re.finditer(rb"[A-Za-z0-9+/]{86}==|[0-9a-f]{64}", data))
    if not found:
        return data
    match = chance.choice(found)
    text = match[0]
    changed = chance.choice(
        (
            text[:-3] + bytes([chance.choice(b"ghiABCwxyz")]) + b"==",
            text.rstrip(b"="),
            text.replace(b"+", b"-").replace(b"/", b"_"),
            text[:40] + b"\\n" + text[40:],
            text + b"=",
            text + b"AAAA",
            text.upper(),
            b" " + text,
            base64.b64encode(bytes(64)),
            text[:44].replace(b"/", b"\\/") + text[44:],
        )
    )
    return data[: match.start()] + changed + data[match.end() :]


def _number(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    """Another spelling of a number, the same value or nearly."""
    found = list(re.finditer(rb"(?<=[:\[,])-?[0-9][0-9.e+-]*(?=[,\]}])", data))
    if not found:
        return data
    match = chance.choice(found)
    text = match[0]
    forms = (
        text + b".0",
        text + b"e0",
        text + b"E+00",
        b"0" + text,
        b"-" + text,
        b"+" + text,
        text + b".0000000000000000001",
        text + b"." + b"0" * 400,
        b"9007199254740993",
        b"1e400",
        b"NaN",
        b'"' + text + b'"',
        b"true",
        b"-0",
    )
    return data[: match.start()] + chance.choice(forms) + data[match.end() :]


def _respell(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    """The same content in another text."""
    document, indent = _object(data), chance.choice((None, 1))
    return json.dumps(document, indent=indent).encode() if indent else _text(document)


def _resign(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    """A true signature by the trusted key, of another kind of document or by another key."""
    document = _object(data)
    document.pop("signature", None)
    key, kind = chance.choice(((SIGNER, KEYSET), (REVOKED, "x"), (ROOT, LEASE)))
    return _text({**document, "signature": key.sign(kind, _text(document))})


def _deep(chance: random.Random, data: bytes, _other: bytes) -> bytes:
    depth = chance.choice((2, 15, 16, 17, 1000))
    at = chance.randrange(len(data) + 1)
    return data[:at] + b"[" * depth + b"]" * depth + data[at:]


def _object(data: bytes) -> dict[str, Any]:
    """A document as a careless reader has it; an empty one when it is no object."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


PIECES = (
    b" ", b"\n", b"\x00", b"\xef\xbb\xbf", b"\xff", b",", b"}", b'"', b"\\", b"\\ud800", b"NaN",
    b"1e400", b"-", b"0", b"/**/", b"null", "\u2028".encode(), b"\xed\xa0\x80", b'"a":1,', b"[",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.0, 0.5, 2**53 - 1, 2**53, 1e308, "", "x", "\ud800", [], {},
    [1], {"$secret": 1}, {"$x": 1}, SERVICE, "tts-worker", NOW, LEFT, NEVER, FLOOR, BELOW, ABOVE,
    "2999-01-01T00:00:00.000000Z", "stt-worker\n", checksum(CONFIG), checksum(OTHER), SIGNER.kid,
)  # fmt: skip
MUTATIONS: tuple[Mutate, ...] = (
    _flip, _flip, _cut, _insert, _splice, _swap_fields, _swap_fields, _field, _field,
    _drop_or_add, _twice, _base64, _number, _respell, _resign, _deep,
)  # fmt: skip
