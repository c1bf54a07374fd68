"""A recogniser that has lost its way says the same again and again."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

MAX_COMPRESSION = 2.4
"""Text that compresses better than this repeats itself (the threshold that Whisper uses)."""

REPEATS = 4
"""So often in a row the same phrase is a loop; people stop at three: "no, no, no"."""

LONGEST_PHRASE = 12


def loops(text: str) -> bool:
    """Whether the text repeats itself like no speaker does."""
    data = text.encode()
    if len(data) / len(zlib.compress(data)) > MAX_COMPRESSION:
        return True
    return _loop(text.split()) is not None


def without_loop(text: str) -> str:
    """The text with each endless phrase said once; any other text as it is."""
    words = text.split()
    if _loop(words) is None:
        return text
    while (found := _loop(words)) is not None:
        start, size, end = found
        # A last, broken-off round belongs to the loop as well.
        rest = words[end:]
        if rest == words[start : start + len(rest)]:
            rest = []
        words = words[: start + size] + rest
    return " ".join(words)


def _loop(words: Sequence[str]) -> tuple[int, int, int] | None:
    """The first loop: where it starts, the length of its phrase, where it ends (in words)."""
    same = [w.strip(".,!?;:").lower() for w in words]
    for start in range(len(same)):
        for size in range(1, LONGEST_PHRASE + 1):
            if start + size * REPEATS > len(same):
                break
            end = start + size
            while same[end : end + size] == same[start : start + size]:
                end += size
            if end - start >= size * REPEATS:
                return start, size, end
    return None
