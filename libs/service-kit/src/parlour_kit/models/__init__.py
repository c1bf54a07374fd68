"""The model store: what models there are, where they lie, whether they are intact."""

from parlour_kit.models.errors import (
    ManifestError,
    ModelCorruptError,
    ModelError,
    ModelMissingError,
    ModelUnknownError,
)
from parlour_kit.models.manifest import (
    FileEntry,
    HubSource,
    Manifest,
    ModelEntry,
    PypiSource,
    load_manifest,
    parse_manifest,
)
from parlour_kit.models.store import (
    FileProblem,
    ModelFiles,
    check_files,
    find_entry,
    model_folder,
    resolve,
)

__all__ = [
    "FileEntry",
    "FileProblem",
    "HubSource",
    "Manifest",
    "ManifestError",
    "ModelCorruptError",
    "ModelEntry",
    "ModelError",
    "ModelFiles",
    "ModelMissingError",
    "ModelUnknownError",
    "PypiSource",
    "check_files",
    "find_entry",
    "load_manifest",
    "model_folder",
    "parse_manifest",
    "resolve",
]
