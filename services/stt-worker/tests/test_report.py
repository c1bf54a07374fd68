"""What was heard is told in one form, whoever recognised it."""

from __future__ import annotations

import pytest
from parlour_contracts.messages.turn import TurnOpen
from parlour_kit.ids import new_id
from parlour_testkit.fakes_stt import silence
from stt_worker.actions import Clip, Concluded
from stt_worker.engine import Piece, Recognition
from stt_worker.report import MAX_TEXT, partial, transcript

SAID = "cafe\u0301 \x00\x1b[2Jnow\u202e, please"
TURN = TurnOpen(turn_id=new_id(), opened_at="2026-01-02T03:04:05.000006Z")


def heard(text: str) -> Recognition:
    return Recognition(
        (Piece(text=text, start_s=0.0, end_s=1.0, avg_logprob=-0.1, no_speech_prob=0.0),)
    )


@pytest.mark.req("H050", "H023")
def test_text_of_an_engine_comes_without_what_is_no_text() -> None:
    how = Concluded("final", None, Clip(silence(1000), 0, 0, 1000), heard(SAID))
    final = transcript(TURN, "en-US", how)

    assert final.text == "café [2Jnow, please"
    assert final.segments[0].text == final.text
    assert partial(TURN, "en-US", SAID, heard(SAID)).text == final.text


def test_a_text_that_grows_in_form_c_is_cut_once_more() -> None:
    how = Concluded("final", None, None, heard("\u0958" * MAX_TEXT))

    assert len(transcript(TURN, "en-US", how).text) == MAX_TEXT
