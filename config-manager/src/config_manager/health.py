"""config-manager's health message, whose form is S2's and has no room for extra fields.

What S2 does not name goes into ``event``: a word and tokens ``name=value``.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Protocol

from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_kit.clock import utc_text
from parlour_kit.health import Beat, Compose, HealthState

from config_manager.checks import Facts
from config_manager.condition import Condition
from config_manager.runtime.litestream import DISABLED, Replica
from config_manager.runtime.situation import Situation

_WORDS = {"birth", "heartbeat", "lwt", "stopping"}
HEAD_DIGITS = 16


@dataclass(frozen=True)
class Vitals:
    """What only the running parts know.

    Attributes:
        situation: what may be done now; None before the parts run.
        lkg_valid: the manager's last-known-good file was verified.
        audit_head: newest head of the audit chain; empty when unknown.
        outbox: rows that are not with the broker yet.
        replica: the copy that Litestream makes.
        checkpoints: who moves the log into the database.
    """

    situation: Situation | None = None
    lkg_valid: bool = False
    audit_head: str = ""
    outbox: int = 0
    replica: Replica = DISABLED
    checkpoints: str = "self"


class Body(Protocol):
    """Whose health it is."""

    @property
    def condition(self) -> Condition:
        """Of the database."""
        ...

    @property
    def facts(self) -> Facts:
        """What the database says of itself."""
        ...

    def vitals(self) -> Vitals:
        """What only the running parts know."""
        ...

    def take_word(self) -> str | None:
        """The name of an event that this message should begin with."""
        ...


def wal_reset_affected(version: tuple[int, ...]) -> bool:
    """Whether this SQLite can damage a database when two connections checkpoint at once."""
    if not (3, 7, 0) <= version <= (3, 51, 2):
        return False
    return not (version[:2] == (3, 44) and version[2] >= 6) and not (
        version[:2] == (3, 50) and version[2] >= 7
    )


def wal_affected() -> bool:
    """Whether the SQLite of this process is one of those."""
    return wal_reset_affected(sqlite3.sqlite_version_info)


def event_text(beat: Beat, vitals: Vitals, word: str | None = None) -> str:
    """The text of ``event``; a will carries only what is known before its connection."""
    kind = beat.event if beat.event in _WORDS else "heartbeat"
    if word is not None and kind == "heartbeat":
        kind = word
    tokens = [kind, f"boot={beat.boot}", f"conn={beat.conn}"]
    if kind == "lwt":
        return " ".join(tokens)
    sqlite = sqlite3.sqlite_version
    if wal_affected():
        sqlite += "/wal-reset-affected"
    tokens += [f"seq={beat.seq}", f"every={beat.interval_s:g}", f"at={beat.issued_at}"]
    if vitals.audit_head:
        tokens.append(f"head={vitals.audit_head[:HEAD_DIGITS]}")
    tokens += [f"outbox={vitals.outbox}", f"sqlite={sqlite}", f"ckpt={vitals.checkpoints}"]
    return " ".join(tokens)


def config_health(body: Body) -> Compose:
    """Composes the message from the running parts."""

    def compose(state: HealthState, beat: Beat) -> ConfigHealthPayload:
        vitals = body.vitals()
        situation = vitals.situation
        shown = situation.shown if situation else body.condition
        gone = beat.event in ("lwt", "stopping")
        error = shown.error or state.error or (situation.problem if situation else None)
        word = None if gone else body.take_word()
        return ConfigHealthPayload(
            ok=situation is not None and situation.ok and state.ok and not gone,
            database_status=shown.status,
            operational_mode=shown.mode,
            config_epoch=body.facts.config_epoch,
            schema_version=body.facts.schema_version,
            lkg_cache_valid=vitals.lkg_valid,
            litestream_status=vitals.replica.status,
            last_backup=utc_text(vitals.replica.last_sync) if vitals.replica.last_sync else None,
            event=event_text(beat, vitals, word),
            err=f"{error.code}: {error}"[:500] if error else None,
        )

    return compose
