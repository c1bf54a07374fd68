"""Notices when somebody tries to give a language model orders that are not theirs to give (H052).

It blocks nothing: whoever lives here may say what they like. It tells the operator that a text
tried to override the model's instructions, to give it another persona, or to speak in another's
role. Ordinary sentences, with "ignore" or without, are none of these.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Attempt = Literal["override", "persona", "role"]

MAX_LOOKED_AT = 10_000

_ORDERS = r"(?:instructions? | prompts? | rules | guidelines | directives? | programming | orders)"
_EARLIER = r"""(?:previous | prior | above | earlier | preceding | initial | original | existing
    | system | developer | safety)"""
_DROP = r"""\b (?:ignore | disregard | forget | override | overrule | bypass | discard
    | (?:do \s+ not | don'?t | never | stop) \s+ (?:follow | obey)(?:ing)?) \s+"""
_NOT_SOMETHINGS = r"(?! \s+ (?:on | of | in | for | from | about | at | by) \b)"
"""The rules of chess and the instructions on a box may be ignored by anybody."""

_OVERRIDE = (
    # ignore all previous instructions
    rf"""{_DROP} (?:(?:all | any | every | the | of | your | my | these | those) \s+){{0,4}}
    (?:{_EARLIER} \s+){{1,2}} {_ORDERS} \b""",
    # disregard your safety rules
    rf"{_DROP} (?:all \s+)? (?:of \s+)? your \s+ (?:\w+ \s+)? {_ORDERS} \b",
    # forget all the rules
    rf"""{_DROP} (?:all | any) \s+ (?:of \s+)? (?:the \s+ | these \s+ | those \s+)?
    {_ORDERS} \b {_NOT_SOMETHINGS}""",
    # forget everything you were told
    r"""\b (?:ignore | disregard | forget) \s+ (?:everything | anything | all | what(?:ever)?) \s+
    (?:that \s+)? (?:above | you \s+ (?:were | have \s+ been | had \s+ been) \s+
    (?:told | taught | instructed | trained)) \b""",
    # new instructions: …
    r"^ \W{0,5} (?:new | updated) \s+ (?:system \s+)? (?:instructions? | prompt) \s{0,3} :",
)
_MODEL = r"(?:ai | assistant | model | bot | chatbot)"
_PERSONA = (
    r"\b pretend \s+ (?:to \s+ be | (?:that \s+)? (?:you \s+ are | you're)) \b",
    r"\b (?:act | respond | behave | answer | speak) \s+ as \s+ (?:if | though) \s+ you \b",
    rf"""\b (?:act | respond | behave | answer | speak) \s+ as \s+ an? \s+ (?:\w+ \s+){{0,2}}
    {_MODEL} \b""",
    r"\b role [-\s]? play \s+ as \b",
    r"\b from \s+ now \s+ on ,? \s+ (?:you \s+ (?:are | act) \b | you're \b)",
    rf"""\b you \s+ are \s+ (?:now | no \s+ longer) \s+ (?:(?:an? | the | my) \s+)?
    (?:\w+ \s+){{0,2}} (?:{_MODEL} | persona | dan | unrestricted | uncensored | jailbroken
    | free | bound) \b""",
    r"""\b (?:enable | enter | activate | switch \s+ to | go \s+ into) \s+ (?:the \s+)?
    (?:developer | dan | jailbreak | god | root | admin(?:istrator)? | unrestricted) \s+ mode \b""",
    r"\b do \s+ anything \s+ now \b",
)
_ROLE = (
    r"""^ [\W]{0,5} (?:system | assistant | developer) (?:\s+ (?:message | prompt))? \s{0,3} :
    \s{0,3} \S""",
    r"""< \|? \s{0,3} /? \s{0,3} (?:system | assistant | user | developer | im_start | im_end)
    \s{0,3} \|? >""",
    r"\[ \s{0,3} /? \s{0,3} (?:inst | system) \s{0,3} \] | << \s{0,3} /? \s{0,3} sys \s{0,3} >>",
    r"(?<![#]) [#]{2,} \s{0,3} (?:system | instructions? | response | assistant) \b",
    r"""["'] role ["'] \s{0,3} : \s{0,3} ["'] (?:system | assistant | developer) ["']""",
)
_HOW = re.IGNORECASE | re.MULTILINE | re.VERBOSE


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), _HOW)


_PATTERNS: dict[Attempt, re.Pattern[str]] = {
    "override": _any_of(_OVERRIDE),
    "persona": _any_of(_PERSONA),
    "role": _any_of(_ROLE),
}
_HIDDEN = str.maketrans(dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff"))
_QUOTES = str.maketrans("\u2018\u2019\u02bc", "'''")


def find_injection(text: str) -> Attempt | None:
    """What kind of attempt a text holds, or None.

    Args:
        text: as a person said or typed it; its first 10,000 characters are looked at, in time
            linear in them.
    """
    plain = text[:MAX_LOOKED_AT]
    if not plain.isascii():
        plain = unicodedata.normalize("NFKC", plain.translate(_HIDDEN).translate(_QUOTES))
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(plain)), None)
