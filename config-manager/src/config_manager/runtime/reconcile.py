"""What a message on a configuration topic means, and what to do about a whole collection.

Pure. The rules, first match counts:

1. It does not parse or verify, or lies on another service's topic: tampering or garbage.
   Overwrite it.
2. Our epoch, not above the floor, settings that this service once had: our own message, perhaps
   an old one. Overwrite it unless it is the newest.
3. Our epoch, above the floor, while starting: the database is older than what was published (a
   restored copy). New epoch above it, row versions + 1,000.
4. Our epoch otherwise: somebody else signs with our key (a cloned card). Conflict.
5. An epoch of our own past: an earlier self. Raise the floor, overwrite.
6. An unknown epoch, not above what our epoch began with: a predecessor that somebody replays.
   Record it, overwrite.
7. An unknown epoch while starting and without a live lease: a predecessor whose database was
   lost or replaced. Raise the floor, record it, and take a new epoch unless ours was minted in
   this start.
8. Any other unknown epoch: another signer. Conflict.

A conflict outweighs everything else in a collection: nothing is written then, because whoever
else signs may be the one whom the operator wants to keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

NewEpoch = Literal["restored-behind", "predecessor"]
"""Why a collection calls for a new epoch; also the reason in the table of epochs."""


class Meaning(Enum):
    """What one message says about who signed it."""

    TAMPERED = "tampered"
    OWN = "own"
    BEHIND = "behind"
    EARLIER = "earlier"
    REPLAYED = "replayed"
    PREDECESSOR = "predecessor"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as it lay on a topic.

    Attributes:
        service: the last level of its topic.
        epoch: of the message, or None when it did not parse or verify.
        issued_at: of the message; empty without an epoch.
        checksum: of the message; empty without an epoch.
        misplaced: validly signed, but for another service.
    """

    service: str
    epoch: str | None = None
    issued_at: str = ""
    checksum: str = ""
    misplaced: bool = False


@dataclass(frozen=True)
class Past:
    """What the database knows of itself.

    Attributes:
        epoch: the active one.
        minted_floor: the floor when that epoch began.
        floor: the greatest ``issued_at`` that was ever given out.
        earlier: every other epoch in the table.
        minted_now: whether the active epoch began in this start.
    """

    epoch: str
    minted_floor: str
    floor: str
    earlier: frozenset[str] = frozenset()
    minted_now: bool = False


@dataclass(frozen=True)
class Moment:
    """When a collection was made: at the start of the process, and beside another leader."""

    starting: bool
    lease_live: bool = False


@dataclass(frozen=True)
class Plan:
    """What a collection calls for.

    Attributes:
        conflict: stop publishing and wait for the operator; the rest is empty then.
        floor: what the floor must be at least.
        new_epoch: why a new epoch is due, or None.
        record: unknown epochs of predecessors.
        overwrite: services whose retained message must be replaced.
        missing: services without one.
        tampered: services on whose topic something lay that we never signed.
    """

    conflict: tuple[str, ...] = ()
    floor: str = ""
    new_epoch: NewEpoch | None = None
    record: frozenset[str] = frozenset()
    overwrite: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    tampered: frozenset[str] = frozenset()
    predecessors: int = 0

    @property
    def publish(self) -> frozenset[str]:
        """Every service that needs a message."""
        return self.overwrite | self.missing


def classify(seen: Seen, past: Past, moment: Moment, *, known: bool) -> Meaning:
    """What one message means.

    Args:
        seen: the message.
        past: what the database knows.
        moment: whether this process is starting.
        known: whether its checksum is among the snapshots of its service.
    """
    if seen.epoch is None or seen.misplaced:
        return Meaning.TAMPERED
    if seen.epoch == past.epoch:
        return _own(seen, past, moment, known=known)
    if seen.epoch in past.earlier:
        return Meaning.EARLIER
    if seen.issued_at <= past.minted_floor:
        return Meaning.REPLAYED
    if moment.starting and not moment.lease_live:
        return Meaning.PREDECESSOR
    return Meaning.CONFLICT


def _own(seen: Seen, past: Past, moment: Moment, *, known: bool) -> Meaning:
    if seen.issued_at <= past.floor:
        return Meaning.OWN if known else Meaning.CONFLICT
    return Meaning.BEHIND if moment.starting else Meaning.CONFLICT


def plan(
    collection: Iterable[Seen],
    past: Past,
    moment: Moment,
    *,
    known: frozenset[tuple[str, str]],
    desired: Mapping[str, str],
    whole: bool = True,
) -> Plan:
    """What to do about what was collected.

    Args:
        collection: one message a topic.
        past: what the database knows.
        moment: whether this process is starting, and whether somebody else leads.
        known: pairs of service and checksum that are among the snapshots.
        desired: service → checksum of what it should run with.
        whole: whether every retained message is in the collection; if not, none is missing.
    """
    conflict, overwrite, tampered = [], set(), set()
    record: set[str] = set()
    found: set[str] = set()
    floor = past.floor
    predecessors = 0
    new_epoch: NewEpoch | None = None
    for seen in collection:
        found.add(seen.service)
        meaning = classify(seen, past, moment, known=(seen.service, seen.checksum) in known)
        if meaning is Meaning.CONFLICT:
            conflict.append(seen.service)
            continue
        if moment.starting or meaning is Meaning.EARLIER:
            floor = max(floor, seen.issued_at)
        if meaning is Meaning.TAMPERED:
            tampered.add(seen.service)
        elif meaning is Meaning.BEHIND:
            new_epoch = "restored-behind"
        elif meaning in (Meaning.REPLAYED, Meaning.PREDECESSOR) and seen.epoch is not None:
            record.add(seen.epoch)
            if meaning is Meaning.PREDECESSOR:
                predecessors += 1
                if not past.minted_now:
                    new_epoch = new_epoch or "predecessor"
        if meaning is not Meaning.OWN or desired.get(seen.service) != seen.checksum:
            overwrite.add(seen.service)
    if conflict:
        return Plan(conflict=tuple(sorted(conflict)))
    missing = frozenset(desired) - found if whole else frozenset()
    if new_epoch is not None:
        overwrite |= set(desired)  # every service learns the new epoch
    return Plan(
        floor=floor,
        new_epoch=new_epoch,
        record=frozenset(record),
        overwrite=frozenset(overwrite),
        missing=missing,
        tampered=frozenset(tampered),
        predecessors=predecessors,
    )
