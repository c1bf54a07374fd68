"""The state of the database as people see it: pure, from what a look at it brought.

The pairs of status and mode are those of the table in the protocol; no other can occur.
Damage and a form that is not ours stay until the process is started on another file; a lock
and a full disk pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from parlour_contracts.messages.configuration import DatabaseStatus, OperationalMode

from config_manager.errors import (
    CorruptedError,
    LockedError,
    SchemaMismatchError,
    StorageFullError,
    StoreError,
)

MISSES_UNTIL_FALLBACK = 3

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
    error: StoreError | None = None
    misses: int = 0

    @property
    def ok(self) -> bool:
        """Whether configuration can be read, changed and broadcast."""
        return self.status == "healthy" and self.mode == "normal"

    @property
    def news(self) -> tuple[str, str, str]:
        """What is worth telling when it changes."""
        return (self.status, self.mode, str(self.error))

    @property
    def final(self) -> bool:
        """Whether only another file or another release ends it."""
        return self.status in ("corrupted", "schema-mismatch")


def after(before: Condition, outcome: StoreError | None) -> Condition:
    """The condition after a look at the database; ``outcome`` is what was wrong, or None."""
    if before.final or (outcome is not None and type(outcome) not in _AFTER):
        return before  # a look that could not be taken says nothing new
    if outcome is None:
        return Condition()
    status, mode = _AFTER[type(outcome)]
    if not isinstance(outcome, LockedError):
        return Condition(status, mode, outcome)
    misses = min(before.misses + 1, MISSES_UNTIL_FALLBACK)
    fallback = misses == MISSES_UNTIL_FALLBACK or before.mode == "read-only-fallback"
    return Condition(status, "read-only-fallback" if fallback else mode, outcome, misses)
