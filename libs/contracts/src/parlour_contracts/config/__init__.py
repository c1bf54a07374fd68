"""The settings of every service, one strict model each.

Each field says what it does and whether a change is ``live`` or needs the engine to be
loaded again (``reload``); command line, documents and forms are rendered from these schemas.
"""

from parlour_contracts.config.fields import ServiceConfigModel
from parlour_contracts.config.llm_worker import LLMWorkerConfig
from parlour_contracts.config.router import RouterConfig
from parlour_contracts.config.stt_worker import STTWorkerConfig
from parlour_contracts.config.tts_worker import TTSWorkerConfig

CONFIGS: dict[str, type[ServiceConfigModel]] = {
    "stt-worker": STTWorkerConfig,
    "router": RouterConfig,
    "llm-worker": LLMWorkerConfig,
    "tts-worker": TTSWorkerConfig,
}
"""Service → the model of its settings."""

__all__ = [
    "CONFIGS",
    "LLMWorkerConfig",
    "RouterConfig",
    "STTWorkerConfig",
    "ServiceConfigModel",
    "TTSWorkerConfig",
]
