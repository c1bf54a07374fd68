"""Piper: the voice. This package is GPL-3.0-or-later because Piper is."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from piper.config import PiperConfig
from piper.const import BOS, EOS, PAD
from piper.voice import PiperVoice

from tts_worker import words
from tts_worker.engine import Cancellable, Samples, SpokenPiece, Synthesis
from tts_worker.errors import SynthesisError, VoiceBrokenError, VoiceUnavailableError
from tts_worker.patched import patched_model
from tts_worker.portions import portions

TEST_PHRASE = "1 2 3 4 5"
"""Digits: every language's phonemizer can say them."""
TARGET_RMS = 0.09
"""Loudness of the test phrase after the voice's fixed gain: usual peaks reach about 0.9."""
GAIN_RANGE = (0.5, 6.0)
MAX_THREADS = 4


@dataclass(frozen=True, slots=True)
class _Sound:
    """What the model made of one portion; ``counts`` are samples per phoneme id, if known."""

    samples: Samples
    counts: NDArray[np.int64] | None


class PiperVoiceEngine:
    """A Piper voice, loaded.

    A sentence is phonemized at once and spoken in portions, so memory is bounded and a cancel
    also stops the model in the middle of a portion. The gain is fixed for the voice: scaling
    each sentence to full peak, as Piper does, needs the whole sentence first and makes quiet
    sentences as loud as loud ones.
    """

    def __init__(self, session: ort.InferenceSession, config: PiperConfig, name: str) -> None:
        self._name = name
        self._session = session
        self._config = config
        self._piper = PiperVoice(session=session, config=config)
        self._gain = self._fixed_gain()

    @classmethod
    def load(
        cls, model: Path, settings: Path, *, name: str, threads: int, cache_dir: Path
    ) -> PiperVoiceEngine:
        """Load a voice and speak a test phrase; blocks.

        Args:
            model: the ``.onnx`` file.
            settings: the ``.onnx.json`` file.
            name: the voice's name.
            threads: threads of synthesis; 0 takes the machine's cores, at most 4.
            cache_dir: where the copy with word times is kept.

        Raises:
            VoiceBrokenError: the files are not a usable voice.
        """
        # Its messages hold what is spoken.
        logging.getLogger("piper").setLevel(logging.ERROR)
        ort.disable_telemetry_events()
        ort.set_default_logger_severity(4)
        try:
            config = PiperConfig.from_dict(json.loads(settings.read_text(encoding="utf-8")))
            session = ort.InferenceSession(
                str(patched_model(model, cache_dir)),
                sess_options=_options(threads),
                # The arena grows by what is asked for instead of doubling.
                providers=[("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})],
            )
            return cls(session, config, name)
        except Exception as error:  # the library raises its own, unrelated types
            raise VoiceBrokenError(f"{name} cannot be loaded ({type(error).__name__})") from error

    @property
    def rate(self) -> int:
        """Samples per second."""
        return self._config.sample_rate

    def synthesize(self, order: Synthesis, cancel: Cancellable) -> Iterator[SpokenPiece]:
        """Speak portion by portion, then give the times of the words.

        Raises:
            VoiceUnavailableError: the order names neither this voice nor one of its speakers.
            SynthesisError: the model failed.
        """
        speaker = self._speaker(order.voice)
        try:
            parts = self._parts(order.text)
            counts: list[NDArray[np.int64] | None] = []
            total = 0
            for part in parts:
                sound = self._speak(self._ids(part), order.speed, speaker, cancel)
                if sound is None:
                    return
                counts.append(sound.counts)
                total += sound.samples.size
                yield SpokenPiece(sound.samples * np.float32(self._gain))
            yield self._words(order.text.split(), parts, counts, total)
        except Exception as error:  # the library raises its own, unrelated types
            raise SynthesisError(f"{self._name} failed ({type(error).__name__})") from error

    def close(self) -> None:
        """Free the model."""
        del self._piper, self._session

    def _parts(self, text: str) -> list[list[str]]:
        """The phonemes to speak, in portions, without those that the voice does not know."""
        known = self._config.phoneme_id_map
        sentences = self._piper.phonemize(text)
        return [part for s in sentences for part in portions([p for p in s if p in known])]

    def _ids(self, phonemes: Sequence[str]) -> list[int]:
        return self._piper.phonemes_to_ids(list(phonemes))

    def _speaker(self, voice: str | None) -> int | None:
        """The model's number of the speaker; None for a voice with one."""
        config = self._config
        if voice is not None and voice != self._name:
            if voice not in config.speaker_id_map:
                raise VoiceUnavailableError(f"not the loaded voice, nor a speaker of {self._name}")
            return config.speaker_id_map[voice]
        return config.default_speaker_id if config.num_speakers > 1 else None

    def _speak(
        self,
        ids: Sequence[int],
        speed: float,
        speaker: int | None,
        cancel: Cancellable | None,
        *,
        noise: bool = True,
    ) -> _Sound | None:
        """Run the model once; None when it was cancelled before or during the run."""
        config = self._config
        run = ort.RunOptions()
        run.log_severity_level = 4
        # What a run took goes back after it: a long sentence does not stay in memory.
        run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        noises = (config.noise_scale, config.noise_w_scale) if noise else (0.0, 0.0)
        scales = (noises[0], config.length_scale / speed, noises[1])
        feed: dict[str, NDArray[Any]] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if speaker is not None:
            feed["sid"] = np.array([speaker], np.int64)

        def stop() -> None:
            run.terminate = True

        if cancel is not None:
            cancel.watch(stop)
        try:
            if cancel is not None and cancel.cancelled:
                return None
            result = self._session.run(None, feed, run)
        except Exception:
            # The library has no error of its own for a run that it was told to end.
            if cancel is not None and cancel.cancelled:
                return None
            raise
        finally:
            if cancel is not None:
                cancel.watch(None)
        samples = np.asarray(result[0], np.float32).reshape(-1)
        counts = None
        if len(result) > 1:
            counts = np.asarray(result[1]).reshape(-1).astype(np.int64) * config.hop_length
            if counts.size != len(ids) or int(counts.sum()) != samples.size:
                counts = None
        return _Sound(samples, counts)

    def _words(
        self,
        tokens: Sequence[str],
        parts: Sequence[Sequence[str]],
        counts: Sequence[NDArray[np.int64] | None],
        total: int,
    ) -> SpokenPiece:
        """The words' times: exact where the model tells them, else an estimate."""
        silence = np.zeros(0, np.float32)
        edges = self._edges(parts, counts)
        expected = [self._alone(t) for t in tokens]
        spans = words.align(expected, parts) if edges is not None else None
        if edges is None or spans is None:
            spread = words.estimate(tokens, 0.0, total * 1000 / self.rate)
            return SpokenPiece(silence, tuple(spread), words_estimated=True)
        lost = any(s is None and e for s, e in zip(spans, expected, strict=True))
        timed = words.exact(tokens, spans, *edges, self.rate)
        return SpokenPiece(silence, tuple(timed), words_estimated=lost)

    def _alone(self, token: str) -> list[str]:
        """The phonemes of a token by itself; empty when it is silent."""
        flat = [p for s in self._piper.phonemize(token) for p in s]
        return flat if any(p.isalnum() for p in flat) else []

    def _edges(
        self, parts: Sequence[Sequence[str]], counts: Sequence[NDArray[np.int64] | None]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """The sample at which each spoken phoneme starts and ends, or None if unknown."""
        lengths = {p: len(ids) for p, ids in self._config.phoneme_id_map.items()}
        pad = lengths.get(PAD, 0)
        starts: list[NDArray[np.int64]] = []
        ends: list[NDArray[np.int64]] = []
        offset = 0
        for part, count in zip(parts, counts, strict=True):
            sizes = np.array([lengths[p] + pad for p in part], np.int64)
            lead = lengths[BOS] + pad
            if count is None or lead + int(sizes.sum()) + lengths[EOS] != count.size:
                return None
            at = np.concatenate(([0], np.cumsum(count)))
            last = lead + np.cumsum(sizes)
            starts.append(offset + at[last - sizes])
            ends.append(offset + at[last])
            offset += int(at[-1])
        if not starts:
            return None
        return np.concatenate(starts), np.concatenate(ends)

    def _fixed_gain(self) -> float:
        """The voice's gain, from a test phrase spoken without chance; also warms it up.

        Raises:
            SynthesisError: the voice makes no sound.
        """
        parts = self._parts(TEST_PHRASE)
        speaker = self._speaker(None)
        sounds = [self._speak(self._ids(p), 1.0, speaker, None, noise=False) for p in parts]
        heard = [s.samples for s in sounds if s is not None]
        level = float(np.sqrt(np.mean(np.square(np.concatenate(heard))))) if heard else 0.0
        if not level > 0.0:
            raise SynthesisError("the test phrase is silent")
        return float(np.clip(TARGET_RMS / level, *GAIN_RANGE))


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or min(MAX_THREADS, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take CPU from the other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Sentences differ in length, so a plan of the last one's memory never fits the next.
    options.enable_mem_pattern = False
    return options
