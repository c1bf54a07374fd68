"""The phrases of the table, compiled. Pure.

A phrase is a row of words: ``a|b`` is one of them, ``a?`` may be left out, and ``{slot}`` takes
words of its own kind. Before it may stand the assistant's name and "please", before an order also
"could you", and after it "please", "now", the name and "thanks". Nothing else.
"""

from __future__ import annotations

import re
from functools import cache

from router.commands.numbers import NUMBER_WORDS, UNITS

NAMES = ("parlour", "parlor", "nabu", "jarvis", "mycroft", "alexa", "computer")
"""What the assistant is called: its own name, and those of the usual wake words."""

_NOT_IN_NAMES = sorted(
    {
        *NUMBER_WORDS, *UNITS, *NAMES, "percent", "timer", "timers", "alarm", "and", "or", "not",
        "a", "an", "the", "my", "your", "our", "this", "that", "all", "every", "each", "any",
        "some", "for", "of", "to", "in", "on", "at", "with", "from", "about", "is", "are", "was",
        "do", "does", "did", "what", "which", "who", "how", "when", "where", "why", "half",
        "quarter", "quarters", "called", "named", "new", "another", "please", "now", "set",
        "start", "stop", "cancel", "delete", "remove", "i", "you", "it", "me", "we", "they",
    }
)  # fmt: skip
_DIGITS = r"[0-9]+(?:\.[0-9]+)?"
_NUMBER = rf"(?:{_DIGITS}|a(?= hundred)|and|{'|'.join(sorted(NUMBER_WORDS))})"
_TIME = (
    rf"(?:{_DIGITS}|a|an|and|of|half|quarter|quarters"
    rf"|{'|'.join(sorted(NUMBER_WORDS | UNITS.keys()))})"
)
_SLOTS = {
    "duration": rf"(?P<duration>(?:{_TIME} ){{2,14}})",
    "percent": rf"(?P<percent>(?:{_NUMBER} ){{1,5}}(?:percent )?)",
    "name": rf"(?P<name>(?:(?!(?:{'|'.join(_NOT_IN_NAMES)}) )[^\W\d_]+ ){{1,3}})",
    "part": r"(?P<part>morning|afternoon|evening|night) ",
    "text": r"(?P<text>(?:[^ ]+ )+)",
    "line": r"(?P<line>(?:[^ ]+ )+)",
}
_CALLED = rf"(?:{'|'.join(NAMES)}) "
_BEFORE = rf"(?:(?:(?:hey|hi|hello|ok|okay) )?{_CALLED})?(?:please )?"
_ORDERED = r"(?:(?:could|can|would|will) you (?:please )?)?"
_AFTER = rf"(?:please )?(?:now )?(?:{_CALLED})?(?:thanks |thank you )?"


@cache
def compiled(phrase: str, *, order: bool) -> re.Pattern[str]:
    """A phrase as an expression for a whole utterance, whose words all end in a blank.

    Args:
        phrase: of the table.
        order: whether it may be asked for with "could you".
    """
    parts = "".join(_part(token) for token in phrase.replace("'", "").split())
    after = "" if phrase.endswith(("{text}", "{line}")) else _AFTER
    return re.compile(f"{_BEFORE}{_ORDERED if order else ''}{parts}{after}")


def _part(token: str) -> str:
    bare = token.removesuffix("?")
    if bare.startswith("{"):
        expression = _SLOTS[bare.strip("{}")]
    else:
        expression = f"(?:{'|'.join(map(re.escape, bare.split('|')))}) "
    return f"(?:{expression})?" if token.endswith("?") else expression
