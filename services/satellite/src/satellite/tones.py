"""Short sounds that say what happens, made here: no files. Pure."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from parlour_audio.frames import Samples

Tone = Literal["wake", "end", "error"]

_NOTES: Final[dict[Tone, tuple[float, ...]]] = {
    "wake": (660.0, 880.0),
    "end": (880.0, 660.0),
    "error": (330.0, 262.0, 262.0),
}
"""Hz of the notes that follow each other."""

NOTE_S: Final = 0.07
_FADE_S: Final = 0.012
_LOUDNESS: Final = 0.25


def tone(name: Tone, rate: int) -> Samples:
    """The samples of a tone at ``rate`` Hz, mono, at its full volume."""
    count = round(NOTE_S * rate)
    time = np.arange(count) / rate
    edge = max(round(_FADE_S * rate), 1)
    shape = np.ones(count)
    shape[:edge] = np.linspace(0, 1, edge)
    shape[-edge:] = np.linspace(1, 0, edge)
    notes = [np.sin(2 * np.pi * hertz * time) * shape for hertz in _NOTES[name]]
    return (np.concatenate(notes) * _LOUDNESS).astype(np.float32)
