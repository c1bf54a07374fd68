"""What can be wrong with a satellite."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class SatelliteError(ParlourError):
    """The root of this package's errors; no message of it holds what was said."""

    code = "SATELLITE_FAILED"


class WakeMissingError(SatelliteError):
    """The library of the wake word is not installed."""

    code = "ENGINE_MISSING"
    hint = "Install satellite with its dependencies: make setup. It needs glibc 2.35 or later."


class WakeBrokenError(SatelliteError):
    """The wake word's model cannot be used on this machine."""

    code = "MODEL_BROKEN"
    hint = "Choose another wake_word, or set live_mode."


class SoundMissingError(SatelliteError):
    """What speaks with a sound card is not installed."""

    code = "SOUND_MISSING"
    hint = (
        "Install the extra `sound` (.uv/bin/uv sync --inexact --frozen --all-packages --extra "
        "sound) and PortAudio (apt install libportaudio2), or set AUDIO_WAV to do without a card."
    )


class DeviceError(SatelliteError):
    """The sound card cannot be opened, or stopped working."""

    code = "AUDIO_DEVICE"
    retryable = True
    hint = (
        "Look at `python -m sounddevice`, name the device in AUDIO_INPUT and AUDIO_OUTPUT, and "
        "see that nobody else holds it."
    )


class DeviceStalledError(DeviceError):
    """No sound comes from the microphone any more."""

    code = "AUDIO_STALLED"
