"""What a voice is given to say."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tts_worker.text import MAX_CHARS, speakable

MARKUP = set("*`~|\\[]{}<>^#")


@pytest.mark.req("R022")
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Hello there.", "Hello there."),
        ("**Bold**, *italic*, ~~gone~~ and __under__", "Bold, italic, gone and under"),
        ("See [the docs](https://example.com/a?b=1) now.", "See the docs now."),
        ("![A cat](cat.png) sleeps", "A cat sleeps"),
        ("Visit https://www.example.com/a/b?c=d#e today", "Visit example.com today"),
        ("Mail <me@home.org> soon", "Mail me@home.org soon"),
        ("Great! 🎉🎉 Done 👍🏽", "Great! Done"),
        ("Family 👨‍👩‍👧 and flag 🇩🇪 here", "Family and flag here"),
        ("Press 1️⃣ now", "Press 1 now"),
        ("Use `pip install` and ```code```", "Use pip install and code"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("# Shopping\n- milk\n- 2 eggs\n- [x] bread", "Shopping. milk, 2 eggs, bread"),
        ("> quoted\n\nnext", "quoted. next"),
        ("1. First\n2. Second", "1. First, 2. Second"),
        ("soft\nwrapped line", "soft wrapped line"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b. 1, 2"),
        ("one\n\n---\n\ntwo", "one. two"),
        ("<b>Hi</b> &amp; bye<br/>now", "Hi & bye now"),
        ("2 * 3 is 6, 2*3 too", "2 × 3 is 6, 2 × 3 too"),
        ("snake_case_name and _it_", "snake case name and it"),
        ("It is 21.5 °C, -3.14, $5, 50 % at 10:30.", "It is 21.5 °C, -3.14, $5, 50 % at 10:30."),
        ("As shown [1] and noted[^2].", "As shown and noted."),
        ("Dr. Smith met Mrs. Jones.", "Dr Smith met Mrs Jones."),
        ("It’s “fine”", 'It\'s "fine"'),
        ("[[həˈloʊ]] you", "həˈloʊ you"),
        ("Wait!!! What??", "Wait! What?"),
        ("zero\u200bwidth soft\u00adhyphen", "zerowidth softhyphen"),
        ("naïve café 日本", "naïve café 日本"),
        ("cafe\u0301", "café"),
        ("a\x00b\x07c", "a b c"),
    ],
)
def test_markup_goes_and_words_stay(written: str, said: str):
    assert said == speakable(written)


@pytest.mark.parametrize("silent", ["", "   \n", "🙂", "***", "---", "?!…", "``` ```", "→ ← |"])
def test_text_without_a_word_is_silent(silent: str):
    assert speakable(silent) == ""


@given(st.text(max_size=400))
def test_any_text_becomes_one_plain_line(text: str):
    said = speakable(text)

    assert said == said.strip()
    assert "  " not in said
    assert not MARKUP - {"#"} & set(said)
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"} for c in said)
    assert said == "" or any(c.isalnum() for c in said)


@given(
    st.lists(
        st.integers(min_value=0, max_value=99_999).map(str) | st.sampled_from(["a", "the", "and"]),
        min_size=1,
        max_size=30,
    )
)
def test_numbers_and_words_are_kept_as_they_are(tokens: list[str]):
    assert tokens == speakable(" ".join(tokens)).split()


@given(st.text(alphabet="[]()*_`<>|#-~ \nahtps:/.w1", max_size=600))
def test_markup_of_any_nesting_ends_without_marks(text: str):
    assert not set("*`~|\\[]{}<>^") & set(speakable(text))


@pytest.mark.parametrize(
    "unit", ["[", "](", "[a](", "<a ", "*", "https://", "_a", "- ", "![[(", "&lt;"]
)
def test_hostile_repetition_is_handled_quickly(unit: str):
    speakable(unit * MAX_CHARS)


def test_no_more_than_the_limit_is_said():
    assert len(speakable("word " * 3000)) <= MAX_CHARS


def test_a_fragment_keeps_the_comma_it_ends_with() -> None:
    assert speakable("The sun,") == "The sun,"
    assert speakable("| sun | rain |") == "sun, rain"
