"""Whisper on a window as short as the clip allows.

Whisper was trained on 30 s; faster-whisper fills every clip up to that, and its encoder takes
the same second for "stop" as for half a minute. Here the clip is filled up to a floor only.
Below about 10 s the decoder begins to repeat itself, so a floor, a guard and the way back to the
full window belong to it.
"""

from __future__ import annotations

from typing import Any

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens, pad_or_trim
from parlour_audio.frames import Samples

from stt_worker.engine import RATE, Options, Piece, Recognition
from stt_worker.repetition import loops

TAIL_S = 0.5
"""Silence that follows the clip in any case."""

FULL_S = 30.0

_FRAMES_PER_S = 100
_TOKENS_PER_S = 12
_TOKENS_FREE = 24
"""Nobody speaks faster than so many tokens; a decoder that wants more is in a loop."""


def recognise(model: Any, samples: Samples, language: str, options: Options) -> Recognition | None:
    """Understand one clip in a short window.

    Args:
        model: a loaded ``faster_whisper.WhisperModel``.
        samples: mono, 16 kHz, in ±1.0.
        language: Whisper's code, such as ``en``.
        options: beam and floor.

    Returns:
        None when the clip needs the full window: it is too long, or the result is none.
    """
    duration_s = len(samples) / RATE
    window_s = max(options.window_floor_s, duration_s + TAIL_S)
    if window_s >= FULL_S:
        return None
    frames = round(window_s * _FRAMES_PER_S)
    frames += frames % 2  # the encoder halves them
    tokenizer = Tokenizer(
        model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language
    )
    prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
    longest = len(prompt) + _TOKENS_FREE + int(duration_s * _TOKENS_PER_S)
    features = model.feature_extractor(samples)[:, :-1]
    result = model.model.generate(
        model.encode(pad_or_trim(features, frames)),
        [prompt],
        beam_size=options.beam_size,
        max_length=min(longest, model.max_length),
        return_scores=True,
        return_no_speech_prob=True,
        suppress_blank=True,
        suppress_tokens=list(get_suppressed_tokens(tokenizer, [-1])),
    )[0]
    tokens = result.sequences_ids[0]
    # The score is the mean over the tokens; the end token, which has none, is counted as
    # faster-whisper does, so that thresholds mean the same on both ways.
    avg_logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
    text = tokenizer.decode(tokens)
    cut_off = len(prompt) + len(tokens) >= longest
    if cut_off or loops(text):
        return None
    if not text.strip():
        # Speech was detected; before it is called nothing, the full window has its say.
        return None
    return Recognition((Piece(text, 0.0, duration_s, avg_logprob, result.no_speech_prob),))
