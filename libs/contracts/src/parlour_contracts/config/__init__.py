"""The settings of every service, one strict model each.

Each field says what it does and whether a change is ``live`` or needs the engine to be
loaded again (``reload``); command line, documents and forms are rendered from these schemas.
"""

from parlour_contracts.config.fields import (
    Apply,
    ServiceConfigModel,
    setting,
)
from parlour_contracts.config.llm_worker import LLMWorkerConfig
from parlour_contracts.config.marks import MASK, PathSetting, SecretSetting
from parlour_contracts.config.metadata import (
    allowed_of,
    apply_of,
    bare_key,
    fields_of,
    full_key,
    needs_reload,
    prefix_of,
    secret_keys,
    type_of,
)
from parlour_contracts.config.registry import CONFIGS
from parlour_contracts.config.router import RouterConfig
from parlour_contracts.config.satellite import SatelliteConfig
from parlour_contracts.config.stt_worker import STTWorkerConfig
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.config.validation import problems_of, validate_config

__all__ = [
    "CONFIGS",
    "MASK",
    "Apply",
    "LLMWorkerConfig",
    "PathSetting",
    "RouterConfig",
    "STTWorkerConfig",
    "SatelliteConfig",
    "SecretSetting",
    "ServiceConfigModel",
    "TTSWorkerConfig",
    "allowed_of",
    "apply_of",
    "bare_key",
    "fields_of",
    "full_key",
    "needs_reload",
    "prefix_of",
    "problems_of",
    "secret_keys",
    "setting",
    "type_of",
    "validate_config",
]
