"""Services that take their settings and do nothing else, as processes, for tests."""  # noqa: INP001

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from parlour_config.process import main
from parlour_contracts.config import LLMWorkerConfig, STTWorkerConfig, TTSWorkerConfig
from parlour_kit.service import Service
from real_fleet import Worker


class Quiet(Service[Any]):
    """Nobody asks it for anything."""

    async def serve(self) -> None:
        """Nothing to listen to."""


class SttWorker(Quiet):
    """stt-worker's settings."""

    name = "stt-worker"
    config_model = STTWorkerConfig


class LlmWorker(Quiet):
    """llm-worker's settings."""

    name = "llm-worker"
    config_model = LLMWorkerConfig


class TtsWorker(Quiet):
    """tts-worker's settings."""

    name = "tts-worker"
    config_model = TTSWorkerConfig


CLASSES = {made.name: made.__name__ for made in (SttWorker, LlmWorker, TtsWorker)}


class QuietWorker(Worker):
    """The process of one of them."""

    def __init__(self, url: str, folder: Path, keys: Path, service: str) -> None:
        super().__init__(url, folder, keys, service)
        here = str(Path(__file__).parent)
        self._module = "quiet_services"
        self._env |= {
            "QUIET_SERVICE": service,
            "PYTHONPATH": os.pathsep.join((here, os.environ.get("PYTHONPATH", ""))),
        }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(f"quiet_services:{CLASSES[os.environ['QUIET_SERVICE']]}")
