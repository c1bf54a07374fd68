"""Word times from phonemes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tts_worker.words import Span, align, estimate, exact


def heard(expected: list[str], *spoken: str) -> list[str | None] | None:
    """What of the spoken phonemes belongs to each token, as text."""
    spans = align([list(e) for e in expected], [list(s) for s in spoken])
    flat = "".join(spoken)
    return spans and [s and flat[s.start : s.end] for s in spans]


def test_words_are_found_between_the_spaces():
    assert heard(["ɪt", "ɪz", "kˈoʊld."], "ɪt ɪz kˈoʊld.") == ["ɪt", "ɪz", "kˈoʊld"]


def test_a_number_is_one_word_of_several_spoken_ones():
    assert heard(["ɪt", "ɪz", "fˈɔːɹɾi tˈuː", "tədˈeɪ"], "ɪɾ ɪz fˈɔːɹɾi tˈuː tədˈeɪ") == [
        "ɪɾ",
        "ɪz",
        "fˈɔːɹɾi tˈuː",
        "tədˈeɪ",
    ]


def test_merged_words_are_split_inside():
    assert heard(["ʌv", "ðə", "pˈiːpəl"], "ʌvðə pˈiːpəl") == ["ʌv", "ðə", "pˈiːpəl"]


def test_a_word_that_changes_its_sound_in_a_sentence_keeps_its_place():
    assert heard(["æt", "ˈeɪ", "plˈeɪs"], "æɾə plˈeɪs") == ["æɾ", "ə", "plˈeɪs"]


def test_words_are_found_across_parts():
    assert heard(["hˈaɪ,", "dˈɑːktɚ.", "smˈɪθ."], "hˈaɪ, dˈɑːktɚ.", "smˈɪθ.") == [
        "hˈaɪ",
        "dˈɑːktɚ",
        "smˈɪθ",
    ]


def test_a_token_without_sound_has_no_phonemes():
    assert heard(["jˈɛs", "", "nˈoʊ"], "jˈɛs; nˈoʊ") == ["jˈɛs", None, "nˈoʊ"]


def test_another_sentence_is_refused():
    assert heard(["wˈʌn", "tˈuː"], "ælfəbɛtˈɪkəl ɡɪbɹɪʃ") is None


@pytest.mark.parametrize(("expected", "spoken"), [([], ["hˈaɪ"]), ([["a"]], []), ([[]], [["a"]])])
def test_nothing_to_align_is_no_alignment(expected, spoken):
    assert align(expected, spoken) is None


PHONEMES = st.text(alphabet="abcdefghˈˌː", min_size=1, max_size=8).filter(
    lambda w: any(c in "abcdefgh" for c in w)
)


@given(st.lists(PHONEMES, min_size=1, max_size=12), st.integers(0, 3))
def test_each_word_of_an_unchanged_sentence_is_found(words: list[str], pause: int):
    spoken = [*" ".join(words), *"." * pause]
    spans = align([list(w) for w in words], [spoken])

    assert spans is not None
    found = [s for s in spans if s is not None]
    assert len(found) == len(words)
    # A stress mark at the end of a word is read as the next one's.
    assert ["".join(spoken[s.start : s.end]).strip("ˈˌ ") for s in found] == [
        w.strip("ˈˌ ") for w in words
    ]


@given(st.lists(PHONEMES, max_size=10), st.lists(st.text("abcdefgh ,.ˈ", max_size=30), max_size=4))
def test_spans_are_in_order_and_inside_whatever_is_spoken(words: list[str], spoken: list[str]):
    spans = align([list(w) for w in words], [list(s) for s in spoken])
    at = 0
    for span in spans or []:
        if span is not None:
            assert at <= span.start < span.end <= sum(map(len, spoken))
            at = span.end


def test_a_sentence_longer_than_the_band_is_aligned():
    words = [f"{a}{b}{c}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh"] * 3
    spans = align([list(w) for w in words], [list(" ".join(words))])

    assert spans == [Span(4 * i, 4 * i + 3) for i in range(len(words))]


def test_times_are_those_of_the_first_and_last_phoneme():
    starts = np.array([100, 200, 300, 400, 600])
    ends = np.array([200, 300, 400, 500, 800])

    words = exact(["ab", "-", "c"], [Span(0, 2), None, Span(4, 5)], starts, ends, 1000)

    assert [(w.text, w.start_ms, w.end_ms) for w in words] == [
        ("ab", 100, 300),
        ("-", 300, 300),
        ("c", 600, 800),
    ]


@given(
    st.lists(st.text(min_size=1, max_size=300), max_size=40),
    st.floats(0, 1e5),
    st.floats(0, 1e5),
)
def test_an_estimate_is_in_order_and_inside(tokens: list[str], start: float, length: float):
    words = estimate(tokens, start, start + length)
    edges = [t for w in words for t in (w.start_ms, w.end_ms)]

    assert len(words) == len(tokens)
    assert edges == sorted(edges)
    assert all(start - 0.002 <= t <= start + length + 0.001 for t in edges)
