"""Getting a copy that is good: the newest state, or else the newest one before it that is.

A copy counts only when all of it was read and agrees with itself. Where the newest state of a
replica does not, an earlier one is looked for; that is said, and nobody has to find a moment by
trial for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from parlour_config.files import PRIVATE

from parlour_cli.backup.contents import Contents, examine
from parlour_cli.backup.errors import BackupError, DamagedCopyError, LitestreamError
from parlour_cli.backup.litestream import State, find_litestream, list_states, restore

SECOND = timedelta(seconds=1)
"""Litestream's list has whole seconds: a state may be so much later than it says."""


@dataclass(frozen=True)
class Source:
    """Where a copy comes from.

    Attributes:
        copy: a whole database in a file, or a replica by its folder or URL.
        whole: whether it is such a file.
        until: take nothing that is later.
        contradictory: whether a copy will do whose rows do not fit each other.
    """

    copy: Path | str
    whole: bool = False
    until: datetime | None = None
    contradictory: bool = False


@dataclass(frozen=True)
class PassedOver:
    """Newer states that were not good.

    Attributes:
        states: how many there are, changes or several at once.
        newest: the moment of the newest, in whole seconds, where it is known.
        taken: the moment of the one that was taken instead.
        problem: what is wrong with the newest.
    """

    states: int
    newest: datetime | None
    taken: datetime | None
    problem: str

    def in_words(self) -> str:
        """What was taken, and what that costs."""
        if self.newest is not None and self.taken is not None:
            seconds = max(0, int((self.newest - self.taken).total_seconds()))
            lost = f"what was changed in the {max(1, seconds)} seconds between"
        else:
            lost = "what was changed since"
        return (
            f"the newest state, of {_moment(self.newest)}, is not good: {self.problem}; the newest "
            f"good one is of {_moment(self.taken)}, {self.states} before it: {lost} is not in it"
        )


@dataclass(frozen=True)
class Fetched:
    """A copy that is good.

    Attributes:
        contents: what is in it.
        passed_over: newer states that are not good, if there are any.
    """

    contents: Contents
    passed_over: PassedOver | None = None


def fetch(source: Source, target: Path) -> Fetched:
    """Write a good copy into a file of its own.

    Args:
        source: of the copy.
        target: the file; what is there is replaced. Only its owner may read it.

    Raises:
        BackupError: it could not be fetched, or no state of it is good; the text is of the newest.
    """
    if source.whole:
        sweep(target)
        try:
            shutil.copyfile(source.copy, target)
        except OSError as error:
            raise BackupError(f"{source.copy} cannot be copied: {error.strerror}") from error
        return Fetched(_examined(source, target))
    binary = find_litestream()
    try:
        return Fetched(_restored(binary, source, target))
    except (DamagedCopyError, LitestreamError) as error:
        newest = error
    earlier = _earlier(binary, source)
    if earlier is None:
        raise newest
    top, states = earlier

    def good(index: int) -> bool:
        try:
            _restored(binary, source, target, states[index].txid)
        except (DamagedCopyError, LitestreamError):
            return False
        return True

    found = newest_good(len(states), good)
    if found is None:
        raise newest
    taken = states[found]
    contents = _restored(binary, source, target, taken.txid)  # what was tried last may be another
    more = found if source.until is not None else found + 1
    return Fetched(contents, PassedOver(max(1, more), top.at, taken.at, str(newest)))


def newest_good(count: int, good: Callable[[int], bool]) -> int | None:
    """The first good one of a row, in few trials: pure.

    Steps grow until one is good, then the middle is tried between it and the last that is not.
    Where bad ones lie beyond good ones, a later one than the first may be found; it is good, too.

    Args:
        count: how many there are.
        good: tries one, by its place from 0.

    Returns:
        Its place; None when none that was tried is good, the last among them.
    """
    bad, at, step = -1, 0, 1
    while at < count and not good(at):
        if at == count - 1:
            return None
        bad, at, step = at, min(at + step, count - 1), step * 2
    if not count:
        return None
    while at - bad > 1:
        middle = (at + bad) // 2
        if good(middle):
            at = middle
        else:
            bad = middle
    return at


def sweep(target: Path) -> None:
    """Remove a fetched copy and what Litestream or SQLite left beside it."""
    for left in target.parent.glob(f"{target.name}*"):
        left.unlink()


def _earlier(binary: Path, source: Source) -> tuple[State, list[State]] | None:
    """The newest state that counts, and those to try; None when there is nothing to try."""
    try:
        states = list_states(binary, source.copy)
    except LitestreamError:
        return None  # what was wrong with the first attempt says more
    if source.until is not None:
        until = source.until
        states = [one for one in states if one.at is not None and one.at + SECOND <= until]
        return (states[0], states) if states else None
    return (states[0], states[1:]) if states else None


def _restored(binary: Path, source: Source, target: Path, txid: int | None = None) -> Contents:
    sweep(target)
    restore(binary, source.copy, target, source.until, txid)
    return _examined(source, target)


def _examined(source: Source, target: Path) -> Contents:
    target.chmod(PRIVATE)
    return examine(target, contradictory=source.contradictory)


def _moment(at: datetime | None) -> str:
    return "an unknown time" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
