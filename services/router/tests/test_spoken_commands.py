"""Which utterances are commands: whole phrases of the table, and nothing that only holds one."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from router.commands import RULES, Command, Intent, understand
from router.commands.numbers import parse_duration, parse_percent, read_number
from router.commands.words import UNKNOWN, words_of

EXAMPLES = [(example, rule.intent) for rule in RULES for example in rule.examples]

FOR_THE_MODEL = (
    # the cases that were mistaken for commands elsewhere
    "Hey, what is the capital of France?",
    "What do you know?",
    "Where does the bus stop?",
    "Explain rainbows.",
    "Stop the music in the kitchen at five.",
    # a command's words in something else
    "What is the next stop?", "When does the rain stop?", "Do not stop.", "Why did they stop?",
    "Stop, what is the moon?", "Stop the washing machine.", "How do I stop smoking?",
    "Never mind the gap, where is it?", "Is it quiet outside?", "Cancel my subscription.",
    "Tell me how to cancel a flight.", "Silence of the Lambs", "Who said never mind?",
    "No.", "Yes.", "Know", "Now", "Okay.", "Nonstop",
    "What time is it in Tokyo?", "What time is dinner?", "What time does the shop open?",
    "How much time do I need to boil an egg?", "What is the time difference to New York?",
    "Time flies.", "What day is Christmas?", "What is the date of Easter?", "Up to date",
    "What day was yesterday?", "Which day is best for washing?",
    "How loud is a jet?", "What is the volume of a sphere?", "Turn up the heat.",
    "Turn the heating down.", "Louder than bombs", "Set the temperature to fifty.",
    "Set the volume of the radio to fifty.", "Volume fifty of the encyclopedia",
    "Set the volume to -5.", "Set the volume to $5.", "Set the volume to one two.",
    "Hello, can you help me?", "Hi, how are you?", "Good morning, what is the weather?",
    "How do you say hello in French?", "Say something funny.", "Say hello to my mother.",
    "Say good night in Spanish.", "Say what you think.", "Say a prayer.", "Say it in French.",
    "Thank you for the music, who sang that?", "Thank you, and what is the moon?",
    "What did you say about the moon?", "Repeat the recipe from yesterday.", "Say",
    "Repeat after me", "Can you say that again in German?",
    "What is a timer?", "Set a timer.", "Set a timer for the pasta.", "Set a timer for 1,5 hours.",
    "Set a timer for ten.", "Set a timer for ten minutes and turn on the light.",
    "Set a timer for minutes ten.", "Set a timer for ten minutes ten minutes.",
    "Ten minute break", "Who invented the egg timer?", "The pasta timer", "Minute timer",
    "How much time is left until Christmas?", "How long is left of the film?",
    "Cancel the timer on the oven at five.", "List all timers ever made.", "Are timers useful?",
    "Set an alarm for seven.", "Remind me in ten minutes to call.", "Computer", "Please.",
    "Could you what time is it?", "", "   ", "?!", "…", "\N{GRINNING FACE} stop",
    "st\u00f6p", "\u505c", "stop\N{GRINNING FACE}",
)  # fmt: skip


@pytest.mark.req("R006", "F21")
@pytest.mark.parametrize(("utterance", "intent"), EXAMPLES)
def test_each_example_of_the_table_is_understood(utterance: str, intent: Intent) -> None:
    command = understand(utterance)

    assert command is not None
    assert command.intent == intent


def test_every_intent_and_every_rule_has_examples() -> None:
    assert {rule.intent for rule in RULES} == set(get_args(Intent))
    assert all(rule.examples and rule.phrases for rule in RULES)


@pytest.mark.req("F21")
@pytest.mark.parametrize("utterance", FOR_THE_MODEL)
def test_what_only_holds_a_command_is_for_the_model(utterance: str) -> None:
    assert understand(utterance) is None


STRANGE = st.sampled_from(
    [
        "bus", "where", "explain", "music", "kitchen", "five", "does", "rainbows", "because", "do",
        "weather", "tomorrow", "about", "who", "not", "know", "we", "think", "of", "Paris", "7",
        "and", "the", "is", "never",
    ]
)  # fmt: skip
CLOSED = [(text, intent) for text, intent in EXAMPLES if intent != "say"]


@pytest.mark.req("F21")
@given(
    st.sampled_from(CLOSED),
    st.lists(STRANGE, max_size=4),
    st.lists(STRANGE, max_size=4),
    st.sampled_from([" ", ", ", ". ", " - "]),
)
def test_a_sentence_that_embeds_a_command_is_none(
    example: tuple[str, Intent], before: list[str], after: list[str], between: str
) -> None:
    assume(before or after)
    text, intent = example
    sentence = between.join([*before, text.rstrip(".!?"), *after])
    found = understand(sentence)

    if found is not None:  # nothing but a longer number, or another name of the same timer
        assert found.intent == intent == "timer_set" or found.intent == intent == "volume"
        assert (found.seconds, found.percent) != (None, None)


@given(st.text(max_size=200))
def test_no_text_is_too_strange(text: str) -> None:
    command = understand(text)

    assert command is None or command.intent in get_args(Intent)


@given(st.sampled_from(EXAMPLES), st.sampled_from([str.upper, str.lower, str.title]))
def test_case_and_punctuation_do_not_matter(example: tuple[str, Intent], change: object) -> None:
    text, intent = example
    assert callable(change)
    bare = re.sub(r"[.,!?:](?!\d)", "", change(text))
    command = understand(f"  {bare}  ")

    assert command is not None
    assert command.intent == intent


@given(st.sampled_from([e for e in EXAMPLES if e[1] not in ("say", "repeat")]))
def test_a_name_and_a_please_may_stand_around_a_command(example: tuple[str, Intent]) -> None:
    text, intent = example
    assume(
        not re.search(
            r"please|thank|jarvis|parlour|computer|now|could|can|hello|hi|hey", text, re.IGNORECASE
        )
    )
    command = understand(f"Hey Jarvis, please {text.rstrip('.!?')} please, thank you.")

    assert command is not None
    assert command.intent == intent


@pytest.mark.req("R006")
@pytest.mark.parametrize(
    ("utterance", "expected"),
    [
        ("Set a timer for ten minutes.", Command("timer_set", seconds=600)),
        ("Set a pasta timer for 1 hour and 5 minutes", Command("timer_set", "pasta", 3900)),
        ("Ten-minute timer", Command("timer_set", seconds=600)),
        ("Set a 90 second green tea timer", Command("timer_set", "green tea", 90)),
        ("Set a timer for 0 minutes", Command("timer_set", seconds=0)),
        ("Cancel the pasta timer", Command("timer_cancel", "pasta")),
        ("Cancel the ten minute timer", Command("timer_cancel", seconds=600)),
        ("Set the volume to fifty", Command("volume", percent=50)),
        ("Volume 35%", Command("volume", percent=35)),
        ("Say: Dinner's ready, all of you!", Command("say", text="Dinner's ready, all of you!")),
        ("Repeat after me: what a day in Spain.", Command("say", text="what a day in Spain.")),
        ("Good morning!", Command("greeting", text="morning")),
    ],
)
def test_what_a_command_needs_is_taken_from_the_utterance(
    utterance: str, expected: Command
) -> None:
    assert understand(utterance) == expected


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("ten minutes", 600), ("90 seconds", 90), ("an hour", 3600), ("half an hour", 1800),
        ("a half hour", 1800), ("an hour and a half", 5400), ("one and a half hours", 5400),
        ("two and a half minutes", 150), ("1.5 hours", 5400), ("a quarter of an hour", 900),
        ("three quarters of an hour", 2700), ("1 hour 5 minutes and 10 seconds", 3910),
        ("two hundred and five minutes", 12300), ("a hundred seconds", 100),
        ("twenty five minutes", 1500), ("a minute", 60), ("1 hour and 30 seconds", 3630),
        ("minutes", None), ("ten", None), ("ten minutes ten minutes", None), ("", None),
        ("ten minutes one hour", None), ("five twenty minutes", None), ("and ten minutes", None),
        ("ten minutes and", None), ("twenty twelve minutes", None), ("1000000 minutes", None),
        ("hundred minutes", None), ("zero minutes", 0), ("half", None), ("a a minute", None),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_a_whole_or_not_at_all(words: str, seconds: float | None) -> None:
    assert parse_duration(words.split()) == seconds


ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spelled(number: int) -> str:
    if number < 20:
        return ONES[number]
    if number < 100:
        rest = f" {ONES[number % 10]}" if number % 10 else ""
        return TENS[number // 10 - 2] + rest
    rest = f" and {spelled(number % 100)}" if number % 100 else ""
    return f"{ONES[number // 100]} hundred{rest}"


@given(st.integers(0, 999))
def test_every_number_below_a_thousand_is_read_in_words_and_in_digits(number: int) -> None:
    for words in (
        spelled(number).split(),
        spelled(number).replace(" and", "").split(),
        [str(number)],
    ):
        assert read_number(words, 0) == (number, len(words))
        assert parse_percent([*words, "percent"]) == number


@given(
    st.lists(
        st.sampled_from([*ONES, *TENS, "hundred", "and", "a", "half", "hours", "minutes", "5"])
    )
)
def test_words_of_durations_in_any_order_never_break_the_reader(words: list[str]) -> None:
    seconds = parse_duration(words)

    assert seconds is None or seconds >= 0


def test_words_are_found_where_they_are() -> None:
    text = "Don\N{RIGHT SINGLE QUOTATION MARK}t stop: 50% of 1.5, -7 +3"

    words = words_of(text)

    assert [w.text for w in words] == [
        "dont", "stop", "50", "percent", "of", "1.5", UNKNOWN, UNKNOWN, "3",
    ]  # fmt: skip
    assert text[words[1].at :].startswith("stop")


def test_the_longest_utterance_is_looked_at_quickly() -> None:
    """Nothing that anybody says may make the room wait: a row of words costs a few steps each."""
    for text in ("set a " + "one " * 400, "a " * 900 + "timer", "say " * 450, "and a half " * 150):
        assert understand(text) is None or text.startswith("say")
