"""Where models lie and whether they are what models.toml lists.

Model ``NAME`` is the folder ``<data>/models/NAME``. Nothing is fetched here: who needs a
model gets its folder, checked, or an error that says which command brings it.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parlour_kit.models.errors import (
    ManifestError,
    ModelCorruptError,
    ModelMissingError,
    ModelUnknownError,
)
from parlour_kit.models.manifest import (
    OVERLAY,
    FileEntry,
    Manifest,
    ModelEntry,
    is_model_name,
    load_manifest,
)

MODELS = "models"
"""The folder in the data directory that holds one folder per model."""


@dataclass(frozen=True)
class FileProblem:
    """What is wrong with one file of a model."""

    path: str
    kind: Literal["missing", "size", "hash", "unreadable"]
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


@dataclass(frozen=True)
class ModelFiles:
    """A checked model: its name, its folder and the files listed in it."""

    name: str
    path: Path
    files: tuple[Path, ...]

    def file(self, suffix: str) -> Path:
        """The one file whose name ends with ``suffix``, such as ``.gguf``.

        Raises:
            ManifestError: models.toml lists none or several such files.
        """
        found = [file for file in self.files if file.name.endswith(suffix)]
        if len(found) != 1:
            raise ManifestError(
                f"models.toml lists {len(found)} files ending in {suffix!r} "
                f"for the model {self.name}; it takes exactly one"
            )
        return found[0]


def model_folder(data_dir: Path, name: str) -> Path:
    """The folder of a model, whether it is there or not.

    Raises:
        ModelUnknownError: the name cannot be a model's name.
    """
    if not is_model_name(name):
        raise ModelUnknownError(
            f"{name[:100]!r} cannot be the name of a model", hint="parlour models list"
        )
    return data_dir / MODELS / name


def find_entry(manifest: Manifest, name: str, kind: str | None, data_dir: Path) -> ModelEntry:
    """The entry of a model.

    Raises:
        ModelUnknownError: the name is not listed, or is listed for another kind of work.
    """
    model_folder(data_dir, name)
    entry = manifest.models.get(name)
    if entry is not None and kind in (None, entry.kind):
        return entry
    known = ", ".join(manifest.names(kind)) or "none"
    what = f"{kind} model" if kind else "model"
    why = f"{name} is a model for {entry.kind}" if entry else f"no {what} is named {name}"
    raise ModelUnknownError(
        f"{why}; known: {known}",
        hint=f"take a known name, or describe your own model in {data_dir / OVERLAY} "
        "as docs/models.md shows",
    )


def check_files(entry: ModelEntry, folder: Path, *, contents: bool = True) -> list[FileProblem]:
    """Compare the files in a folder with the listed ones.

    Args:
        entry: the model.
        folder: where its files should be.
        contents: also read every file and compare its SHA-256; otherwise its size only.

    Returns:
        What is wrong, at most one problem a file; empty when the model is good.
    """
    found = (_check_file(file, folder / file.path, contents=contents) for file in entry.files)
    return [problem for problem in found if problem is not None]


def resolve(name: str, kind: str, data_dir: Path) -> ModelFiles:
    """The checked files of a model; reads them all, so call it off the event loop.

    Args:
        name: the model's name, as a setting holds it.
        kind: the work it is for, as models.toml names it.
        data_dir: Parlour's data directory.

    Raises:
        ManifestError: a models.toml is wrong.
        ModelUnknownError: no such model of that kind is listed.
        ModelMissingError: the model, or a part of it, is not here.
        ModelCorruptError: a file is not the listed one.
    """
    entry = find_entry(load_manifest(data_dir), name, kind, data_dir)
    folder = model_folder(data_dir, name)
    problems = check_files(entry, folder)
    if problems:
        error = (
            ModelMissingError
            if all(problem.kind == "missing" for problem in problems)
            else ModelCorruptError
        )
        state = "is not here" if len(problems) == len(entry.files) else "is not complete"
        if error is ModelCorruptError:
            state = "is damaged"
        listing = "; ".join(str(problem) for problem in problems[:5])
        raise error(f"the model {name} {state} ({listing})", hint=f"parlour models pull {name}")
    return ModelFiles(name, folder, tuple(folder / file.path for file in entry.files))


def _check_file(file: FileEntry, path: Path, *, contents: bool) -> FileProblem | None:
    try:
        info = path.stat()
        # Opening anything else, such as a pipe, could block.
        if not stat.S_ISREG(info.st_mode):
            return FileProblem(file.path, "unreadable", "is not a file")
        if info.st_size != file.size:
            return FileProblem(
                file.path, "size", f"has {info.st_size} bytes instead of {file.size}"
            )
        if contents:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest != file.sha256:
                return FileProblem(file.path, "hash", "its content is not the listed one (SHA-256)")
    except (FileNotFoundError, NotADirectoryError):
        return FileProblem(file.path, "missing", "missing")
    except OSError as error:
        return FileProblem(file.path, "unreadable", f"cannot be read: {error.strerror}")
    return None
