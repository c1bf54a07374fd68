"""What a satellite hears and speaks with, chosen by its environment and its settings."""

from __future__ import annotations

from parlour_audio import read_wav
from parlour_audio.frames import to_float
from parlour_contracts.config.satellite import SatelliteConfig
from parlour_kit.clock import Clock
from parlour_kit.settings import ProcessSettings

from satellite.devices.device import Device
from satellite.devices.virtual import VirtualDevice
from satellite.settings import SatelliteSettings
from satellite.virtual import VirtualRoom
from satellite.wake_word import WakeDetector

WAV_AFTER_S = 2.0
"""When a WAV file instead of a microphone begins."""


def make_wake(config: SatelliteConfig) -> WakeDetector:
    """Load the wake word of the settings.

    Raises:
        WakeMissingError: its library is not installed.
        WakeBrokenError: it does not load on this machine.
    """
    from satellite.engines.micro import MicroWake  # noqa: PLC0415  # only where it is wanted

    return MicroWake(config.wake_word)


def make_device(settings: ProcessSettings | None, clock: Clock) -> Device:
    """The sound card that the environment names, or the WAV file.

    Raises:
        AudioError: the WAV file cannot be used.
    """
    if not isinstance(settings, SatelliteSettings):
        settings = None
    if settings is not None and settings.audio_wav is not None:
        wav = read_wav(settings.audio_wav)
        room = VirtualRoom(remember=False)
        room.say(to_float(wav.mono()), at=WAV_AFTER_S, rate=wav.rate)
        return VirtualDevice(room, clock)
    from satellite.devices.sound_card import SoundCard  # noqa: PLC0415  # only where it is wanted

    if settings is None:
        return SoundCard(None, None)
    return SoundCard(settings.audio_input, settings.audio_output, settings.audio_rate)
