"""How the engine is found and made."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_kit.errors import ParlourError
from tts_worker import backends
from tts_worker.errors import EngineMissingError


def test_a_missing_library_is_named_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(
        backends, "find_spec", lambda name: None if name == "piper" else ModuleSpec(name, None)
    )

    with pytest.raises(EngineMissingError, match="piper") as caught:
        backends.make_engine(TTSWorkerConfig(), tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("voice", ["en_US-joe-medium", "no-such-voice"])
def test_a_missing_voice_is_an_error_with_a_hint_and_no_other_voice(voice, tmp_path):
    with pytest.raises(ParlourError) as caught:
        backends.make_engine(TTSWorkerConfig(piper_voice=voice), tmp_path)

    assert voice in str(caught.value)
    assert caught.value.hint
