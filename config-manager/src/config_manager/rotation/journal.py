"""What a rotation remembers beside the key files: when, who, and how far.

A small file in the folder of the keys; ids and times, no key. What belongs to an earlier key is
dropped, so a stale entry can end no grace. A file that cannot be read counts as empty: then work
that was done is done again, and a grace begins anew.
"""

from __future__ import annotations

from pathlib import Path

from parlour_config.canonical import load
from parlour_config.errors import RefusedJsonError, StorageError
from parlour_config.files import read_limited, replace_file
from pydantic import BaseModel, ConfigDict, ValidationError

FILE = "rotation.json"
MAX_BYTES = 16_384


class Entry(BaseModel):
    """One rotation.

    Attributes:
        key_id: of the key that is or will be in use; the entry counts for it alone.
        by: who began it.
        spread: the work that must follow the switch was done.
        grace_until: when old keys stop to count; wall time.
        trusted: whether the clock could be trusted when ``grace_until`` was set.
        completed_at: when it ended.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    key_id: str
    by: str = "system"
    spread: bool = False
    grace_until: str | None = None
    trusted: bool = True
    completed_at: str | None = None


class _Contents(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    entries: dict[str, Entry] = {}
    epoch_due: bool = False
    disowned: str = ""


class Journal:
    """The file; every change is on the disk when the call returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._contents = self._read()

    def entry(self, name: str, key_id: str) -> Entry:
        """What is known of the rotation to this key."""
        found = self._contents.entries.get(name)
        return found if found is not None and found.key_id == key_id else Entry(key_id=key_id)

    def put(self, name: str, entry: Entry) -> None:
        """Remember; raises StorageError."""
        self._write(
            self._contents.model_copy(update={"entries": {**self._contents.entries, name: entry}})
        )

    @property
    def epoch_due(self) -> bool:
        """Whether a key was revoked and the epoch that must follow is still to be made."""
        return self._contents.epoch_due

    def owe_epoch(self, due: bool) -> None:
        """Remember that; raises StorageError."""
        if due != self._contents.epoch_due:
            self._write(self._contents.model_copy(update={"epoch_due": due}))

    @property
    def disowned(self) -> str:
        """The id of a signing key that may be in wrong hands, so it is to be revoked."""
        return self._contents.disowned

    def disown(self, key_id: str) -> None:
        """Remember that; raises StorageError."""
        self._write(self._contents.model_copy(update={"disowned": key_id}))

    def _read(self) -> _Contents:
        try:
            return _Contents.model_validate(load(read_limited(self._path, MAX_BYTES)))
        except (FileNotFoundError, StorageError, RefusedJsonError, ValidationError):
            return _Contents()

    def _write(self, contents: _Contents) -> None:
        replace_file(self._path, contents.model_dump_json(indent=1).encode() + b"\n")
        self._contents = contents
