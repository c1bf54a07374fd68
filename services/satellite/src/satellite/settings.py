"""What a satellite must know before it can ask for its settings: its sound card."""

from __future__ import annotations

from pathlib import Path

from parlour_config.process import ServiceSettings
from pydantic import Field, field_validator

RATES = (16_000, 24_000, 48_000)


class SatelliteSettings(ServiceSettings):
    """The environment of a satellite. INSTANCE is its room, and its broker user is named so."""

    audio_input: str | None = Field(
        None, description="microphone: number or part of the name; the system's own when unset"
    )
    audio_output: str | None = Field(
        None, description="loudspeaker: number or part of the name; the system's own when unset"
    )
    audio_rate: int = Field(16_000, description="rate of the sound card in Hz")
    audio_wav: Path | None = Field(
        None, description="WAV file to hear once instead of a microphone; nothing is played aloud"
    )

    @field_validator("audio_rate")
    @classmethod
    def _known(cls, value: int) -> int:
        if value not in RATES:
            raise ValueError(f"must be one of {', '.join(map(str, RATES))}")
        return value

    @field_validator("audio_wav")
    @classmethod
    def _there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("no such file")
        return value
