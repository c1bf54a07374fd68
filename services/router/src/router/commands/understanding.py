"""Whether an utterance is a command, and which. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from router.commands.numbers import parse_duration, parse_percent
from router.commands.table import RULES, Intent, Rule
from router.commands.templates import compiled
from router.commands.words import Word, words_of

MAX_CHARS = 2000
MAX_WORDS = 30
"""Of a command, but for the text of what is to be said."""

_NOT_LITERAL = frozenset({
    "something", "anything", "nothing", "it", "that", "this", "what", "when", "who", "whom",
    "whose", "how", "why", "where", "which", "a", "an", "some", "more", "less", "again", "your",
    "exactly",
})  # fmt: skip
"""Who wants "something funny" said does not want these words."""

_NEAR_THE_END = {"in": 2, "to": 3}
"""So near the end, these words say in which language, or to whom, something is to be said."""


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody wants, with what it needs of these.

    Attributes:
        intent: what.
        name: of a timer.
        seconds: a duration.
        percent: a loudness.
        text: what is to be said, as it was spoken; with a greeting the part of the day.
    """

    intent: Intent
    name: str | None = None
    seconds: float | None = None
    percent: float | None = None
    text: str = ""

    @property
    def is_any(self) -> bool:
        """Whether it says neither which timer by name nor by length."""
        return self.name is None and self.seconds is None


def understand(text: str) -> Command | None:
    """The command that an utterance is as a whole; None: it is for the language model."""
    if len(text) > MAX_CHARS:
        return None
    words = words_of(text)
    line = "".join(f"{word.text} " for word in words)
    for rule in RULES:
        if rule.intent != "say" and len(words) > MAX_WORDS:
            continue
        for phrase in rule.phrases:
            found = compiled(phrase, order=rule.order).fullmatch(line)
            command = found and _command(rule, found, text, words)
            if command is not None:
                return command
    return None


def _command(rule: Rule, found: re.Match[str], text: str, words: list[Word]) -> Command | None:
    slots = {key: value.split() for key, value in found.groupdict().items() if value is not None}
    seconds = percent = None
    said = ""
    if "duration" in slots and (seconds := parse_duration(slots["duration"])) is None:
        return None
    if "percent" in slots and (percent := parse_percent(slots["percent"])) is None:
        return None
    if "line" in slots and not _is_literal(slots["line"]):
        return None
    if open_end := {"text", "line"} & slots.keys():
        first = found.string[: found.start(open_end.pop())].count(" ")
        said = text[words[first].at :].strip()
    name = " ".join(slots["name"]) if "name" in slots else None
    return Command(rule.intent, name, seconds, percent, said or "".join(slots.get("part", [])))


def _is_literal(words: list[str]) -> bool:
    """Whether the words themselves are wanted, not something that they describe."""
    if words[0] in _NOT_LITERAL or words[-1] == "again":
        return False
    return not any(word in words[-near:] for word, near in _NEAR_THE_END.items())
