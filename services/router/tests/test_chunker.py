"""The chunker cuts early, at the right places, and loses nothing."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from router.boundaries import Boundaries
from router.chunker import HARD_MAX_CHARS, Chunker, Limits

ONE_SENTENCE = [
    "The number pi is about 3.14 and it goes on without an end.",
    "You should ask Dr. Smith about that before you go there.",
    "The shop opens at 10 a.m. on Monday and closes quite late.",
    "The shop opens at 10 a.m. Monday to Friday, as far as I know.",
    "There are some fruits, e.g. Apples and pears, in that basket.",
    "It was built by J. R. Smith in the year of the great flood.",
    "He was born in Washington D.C. Monday a long time ago, they say.",
    "Please look at the page of the book with No. 5 on its back.",
    "Version 2.0.1 of the program was published on example.com today.",
]
TWO_SENTENCES = [
    ("This is the first sentence of two.", "This is the second one, I think."),
    ("Is this really the first of them?", "Yes, it is the very first of them."),
    ("The answer to that is simply no.", "There is nothing more to say to it."),
    ("I counted them and there are 10.", "The others have all gone home now."),
    ("She said that it is all over.", '"But it is not over," he replied.'),
    (
        "他说今天的天气非常好我们应该出去走走然后再回来吃饭好不好呢。",
        "然后他们就一起出去了而且玩得非常开心直到晚上才回到家里来休息。",
    ),
]
LIMITS = Limits()


def later(text: str, limits: Limits = LIMITS) -> list[str]:
    """The fragments of a text that is not the beginning of its answer."""
    chunker = Chunker(limits)
    assert chunker.feed("Certainly! S") == ["Certainly!"]
    found = chunker.feed(f"o. {text}") + chunker.finish()
    return [found[0].removeprefix("So. "), *found[1:]]


def squeeze(text: str) -> str:
    return "".join(text.split())


def run(pieces: list[str], limits: Limits = LIMITS) -> list[str]:
    chunker = Chunker(limits)
    fragments = [f for piece in pieces for f in chunker.feed(piece)]
    return fragments + chunker.finish()


@pytest.mark.req("F24")
@pytest.mark.parametrize("text", ONE_SENTENCE)
def test_a_full_stop_within_a_sentence_does_not_end_it(text: str) -> None:
    assert later(text) == [text]


@pytest.mark.req("F24")
@pytest.mark.parametrize("text", ONE_SENTENCE)
def test_nor_does_it_wherever_the_stream_is_split(text: str) -> None:
    whole = f"Certainly! So. {text} That was it."
    expected = run([whole])
    for at in range(1, len(whole)):
        assert run([whole[:at], whole[at:]]) == expected


@pytest.mark.parametrize(("one", "two"), TWO_SENTENCES)
def test_sentences_are_spoken_one_by_one(one: str, two: str) -> None:
    assert later(f"{one} {two}") == [one, two]


def test_a_sentence_is_out_with_the_first_letter_of_the_next() -> None:
    chunker = Chunker(LIMITS)
    text = "A sentence without any clause that is long enough."
    for letter in f"{text} ":
        assert chunker.feed(letter) == []
    assert chunker.feed("T") == [text]


def test_the_first_fragment_ends_at_a_clause() -> None:
    text = "In the year 1969, people walked on the moon, and they came back."
    assert run([text]) == ["In the year 1969,", "people walked on the moon, and they came back."]


def test_a_very_short_clause_is_not_spoken_alone() -> None:
    assert run(["Well, that is a very good question, my friend."])[0] == (
        "Well, that is a very good question,"
    )


def test_short_sentences_are_joined() -> None:
    assert later("I do. You do. We all do. They also do it, you see. And that is it.") == [
        "I do. You do. We all do. They also do it, you see.", "And that is it.",
    ]  # fmt: skip


def test_a_long_sentence_is_cut_at_its_last_clause() -> None:
    limits = Limits(min_chars=20, max_chars=60)
    text = "some words without a stop, and some more words without one " * 3
    fragments = run([text], limits)

    assert all(len(f) <= 60 for f in fragments)
    assert fragments[1].endswith("stop,")


def test_a_long_clause_is_cut_at_its_last_blank() -> None:
    fragments = run(["word " * 100], Limits(min_chars=20, max_chars=60))

    assert {len(f) for f in fragments[:-1]} == {59}


def test_an_endless_word_is_cut_at_the_hard_limit() -> None:
    fragments = run(["x" * 5000])

    assert [len(f) for f in fragments] == [HARD_MAX_CHARS, HARD_MAX_CHARS, 1000]


@pytest.mark.parametrize("text", ["(" * 9000, "a" + " " * 9000 + "b", "a. " * 9000, "." * 9000])
@pytest.mark.parametrize("limits", [LIMITS, Limits(stream=False)])
def test_nothing_is_too_long_to_be_sent(text: str, limits: Limits) -> None:
    fragments = run([text], limits)

    assert max(map(len, fragments)) <= HARD_MAX_CHARS
    assert squeeze("".join(fragments)) == squeeze(text)


def test_off_the_boundaries_an_answer_is_cut_once_it_is_long_enough() -> None:
    fragments = run(["one two three four five six seven"], Limits(10, 40, boundary_only=False))

    assert fragments == ["one two three", "four five six", "seven"]


def test_without_streaming_the_answer_is_one() -> None:
    text = "One sentence is here. Another sentence is here. And here is the third of them."
    assert run([text[:30], text[30:]], Limits(stream=False)) == [text]


def test_the_operators_own_boundary_is_used() -> None:
    limits = Limits(min_chars=1, expression=r"\|")
    assert run(["one. Two| three. Four| five"], limits) == ["one. Two|", "three. Four|", "five"]


@pytest.mark.req("C030")
def test_an_expression_that_takes_for_ever_is_replaced() -> None:
    boundaries = Boundaries(r"(a+)+$b|(x+x+)+y")
    assert boundaries.sentence("x" * 1900 + " a. B", 1, 2000) == 1904
    assert boundaries.timed_out


def test_an_expression_of_another_dialect_is_replaced() -> None:
    assert Boundaries(r"[.!?]\s(?P<a>x)(?P<a>y)(").sentence("Words. Two", 1, 100) == 7


WORDS = [
    *"abcXYZ0123.,;:!?…\n\"'()-—*。é ", "Dr.", " a.m. ", "3.14", ". The ", ", and ", "\n\n",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(WORDS), max_size=300).map("".join)
ANY_LIMITS = st.builds(
    Limits,
    st.integers(1, 40),
    st.integers(40, 120),
    st.booleans(),
    st.just(LIMITS.expression),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(TEXT, st.lists(st.integers(0, 400), max_size=30), ANY_LIMITS)
def test_fragments_are_the_text_however_it_arrives(
    text: str, cuts: list[int], limits: Limits
) -> None:
    at = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(at)]
    fragments = run(pieces, limits)

    assert squeeze("".join(fragments)) == squeeze(text)
    assert all(f and f == f.strip() for f in fragments)
    assert fragments == run(list(text), limits)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), ANY_LIMITS)
def test_no_text_breaks_it(text: str, limits: Limits) -> None:
    fragments = run([text], limits)

    assert squeeze("".join(fragments)) == squeeze(text)
    if limits.stream:
        assert all(
            len(f) <= limits.max_chars or " " not in f[: limits.max_chars] for f in fragments
        )
