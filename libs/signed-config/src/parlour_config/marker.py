"""The poison guard: who applies a configuration leaves a note until it has proved harmless.

Before a configuration is applied, a marker with its checksum is written, and removed a minute
after success. Who finds it at the next start was stopped in between. The first time that may
have been the power, so it is tried again; the second time the configuration is poison.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parlour_config.canonical import canonical, load
from parlour_config.clock import parse_moment
from parlour_config.errors import ClockError, RefusedJsonError, StorageError
from parlour_config.files import read_limited, remove_file, replace_file
from parlour_config.update import Update

SETTLE_S = 60.0
"""A configuration that has run so long did not stop the service."""

MAX_ATTEMPTS = 2
MAX_MARKER_BYTES = 4_096


@dataclass(frozen=True)
class BootDecision:
    """What the marker says at a start.

    Attributes:
        kind: ``clean``: no marker. ``retry``: the service was stopped once with ``checksum``;
            apply it again. ``poisoned``: twice; do not apply it.
        issued_at: of the message that was applied.
    """

    kind: Literal["clean", "retry", "poisoned"]
    checksum: str | None = None
    issued_at: str | None = None


@dataclass(frozen=True)
class _Note:
    checksum: str
    issued_at: str
    attempts: int


class ApplyMarker:
    """The marker in its file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, update: Update) -> None:
        """Count one attempt to apply this configuration; another one's count ends.

        Raises:
            StorageError: then nothing guards this configuration.
        """
        note = self._read()
        again = note is not None and note.checksum == update.checksum
        text: dict[str, str | int] = {
            "epoch": update.config_epoch,
            "issued_at": update.issued_at,
            "checksum": update.checksum,
            "attempts": note.attempts + 1 if note is not None and again else 1,
        }
        replace_file(self._path, canonical(text))

    def clear(self) -> None:
        """The attempt is over and the service lives.

        Raises:
            StorageError: the marker is still there.
        """
        remove_file(self._path)

    def at_boot(self) -> BootDecision:
        """What the marker says; nothing is changed."""
        note = self._read()
        if note is None:
            return BootDecision("clean")
        kind: Literal["retry", "poisoned"] = "retry" if note.attempts < MAX_ATTEMPTS else "poisoned"
        return BootDecision(kind, note.checksum, note.issued_at)

    def _read(self) -> _Note | None:
        """The note; one that cannot be read says nothing."""
        try:
            found = load(read_limited(self._path, MAX_MARKER_BYTES))
        except (FileNotFoundError, StorageError, RefusedJsonError):
            return None
        match found:
            case {"checksum": str(checksum), "issued_at": str(issued_at), "attempts": int(number)}:
                try:
                    parse_moment(issued_at)
                except ClockError:
                    return None
                return _Note(checksum, issued_at, number)
            case _:
                return None
