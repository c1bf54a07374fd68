"""What people are told of keys: ids, public halves, states, and the keyset that is wanted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from parlour_config.clock import parse_moment
from parlour_config.keyfiles import ManagerKeys
from parlour_config.keyset import Keyset, build_keyset, listed
from parlour_config.signing import TrustedKey
from parlour_contracts.messages.configuration import EncryptionMetadata

from config_manager.fronts.rest_models import KeysReport, KeyStatus, PublicKeyInfo
from config_manager.rotation.journal import Entry
from config_manager.rotation.rules import Known, Next

MAX_REVOKED = 64


@dataclass(frozen=True)
class Standing:
    """One key: what is known, what is next, what is remembered, what went wrong."""

    known: Known
    next: Next
    entry: Entry
    problem: str | None = None


def keys_report(
    keys: ManagerKeys,
    keyset: Keyset | None,
    standings: Sequence[Standing],
    disowned: str = "",
) -> KeysReport:
    """The whole report; ``disowned`` is the id of a signing key that is to be revoked."""
    signing = next(one for one in standings if one.known.standing.name == "signing")
    roots = keyset.roots if keyset else keys.roots
    return KeysReport(
        keys=[_status(one) for one in standings],
        signing_public_keys=[_info(key) for key in keys.trusted],
        root_public_keys=[_info(key) for key in roots],
        root_threshold=keyset.threshold if keyset else keys.threshold,
        keyset_version=keyset.version if keyset else 0,
        draft=draft(keys, keyset, signing, disowned),
        encryption=encryption(keys, standings),
    )


def draft(
    keys: ManagerKeys, keyset: Keyset | None, signing: Standing, disowned: str
) -> dict[str, Any] | None:
    """The keyset that a root key should sign now, without its signatures."""
    if signing.next.state not in ("awaiting-keyset", "awaiting-retirement"):
        return None
    current = listed(keys.signing.public, "active")
    revoked = list(keyset.revoked) if keyset else []
    reset: list[str] = []
    if keys.signing_next is None:
        entries = [current]
    elif disowned == keys.signing.kid:
        entries = [listed(keys.signing_next.public, "active")]
        revoked = [*revoked, keys.signing.kid][-MAX_REVOKED:]
        reset = [keys.signing.kid]
    else:
        entries = [current, listed(keys.signing_next.public, "next")]
    roots = keyset.roots if keyset else keys.roots
    return build_keyset(
        version=(keyset.version if keyset else 0) + 1,
        roots=[_raw(root) for root in roots],
        threshold=keyset.threshold if keyset else keys.threshold,
        config_keys=entries,
        revoked=revoked,
        reset_floor_for=reset,
    )


def encryption(keys: ManagerKeys, standings: Sequence[Standing]) -> EncryptionMetadata:
    """S2's summary (C062)."""
    running = [one for one in standings if one.next.state != "idle"]
    graces = [one.entry.grace_until for one in running if one.entry.grace_until]
    completed = any(one.entry.completed_at for one in standings)
    return EncryptionMetadata(
        master_key_id=keys.master.id,
        hmac_key_id=keys.hmac.id,
        signature_public_key_hash=hashlib.sha256(keys.signing.public).hexdigest(),
        rotation_status="in-progress" if running else "completed" if completed else "idle",
        grace_window_until=parse_moment(max(graces)) if graces else None,
    )


def _status(one: Standing) -> KeyStatus:
    standing, entry = one.known.standing, one.entry
    ended = entry.completed_at if one.next.state == "idle" else None
    return KeyStatus(
        name=standing.name,
        id=standing.current,
        next=standing.next,
        previous=list(standing.previous),
        state="blocked" if one.problem else one.next.state,
        grace_until=parse_moment(entry.grace_until)
        if entry.grace_until and standing.phase == "switched"
        else None,
        waiting_for=list(one.next.waiting_for),
        remaining=one.known.left if standing.name == "master" else None,
        problem=one.problem,
        completed_at=parse_moment(ended) if ended else None,
    )


def _info(key: TrustedKey) -> PublicKeyInfo:
    return PublicKeyInfo(kid=key.kid, pub=base64.b64encode(_raw(key)).decode())


def _raw(key: TrustedKey) -> bytes:
    return key.key.public_bytes_raw()
