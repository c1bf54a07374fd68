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
        predecessors: messages of an unknown lineage before ours.
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
    gathering = _Gathering(past, moment)
    for seen in collection:
        meaning = classify(seen, past, moment, known=(seen.service, seen.checksum) in known)
        gathering.take(seen, meaning, newest=desired.get(seen.service) == seen.checksum)
    return gathering.plan(desired, whole=whole)


class _Gathering:
    """Adds up what single messages call for."""

    def __init__(self, past: Past, moment: Moment) -> None:
        self._past = past
        self._moment = moment
        self._found: set[str] = set()
        self._conflict: set[str] = set()
        self._overwrite: set[str] = set()
        self._tampered: set[str] = set()
        self._record: set[str] = set()
        self._floor = past.floor
        self._predecessors = 0
        self._new_epoch: NewEpoch | None = None

    def take(self, seen: Seen, meaning: Meaning, *, newest: bool) -> None:
        self._found.add(seen.service)
        if meaning is Meaning.CONFLICT:
            self._conflict.add(seen.service)
            return
        if self._moment.starting or meaning is Meaning.EARLIER:
            self._floor = max(self._floor, seen.issued_at)
        if meaning is Meaning.TAMPERED:
            self._tampered.add(seen.service)
        elif meaning is Meaning.BEHIND:
            self._new_epoch = "restored-behind"
        elif meaning in (Meaning.REPLAYED, Meaning.PREDECESSOR):
            self._predecessor(seen, found=meaning is Meaning.PREDECESSOR)
        if meaning is not Meaning.OWN or not newest:
            self._overwrite.add(seen.service)

    def _predecessor(self, seen: Seen, *, found: bool) -> None:
        if seen.epoch is not None:
            self._record.add(seen.epoch)
        if found:
            self._predecessors += 1
            if not self._past.minted_now:
                self._new_epoch = self._new_epoch or "predecessor"

    def plan(self, desired: Mapping[str, str], *, whole: bool) -> Plan:
        if self._conflict:
            return Plan(conflict=tuple(sorted(self._conflict)))
        if self._new_epoch is not None:
            self._overwrite |= set(desired)  # every service learns the new epoch
        return Plan(
            floor=self._floor,
            new_epoch=self._new_epoch,
            record=frozenset(self._record),
            overwrite=frozenset(self._overwrite),
            missing=frozenset(desired) - self._found if whole else frozenset(),
            tampered=frozenset(self._tampered),
            predecessors=self._predecessors,
        )
