"""The voices that tts-worker can speak with, imported when one is wanted."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from parlour_contracts.config.tts_worker import TTSWorkerConfig

from tts_worker.engine import Engine
from tts_worker.errors import EngineMissingError

HEAVY = ("piper", "onnxruntime")


def make_engine(config: TTSWorkerConfig, data_dir: Path) -> Engine:
    """Load the voice of the settings; blocks for about a second, a few on first use.

    Raises:
        EngineMissingError: the library is not installed.
        ModelMissingError, ModelCorruptError: the voice's files (from ``parlour_kit.models``).
        VoiceBrokenError: the files are not a usable voice.
    """
    missing = [name for name in HEAVY if find_spec(name) is None]
    if missing:
        raise EngineMissingError(f"not installed: {', '.join(missing)}")
    from parlour_kit import models  # noqa: PLC0415  # only where a real voice is wanted

    from tts_worker.engines.piper import PiperVoiceEngine  # noqa: PLC0415  # heavy
    from tts_worker.threaded import ThreadedEngine  # noqa: PLC0415  # its only user

    files = models.resolve(config.piper_voice, "tts", data_dir)
    voice = PiperVoiceEngine.load(
        files.file(".onnx"),
        files.file(".onnx.json"),
        name=config.piper_voice,
        threads=config.threads,
        cache_dir=data_dir / "cache",
    )
    return ThreadedEngine(voice)
