"""faster-whisper on the CPU, from local files only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from parlour_audio.frames import Samples
from parlour_audio.resample import resample

from stt_worker.engine import RATE, Options, Piece, Recognition
from stt_worker.engines import short_window
from stt_worker.engines.cores import choose_threads
from stt_worker.errors import LanguageError, ModelBrokenError
from stt_worker.repetition import without_loop

_ALIASES = {"nb": "no", "iw": "he", "in": "id", "fil": "tl"}
"""Codes that Whisper knows by another name."""

DOUBT_LOGPROB = -0.7
"""Less probable words get a second look; one recorded command in four does."""

_TEMPERATURES = (0.0, 0.4, 0.8)
"""Every second of faster-whisper's own: each is a try more on a clip that is hard to understand.

All six may take eight seconds, while somebody waits, and the first one is nearly always kept.
"""

_NEEDED = ("config.json", "model.bin", "tokenizer.json")
"""Without its tokenizer faster-whisper would ask a model hub for one."""


class WhisperEngine:
    """Whisper: short clips in a short window, the rest in the model's full 30 s."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._known = frozenset(model.supported_languages)

    @classmethod
    def load(cls, folder: Path, threads: int) -> WhisperEngine:
        """Load a CTranslate2 model from its folder as int8.

        Raises:
            ModelBrokenError: the folder holds no usable model.
        """
        missing = [name for name in _NEEDED if not (folder / name).is_file()]
        if missing:
            raise ModelBrokenError(f"the model lacks {', '.join(missing)}")
        try:
            model = WhisperModel(
                str(folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=choose_threads(threads),
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelBrokenError("the model's files cannot be loaded") from error
        return cls(model)

    def warm_up(self, options: Options) -> None:
        """One short inference: memory is taken and code paged in before the first turn."""
        hiss = np.random.default_rng(0).normal(0, 1e-3, RATE).astype(np.float32)
        language = self._language(options.language)
        short_window.recognise(self._model, hiss, language, Options(beam_size=options.beam_size))

    def transcribe(self, samples: Samples, options: Options) -> Recognition:
        """Understand one clip.

        Raises:
            LanguageError: the model does not know the language.
        """
        language = self._language(options.language)
        if len(samples) == 0:
            return Recognition()
        samples = resample(samples, options.sample_rate, RATE)
        if options.window_floor_s > 0:
            heard = short_window.recognise(self._model, samples, language, options)
            if options.quick:
                return heard or Recognition()
            if heard is not None:
                return self._second_look(heard, samples, language, options)
        return self._full_window(samples, language, options)

    def _second_look(
        self, heard: Recognition, samples: Samples, language: str, options: Options
    ) -> Recognition:
        """What is improbable in the short window may be clear in the full one."""
        if heard.avg_logprob >= DOUBT_LOGPROB:
            return heard
        again = self._full_window(samples, language, options)
        return again if again.avg_logprob > heard.avg_logprob else heard

    def _full_window(self, samples: Samples, language: str, options: Options) -> Recognition:
        """As faster-whisper does it by itself; the endpoint is found before, so no VAD here."""
        segments, _ = self._model.transcribe(
            samples,
            language=language,
            beam_size=options.beam_size,
            condition_on_previous_text=False,
            vad_filter=False,
            temperature=_TEMPERATURES[:1] if options.quick else _TEMPERATURES,
        )
        pieces = tuple(
            Piece(without_loop(s.text), s.start, s.end, s.avg_logprob, s.no_speech_prob)
            for s in segments
        )
        return Recognition(pieces)

    def _language(self, tag: str) -> str:
        code = tag.partition("-")[0].lower()
        code = _ALIASES.get(code, code)
        if code not in self._known:
            raise LanguageError(f"the model does not know the language {tag[:20]}")
        return code
