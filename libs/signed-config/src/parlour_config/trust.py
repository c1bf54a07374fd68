"""Which signed configuration a service takes. These are the rules; the code follows them.

What a service trusts is a state: the epoch it is in, the floor (the greatest ``issued_at`` it
has taken, and the key that signed it), the epochs it has left, the checksum it runs with, the
checksums that killed it, and the version of its keyset. A message that fails a rule changes
nothing of it. The clock on the wall has no part in any rule.

 1. Before these rules a message was read strictly, its signature was made by a trusted key
    over exactly these bytes, and its checksum is that of its configuration.
 2. It must be for this service: its ``service`` and the last level of its topic are both the
    service's own name (WRONG_SERVICE).
 3. An epoch that the service has left is refused for ever (RETIRED_EPOCH). The list keeps the
    32 latest; whatever is older is below the floor.
 4. The first message that passes pins its epoch. A message of another epoch must be above the
    floor (STALE_EPOCH). With the policy ``pin`` it must also be the epoch that the operator
    named (EPOCH_UNCONFIRMED). Taking it retires the epoch that the service was in: the door
    opens one way, so two managers can move a service at most once.
 5. Below the floor is STALE. At the floor, the same checksum is a duplicate and asks for
    nothing; another checksum means that two signers share a key (EQUIVOCATION). The floor is
    carried across epochs.
 6. Above the floor with the checksum that is already running, it is a refresh: floor and
    epoch move, nothing is applied.
 7. Above the floor with a checksum marked as poison is refused (CRASH_AFTER_APPLY). Taking
    any other checksum clears the mark.
 8. The new state comes into force when the configuration was applied, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from parlour_config.clock import EPOCH_START
from parlour_config.errors import RefusedUpdateError
from parlour_config.signing import TrustedKey
from parlour_config.update import Update, check_update, read_update

MAX_RETIRED = 32


@dataclass(frozen=True)
class TrustState:
    """What a service has come to trust.

    Attributes:
        epoch: the one it is in; None before first contact.
        floor: only a greater ``issued_at`` is new.
        floor_kid: the key that verified the message at the floor; None if there is no such
            message.
        retired: epochs that it has left, oldest first, at most 32.
        keyset_version: of the newest keyset that it has accepted; 0 is none.
        poison: checksums that stopped the service twice.
        keyset: that keyset's exact bytes, stored in a file of its own.
        checksum: of the configuration that runs; None on defaults.
    """

    epoch: str | None = None
    floor: str = EPOCH_START
    floor_kid: str | None = None
    retired: tuple[str, ...] = ()
    keyset_version: int = 0
    poison: tuple[str, ...] = ()
    keyset: bytes | None = None
    checksum: str | None = None


@dataclass(frozen=True)
class EpochPolicy:
    """Whether another epoch is taken by itself (``open``) or when the operator named it."""

    mode: Literal["open", "pin"] = "open"
    pinned: str | None = None


OPEN = EpochPolicy()


@dataclass(frozen=True)
class Accept:
    """The message is new. ``new_state`` holds once the configuration is applied.

    Attributes:
        refresh: this configuration already runs: apply nothing.
        epoch_changed: the service enters an epoch, its first one included.
    """

    new_state: TrustState
    refresh: bool
    epoch_changed: bool


@dataclass(frozen=True)
class Duplicate:
    """The message at the floor came again; there is nothing to do."""


Verdict: TypeAlias = Accept | Duplicate


def judge(
    state: TrustState,
    update: Update,
    kid: str,
    *,
    service: str,
    topic: str,
    policy: EpochPolicy = OPEN,
) -> Verdict:
    """Apply rules 2 to 7 to a message whose signature and checksum were checked.

    Args:
        state: what is trusted now; it stays as it is.
        update: the message.
        kid: the key that verified it.
        service: the own name.
        topic: where the message came.
        policy: about other epochs.

    Raises:
        RefusedUpdateError: with the code of the first rule that it breaks.
    """
    if not service == update.service == topic.rpartition("/")[2]:
        raise RefusedUpdateError("WRONG_SERVICE", "the message is for another service")
    _check_epoch(state, update, policy)
    above = update.issued_at > state.floor
    if not above:
        return _at_or_below_floor(state, update)
    refresh = update.checksum == state.checksum
    if not refresh and update.checksum in state.poison:
        raise RefusedUpdateError(
            "CRASH_AFTER_APPLY", "this configuration stopped the service twice"
        )
    return Accept(
        _moved(state, update, kid),
        refresh=refresh,
        epoch_changed=update.config_epoch != state.epoch,
    )


def clear_poison(state: TrustState) -> TrustState:
    """The state after the operator said to try again."""
    return replace(state, poison=())


class TrustedSet:
    """A service's trust, held: the keys, the policy and the current state.

    ``keys`` may be replaced at any time, when a keyset is accepted or a key file changes.
    """

    def __init__(
        self,
        service: str,
        keys: Sequence[TrustedKey],
        state: TrustState | None = None,
        policy: EpochPolicy = OPEN,
    ) -> None:
        self.service = service
        self.keys = tuple(keys)
        self.state = TrustState() if state is None else state
        self.policy = policy

    def verify(
        self, payload: bytes, topic: str, kid_hint: str | None = None
    ) -> tuple[Update, Verdict]:
        """Steps 1 to 9 for the bytes of a message; the state does not change.

        Raises:
            RefusedUpdateError: with the code of the first rule that it breaks.
        """
        update = read_update(payload)
        kid = check_update(update, self.keys, kid_hint=kid_hint)
        verdict = judge(
            self.state, update, kid, service=self.service, topic=topic, policy=self.policy
        )
        return update, verdict

    def commit(self, new_state: TrustState) -> None:
        """The configuration was applied: from now on its state holds."""
        self.state = new_state


def _check_epoch(state: TrustState, update: Update, policy: EpochPolicy) -> None:
    epoch = update.config_epoch
    if epoch in state.retired:
        raise RefusedUpdateError("RETIRED_EPOCH", "the service has left this epoch")
    if epoch == state.epoch:
        return
    if state.epoch is not None and update.issued_at <= state.floor:
        raise RefusedUpdateError("STALE_EPOCH", "another epoch, but not above the floor")
    pins_itself = state.epoch is None and policy.pinned is None
    if policy.mode == "pin" and not pins_itself and epoch != policy.pinned:
        raise RefusedUpdateError("EPOCH_UNCONFIRMED", "another epoch, which nobody has confirmed")


def _at_or_below_floor(state: TrustState, update: Update) -> Duplicate:
    if update.issued_at < state.floor or state.floor_kid is None:
        raise RefusedUpdateError("STALE", "not above what was taken before")
    if update.checksum != state.checksum:
        raise RefusedUpdateError("EQUIVOCATION", "two configurations were issued at one moment")
    return Duplicate()


def _moved(state: TrustState, update: Update, kid: str) -> TrustState:
    left = state.epoch is not None and state.epoch != update.config_epoch
    retired = (*state.retired, state.epoch) if left and state.epoch else state.retired
    return replace(
        state,
        epoch=update.config_epoch,
        floor=update.issued_at,
        floor_kid=kid,
        retired=retired[-MAX_RETIRED:],
        poison=(),
        checksum=update.checksum,
    )
