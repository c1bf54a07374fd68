"""Settings of tts-worker (C020-C025)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from parlour_contracts.config.fields import ServiceConfigModel, setting


class TTSWorkerConfig(ServiceConfigModel):
    """How Parlour sounds."""

    piper_voice: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = setting(
        "en_US-lessac-medium", "Voice", "Name of a voice in models.toml.",
        apply="reload", complexity="simple",
    )  # fmt: skip
    tts_streaming: bool = setting(
        False, "Small frames", "Send a sentence in frames of 20 ms instead of 100 ms."
    )
    tts_pipeline: bool = setting(
        True, "Work ahead", "Synthesise the next sentence while one is played."
    )
    tts_aggregate_by_utt: bool = setting(
        True, "Keep an answer together", "One answer's sentences are spoken before another's."
    )
    tts_aggregate_timeout_sec: float = setting(
        2.0, "Wait for the answer", "How long to keep its place for its next sentence, in s.",
        ge=0.0, le=10.0,
    )  # fmt: skip
    volume_percent: int = setting(
        100, "Volume", "Loudness in percent; never wraps or clips hard.",
        complexity="simple", ge=0, le=200,
    )  # fmt: skip
    speed: float = setting(
        1.0, "Speed", "1 is the voice's own.", complexity="simple", ge=0.25, le=4
    )
    threads: int = setting(
        0, "Threads", "Threads of synthesis; 0 lets it choose.", apply="reload", ge=0, le=64
    )
