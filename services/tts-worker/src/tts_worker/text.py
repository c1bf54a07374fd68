"""Makes text speakable (R022). Pure.

Markup, links, emoji and code marks go; words, numbers, units and punctuation stay. Nothing in
the result can switch the phonemizer into reading raw phonemes (its ``[[…]]`` form).
"""

from __future__ import annotations

import html
import re
import unicodedata

MAX_CHARS = 5000
"""V057."""

_IMAGE_OR_LINK = re.compile(
    r"!?\[([^\[\]]{0,1000})\]\((?:[^()\s]|\([^()\s]{0,500}\)){0,2000}(?:\s[^()]{0,500})?\)"
)
_REFERENCE = re.compile(r"\[([^\[\]]{1,1000})\]\[[^\[\]]{0,200}\]")
_FOOTNOTE = re.compile(r"\[\^[^\[\]]{1,50}\]:?|\[\d{1,3}\]")
_CHECKBOX = re.compile(r"^(\s*[-*+]\s+)\[[ xX]\]\s", re.MULTILINE)
_URL = re.compile(r"<?\b(?:https?|ftp)://(?:www\.)?([^\s/<>?#)\]]+)[^\s<>)\]]*>?", re.IGNORECASE)
_WWW = re.compile(r"\bwww\.([^\s/<>?#)\]]+)[^\s<>)\]]*", re.IGNORECASE)
_TAG = re.compile(
    r"</?[A-Za-z][A-Za-z0-9-]{0,20}(?:\s[^<>\n]{0,300})?/?>|<!--.{0,1000}?-->", re.DOTALL
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$|^[ \t|:+-]*-{2,}[ \t|:+-]*$", re.MULTILINE)
_BLOCK = re.compile(r"^[ \t]*(?:(?:#{1,6}|>|[-*+•‣◦])[ \t]+)+|^[ \t]*>+", re.MULTILINE)
_TIMES = re.compile(r"(?<=\d)\s*\*\s*(?=\d)")
_WORD_UNDERSCORE = re.compile(r"(?<=\w)_+(?=\w)")
_TITLE = re.compile(r"\b(Dr|Mr|Mrs|Ms|Prof|Rev|Capt|Gen|Lt|Sgt)\.(?=\s+\w)")
_MARKS = str.maketrans(dict.fromkeys("*_`~", "") | dict.fromkeys("|\\[]{}<>^", " "))
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u00a0\u202f", "''\"\"  ")
_SPACE_BEFORE_MARK = re.compile(r"\s+([,.;:?!)](?:\s|$))")
_REPEATED = re.compile(r"([,;:!?])(?:\s*\1)+")
_BLANKS = re.compile(r"\s+")
_ENDS = tuple(".,;:!?…")
_SPOKEN_SYMBOLS = frozenset("°")
_SPOKEN_SIGNS = frozenset("+=\u00d7\u00f7\u00b1\u2212")
_LINE_BREAK_MARKUP = re.compile(r"^[ \t]*(?:#{1,6}[ \t]|[-*+•‣◦][ \t]|\d{1,3}[.)][ \t]|\|)")


def speakable(text: str) -> str:
    """The text as a voice should say it, on one line; ``""`` when nothing can be said.

    Args:
        text: at most :data:`MAX_CHARS` characters; more are cut.
    """
    out = unicodedata.normalize("NFC", text[:MAX_CHARS])
    out = html.unescape(out).translate(_QUOTES)
    out = _without_markup(out)
    out = "".join(_kept(c) for c in out)
    out = _TITLE.sub(r"\1", out)
    out = _BLANKS.sub(" ", out)
    out = _SPACE_BEFORE_MARK.sub(r"\1", out)
    out = _REPEATED.sub(r"\1", out).strip()[:MAX_CHARS]
    return out if any(c.isalnum() for c in out) else ""


def _without_markup(text: str) -> str:
    out = _FENCE.sub("", text)
    out = _CHECKBOX.sub(r"\1", out)
    out = _FOOTNOTE.sub("", out)
    out = _IMAGE_OR_LINK.sub(r"\1", out)
    out = _REFERENCE.sub(r"\1", out)
    out = _URL.sub(r"\1", out)
    out = _WWW.sub(r"\1", out)
    out = _TAG.sub(" ", out)
    out = _RULE.sub("", out)
    out = _one_line(out)
    out = _TIMES.sub(" \u00d7 ", out)
    out = _WORD_UNDERSCORE.sub(" ", out)
    return out.translate(_MARKS)


def _one_line(text: str) -> str:
    """Join lines; the end of a heading, list item or paragraph becomes a pause."""
    parts: list[str] = []
    paragraph_ended = False
    for line in text.splitlines():
        bare = _BLOCK.sub("", line).strip() if line.strip() else ""
        if "|" in bare:  # a row of a table: its cells are a list
            bare = bare.replace("|", " , ").strip(" ,\t")
        if not bare:
            paragraph_ended = True
            continue
        own_line = _LINE_BREAK_MARKUP.match(line) is not None
        if parts and (own_line or paragraph_ended) and not parts[-1].endswith(_ENDS):
            parts[-1] += "." if paragraph_ended else ","
        parts.append(bare)
        paragraph_ended = line.lstrip().startswith("#")
    return " ".join(parts)


def _kept(char: str) -> str:
    """The character, a blank for what cannot be said, or nothing for what joins others."""
    category = unicodedata.category(char)
    if category in {"Cf", "Mn", "Me"}:
        # Joiners, variation selectors and keycaps; accents that NFC could not compose.
        return char if category == "Mn" and not "\ufe00" <= char <= "\ufe0f" else ""
    if category in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return " "
    if category in {"So", "Sk"} and char not in _SPOKEN_SYMBOLS:
        return " "
    if category == "Sm" and char not in _SPOKEN_SIGNS:
        return " "
    return char
