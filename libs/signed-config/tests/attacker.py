"""A service that can be attacked, and what an attacker has at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from parlour_config.canonical import canonical, checksum
from parlour_config.keyset import Keyset, KeysetWalk, build_keyset, listed, reset_floor, sign_keyset
from parlour_config.pae import CONFIG_UPDATE
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import Accept, EpochPolicy, TrustedSet
from parlour_config.update import build_update

SERVICE = "stt-worker"
TOPIC = f"system/config/{SERVICE}"
EPOCH = "550e8400-e29b-41d4-a716-446655440000"
OTHER_EPOCH = "7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a"
CONFIG: dict[str, Any] = {"language": "en", "vad_threshold": 0.5, "streaming_partials": True}
EVIL: dict[str, Any] = {**CONFIG, "vad_threshold": 1}
SIGNER, NEXT, STRANGER, ROOT, ROOT_2 = (SigningKey(bytes([n]) * 32) for n in range(1, 6))
IDENTITY = b"\x01" + bytes(31)
"""A public key of order one: it verifies what nobody signed."""


def at(n: int) -> str:
    """A time; ten is the floor of a service that runs."""
    return f"2026-01-01T00:00:{n:02d}.000000Z"


def body(config: Any = None, issued_at: Any = None, **changes: Any) -> dict[str, Any]:
    """Six fields, right unless they are changed."""
    config = EVIL if config is None else config
    return {
        "version": 1,
        "service": SERVICE,
        "config": config,
        "checksum": checksum(config),
        "config_epoch": EPOCH,
        "issued_at": issued_at or at(20),
        **changes,
    }


def signed(fields: dict[str, Any], key: SigningKey = SIGNER, kind: str = CONFIG_UPDATE) -> bytes:
    """The message of these fields, whatever they are."""
    return canonical({**fields, "signature": key.sign(kind, canonical(fields))})


def update(
    n: int = 20,
    config: dict[str, Any] = EVIL,
    *,
    key: SigningKey = SIGNER,
    service: str = SERVICE,
    epoch: str = EPOCH,
) -> bytes:
    """A genuine message, as config-manager makes them."""
    return build_update(key, service=service, config=config, config_epoch=epoch, issued_at=at(n))


def keyset(
    version: int = 1,
    signers: tuple[SigningKey, ...] = (ROOT,),
    roots: tuple[SigningKey, ...] = (ROOT,),
    *,
    keys: tuple[SigningKey, ...] = (SIGNER,),
    threshold: int | None = None,
    **more: Any,
) -> bytes:
    """A keyset in which all of the roots must sign, signed by some."""
    made = build_keyset(
        version=version,
        roots=[root.public for root in roots],
        threshold=len(roots) if threshold is None else threshold,
        config_keys=[listed(key.public) for key in keys],
        **more,
    )
    return sign_keyset(made, signers)


@dataclass
class Home:
    """A service in the middle of its life, at floor ten, as its owner left it."""

    trusted: TrustedSet = field(
        default_factory=lambda: TrustedSet(SERVICE, [TrustedKey.of(SIGNER.public)])
    )
    walk: KeysetWalk = field(default_factory=lambda: KeysetWalk([TrustedKey.of(ROOT.public)], 1))

    def __post_init__(self) -> None:
        self.take(update(10, CONFIG))

    def take(self, payload: bytes, topic: str = TOPIC, hint: str | None = None) -> None:
        """Deliver a message; raises what the service refuses it with."""
        _, verdict = self.trusted.verify(payload, topic, hint)
        if isinstance(verdict, Accept):
            self.trusted.commit(verdict.new_state)

    def rekey(self, raw: bytes) -> Keyset | None:
        """Deliver a keyset; raises what the service refuses it with."""
        new = self.walk.judge(raw)
        if new is not None:
            self.walk.commit(new)
            self.trusted.keys = new.trusted
            self.trusted.commit(reset_floor(self.trusted.state, new))
        return new

    def pin(self) -> None:
        """The operator wants to be asked about epochs."""
        self.trusted.policy = EpochPolicy("pin")


Assault: TypeAlias = Callable[[Home], object]


@dataclass(frozen=True)
class Attack:
    """One attack: its last step must fail with this code.

    Attributes:
        threat: the row of the threat table.
    """

    name: str
    threat: int
    code: str
    work: Assault


ATTACKS: list[Attack] = []


def attack(threat: int, code: str) -> Callable[[Assault], Assault]:
    """Enter an attack in the list."""

    def enter(work: Assault) -> Assault:
        ATTACKS.append(Attack(work.__name__, threat, code, work))
        return work

    return enter
