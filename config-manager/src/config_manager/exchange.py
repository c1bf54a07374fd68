"""The files of a database change places: the old ones go aside, a copy takes theirs; and back.

What may fail for want of room comes first, while the old files are still in their place.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from parlour_config.files import PRIVATE, sync_file, sync_folder

from config_manager.errors import unwritable

PARTS = ("", "-wal", "-shm")
"""A database and its log only make sense together."""


class Exchange:
    """One exchange, made by one thread.

    Attributes:
        aside: the names that the old files have now.
    """

    def __init__(self, now: str) -> None:
        """Nothing is moved yet.

        Args:
            now: the time in the old files' new names.
        """
        self.aside: list[str] = []
        self._ending = now.replace(":", "").replace("-", "")
        self._all_aside = False

    def make(self, path: Path, copy_of: Path | None) -> None:
        """Rename the database with its log, and put a copy in its place.

        Args:
            path: of the database; nobody has it open.
            copy_of: what comes in its place; nothing, when left out.

        Raises:
            StorageFullError: something could not be written; the old files are in their place.
        """
        part = path.with_name(f"{path.name}.part")
        try:
            try:
                if copy_of is not None:
                    shutil.copyfile(copy_of, part)
                    part.chmod(PRIVATE)
                    sync_file(part)
                self._set_aside(path)
                if copy_of is not None:
                    part.rename(path)
                    sync_folder(path.parent)
            except OSError:
                self.undo(path)
                raise
            finally:
                part.unlink(missing_ok=True)  # still there where it failed
        except OSError as error:
            raise unwritable("the new database", error) from error

    def undo(self, path: Path) -> None:
        """Put the old files back over what is in their place; does nothing when none is aside.

        Args:
            path: of the database; nobody has it open.

        Raises:
            OSError: what could not be put back is still there, under its other name.
        """
        for part in PARTS:
            old, new = path.with_name(path.name + part), self._named(path, part)
            if new.name in self.aside:
                new.replace(old)
                self.aside.remove(new.name)
            elif self._all_aside:
                old.unlink(missing_ok=True)  # of the new database
        self._all_aside = False
        sync_folder(path.parent)

    def _set_aside(self, path: Path) -> None:
        for part in PARTS:
            old, new = path.with_name(path.name + part), self._named(path, part)
            if old.exists():
                old.rename(new)
                self.aside.append(new.name)
        self._all_aside = True
        sync_folder(path.parent)  # a log that came back would be read into the new database

    def _named(self, path: Path, part: str) -> Path:
        return path.with_name(f"{path.name}.bad-{self._ending}{part}")
