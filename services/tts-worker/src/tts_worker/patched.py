"""The cached copy of a voice with word times, made once per voice file.

The copy is named after the SHA-256 of its source and lies beside its own SHA-256, so a changed
voice, a torn write and a rotten disk all lead to a new copy, never to a wrong one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import structlog

_LOG = structlog.get_logger("tts_worker.patched")
_PATCHER = "tts_worker.engines.patch_alignment"
_TIMEOUT_S = 300.0


def patched_model(source: Path, cache_dir: Path) -> Path:
    """The file to load for this voice: its patched copy, or itself when none can be made.

    Blocks for a fraction of a second, the first time for a second or more.
    """
    fingerprint = _sha256(source)[:32]
    target = cache_dir / f"{source.stem}-{fingerprint}.onnx"
    if _intact(target):
        return target
    try:
        cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_others(source.stem, cache_dir)
        return _make(source, target)
    except (OSError, subprocess.SubprocessError) as error:
        # Without the copy the voice speaks as well; only its word times are estimates.
        _LOG.warning("word_times_estimated", voice=source.stem, reason=type(error).__name__)
        return source


def _make(source: Path, target: Path) -> Path:
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        done = subprocess.run(  # noqa: S603  # our own module, no shell
            [sys.executable, "-m", _PATCHER, str(source), str(partial)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0 or not partial.is_file():
            _LOG.warning("voice_not_patched", voice=source.stem, status=done.returncode)
            return source
        _place(_sha256(partial).encode(), _seal(target))
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
        _sync_folder(target.parent)
        return target
    finally:
        partial.unlink(missing_ok=True)


def _place(content: bytes, path: Path) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _seal(model: Path) -> Path:
    return model.with_name(model.name + ".sha256")


def _intact(model: Path) -> bool:
    try:
        return _seal(model).read_text().strip() == _sha256(model)
    except (OSError, ValueError):
        return False


def _remove_others(stem: str, cache_dir: Path) -> None:
    """Remove copies of an older file of this voice, and what an interrupted run left."""
    for pattern in (f"{stem}-*.onnx", f"{stem}-*.onnx.sha256", f".{stem}-*.partial"):
        for old in cache_dir.glob(pattern):
            with contextlib.suppress(OSError):
                old.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
