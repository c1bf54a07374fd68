"""``NAME=VALUE`` lines that hold keys: every problem is named at once, and no value in any.

The form is that of an environment file, so that a container can be given the same file.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from parlour_kit.errors import StartupError
from parlour_kit.log import keep_secret

from parlour_config.errors import BadKeyError
from parlour_config.sealing import SYMMETRIC_BYTES, symmetric_id
from parlour_config.signing import MAX_TRUSTED_KEYS, SigningKey, TrustedKey

MAX_FILE_BYTES = 65_536

_LINE = re.compile(r"([A-Z][A-Z0-9_]*)=([!-~]*)")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ONE_GROUP = (
    "CONFIG_SIGNATURE_PRIVATE_KEY",
    "CONFIG_MASTER_KEY",
    "LKG_HMAC_KEY",
    "CONFIG_SERVICE_KEY",
    "LKG_SERVICE_KEY",
)
_HINT = "repair the lines named above, or give the keys in the environment"


class NamedKey(NamedTuple):
    """A symmetric key with the id that it is known by; its bytes appear in no text of it."""

    id: str
    raw: bytes

    def __repr__(self) -> str:
        return f"NamedKey({self.id})"

    @classmethod
    def of(cls, raw: bytes) -> NamedKey:
        """A master key under the id that follows from it."""
        return cls(symmetric_id(raw), raw)


def read_lines(path: Path | None) -> dict[str, str]:
    """The values of a file; none when there is no such file.

    Raises:
        StartupError: naming every wrong line by its number, or why the file cannot be read.
    """
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise StartupError(
            f"cannot read {path}: {error.strerror}", hint="check the owner and mode of the file"
        ) from None
    return parse_lines(data, str(path))


def parse_lines(data: bytes, where: str) -> dict[str, str]:
    """Read ``NAME=VALUE`` lines; empty lines and lines with ``#`` in front say nothing.

    Raises:
        StartupError: naming every wrong line by its number.
    """
    if len(data) > MAX_FILE_BYTES:
        raise StartupError(f"{where} has more than {MAX_FILE_BYTES} bytes", hint=_HINT)
    values: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            problems.append(f"  line {number}: must be NAME=VALUE")
        elif match[1] in values:
            problems.append(f"  line {number}: {match[1]} stands here a second time")
        else:
            values[match[1]] = match[2]
    if problems:
        raise StartupError(f"{where} cannot be used:\n" + "\n".join(problems), hint=_HINT)
    return values


def render_lines(values: Mapping[str, str], about: str) -> bytes:
    """A file of these values under a line that says what it is; empty values are left out."""
    lines = [f"# {line}" for line in about.splitlines()]
    lines += [f"{name}={value}" for name, value in values.items() if value]
    return ("\n".join(lines) + "\n").encode()


def merged(file: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """The environment over the file.

    A key that the environment gives brings its id and its predecessors along, so what the file
    says about that key does not count. Blank variables count as absent.
    """
    given = {name: value.strip() for name, value in env.items() if value.strip()}
    taken = tuple(f"{name}_" for name in _ONE_GROUP if name in given)
    kept = {name: value for name, value in file.items() if not name.startswith(taken)}
    return {**kept, **given}


class Lines:
    """Reads keys out of values and collects what is wrong with them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[str] = []

    def text(self, name: str) -> str | None:
        """A value that is there."""
        return self._values.get(name) or None

    def wrong(self, name: str, what: str) -> None:
        """Note a problem."""
        self._problems.append(f"  {name}: {what}")

    def finish(self, what: str) -> None:
        """End the reading.

        Raises:
            StartupError: naming all problems, when there are any.
        """
        if self._problems:
            raise StartupError(f"{what}:\n" + "\n".join(self._problems), hint=_HINT)

    def raw(self, name: str, text: str) -> bytes:
        """32 bytes; 32 zeros beside a problem. From here on no log holds what is not public."""
        if "PUBLIC" not in name:
            keep_secret(text)
        try:
            raw = base64.b64decode(text.encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        if len(raw) != SYMMETRIC_BYTES or base64.b64encode(raw).decode() != text:
            self.wrong(name, f"must be {SYMMETRIC_BYTES} bytes of standard base64")
            return bytes(SYMMETRIC_BYTES)
        return raw

    def signing(self, name: str, *, required: bool = False) -> SigningKey | None:
        """A private Ed25519 key."""
        text = self.text(name)
        if text is None:
            if required:
                self.wrong(name, "missing")
            return None
        return SigningKey(self.raw(name, text))

    def public(self, name: str) -> tuple[TrustedKey, ...]:
        """A comma list of at most four public keys, each once."""
        keys: dict[str, TrustedKey] = {}
        for text in self._items(name):
            problems = len(self._problems)
            raw = self.raw(name, text)
            if len(self._problems) > problems:
                continue
            try:
                key = TrustedKey.of(raw)
            except BadKeyError as error:
                self.wrong(name, str(error))
            else:
                keys[key.kid] = key
        if len(keys) > MAX_TRUSTED_KEYS:
            self.wrong(name, f"at most {MAX_TRUSTED_KEYS} keys may be trusted at once")
        return tuple(keys.values())

    def named(self, name: str) -> tuple[NamedKey, ...]:
        """A comma list of ``id:base64``."""
        keys = []
        for item in self._items(name):
            kid, colon, text = item.partition(":")
            if not colon or not _ID.fullmatch(kid):
                self.wrong(name, "must be id:key, the id of letters, digits, '.', '_' and '-'")
            else:
                keys.append(NamedKey(kid, self.raw(name, text)))
        return tuple(keys)

    def master(self, name: str, *, required: bool = False) -> NamedKey | None:
        """One key and, under the name with ``_ID``, its id."""
        keys = self.masters(name)
        if len(keys) > 1:
            self.wrong(name, "must be one key")
        if required and not keys:
            self.wrong(name, "missing")
        return keys[0] if keys else None

    def masters(self, name: str) -> tuple[NamedKey, ...]:
        """A comma list of keys and that of their ids, which follow from the keys when absent."""
        raws = [self.raw(name, text) for text in self._items(name)]
        ids = self._items(f"{name}_ID") or [symmetric_id(raw) for raw in raws]
        if len(ids) != len(raws):
            self.wrong(f"{name}_ID", f"must have one id for each key of {name}")
        if not all(map(_ID.fullmatch, ids)):
            self.wrong(f"{name}_ID", "must be of letters, digits, '.', '_' and '-', at most 64")
        return tuple(map(NamedKey, ids, raws))

    def number(self, name: str, default: int) -> int:
        """A small whole number from 1."""
        text = self.text(name) or str(default)
        if not re.fullmatch(r"[1-9][0-9]?", text):
            self.wrong(name, "must be a whole number from 1")
            return default
        return int(text)

    def _items(self, name: str) -> list[str]:
        text = self.text(name)
        return [item.strip() for item in text.split(",") if item.strip()] if text else []
