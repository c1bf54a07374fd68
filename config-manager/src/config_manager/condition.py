"""The state of the database as people see it: pure, from what a look at it brought.

The pairs of status and mode are those of the table in the protocol; no other can occur.
Damage and a form that is not ours stay until the process is started on another file or a
rebuild was allowed; a lock and a full disk pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from parlour_contracts.messages.configuration import DatabaseStatus, OperationalMode
from parlour_kit.errors import ParlourError

from config_manager.errors import (
    CorruptedError,
    LockedError,
    SchemaMismatchError,
    StorageFullError,
    StoreError,
)

MISSES_UNTIL_FALLBACK = 3

PAIRS: frozenset[tuple[DatabaseStatus, OperationalMode]] = frozenset(
    {
        ("healthy", "normal"),
        ("healthy", "read-only-fallback"),
        ("healthy", "rebuilding"),
        ("locked", "normal"),
        ("locked", "read-only-fallback"),
        ("corrupted", "read-only-fallback"),
        ("schema-mismatch", "read-only-fallback"),
        ("corrupted", "rebuilding"),
        ("schema-mismatch", "rebuilding"),
    }
)
"""Every pair that may occur (X5)."""

_AFTER: dict[type[StoreError], tuple[DatabaseStatus, OperationalMode]] = {
    LockedError: ("locked", "normal"),
    SchemaMismatchError: ("schema-mismatch", "read-only-fallback"),
    StorageFullError: ("healthy", "read-only-fallback"),
    CorruptedError: ("corrupted", "read-only-fallback"),
}


@dataclass(frozen=True)
class Condition:
    """Status, mode, and why; ``misses`` counts looks in a row that found it locked."""

    status: DatabaseStatus = "healthy"
    mode: OperationalMode = "normal"
    error: ParlourError | None = None
    misses: int = 0

    def __post_init__(self) -> None:
        """Refuse a pair that the protocol does not know."""
        if (self.status, self.mode) not in PAIRS:
            raise ValueError(f"{self.status} and {self.mode} cannot occur together")

    @property
    def ok(self) -> bool:
        """Whether configuration can be read, changed and broadcast."""
        return self.status == "healthy" and self.mode == "normal"

    @property
    def readable(self) -> bool:
        """Whether reads are answered from the database; if not, from last-known-good."""
        return self.mode != "rebuilding" and (
            self.status == "healthy" or (self.status == "locked" and self.mode == "normal")
        )

    @property
    def news(self) -> tuple[str, str, str]:
        """What is worth telling when it changes."""
        return (self.status, self.mode, str(self.error))

    @property
    def final(self) -> bool:
        """Whether only another file, another release or a rebuild ends it."""
        return self.status in ("corrupted", "schema-mismatch")


def after(before: Condition, outcome: StoreError | None) -> Condition:
    """The condition after a look at the database; ``outcome`` is what was wrong, or None."""
    if before.mode == "rebuilding" or before.final:
        return before
    if outcome is not None and type(outcome) not in _AFTER:
        return before  # a look that could not be taken says nothing new
    if outcome is None:
        return Condition()
    status, mode = _AFTER[type(outcome)]
    if not isinstance(outcome, LockedError):
        return Condition(status, mode, outcome)
    misses = min(before.misses + 1, MISSES_UNTIL_FALLBACK)
    fallback = misses == MISSES_UNTIL_FALLBACK or before.mode == "read-only-fallback"
    return Condition(status, "read-only-fallback" if fallback else mode, outcome, misses)


def rebuilding(before: Condition) -> Condition:
    """The condition while a database is made anew.

    Raises:
        ValueError: it is locked: nothing is known to be wrong with it.
    """
    return replace(before, mode="rebuilding", misses=0)


def rebuilt(before: Condition, outcome: StoreError | None) -> Condition:
    """The condition after an attempt to make a database anew."""
    if outcome is None:
        return Condition()
    return replace(before, mode="read-only-fallback")


def held(condition: Condition, reason: ParlourError | None) -> Condition:
    """What people see while something other than the database forbids changes.

    Args:
        condition: of the database.
        reason: such as a conflict of epochs, until the operator decides; None when there is
            none.
    """
    if reason is None or not condition.ok:
        return condition
    return Condition("healthy", "read-only-fallback", reason)
