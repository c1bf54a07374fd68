"""models.toml: which models exist, what their files are and where they come from.

The packaged file is overlaid by ``<data>/models.toml``: an entry there adds a model or
takes the place of the packaged entry of that name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files as package_files
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)

from parlour_kit.models.errors import ManifestError

OVERLAY = "models.toml"
"""File name of the overlay in the data directory."""

MAX_MANIFEST_BYTES = 1_000_000
MAX_FILE_BYTES = 1 << 40

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# One part of a path: never hidden, never ".." and nothing that another file system refuses.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@ -]{0,127}")


def is_model_name(text: str) -> bool:
    """Whether this can be a model's name, and so the name of its folder."""
    return _NAME.fullmatch(text) is not None


def _model_name(text: str) -> str:
    if not is_model_name(text):
        raise ValueError("a model's name has letters, digits, '.', '_' and '-' only, at most 100")
    return text


def _safe_path(text: str) -> str:
    parts = text.split("/")
    if len(parts) > 8 or any(_PART.fullmatch(part) is None for part in parts):
        raise ValueError("must be a plain relative path with '/' and without '..'")
    return text


def _not_empty(items: tuple[T, ...]) -> tuple[T, ...]:
    # Field(min_length=1) would also complain of a list whose only item is wrong.
    if not items:
        raise ValueError("must not be empty")
    return items


ModelName = Annotated[str, AfterValidator(_model_name)]
SafePath = Annotated[str, AfterValidator(_safe_path)]
Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Part):
    """A file of a model: path in the model's folder, size in bytes, SHA-256 in hex."""

    path: SafePath
    size: Annotated[StrictInt, Field(ge=1, le=MAX_FILE_BYTES)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PypiSource(_Part):
    """Files inside wheels, each made of one or more members in this order.

    ``packages`` maps an import name, which is the first part of a member's path, to a
    requirement pinned to one version.
    """

    type: Literal["pypi"]
    packages: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")],
        Annotated[
            str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}==[0-9][A-Za-z0-9.+!]{0,49}$")
        ],
    ] = Field(min_length=1)
    files: dict[SafePath, Annotated[tuple[SafePath, ...], AfterValidator(_not_empty)]]

    def provides(self) -> set[str]:
        """The paths of the model that this source has."""
        return set(self.files)

    def problems(self) -> Iterable[str]:
        """What is wrong between the fields."""
        used = {PurePosixPath(m).parts[0] for members in self.files.values() for m in members}
        for name in sorted(used - set(self.packages)):
            yield f"sources: files name the package {name!r}, which packages does not"
        for name in sorted(set(self.packages) - used):
            yield f"sources: no file comes from the package {name!r}"


class HubSource(_Part):
    """Files of a repository on a model hub, at one commit.

    ``files`` maps a path of the model to the path in the repository where they differ.
    """

    type: Literal["hub"]
    repo: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$"),
    ]
    # A branch or a tag can move; a commit cannot.
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    files: dict[SafePath, SafePath] = Field(default_factory=dict)

    def remote(self, path: str) -> str:
        """The path in the repository of a file of the model."""
        return self.files.get(path, path)


Source = Annotated[PypiSource | HubSource, Field(discriminator="type")]


class ModelEntry(_Part):
    """One model: what it is, its files and the places it can be had from."""

    kind: Kind
    licence: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(min_length=1, max_length=300)]
    starter: StrictBool = False
    files: Annotated[tuple[FileEntry, ...], AfterValidator(_not_empty)]
    sources: tuple[Source, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._path_problems(), *self._source_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _path_problems(self) -> Iterable[str]:
        paths = [file.path for file in self.files]
        for path in sorted({p for p in paths if paths.count(p) > 1}):
            yield f"files: {path!r} is listed twice"
        for path in sorted(set(paths)):
            if any(other.startswith(path + "/") for other in paths):
                yield f"files: {path!r} is both a file and a folder"

    def _source_problems(self) -> Iterable[str]:
        listed = {file.path for file in self.files}
        for source in self.sources:
            if isinstance(source, PypiSource):
                yield from source.problems()
                for path in sorted(listed - source.provides()):
                    yield f"sources: the pypi source does not say where {path!r} comes from"
            for path in sorted(set(source.files) - listed):
                yield f"sources: {path!r} is not a file of the model"


class Manifest(_Part):
    """Every model that is known here, by name."""

    kinds: tuple[Kind, ...] = ()
    models: dict[ModelName, ModelEntry] = Field(default_factory=dict)

    def names(self, kind: str | None = None) -> list[str]:
        """The names of all models, or of one kind, sorted."""
        return sorted(n for n, e in self.models.items() if kind is None or e.kind == kind)


def parse_manifest(text: str, origin: str, kinds: Iterable[str] = ()) -> Manifest:
    """Read a models.toml.

    Args:
        text: its content.
        origin: the file, as the user knows it; part of every message.
        kinds: kinds that entries may have besides those that the file itself declares.

    Raises:
        ManifestError: the text is not TOML or breaks a rule; all problems are named.
    """
    try:
        manifest = Manifest.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{origin} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise ManifestError(_listing(origin, _explain(error))) from None
    known = {*manifest.kinds, *kinds}
    wrong = [
        f"models.{name}.kind: {entry.kind!r} is not one of {', '.join(sorted(known))}"
        for name, entry in manifest.models.items()
        if entry.kind not in known
    ]
    if wrong:
        raise ManifestError(_listing(origin, wrong))
    return manifest


def load_manifest(data_dir: Path | None = None) -> Manifest:
    """The packaged models.toml, overlaid by the one of the data directory if there is one.

    Raises:
        ManifestError: a file cannot be read or breaks a rule; all problems are named.
    """
    packaged = parse_manifest(
        package_files("parlour_kit.models").joinpath("models.toml").read_text("utf-8"),
        "the packaged models.toml",
    )
    if data_dir is None:
        return packaged
    text = _read_overlay(data_dir / OVERLAY)
    if text is None:
        return packaged
    own = parse_manifest(text, str(data_dir / OVERLAY), packaged.kinds)
    return _overlay(packaged, own)


def _overlay(below: Manifest, above: Manifest) -> Manifest:
    models: Mapping[str, ModelEntry] = {**below.models, **above.models}
    return Manifest(kinds=tuple(dict.fromkeys((*below.kinds, *above.kinds))), models=dict(models))


def _read_overlay(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ManifestError(f"{path} is not UTF-8 text") from None


def _explain(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(part) for part in item['loc']) or 'file'}: "
        f"{item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _listing(origin: str, problems: list[str]) -> str:
    return f"{origin} has {len(problems)} problem(s): " + "; ".join(problems)
