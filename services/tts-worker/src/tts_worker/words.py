"""When each word sounds. Pure: phonemes and sample counts in, word times out.

The phonemizer merges words ("of the" becomes one) and unfolds others ("42" becomes two), so
counting spaces is not enough. Each token of the text is therefore also phonemized alone, and
the two phoneme sequences are aligned with the fewest edits. Every spoken phoneme has an exact
number of samples, so every token has an exact start and end, inside merged words too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor

import numpy as np
from numpy.typing import NDArray
from parlour_contracts.messages.tts import Word

STRESS = frozenset("ˈˌ")
PUNCTUATION = frozenset(",.;:?!\"'()-¿¡«»“”…—")
SPACE = " "
_OUTSIDE = STRESS | PUNCTUATION | {SPACE}

BAND = 300
"""Half the width of the band searched, in phonemes: all of a usual sentence."""
GOOD_ENOUGH = 0.45
"""Edits per phoneme above which the two sequences are not the same sentence."""

VOWELS = frozenset("aeiouyæøœɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏᵻ")  # noqa: RUF001  # phonetic letters

_EDIT = 1.0
_SIMILAR = 0.8
_DIFFERENT = 1.5
"""A vowel for a consonant: rarely the same sound in another place."""
_SPACE_EDIT = 0.5
_NEVER = 8.0


@dataclass(frozen=True, slots=True)
class Span:
    """Phonemes ``start`` up to, not including, ``end`` of all spoken phonemes."""

    start: int
    end: int


def align(
    expected: Sequence[Sequence[str]], spoken: Sequence[Sequence[str]]
) -> list[Span | None] | None:
    """Which spoken phonemes belong to which token.

    Args:
        expected: the phonemes of each token, phonemized alone; empty for a silent token.
        spoken: the phonemes of each part of the sentence as it is spoken.

    Returns:
        For each token its span in the concatenated spoken phonemes (None: it has no phoneme),
        in order and without overlap; or None when the sequences do not fit each other.
    """
    want, owner = _expected_symbols(expected)
    have, index = _spoken_symbols(spoken)
    if not want or not have:
        return None
    pairs = _edit_path(want, have)
    if pairs is None:
        return None
    flat = [p for part in spoken for p in part]
    first: dict[int, int] = {}
    final: dict[int, int] = {}
    for i, j in pairs:
        if want[i] != SPACE and have[j] != SPACE:
            first.setdefault(owner[i], index[j])
            final[owner[i]] = index[j]
    return _grow(flat, len(expected), first, final)


def _expected_symbols(expected: Sequence[Sequence[str]]) -> tuple[list[str], list[int]]:
    symbols: list[str] = []
    owner: list[int] = []
    for token, phonemes in enumerate(expected):
        plain = [p for p in phonemes if p not in STRESS and p not in PUNCTUATION]
        if not "".join(plain).strip():
            continue
        if symbols:
            plain = [SPACE, *plain]
        for phoneme in plain:
            if phoneme == SPACE and symbols and symbols[-1] == SPACE:
                continue
            symbols.append(phoneme)
            owner.append(token)
    return symbols, owner


def _spoken_symbols(spoken: Sequence[Sequence[str]]) -> tuple[list[str], list[int]]:
    symbols: list[str] = []
    index: list[int] = []
    at = 0
    for part in spoken:
        if symbols and symbols[-1] != SPACE:
            symbols.append(SPACE)
            index.append(at)
        for phoneme in part:
            silent = phoneme in STRESS or phoneme in PUNCTUATION
            double = phoneme == SPACE and (not symbols or symbols[-1] == SPACE)
            if not silent and not double:
                symbols.append(phoneme)
                index.append(at)
            at += 1
    return symbols, index


def _edit_path(want: list[str], have: list[str]) -> list[tuple[int, int]] | None:
    """The paired positions of a cheapest edit of one sequence into the other, or None."""
    codes: dict[str, int] = {SPACE: 0}
    a = np.array([codes.setdefault(s, len(codes)) for s in want])
    b = np.array([codes.setdefault(s, len(codes)) for s in have])
    vowel = np.array([symbol in VOWELS for symbol in codes])
    n, m = len(a), len(b)
    if abs(n - m) > BAND:
        return None
    insert = np.where(b == 0, _SPACE_EDIT, _EDIT)
    total = np.concatenate(([0.0], np.cumsum(insert)))
    row: NDArray[np.float64] = total.copy()
    row[BAND + 1 :] = np.inf
    moves: list[tuple[int, NDArray[np.int8]]] = []
    for i in range(1, n + 1):
        centre = round(i * m / n)
        low, high = max(0, centre - BAND), min(m, centre + BAND) + 1
        drop = row[low:high] + (_SPACE_EDIT if a[i - 1] == 0 else _EDIT)
        pair = np.full(high - low, np.inf)
        start = max(low, 1)
        other = b[start - 1 : high - 1]
        cost = np.where(vowel[other] == vowel[a[i - 1]], _SIMILAR, _DIFFERENT)
        cost[(other == 0) | (a[i - 1] == 0)] = _NEVER
        cost[other == a[i - 1]] = 0.0
        pair[start - low :] = row[start - 1 : high - 1] + cost
        best = np.minimum(pair, drop)
        run = np.minimum.accumulate(best - total[low:high]) + total[low:high]
        move = np.where(run < best - 1e-9, 2, np.where(pair <= drop, 0, 1))
        moves.append((low, move.astype(np.int8)))
        row = np.full(m + 1, np.inf)
        row[low:high] = run
    if not row[m] <= GOOD_ENOUGH * n:
        return None
    pairs: list[tuple[int, int]] = []
    i, j = n, m
    while i > 0:
        low, steps = moves[i - 1]
        step = steps[j - low]
        if step == 0:
            pairs.append((i - 1, j - 1))
        i, j = i - (step != 2), j - (step != 1)
    return pairs[::-1]


def _grow(
    flat: Sequence[str], tokens: int, first: dict[int, int], final: dict[int, int]
) -> list[Span | None]:
    """Add to each token its stress mark before and the marks that follow it."""
    spans: list[Span | None] = []
    free = 0
    known = sorted(first)
    following = {t: first[u] for t, u in pairwise(known)}
    for token in range(tokens):
        if token not in first:
            spans.append(None)
            continue
        start, end = first[token], final[token] + 1
        while start > free and flat[start - 1] in STRESS:
            start -= 1
        ceiling = following.get(token, len(flat))
        while end < ceiling and flat[end] not in _OUTSIDE:
            end += 1
        spans.append(Span(start, end))
        free = end
    return spans


def exact(
    tokens: Sequence[str],
    spans: Sequence[Span | None],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    rate: int,
) -> list[Word]:
    """The words with their exact times.

    Args:
        tokens: the words.
        spans: the phonemes of each, from :func:`align`; a word without any has no duration.
        starts: the sample at which each spoken phoneme starts.
        ends: the sample at which each spoken phoneme has ended.
        rate: samples per second.
    """
    words: list[Word] = []
    at = 0.0
    for token, span in zip(tokens, spans, strict=True):
        start, end = at, at
        if span is not None:
            start = max(at, float(starts[span.start]) * 1000 / rate)
            end = max(start, float(ends[span.end - 1]) * 1000 / rate)
        words.append(_word(token, start, end))
        at = end
    return words


def estimate(tokens: Sequence[str], start_ms: float, end_ms: float) -> list[Word]:
    """The words spread over a time by their length, for voices that give no times."""
    weights = [2 + sum(c.isalnum() * (3 if c.isdigit() else 1) for c in t) for t in tokens]
    each = (end_ms - start_ms) / sum(weights) if weights else 0.0
    words: list[Word] = []
    at = start_ms
    for token, weight in zip(tokens, weights, strict=True):
        end = min(end_ms, at + weight * each)
        words.append(_word(token, at, end))
        at = end
    return words


def _word(token: str, start_ms: float, end_ms: float) -> Word:
    # Rounded down, so that the last word never ends after the sound.
    start, end = (floor(ms * 1000) / 1000 for ms in (start_ms, end_ms))
    return Word(text=token[:200], start_ms=start, end_ms=end)
