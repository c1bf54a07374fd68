"""The readers that the fuzzer throws bytes at, and what each of them may take."""

# ruff: noqa: INP001  # beside a script

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from parlour_config.canonical import canonical, checksum, load
from parlour_config.keyset import accept_keyset, build_keyset, listed, read_keyset, sign_keyset
from parlour_config.lease import build_lease, read_lease
from parlour_config.lkg import read_lkg, render_lkg
from parlour_config.pae import CONFIG_UPDATE
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import Duplicate, TrustedSet, TrustState
from parlour_config.update import build_update, read_update

SERVICE = "stt-worker"
NOW = "550e8400-e29b-41d4-a716-446655440000"
LEFT = "7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a"
NEVER = "11111111-2222-4333-8444-555555555555"
FLOOR = "2025-10-17T12:00:00.000000Z"
BELOW = "2025-10-17T11:59:59.999999Z"
ABOVE = "2025-10-17T12:00:00.000001Z"
SIGNER, REVOKED, ROOT = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
TRUSTED = [TrustedKey.of(SIGNER.public)]
MAC = bytes(range(32))
CONFIG: dict[str, Any] = {
    "note": "café €",
    "sample_rate": 16000,
    "streaming_partials": False,
    "vad_threshold": 0.5,
    "whisper_model": "base.en",
    "ws_url": None,
    "words": {"é": ["acute", 1], "😀": {"grin": True}},
}
OTHER: dict[str, Any] = {**CONFIG, "vad_threshold": 0.6}
POISON: dict[str, Any] = {**CONFIG, "sample_rate": 1}


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        documents: genuine bytes; not all of them should be taken.
        read: the content of bytes that are taken; raises SignedConfigError.
        allowed: the contents that may be taken.
    """

    documents: Sequence[bytes]
    read: Callable[[bytes], bytes]
    allowed: frozenset[bytes]


def targets() -> dict[str, Target]:
    """Every reader of signed bytes."""
    return {"update": _updates(), "keyset": _keysets(), "lease": _leases(), "lkg": _lkgs()}


def _updates() -> Target:
    state = TrustState(
        epoch=NOW,
        floor=FLOOR,
        floor_kid=SIGNER.kid,
        retired=(LEFT,),
        poison=(checksum(POISON),),
        checksum=checksum(CONFIG),
    )
    held = TrustedSet(SERVICE, TRUSTED, state)

    def made(
        config: dict[str, Any],
        epoch: str,
        issued: str,
        *,
        service: str = SERVICE,
        key: SigningKey = SIGNER,
    ) -> bytes:
        return build_update(
            key, service=service, config=config, config_epoch=epoch, issued_at=issued
        )

    taken = [
        made(CONFIG, NOW, FLOOR),  # a duplicate
        made(CONFIG, NOW, ABOVE),  # a refresh
        made(OTHER, NOW, ABOVE),
        made(OTHER, NEVER, ABOVE),
    ]
    refused = [
        made(OTHER, NOW, FLOOR),  # equivocation
        made(OTHER, NOW, BELOW),
        made(OTHER, LEFT, ABOVE),
        made(OTHER, NEVER, BELOW),
        made(POISON, NOW, ABOVE),
        made(OTHER, NOW, ABOVE, service="tts-worker"),
        made(OTHER, NOW, ABOVE, key=REVOKED),
        _wrong_checksum(taken[2]),
        b"",
    ]

    def read(data: bytes) -> bytes:
        update, verdict = held.verify(data, f"system/config/{SERVICE}")
        assert update.raw == data
        assert isinstance(verdict, Duplicate) or verdict.new_state.floor == update.issued_at
        return update.body()

    allowed = frozenset(read_update(data).body() for data in taken)
    return Target([*taken, *taken, *refused], read, allowed)


def _wrong_checksum(data: bytes) -> bytes:
    """Correctly signed over a checksum of something else."""
    message: Any = load(data)
    body = {**message, "checksum": checksum(POISON)}
    del body["signature"]
    return canonical({**body, "signature": SIGNER.sign(CONFIG_UPDATE, canonical(body))})


def _keysets() -> Target:
    def made(version: int, *, keys: list[SigningKey], roots: list[SigningKey]) -> bytes:
        body = build_keyset(
            version=version,
            roots=[root.public for root in roots],
            threshold=len(roots),
            config_keys=[listed(SIGNER.public), listed(REVOKED.public, "retiring", ABOVE)],
            revoked=[REVOKED.kid],
        )
        return sign_keyset(body, keys)

    current = read_keyset(made(4, keys=[ROOT], roots=[ROOT]))
    taken = [current.raw, made(5, keys=[ROOT], roots=[ROOT])]
    refused = [
        made(3, keys=[ROOT], roots=[ROOT]),
        made(6, keys=[ROOT], roots=[ROOT]),
        made(5, keys=[SIGNER, REVOKED], roots=[SIGNER, REVOKED]),
        made(5, keys=[ROOT], roots=[ROOT, SIGNER]),
    ]

    trusted = [TrustedKey.of(ROOT.public)]

    def read(data: bytes) -> bytes:
        return accept_keyset(current, read_keyset(data), trusted, 1).body

    allowed = frozenset(read_keyset(data).body for data in taken)
    return Target([*taken, *taken, *refused], read, allowed)


def _leases() -> Target:
    def made(number: int, key: SigningKey) -> bytes:
        return build_lease(
            key,
            instance="config-manager",
            config_epoch=NOW,
            boot_id="0f8fad5b-d9cb-469f-a165-70867728950e",
            lease_seq=number,
            sent_at=ABOVE,
        )

    def read(data: bytes) -> bytes:
        lease = read_lease(data, TRUSTED)
        return repr(lease).encode()

    taken = [made(1, SIGNER), made(2, SIGNER)]
    return Target([*taken, made(3, REVOKED)], read, frozenset(map(read, taken)))


def _lkgs() -> Target:
    def made(config: dict[str, Any], issued: str, mac: bytes = MAC) -> bytes:
        update = build_update(
            SIGNER, service=SERVICE, config=config, config_epoch=NOW, issued_at=issued
        )
        return render_lkg(
            payload={SERVICE: config},
            config_epoch=NOW,
            generated_at=issued,
            update=update,
            state=TrustState(epoch=NOW, floor=issued, floor_kid=SIGNER.kid, retired=(LEFT,)),
            key=mac,
        )

    def read(data: bytes) -> bytes:
        found = read_lkg(data, [MAC], service=SERVICE, trusted=TRUSTED)
        assert found.update is not None
        assert found.state is not None
        state = {**asdict(found.state), "keyset": None}
        return canonical([found.payload, found.update.raw.decode(), state])

    taken = [made(CONFIG, FLOOR), made(OTHER, ABOVE)]
    return Target([*taken, made(OTHER, ABOVE, bytes(32))], read, frozenset(map(read, taken)))
