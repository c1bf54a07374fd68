"""Settings of llm-worker (C031)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from parlour_contracts.config.fields import ServiceConfigModel, setting
from parlour_contracts.config.marks import SecretSetting

ApiKey = Annotated[SecretSetting, Field(pattern=r"^[!-~]+$")]
"""Goes into a header, so it holds printable ASCII without blanks."""


class LLMWorkerConfig(ServiceConfigModel):
    """How answers are made."""

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$")] = setting(
        "smollm2-135m-instruct", "Language model",
        "Name of a model in models.toml, or of the server's model.",
        apply="reload", complexity="simple",
    )  # fmt: skip
    backend: Literal["llama", "openai"] = setting(
        "llama", "Engine", "llama runs here; openai is a server at base_url.", apply="reload"
    )
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=300)] | None = setting(
        None, "Server", "Address of an OpenAI-compatible server, up to and with /v1.",
        apply="reload",
    )  # fmt: skip
    api_key: ApiKey | None = setting(
        None, "Key", "The server's key, when it asks for one.", apply="reload"
    )
    context_window: int = setting(
        2048, "Context", "Tokens of prompt and answer together.", apply="reload", ge=256, le=131_072
    )
    threads: int = setting(
        0, "Threads", "Threads of the model; 0 is one per core.", apply="reload", ge=0, le=64
    )
    batch: int = setting(
        128, "Batch", "Tokens of prompt computed at a time; a cancel waits for one.",
        apply="reload", ge=8, le=2048,
    )  # fmt: skip
    max_tokens: int = setting(150, "Longest answer", "Tokens of one answer.", ge=1, le=4096)
    temperature: float = setting(0.7, "Temperature", "0 always takes the likeliest.", ge=0, le=2)
    top_p: float = setting(1.0, "Nucleus", "Share of probability that is sampled.", gt=0, le=1)
    timeout_s: float = setting(30.0, "Time-out", "Seconds for one answer.", ge=1, le=120)

    @model_validator(mode="after")
    def _server_needs_url(self) -> Self:
        if self.backend == "openai" and self.base_url is None:
            raise ValueError("base_url is required when backend is openai")
        return self
