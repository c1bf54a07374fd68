"""Settings of satellite (C064, R001, R003, R017-R020, V041)."""

from __future__ import annotations

from typing import Literal

from parlour_contracts.config.fields import ServiceConfigModel, setting

WakeWord = Literal["okay_nabu", "hey_jarvis", "hey_mycroft", "alexa"]


class SatelliteConfig(ServiceConfigModel):
    """How the rooms listen and play."""

    wake_word: WakeWord = setting(
        "okay_nabu", "Wake word", "What is said to begin.", apply="reload", complexity="simple"
    )
    wake_threshold: float = setting(
        0.35, "Wake threshold", "How sure the detector must be; lower wakes more easily.",
        complexity="simple", ge=0.0, le=1.0,
    )  # fmt: skip
    wake_retrigger_s: float = setting(
        0.8, "Wake again", "Seconds after a wake word in which it does not count again.",
        ge=0.1, le=5.0,
    )  # fmt: skip
    wake_vad: float = setting(
        0.3, "Wake is speech",
        "Probability of speech that the second before a wake word must have reached.",
        ge=0.0, le=1.0,
    )  # fmt: skip
    energy_boost: float = setting(
        1.2, "Microphone boost", "How much louder the wake word's detector hears the room.",
        ge=0.5, le=3.0,
    )  # fmt: skip
    noise_suppression: bool = setting(
        True, "Ignore noise",
        "Speech that is not clearly louder than the room's own noise opens no turn.",
    )  # fmt: skip
    live_mode: bool = setting(
        False, "Live mode", "On: speech alone opens a turn, no wake word is needed."
    )
    wake_window_s: float = setting(
        8.0, "Time to begin", "Seconds after the wake word in which somebody must speak.",
        ge=1.0, le=60.0,
    )  # fmt: skip
    follow_up_s: float = setting(
        10.0, "Follow-up", "Seconds after an answer in which no wake word is needed; 0 is none.",
        complexity="simple", ge=0.0, le=60.0,
    )  # fmt: skip
    pre_roll_ms: int = setting(
        500, "Pre-roll", "Sound from before the first speech that belongs to a turn, in ms.",
        ge=0, le=2000,
    )  # fmt: skip
    interruption: Literal["speech", "wake", "off"] = setting(
        "speech", "Interruption",
        "What stops an answer: speech, only the wake word, or nothing "
        "(the microphone is shut while an answer is played).",
        complexity="simple",
    )  # fmt: skip
    interruption_ms: int = setting(
        200, "Speech to interrupt", "So much speech interrupts, in ms.", ge=50, le=3000
    )
    interruption_confidence: float = setting(
        0.7, "Confidence to interrupt", "Speech counts above this probability.", ge=0.0, le=1.0
    )
    echo_margin_db: float = setting(
        6.0, "Echo margin",
        "How much louder than the loudspeaker's echo speech must be, in dB, to interrupt.",
        ge=0.0, le=40.0,
    )  # fmt: skip
    duck_percent: int = setting(
        40, "Ducking", "Loudness of an answer, in percent, while somebody may be interrupting.",
        ge=0, le=100,
    )  # fmt: skip
    shut_limit_s: float = setting(
        12.0, "Longest shut",
        "Seconds after which the wake word is heard during an answer in any case.",
        ge=0.0, le=120.0,
    )  # fmt: skip
    cool_down_ms: int = setting(
        400, "Cool-down", "So long after a turn was heard speech opens no other, in ms.",
        ge=0, le=5000,
    )  # fmt: skip
    unmute_guard_ms: int = setting(
        1000, "After unmuting", "So long after unmuting nothing is listened to, in ms.",
        ge=0, le=5000,
    )  # fmt: skip
    muted: bool = setting(
        False, "Muted", "On: no satellite listens, and no sound leaves its room.",
        complexity="simple",
    )  # fmt: skip
    volume_percent: int = setting(
        100, "Volume", "Loudness of the loudspeakers in percent; never wraps or clips hard.",
        complexity="simple", ge=0, le=200,
    )  # fmt: skip
    tone_wake: bool = setting(True, "Tone at wake", "A short sound when the wake word is heard.")
    tone_end: bool = setting(True, "Tone at the end", "A short sound when a turn has been heard.")
    tone_error: bool = setting(True, "Tone at failure", "A short sound when nobody could listen.")
    tone_percent: int = setting(
        100, "Loudness of tones", "In percent of their usual loudness.", ge=0, le=200
    )
