"""An expression is taken only when every text can be read by it in few ways."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_contracts.config import validate_config
from parlour_contracts.config.regex_guard import check_expression
from parlour_contracts.config.router import DEFAULT_BOUNDARY


@pytest.mark.req("C030")
@pytest.mark.parametrize(
    "expression",
    [
        DEFAULT_BOUNDARY,
        r"[.!?]+\s+(?=[A-Z])",
        r"(?:\.{3}|[!?])+\s",
        r"(?:\w+\s)+x",
        r"\.\s+|\?\s+|!\s+",
        r"(?i)[a-z]+\.",
        r"(?i:b+)\.",
        r"(?:Mr|Mrs)\.",
        r"(?:Jan|Jun|Jul)\.?\s",
        r"[^.]+\.(?!\d)",
        r"(?P<end>[.!?])(?>\s+)",
        r"[.]++\s",
        r"^\s+\Z",
        r"(?s).",
        r"[\d\W\S\D]x",
        r"[。！？]",
    ],
)
def test_an_expression_for_the_end_of_a_sentence_is_taken(expression):
    assert check_expression(expression) == expression


TWICE = "two repeats or optional parts that take the same"


@pytest.mark.req("C030")
@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(", "does not compile"),
        ("(?P<x", "does not compile"),
        ("[[a]b]", "does not compile"),
        ("a{99999999999999999999}", "does not compile"),
        (r"\s*", "can match nothing"),
        ("", "can match nothing"),
        (r"(?<=a)b", "looks back"),
        (r"(?<!a)b", "looks back"),
        (r"(a)\1", "looks back"),
        (r"(a)?(?(1)b|c)", "looks back"),
        (r"(a+)+$", TWICE),
        (r"(a{1,9}){1,9}b", TWICE),
        (r"(x+x+)+y", TWICE),
        (r"(\w+\s?)+$", TWICE),
        (r"(.*)(.*)=", TWICE),
        (r"a+b?a+", TWICE),
        (r"(?:a|ab|b)*c", TWICE),
        (r"(?i)a+A+b", TWICE),
        ("a?" * 20 + "a" * 20, TWICE),
        (r"(?:(?:a*b?)*c?)*d", "same characters"),
        (r"(?:\b)+a", "may be empty"),
        (r"(?:a?|b?)c", "both be empty"),
        (r"(?:[ab]c|[bc]c)e", "can take the same text"),
        (r"(?:a+|a)b", "can take the same text"),
        (r"a+b+c+d+e", "more than 3 repeats"),
    ],
)
def test_an_expression_that_could_search_for_long_is_refused_with_the_reason(expression, why):
    with pytest.raises(ValueError, match=re.escape(why)):
        check_expression(expression)


@pytest.mark.req("C030")
def test_the_router_refuses_an_expression_that_could_search_for_long():
    _, problems = validate_config("router", {"router_stream_boundary_regex": "(a+)+$"})

    assert [p.key for p in problems] == ["router_stream_boundary_regex"]
    assert TWICE in problems[0].problem


@given(st.text(alphabet="ab.?*+{},(|)[]^$\\sw1:=!<", max_size=30))
@settings(max_examples=300)
def test_any_text_is_taken_or_refused_but_never_breaks_the_guard(text):
    try:
        check_expression(text)
    except ValueError:
        return
    assert re.compile(text)


ATOMS = st.sampled_from(["a", "b", "[ab]", "[^a]", r"\w", ".", "ab", "(?:a|b)", "(?:ab|b)"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,3}", "{2}", "+?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
    ),
    max_leaves=7,
)


def ways(expression: str, text: str) -> int:
    """In how many ways a backtracking search reads ``text`` from its start, all of them tried."""
    from re import _constants as op  # noqa: PLC0415
    from re import _parser as parser  # noqa: PLC0415

    def run(items: list, at: int, then) -> int:
        if not items:
            return then(at)
        (code, argument), rest = items[0], items[1:]
        if code is op.SUBPATTERN:
            return run([*argument[3], *rest], at, then)
        if code is op.BRANCH:
            return sum(run([*branch, *rest], at, then) for branch in argument[1])
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, body = argument
            return again(list(body), low, min(int(high), len(text) + 1), at, rest, then)
        one = re.compile(spell(code, argument))
        if at < len(text) and one.fullmatch(text[at]):
            return 1 + run(rest, at + 1, then)
        return 1

    def again(body: list, low: int, high: int, at: int, rest: list, then) -> int:
        steps = 0
        if low <= 0:
            steps += run(rest, at, then)
        if high > 0:
            steps += run(
                body,
                at,
                lambda end: (
                    0 if end == at and low <= 0 else again(body, low - 1, high - 1, end, rest, then)
                ),
            )
        return steps

    def spell(code, argument) -> str:
        if code is op.LITERAL:
            return re.escape(chr(argument))
        if code is op.NOT_LITERAL:
            return f"[^{re.escape(chr(argument))}]"
        if code is op.ANY:
            return "."
        negated = argument and argument[0][0] is op.NEGATE
        inside = "".join(
            r"\w" if kind is op.CATEGORY else re.escape(chr(value))
            for kind, value in argument
            if kind is not op.NEGATE
        )
        return f"[{'^' if negated else ''}{inside}]"

    return run(list(parser.parse(expression)), 0, lambda _at: 1)


@given(EXPRESSIONS, st.text(alphabet="ab", min_size=8, max_size=14))
@settings(max_examples=300, deadline=None)
@pytest.mark.req("C030")
def test_what_is_taken_reads_a_text_in_a_number_of_steps_that_stays_small(expression, text):
    try:
        check_expression(expression)
    except ValueError:
        return
    # A search that doubles with each letter would need 2**14 steps, and more, for most texts.
    assert ways(expression, text) <= 40 * len(text) ** 2
