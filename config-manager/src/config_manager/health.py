"""config-manager's health message, whose form is S2's and has no room for extra fields.

What S2 does not name goes into ``event``: a word and tokens ``name=value``.
"""

from __future__ import annotations

import sqlite3

from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_kit.health import Beat, Compose, HealthState

from config_manager.store import Store

_WORDS = {"birth", "heartbeat", "lwt", "stopping"}


def wal_reset_affected(version: tuple[int, ...]) -> bool:
    """Whether this SQLite can damage a database when two connections checkpoint at once."""
    if not (3, 7, 0) <= version <= (3, 51, 2):
        return False
    return not (version[:2] == (3, 44) and version[2] >= 6) and not (
        version[:2] == (3, 50) and version[2] >= 7
    )


def event_text(beat: Beat) -> str:
    """The text of ``event``; a will carries only what is known before its connection."""
    word = beat.event if beat.event in _WORDS else "heartbeat"
    tokens = [word, f"boot={beat.boot}", f"conn={beat.conn}"]
    if word != "lwt":
        sqlite = sqlite3.sqlite_version
        if wal_reset_affected(sqlite3.sqlite_version_info):
            sqlite += "/wal-reset-affected"
        tokens += [f"seq={beat.seq}", f"every={beat.interval_s:g}", f"at={beat.issued_at}"]
        tokens += [f"sqlite={sqlite}", "ckpt=self"]
    return " ".join(tokens)


def config_health(store: Store) -> Compose:
    """Composes the message from the store's condition.

    ``lkg_cache_valid`` is false because config-manager keeps no last-known-good file yet, and
    ``litestream_status`` is disabled because it does not watch a replica.
    """

    def compose(state: HealthState, beat: Beat) -> ConfigHealthPayload:
        condition = store.condition
        gone = beat.event in ("lwt", "stopping")
        error = condition.error or state.error
        return ConfigHealthPayload(
            ok=condition.ok and state.ok and not gone,
            database_status=condition.status,
            operational_mode=condition.mode,
            config_epoch=store.facts.config_epoch,
            schema_version=store.facts.schema_version,
            lkg_cache_valid=False,
            litestream_status="disabled",
            event=event_text(beat),
            err=f"{error.code}: {error}"[:500] if error else None,
        )

    return compose
