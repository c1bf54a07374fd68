"""Signing: a moment of its own for each message, and the message into the outbox."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from parlour_config.clock import next_issued
from parlour_config.errors import RefusedUpdateError
from parlour_config.update import build_update
from parlour_contracts.messages.signed import moment_text
from parlour_contracts.topics import CONFIG

from config_manager.commands.model import Signer
from config_manager.commands.refusal import RefusedError
from config_manager.tables import configs, epochs, floor, outbox, snapshots

BATCH = 100
"""Messages that are signed in one transaction, so that a change never waits long."""

_ISSUED_AT = b'"issued_at":"'


def next_moment(db: sqlite3.Connection, signer: Signer, now: datetime) -> str:
    """The next value of the logical clock; the floor moves to it."""
    moment = next_issued(floor.get(db), now if signer.clock_trusted() else None)
    floor.raise_to(db, moment)
    return moment


def enqueue(
    db: sqlite3.Connection,
    signer: Signer,
    service: str,
    config: Mapping[str, Any],
    epoch: str,
    issued_at: str,
    shown: str,
) -> None:
    """Sign a configuration and leave it for the broker.

    Args:
        db: within a transaction.
        signer: the keys of now.
        service: whose.
        config: complete; secrets sealed.
        epoch: the active one.
        issued_at: from :func:`next_moment`.
        shown: what the wall clock shows, for people.

    Raises:
        RefusedError: ``PAYLOAD_TOO_LARGE``.
    """
    try:
        payload = build_update(
            signer.key, service=service, config=config, config_epoch=epoch, issued_at=issued_at
        )
    except RefusedUpdateError as error:
        if error.code != "TOO_LARGE":
            raise
        raise RefusedError(
            "PAYLOAD_TOO_LARGE",
            "the configuration would be larger than the 262,144 bytes that a service takes",
            hint="make the longest texts shorter",
        ) from error
    outbox.add(db, CONFIG.topic(service=service), payload, shown)


def issued_at_of(payload: bytes) -> str:
    """When a message that this process signed was issued.

    What follows it in canonical bytes holds no quotes of its own, so it is found from the end.
    """
    return payload.rpartition(_ISSUED_AT)[2].partition(b'"')[0].decode()


def reissue(
    db: sqlite3.Connection, signer: Signer, services: Sequence[str], now: datetime
) -> str | None:
    """Sign the current configurations of services anew; the last moment comes back.

    A service without a row is left out. At most :data:`BATCH` belong into one transaction.

    Raises:
        CorruptedError: a row is not what was accepted.
    """
    epoch = epochs.active(db).config_epoch
    trusted = now if signer.clock_trusted() else None
    last, moment, shown = floor.get(db), None, moment_text(now)
    for row in configs.some(db, services):
        snapshots.require_same(db, row)
        moment = last = next_issued(last, trusted)
        enqueue(db, signer, row.service, row.config, epoch, moment, shown)
    if moment is not None:
        floor.raise_to(db, moment)
    return moment
