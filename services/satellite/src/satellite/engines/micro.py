"""Wake words of microWakeWord; the models come inside the pymicro-wakeword package."""

from __future__ import annotations

import importlib.util

from parlour_audio.frames import Samples, pcm16_to_bytes, to_pcm16

from satellite.errors import WakeBrokenError, WakeMissingError


class MicroWake:
    """Finds one of the package's words; a window costs about 0.1 ms on a PC.

    The package's own threshold is not used: what counts is the mean probability of its last
    inferences.
    """

    def __init__(self, name: str) -> None:
        """Load the model of a word.

        Raises:
            WakeMissingError: the library is not installed.
            WakeBrokenError: the library does not load on this machine, or knows no such word.
        """
        if importlib.util.find_spec("pymicro_wakeword") is None:
            raise WakeMissingError("pymicro-wakeword is not installed")
        try:
            import pymicro_wakeword as micro  # noqa: PLC0415  # loads a native library

            self._model = micro.MicroWakeWord.from_builtin(micro.Model(name))
            self._features = micro.MicroWakeWordFeatures()
        except (ImportError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise WakeBrokenError(
                f"the wake word {name} does not load ({type(error).__name__})"
            ) from error
        self.word = str(self._model.wake_word)

    def probability(self, window: Samples) -> float:
        """The highest mean probability within the window, 0 to 1."""
        sound = pcm16_to_bytes(to_pcm16(window))
        found = 0.0
        for features in self._features.process_streaming(sound):
            found = max(found, self._model.process_streaming_prob(features) or 0.0)
        return found

    def reset(self) -> None:
        """Forget what came before."""
        self._features.reset()
        self._model.reset()

    def close(self) -> None:
        """Free the model."""
        self._model.close()
