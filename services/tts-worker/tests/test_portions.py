"""How long a voice speaks at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tts_worker.portions import portions


@given(st.text("ab ,.", max_size=300), st.integers(2, 40))
def test_no_phoneme_is_lost_and_no_portion_too_long(phonemes: str, limit: int):
    parts = list(portions(phonemes, limit))

    assert [p for part in parts for p in part] == list(phonemes)
    assert all(0 < len(part) <= limit for part in parts)


def test_a_portion_ends_at_a_pause_before_it_ends_at_a_word():
    assert ["".join(p) for p in portions("aaa bbb, ccc ddd eee", 14)] == [
        "aaa bbb, ",
        "ccc ddd eee",
    ]
    assert ["".join(p) for p in portions("aaa bbb ccc ddd eee", 14)] == ["aaa bbb ccc ", "ddd eee"]
    assert ["".join(p) for p in portions("a" * 30, 14)] == ["a" * 14, "a" * 14, "aa"]
