"""What was heard of an utterance, to the word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.messages.tts import Word
from router.progress import Sounding, cut_at

WORDS = (
    Word(text="The", start_ms=0, end_ms=100),
    Word(text="sun", start_ms=120, end_ms=400),
    Word(text="shines.", start_ms=400, end_ms=900),
)


def spoken(text: str, duration_ms: float | None = 1000.0) -> Sounding:
    return Sounding(text, (), duration_ms)


def test_a_word_is_heard_when_its_end_lies_before_the_cut() -> None:
    sentence = Sounding("The sun shines.", WORDS, 1000.0)

    assert cut_at([sentence], 399.0).heard == "The"
    assert cut_at([sentence], 400.0).heard == "The sun"
    assert cut_at([sentence], 400.0).unheard == "shines."
    assert cut_at([sentence], 0.0).heard == ""
    assert cut_at([sentence], 5000.0).unheard == ""


def test_a_sentence_begins_where_the_sound_of_the_one_before_ends() -> None:
    both = [spoken("One."), Sounding("The sun shines.", WORDS, 1000.0)]

    assert cut_at(both, 1100.0).heard == "One. The"


def test_what_waits_for_a_sentence_that_is_not_out_was_not_heard() -> None:
    late = Sounding("The sun shines.", WORDS, 1000.0)

    cut = cut_at([spoken("One."), spoken("Missing.", None), late], 5000.0)

    assert (cut.heard, cut.unheard) == ("One.", "Missing. The sun shines.")


def test_without_word_times_a_word_takes_its_share_of_the_sentence() -> None:
    assert cut_at([spoken("aaaa bbbb cccc dddd")], 500.0).heard == "aaaa bbbb"


sentences = st.lists(
    st.tuples(
        st.text(alphabet="abc .", max_size=30), st.none() | st.floats(1.0, 5000.0)
    ).map(lambda pair: Sounding(pair[0], (), pair[1])),
    max_size=6,
)  # fmt: skip


@given(sentences, st.floats(0.0, 40_000.0), st.floats(0.0, 40_000.0))
def test_nothing_is_lost_nor_doubled_and_more_played_is_never_less_heard(
    said: list[Sounding], first: float, second: float
) -> None:
    early, late = sorted((first, second))
    whole = " ".join(s.text for s in said).split()

    for cut in (cut_at(said, early), cut_at(said, late)):
        assert f"{cut.heard} {cut.unheard}".split() == whole
    assert cut_at(said, late).heard.startswith(cut_at(said, early).heard)
