"""Which recogniser the settings mean; its library is imported when it is chosen."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from parlour_contracts.config import STTWorkerConfig
from parlour_kit import models

from stt_worker.engine import Engine
from stt_worker.errors import EngineMissingError

LIBRARIES = {"whisper": "faster_whisper", "ws": "websockets"}
"""Backend → the library it needs."""


def load_engine(config: STTWorkerConfig, data_dir: Path) -> Engine:
    """The engine that the settings name, loaded; blocks while a model is read.

    Raises:
        EngineMissingError: its library is not installed.
        ModelError: its model is not listed, not here, or damaged.
        ModelBrokenError: the folder holds no usable model.
    """
    library = LIBRARIES[config.stt_backend]
    if find_spec(library) is None:
        raise EngineMissingError(f"the library {library.replace('_', '-')} is not installed")
    if config.stt_backend == "ws":
        return cast("Engine", import_module("stt_worker.engines.ws").WsEngine(config.ws_url))
    files = models.resolve(config.whisper_model, "stt", data_dir)
    engine = import_module("stt_worker.engines.whisper")
    return cast("Engine", engine.WhisperEngine.load(files.path, config.threads))
