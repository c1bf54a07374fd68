"""Service → the model of its settings."""

from __future__ import annotations

from parlour_contracts.config.fields import ServiceConfigModel
from parlour_contracts.config.llm_worker import LLMWorkerConfig
from parlour_contracts.config.router import RouterConfig
from parlour_contracts.config.satellite import SatelliteConfig
from parlour_contracts.config.stt_worker import STTWorkerConfig
from parlour_contracts.config.tts_worker import TTSWorkerConfig

CONFIGS: dict[str, type[ServiceConfigModel]] = {
    "stt-worker": STTWorkerConfig,
    "router": RouterConfig,
    "llm-worker": LLMWorkerConfig,
    "tts-worker": TTSWorkerConfig,
    "satellite": SatelliteConfig,
}
"""Every service that has settings. A service that is missing here has none."""
