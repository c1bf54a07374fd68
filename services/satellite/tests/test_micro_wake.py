"""The wake word's engine: every word of the setting loads, and what is no word is none."""

from typing import get_args

import numpy as np
import pytest
from parlour_contracts.config.satellite import WakeWord
from satellite.engines.micro import MicroWake
from satellite.errors import WakeBrokenError
from satellite.windows import WINDOW


@pytest.mark.parametrize("name", get_args(WakeWord))
def test_every_word_of_the_setting_loads_hears_and_is_freed(name) -> None:
    wake = MicroWake(name)
    noise = np.random.default_rng(1).standard_normal(WINDOW * 60).astype(np.float32) * 0.05
    heard = [wake.probability(noise[n : n + WINDOW]) for n in range(0, len(noise), WINDOW)]
    wake.reset()
    silence = [wake.probability(np.zeros(WINDOW, np.float32)) for _ in range(30)]
    wake.close()

    assert wake.word.lower().replace(" ", "_") == name
    assert 0 <= max(*heard, *silence) < 0.35


def test_a_word_that_is_none_of_them_is_refused_with_advice() -> None:
    with pytest.raises(WakeBrokenError) as refused:
        MicroWake("computer")
    assert "wake_word" in refused.value.hint
