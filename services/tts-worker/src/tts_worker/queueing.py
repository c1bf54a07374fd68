"""Which sentence is spoken next. Pure: requests and times in, decisions out.

The rules:

1. The sentences of an utterance are spoken in the order of ``seq``. One whose predecessor has
   not come waits for it, but no longer than ``REORDER_S``: the predecessor may have gone to
   another worker, and the receiver orders what several workers made.
2. Utterances are spoken in the order of their arrival. With ``keep_together`` an utterance
   that has begun keeps its place for ``hold_s`` after each sentence, until its last.
3. A sentence, named by its utterance and ``seq``, is spoken once.
4. Nothing of a cancelled utterance, nor of an aborted or outdated revision of a turn, is spoken,
   also when it arrives later.
5. At most ``MAX_WAITING`` sentences wait, and a bounded number of utterances is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum

from parlour_contracts.messages.tts import TtsRequest

REORDER_S = 0.25
MAX_WAITING = 256
REMEMBERED = 512


class Offer(Enum):
    """What became of a request."""

    QUEUED = "queued"
    DUPLICATE = "duplicate"
    VOID = "void"
    """Its utterance was cancelled, or its turn aborted."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request and when it arrived, in seconds of the caller's clock."""

    request: TtsRequest
    arrived: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """An utterance of which no more will be spoken, and the sentence at which it stopped."""

    utterance_id: str
    turn_id: str | None
    site: str
    seq: int


@dataclass(slots=True)
class _Utterance:
    """What is known of one utterance."""

    site: str = ""
    turn_id: str | None = None
    revision: int = 1
    waiting: dict[int, Waiting] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    closed: bool = False
    void: bool = False

    @property
    def next_seq(self) -> int:
        """The first sentence that has not been taken."""
        return max(self.taken, default=-1) + 1

    def drop(self, utterance_id: str) -> Dropped | None:
        """Make it void; tells what was dropped unless it was over already."""
        live = bool(self.site) and not self.closed and not self.void
        at = min(self.waiting, default=self.next_seq)
        self.void = True
        self.waiting.clear()
        return Dropped(utterance_id, self.turn_id, self.site, at) if live else None


class SpeechQueue:
    """The sentences that wait, and what was said about those that came."""

    def __init__(self, max_waiting: int = MAX_WAITING, remembered: int = REMEMBERED) -> None:
        self._max_waiting = max_waiting
        self._remembered = remembered
        self._utterances: OrderedDict[str, _Utterance] = OrderedDict()
        self._void_revisions: OrderedDict[str, int] = OrderedDict()
        self._current: str | None = None
        self._hold_from = 0.0

    def __len__(self) -> int:
        return sum(len(u.waiting) for u in self._utterances.values())

    def offer(self, request: TtsRequest, now: float) -> tuple[Offer, list[Dropped]]:
        """Take a request in.

        Returns:
            What became of it, and the utterances of older revisions that it made void.
        """
        dropped: list[Dropped] = []
        if request.turn_id is not None:
            if request.revision <= self._void_revisions.get(request.turn_id, 0):
                return Offer.VOID, dropped
            dropped = self.abort(request.turn_id, request.revision - 1)
        known = self._utterances.get(request.utterance_id)
        if known is not None and known.void:
            return Offer.VOID, dropped
        if known is not None and (
            known.closed or request.seq in known.taken or request.seq in known.waiting
        ):
            return Offer.DUPLICATE, dropped
        if len(self) >= self._max_waiting:
            return Offer.FULL, dropped
        utterance = known if known is not None else self._remember(request.utterance_id)
        utterance.site = request.site
        utterance.turn_id = request.turn_id
        utterance.revision = request.revision
        utterance.waiting[request.seq] = Waiting(request, now)
        return Offer.QUEUED, dropped

    def take(
        self, now: float, *, keep_together: bool, hold_s: float
    ) -> tuple[Waiting | None, float | None]:
        """The sentence to speak now, if any.

        Returns:
            The sentence, which counts as spoken from here on; or None and the time at which to
            ask again, which is None when only a new request can change the answer.
        """
        current = self._current if keep_together else None
        if current is not None:
            utterance = self._utterances.get(current)
            if utterance is None or utterance.void or utterance.closed:
                current = None
            elif utterance.waiting:
                ready, at = _ready(utterance, now)
                return (self._start(current, ready), None) if ready is not None else (None, at)
            elif now < self._hold_from + hold_s:
                return None, self._hold_from + hold_s if len(self) else None
        again: float | None = None
        for utterance_id in self._by_arrival():
            ready, at = _ready(self._utterances[utterance_id], now)
            if ready is not None:
                return self._start(utterance_id, ready), None
            again = at if again is None or (at is not None and at < again) else again
        return None, again

    def spoken(self, request: TtsRequest, now: float) -> None:
        """The sentence's audio is out; its utterance's place is held from here."""
        if request.utterance_id == self._current:
            self._hold_from = now

    def overdue(self, now: float, limit_s: float) -> list[Waiting]:
        """Give up, and return, what has waited for so long."""
        found: list[Waiting] = []
        for utterance in self._utterances.values():
            for seq, waiting in list(utterance.waiting.items()):
                if waiting.arrived + limit_s <= now:
                    del utterance.waiting[seq]
                    utterance.taken.add(seq)
                    utterance.closed = utterance.closed or waiting.request.last
                    found.append(waiting)
        return found

    @property
    def oldest(self) -> float | None:
        """When what waits longest arrived."""
        times = (w.arrived for u in self._utterances.values() for w in u.waiting.values())
        return min(times, default=None)

    def cancel(self, utterance_id: str) -> Dropped | None:
        """Make an utterance void, also one that has not come yet."""
        known = self._utterances.get(utterance_id)
        return (known or self._remember(utterance_id)).drop(utterance_id)

    def abort(self, turn_id: str, revision: int) -> list[Dropped]:
        """Make a revision of a turn, and each before it, void."""
        if revision < 1:
            return []
        self._void_revisions[turn_id] = max(revision, self._void_revisions.pop(turn_id, 0))
        while len(self._void_revisions) > self._remembered:
            self._void_revisions.popitem(last=False)
        return [
            dropped
            for utterance_id, u in self._utterances.items()
            if u.turn_id == turn_id and u.revision <= revision
            if (dropped := u.drop(utterance_id)) is not None
        ]

    def is_void(self, request: TtsRequest) -> bool:
        """Whether nothing more of this request may be heard."""
        known = self._utterances.get(request.utterance_id)
        return known is not None and known.void

    def clear(self) -> list[Waiting]:
        """Forget what waits, and return it."""
        found = [w for u in self._utterances.values() for w in u.waiting.values()]
        for utterance in self._utterances.values():
            utterance.waiting.clear()
        return found

    def _start(self, utterance_id: str, waiting: Waiting) -> Waiting:
        utterance = self._utterances[utterance_id]
        del utterance.waiting[waiting.request.seq]
        utterance.taken.add(waiting.request.seq)
        utterance.closed = waiting.request.last
        if utterance.closed:
            # What came with a higher number contradicts the utterance's own end.
            utterance.waiting.clear()
        self._current = utterance_id
        return waiting

    def _by_arrival(self) -> list[str]:
        found = [
            (min(w.arrived for w in u.waiting.values()), utterance_id)
            for utterance_id, u in self._utterances.items()
            if u.waiting
        ]
        # Equal arrivals keep the order of memory.
        return [utterance_id for _, utterance_id in sorted(found, key=lambda f: f[0])]

    def _remember(self, utterance_id: str) -> _Utterance:
        self._utterances[utterance_id] = utterance = _Utterance()
        if len(self._utterances) > self._remembered:
            idle = (k for k, u in self._utterances.items() if not u.waiting and k != utterance_id)
            oldest = next((k for k in idle if k != self._current), None)
            if oldest is not None:
                del self._utterances[oldest]
        return utterance


def _ready(utterance: _Utterance, now: float) -> tuple[Waiting | None, float | None]:
    """The lowest waiting sentence if it may be spoken, else when it may."""
    first = utterance.waiting[min(utterance.waiting)]
    if first.request.seq <= utterance.next_seq:
        return first, None
    at = first.arrived + REORDER_S
    return (first, None) if now >= at else (None, at)
