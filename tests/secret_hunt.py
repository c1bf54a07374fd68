"""Look for things that must not be there: in files, messages, answers and logs."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog
from parlour_kit.bus import Message
from parlour_kit.log import configure

_SUSPECT = re.compile(r"eyJ|Bearer|://[^\s/]*:[^\s/]*@")
_KEY = re.compile(r"(?:^|[=:,])([A-Za-z0-9+/]{43}=)(?=,|$)")


def forms_of(secret: bytes) -> set[bytes]:
    """A secret as itself, in hexadecimal, and in base64 wherever it begins within other bytes."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for shift in range(3):
        # The characters that carry bits of a neighbour are left out.
        text = base64.b64encode(bytes(shift) + secret)
        inner = text[(8 * shift + 5) // 6 : (8 * (shift + len(secret))) // 6]
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def private_keys(folder: Path) -> set[bytes]:
    """Every key of 32 bytes in the files of a key folder that is not a public one."""
    found = set()
    for file in folder.rglob("*"):
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                if not line.startswith("#") and "PUBLIC" not in line.partition("=")[0]:
                    found |= {base64.b64decode(text) for text in _KEY.findall(line)}
    return found


def places_with(secrets: Iterable[bytes], places: Mapping[str, bytes]) -> list[str]:
    """The names of the places where one of the secrets shows in some form."""
    forms = set().union(*(forms_of(secret) for secret in secrets))
    return [name for name, content in places.items() if any(form in content for form in forms)]


def secret_files(data: Path) -> set[bytes]:
    """What the files of passwords and tokens of a data directory hold."""
    files = (file for file in (data / "secrets").rglob("*") if file.is_file())
    texts = (file.read_text(encoding="utf-8").strip() for file in files if file.suffix != ".json")
    return {text.encode() for text in texts if "\n" not in text and len(text) >= 16}


def lines_with_secrets(lines: Iterable[str], data: Path) -> list[str]:
    """The lines that a log must not have (D024): with a secret of this fleet, or what looks so."""
    secrets = secret_files(data) | private_keys(data / "keys")
    assert len(secrets) > 5, "the hunter knows what to look for"
    told = {line: line.encode() for line in lines}
    found = places_with(secrets, told)
    return found + [line for line in told if _SUSPECT.search(line)]


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file, with its bytes."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def seen_on(messages: Iterable[Message]) -> dict[str, bytes]:
    """Every message, with all that a subscriber of ``#`` gets of it."""
    return {
        f"message {number} on {message.topic}": b"\n".join(
            [
                message.topic.encode(),
                message.payload,
                repr((message.properties, message.response_topic)).encode(),
                message.correlation or b"",
            ]
        )
        for number, message in enumerate(messages)
    }


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """Each line that any library or part of Parlour logs, as the handler of a process writes it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    lines: list[str] = []
    configure("DEBUG", "json", "everything")
    form = root.handlers[0].formatter

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith(("httpx", "httpcore")):  # whoever asks, not the house
                lines.append(self.format(record))

    kept = Keep()
    kept.setFormatter(form)
    root.handlers[:] = [kept]
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
