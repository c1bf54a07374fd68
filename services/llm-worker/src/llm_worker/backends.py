"""The language models that llm-worker can use, each imported when it is chosen."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from parlour_contracts.config import LLMWorkerConfig
from parlour_kit.models import resolve

from llm_worker.engine import Engine
from llm_worker.errors import EngineMissingError


def make_engine(config: LLMWorkerConfig, data_dir: Path) -> Engine:
    """The configured engine, not yet loaded.

    Its library is looked for without being imported: a wrong native library can kill the
    process on import.

    Raises:
        EngineMissingError: the library is not installed.
    """
    library = {"llama": "llama_cpp", "openai": "httpx"}[config.backend]
    if find_spec(library) is None:
        raise EngineMissingError(
            f"the engine {config.backend} needs the library {library}",
            hint="install the requirements of llm-worker (make setup), or set backend to openai"
            if config.backend == "llama"
            else "install the requirements of llm-worker (make setup)",
        )
    if config.backend == "openai":
        from llm_worker.engines.openai_http import OpenAiHttpEngine  # noqa: PLC0415  # when chosen

        return OpenAiHttpEngine(config)
    from llm_worker.engines.llama import LlamaEngine  # noqa: PLC0415  # only when chosen

    return LlamaEngine(config, lambda: resolve(config.model, "llm", data_dir).file(".gguf"))
