"""Which config-manager leads: a signed note that is alive while its number grows.

A lease prevents accidents between two managers that mean well. It is no fence: MQTT cannot
compare and set. The fence is the epoch door at the services.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parlour_contracts.messages.signed import Lease as LeaseForm
from pydantic import ValidationError

from parlour_config.canonical import canonical, load
from parlour_config.errors import (
    BadEncodingError,
    BadSignatureError,
    RefusedDocumentError,
    RefusedJsonError,
)
from parlour_config.pae import LEASE
from parlour_config.signing import SigningKey, TrustedKey, verify

PERIOD_S = 10
TTL_S = 30
MAX_LEASE_BYTES = 1_024
MAX_WATCHED = 16


@dataclass(frozen=True)
class Lease:
    """A verified lease.

    Attributes:
        lease_seq: grows with every lease of one ``boot_id``.
        ttl_s: it lives so long without a greater number, on the reader's monotonic clock.
        sent_at: for people.
        kid: the key that signed it.
    """

    instance: str
    config_epoch: str
    boot_id: str
    lease_seq: int
    ttl_s: int
    sent_at: str
    kid: str


def build_lease(
    key: SigningKey,
    *,
    instance: str,
    config_epoch: str,
    boot_id: str,
    lease_seq: int,
    sent_at: str,
    ttl_s: int = TTL_S,
) -> bytes:
    """Sign a lease; the result is canonical and :func:`read_lease` takes it."""
    body: dict[str, str | int] = {
        "instance": instance,
        "config_epoch": config_epoch,
        "boot_id": boot_id,
        "lease_seq": lease_seq,
        "ttl_s": ttl_s,
        "sent_at": sent_at,
    }
    signature = key.sign(LEASE, canonical(body))
    return canonical({**body, "signature": signature})


def read_lease(payload: bytes, keys: Sequence[TrustedKey]) -> Lease:
    """Read and verify a lease.

    Raises:
        RefusedDocumentError: not the form of a lease, or no trusted key signed it.
    """
    try:
        message = load(payload, MAX_LEASE_BYTES)
        LeaseForm.model_validate(message)
    except RefusedJsonError as error:
        raise RefusedDocumentError(error.code, str(error)) from None
    except ValidationError:
        raise RefusedDocumentError("BAD_FIELD", "this is no lease") from None
    assert isinstance(message, dict)  # the model took it
    body = {field: value for field, value in message.items() if field != "signature"}
    try:
        kid = verify(keys, LEASE, canonical(body), str(message["signature"]))
    except (BadEncodingError, BadSignatureError) as error:
        raise RefusedDocumentError(error.code, str(error)) from None
    return Lease(**body, kid=kid)  # the model took it


class LeaseWatch:
    """Whether another manager leads, judged by numbers that grow; pure, time passed in.

    One sight of a lease proves nothing: it may be what a crashed manager left. It is alive
    from the first greater number on.

    Args:
        boot_id: the own one, whose leases are not another's.
    """

    def __init__(self, boot_id: str = "") -> None:
        self._own = boot_id
        self._highest: dict[str, int] = {}
        self._proven: tuple[Lease, float] | None = None
        self._seen: tuple[Lease, float] | None = None

    def note(self, lease: Lease | None, now: float) -> None:
        """Take in a lease, or None for the empty message of a clean stop.

        Args:
            lease: verified.
            now: monotonic seconds.
        """
        if lease is None:
            self._proven = self._seen = None
            return
        if lease.boot_id == self._own:
            return
        highest = self._highest.get(lease.boot_id)
        if highest is not None and lease.lease_seq <= highest:
            return
        if highest is None and len(self._highest) >= MAX_WATCHED:
            self._highest.pop(next(iter(self._highest)))
        self._highest[lease.boot_id] = lease.lease_seq
        if highest is None:
            self._seen = (lease, now)
        else:
            self._proven = (lease, now)

    def live(self, now: float) -> Lease | None:
        """Another manager's lease that is alive."""
        return _within(self._proven, now)

    def undecided(self, now: float) -> bool:
        """Whether a lease was seen that may still prove to be alive: wait."""
        return self.live(now) is None and _within(self._seen, now) is not None


def _within(noted: tuple[Lease, float] | None, now: float) -> Lease | None:
    if noted is None:
        return None
    lease, at = noted
    return lease if now - at < lease.ttl_s else None
