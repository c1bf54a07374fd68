"""How far a rotation may go next: pure, from what is known to one action.

Signing key. A next key is made and handed out. A keyset that lists it must be signed by a root
key, and every living instance must say that it has taken it; then the next key signs, and all
configurations are signed anew. The old key still counts for the grace, so that an instance that
was away finds a message it can verify. After it a second keyset drops the old key. A keyset that
revokes the key in use skips all waiting.

Key of last-known-good files. The next key is in use at once, because its holders were given it
before. All configurations are signed anew, which makes services write their files with it.

Master key. In use at once, too. Secrets are sealed anew, a hundred services in a transaction,
until none is under an old key; then each is opened once. Only after that and after the grace is
the old key put away.

Every action leaves traces from which the same question gets the next action, so whoever is
killed anywhere just asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from parlour_config.keyset import Keyset
from parlour_config.provision import Rotation

Action = Literal["switch", "reissue", "rewrap", "prove", "finish", "new-epoch"]
State = Literal[
    "idle", "awaiting-keyset", "awaiting-services", "in-progress", "grace",
    "awaiting-retirement", "blocked",
]  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What the decision is made from.

    Attributes:
        standing: what the key files say.
        spread: configurations were signed anew since the switch, or secrets were proved.
        grace_over: the time for which old keys count has passed.
        keyset: the one in force, or None.
        has_roots: somebody can sign keysets.
        living: keyset version of every living instance.
        left: secrets under an old key.
        epoch_due: the key in use was revoked, and a new epoch is still to be made.
    """

    standing: Rotation
    spread: bool = False
    grace_over: bool = False
    keyset: Keyset | None = None
    has_roots: bool = True
    living: Mapping[str, int] = field(default_factory=dict)
    left: int = 0
    epoch_due: bool = False


@dataclass(frozen=True)
class Next:
    """Where it stands and what to do; without an action there is something to wait for."""

    state: State
    action: Action | None = None
    waiting_for: tuple[str, ...] = ()


def next_of(known: Known) -> Next:
    """The next action of a rotation."""
    if known.standing.name == "signing":
        return _signing(known)
    if known.standing.phase == "next":
        return Next("in-progress", "switch")
    if known.standing.phase == "idle":
        return Next("idle")
    if known.standing.name == "master":
        return _master(known)
    if not known.spread:
        return Next("in-progress", "reissue")
    return Next("in-progress", "finish") if known.grace_over else Next("grace")


def revoked(known: Known) -> bool:
    """Whether the keyset in force no longer trusts the signing key in use."""
    keyset, current = known.keyset, known.standing.current
    return keyset is not None and current not in {key.kid for key in keyset.trusted}


def _signing(known: Known) -> Next:
    if known.epoch_due and not revoked(known):
        return Next("in-progress", "new-epoch")
    if known.standing.phase == "next":
        return _handed_out(known)
    if revoked(known):
        return Next("blocked")
    return Next("idle") if known.standing.phase == "idle" else _signs(known)


def _signs(known: Known) -> Next:
    """The next key is in use, the old one still counts."""
    if not known.spread:
        return Next("in-progress", "reissue")
    keyset, old = known.keyset, known.standing.previous
    disowned = keyset is not None and set(old) <= set(keyset.revoked)
    if not known.grace_over and not disowned:
        return Next("grace")
    listed = keyset is not None and _lists(keyset, old)
    return Next("awaiting-retirement") if listed else Next("in-progress", "finish")


def _handed_out(known: Known) -> Next:
    """The next key is made, the old one still signs."""
    assert known.standing.next is not None
    if not known.has_roots:
        return Next("in-progress", "switch")  # services read it from their files
    keyset = known.keyset
    if keyset is None or not _lists(keyset, (known.standing.next,)):
        return Next("blocked" if revoked(known) else "awaiting-keyset")
    behind = tuple(sorted(name for name, seen in known.living.items() if seen < keyset.version))
    if behind and not revoked(known):
        return Next("awaiting-services", waiting_for=behind)
    return Next("in-progress", "switch")


def _master(known: Known) -> Next:
    if known.left:
        return Next("in-progress", "rewrap")
    if not known.spread:
        return Next("in-progress", "prove")
    return Next("in-progress", "finish") if known.grace_over else Next("grace")


def _lists(keyset: Keyset, kids: tuple[str, ...]) -> bool:
    """Whether a keyset trusts any of these keys."""
    return bool({key.kid for key in keyset.trusted} & set(kids))
