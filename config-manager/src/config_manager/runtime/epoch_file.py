"""The file beside the database that says which epoch it is in (C067), and the marks beside it.

``health+epoch.json`` holds S2's ``ConfigEpochMetadata``. It is written after the database, so one
that names an epoch which the database does not know tells that the database is another one: a
restored copy, or a new one where an old one was. ``restore.marker`` is written by whoever restores
a copy. ``epoch-conflict.json`` keeps a conflict over restarts until the operator ends it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from parlour_config.canonical import load
from parlour_config.errors import RefusedJsonError, StorageError
from parlour_config.files import read_limited, remove_file, replace_file
from parlour_contracts.messages.configuration import ConfigEpochMetadata
from pydantic import ValidationError

MAX_BYTES = 65_536


@dataclass(frozen=True)
class EpochFiles:
    """The small files in the folder of the database."""

    folder: Path

    @property
    def epoch_path(self) -> Path:
        """Where the epoch is."""
        return self.folder / "health+epoch.json"

    @property
    def marker_path(self) -> Path:
        """Where a restore leaves its mark."""
        return self.folder / "restore.marker"

    @property
    def conflict_path(self) -> Path:
        """Where a conflict is kept."""
        return self.folder / "epoch-conflict.json"

    @property
    def confirmed_path(self) -> Path:
        """Where the operator's word about a floor far ahead is kept."""
        return self.folder / "floor-confirmed.json"

    def read(self) -> ConfigEpochMetadata | None:
        """The epoch that the file names, or None; one that cannot be read names none."""
        try:
            return ConfigEpochMetadata.model_validate(load(self._bytes(self.epoch_path)))
        except (FileNotFoundError, StorageError, RefusedJsonError, ValidationError):
            return None

    def write(self, metadata: ConfigEpochMetadata) -> None:
        """Name the epoch; raises StorageError."""
        replace_file(self.epoch_path, metadata.model_dump_json().encode() + b"\n")

    def restored(self) -> bool:
        """Whether somebody restored a copy and nobody has acted on it."""
        return self.marker_path.exists()

    def restore_done(self) -> None:
        """The restored copy has its new epoch; raises StorageError."""
        remove_file(self.marker_path)

    def conflict(self) -> str:
        """Why an earlier run stopped publishing; empty when it did not."""
        found = self._object(self.conflict_path)
        if found is None:
            return "an earlier run met another signer" if self.conflict_path.exists() else ""
        return str(found.get("why") or "an earlier run met another signer")[:200]

    def keep_conflict(self, why: str) -> None:
        """Remember a conflict over restarts; raises StorageError."""
        replace_file(self.conflict_path, json.dumps({"why": why[:200]}).encode() + b"\n")

    def end_conflict(self) -> None:
        """The operator has decided; raises StorageError."""
        remove_file(self.conflict_path)

    def confirmed_floor(self) -> str:
        """The floor up to which the operator said that it is right; empty when never."""
        found = self._object(self.confirmed_path)
        return str(found.get("floor", "")) if found else ""

    def confirm_floor(self, floor: str) -> None:
        """Remember the operator's word; raises StorageError."""
        replace_file(self.confirmed_path, json.dumps({"floor": floor}).encode() + b"\n")

    def _object(self, path: Path) -> dict[str, object] | None:
        try:
            found = load(self._bytes(path))
        except (FileNotFoundError, StorageError, RefusedJsonError):
            return None
        return dict(found) if isinstance(found, dict) else None

    def _bytes(self, path: Path) -> bytes:
        return read_limited(path, MAX_BYTES)
