"""What can be wrong with sound that came from outside."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class AudioError(ParlourError):
    """Sound that cannot be used; ``code`` says which way, ``hint`` what to do about it."""

    code = "AUDIO_INVALID"
    hint = "Use a WAV file or frames of 16-bit PCM or µ-law, mono or stereo."
