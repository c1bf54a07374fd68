"""Settings of stt-worker (C011-C019, R014, R015)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from parlour_contracts.base import Language
from parlour_contracts.config.fields import ServiceConfigModel, setting


class STTWorkerConfig(ServiceConfigModel):
    """How speech is found and written down."""

    whisper_model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = setting(
        "base.en", "Whisper model", "Name of a model in models.toml.",
        apply="reload", complexity="simple",
    )  # fmt: skip
    stt_backend: Literal["whisper", "ws"] = setting(
        "whisper", "Recogniser", "whisper runs here; ws is a server at ws_url.", apply="reload"
    )
    ws_url: Annotated[str, Field(pattern=r"^wss?://[^\s]+$", max_length=300)] | None = setting(
        None, "Recogniser's URL", "Needed when the recogniser is ws.", apply="reload"
    )
    streaming_partials: bool = setting(
        False, "Partial transcripts", "Publish what is understood while somebody still speaks."
    )
    vad_threshold: float = setting(
        0.5, "Speech threshold", "Probability from which a frame counts as speech.", ge=0.0, le=1.0
    )
    vad_speech_pad_ms: int = setting(
        300, "Speech pad", "Sound kept before the first and after the last speech, in ms.",
        ge=0, le=1000,
    )  # fmt: skip
    vad_silence_duration_ms: int = setting(
        500, "End of speech", "Silence after which a turn is over, in ms.",
        complexity="simple", ge=0, le=2000,
    )  # fmt: skip
    max_utterance_ms: int = setting(
        30_000, "Longest utterance", "A turn is cut here, in ms.", ge=1000, le=120_000
    )
    no_speech_timeout_ms: int = setting(
        8000, "Wait for speech", "A turn without speech ends here, in ms.", ge=500, le=60_000
    )
    sample_rate: int = setting(
        16_000, "Rate of recognition",
        "Sampling rate that the recogniser gets, in Hz; Whisper's own is 16000.",
        gt=0, le=48_000,
    )  # fmt: skip
    channels: int = setting(
        1, "Channels", "Channels taken from a stereo microphone before mixing.", ge=1, le=2
    )
    language: Language = setting("en-US", "Language", "Language when a turn names none.")
    beam_size: int = setting(5, "Beam", "Hypotheses kept by the recogniser.", ge=1, le=5)
    window_floor_s: float = setting(
        12.0, "Shortest window", "The recogniser looks at no less than so many seconds, filled "
        "up with silence; 0 is always its full 30 s, slower.", ge=0.0, le=30.0,
    )  # fmt: skip
    threads: int = setting(
        0, "Threads", "Threads of the recogniser; 0 lets it choose.", apply="reload", ge=0, le=64
    )
    min_speech_ms: int = setting(
        250, "Shortest speech", "Less speech than this is noise, in ms.", ge=0, le=2000
    )
    transcribe_ahead: bool = setting(
        True, "Transcribe ahead", "Begin to recognise at the first short silence, not at the end "
        "of speech: faster, for more work where somebody pauses.",
    )  # fmt: skip
    muted: bool = setting(
        False, "Muted", "On: nobody is listened to, in no room.", complexity="simple"
    )

    @model_validator(mode="after")
    def _ws_needs_url(self) -> Self:
        if self.stt_backend == "ws" and self.ws_url is None:
            raise ValueError("ws_url is required when stt_backend is ws")
        return self
