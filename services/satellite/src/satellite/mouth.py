"""What the loudspeaker plays: one utterance after another, and the truth about how far it is. Pure.

The rules:

1. Utterances are played in the order in which their first frames came, each to its end.
2. What was stopped, cancelled or finished is over: frames of it that come late are ignored.
3. ``played_ms`` is what left the loudspeaker: what the device still keeps was not heard.
4. An utterance without its end, of which nothing comes any more, is stopped (`STARVED_S`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from parlour_audio import apply_gain
from parlour_audio.frames import Samples

from satellite.utterance import Utterance

POSITION_S: Final = 0.25
STARVED_S: Final = 12.0
REMEMBERED: Final = 128
MAX_QUEUED: Final = 16

Event = Literal["started", "position", "finished", "stopped"]


@dataclass(frozen=True)
class Report:
    """How far the loudspeaker is; ``played_ms`` counts from the utterance's first sample."""

    utterance_id: str
    event: Event
    played_ms: float


class Mouth:
    """The loudspeaker of a room.

    Args:
        rate: in Hz.
        latency_s: from the handing of samples to the moment in which the last of them is heard.

    Attributes:
        gain: factor of loudness, 0 and more.
        duck: a further factor while somebody may be speaking; 1 leaves it as it is.
        ignored: frames of utterances that were over.
    """

    def __init__(self, rate: int, latency_s: float = 0.0) -> None:
        self.rate = rate
        self.latency_s = latency_s
        self.gain = 1.0
        self.duck = 1.0
        self.ignored = 0
        self._gain_now = 1.0
        self._queue: OrderedDict[str, Utterance] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._fading: deque[tuple[float, Report]] = deque()
        self._started: str | None = None
        self._told_at = 0.0
        self._tone: Samples = np.zeros(0, np.float32)

    # What comes in

    def frame(
        self, utterance_id: str, payload: bytes, properties: Mapping[str, str], now: float
    ) -> None:
        """Take a frame of an utterance."""
        if utterance_id in self._over:
            self.ignored += 1
            return
        if utterance_id not in self._queue:
            if len(self._queue) >= MAX_QUEUED:
                self.ignored += 1
                return
            self._queue[utterance_id] = Utterance(utterance_id, self.rate, now)
        self._queue[utterance_id].put(payload, properties, now)

    def sentence_failed(self, utterance_id: str, sentence: int) -> None:
        """A sentence of it will not come."""
        if (utterance := self._queue.get(utterance_id)) is not None:
            utterance.sequence.failed(sentence)

    def sentence_expected(self, utterance_id: str, sentence: int) -> None:
        """A sentence of it is being made, perhaps anew after it had failed."""
        if (utterance := self._queue.get(utterance_id)) is not None:
            utterance.sequence.expected(sentence)

    def all_out(self, utterance_id: str, now: float) -> None:
        """Its last sentence was sent."""
        if (utterance := self._queue.get(utterance_id)) is not None:
            utterance.sequence.all_out(now)

    def chime(self, tone: Samples) -> None:
        """Play a short sound at once, over whatever is played; it is no utterance."""
        rest = self._tone
        longest = max(len(rest), len(tone))
        self._tone = np.pad(rest, (0, longest - len(rest))) + np.pad(tone, (0, longest - len(tone)))

    def stop(self, utterance_id: str, now: float) -> list[Report]:
        """Play no more of this utterance, now and for ever; what is to be told of it."""
        self._forget(utterance_id)
        utterance = self._queue.pop(utterance_id, None)
        if utterance is not None:
            if utterance_id != self._started:
                return []
            self._started = None
            return [Report(utterance_id, "stopped", self._heard_ms(utterance))]
        for at, report in list(self._fading):
            if report.utterance_id == utterance_id:
                # Its end had been handed out but not heard.
                self._fading.remove((at, report))
                missing = max(at - now, 0.0) * 1000
                played = max(report.played_ms - missing, 0.0)
                return [Report(utterance_id, "stopped", played)]
        return []

    def stop_all(self, now: float) -> list[Report]:
        """Be silent: drop what is played and what waits."""
        fading = [report.utterance_id for _, report in self._fading]
        ids = [*fading, *self._queue]
        return [report for one in ids for report in self.stop(one, now)]

    # What goes out

    @property
    def speaking(self) -> str | None:
        """The utterance that is heard now; None when none is."""
        if self._started is not None:
            return self._started
        return self._fading[0][1].utterance_id if self._fading else None

    @property
    def pending(self) -> bool:
        """Whether something is played or waits to be."""
        return bool(self._queue or self._fading)

    def played_ms(self, now: float) -> float:
        """How much of the utterance that is heard now was heard."""
        if self._started is not None:
            return self._heard_ms(self._queue[self._started])
        if self._fading:
            at, report = self._fading[0]
            return max(report.played_ms - max(at - now, 0.0) * 1000, 0.0)
        return 0.0

    def take(self, count: int, now: float) -> tuple[Samples, list[Report]]:
        """The next ``count`` samples for the device, and what is to be told by now."""
        reports = self._faded(now)
        out = np.zeros(count, np.float32)
        filled = 0
        while filled < count and self._queue:
            utterance = next(iter(self._queue.values()))
            piece = utterance.take(count - filled, now)
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
            if len(piece) and self._started is None:
                self._started, self._told_at = utterance.utterance_id, now
                reports.append(Report(utterance.utterance_id, "started", 0.0))
            if utterance.over:
                self._finish(utterance, now)
                continue
            if now - utterance.heard_at > STARVED_S and filled < count:
                reports += self.stop(utterance.utterance_id, now)
                continue
            if filled < count:
                break  # what comes next is not here yet
        if self._started is not None and now - self._told_at >= POSITION_S - 1e-9:
            self._told_at = now
            current = self._queue[self._started]
            reports.append(Report(self._started, "position", self._heard_ms(current)))
        return self._mixed(self._loud(out)), reports

    def _loud(self, out: Samples) -> Samples:
        """With the gain of now, which changes without a click."""
        target = self.gain * self.duck
        before, self._gain_now = self._gain_now, target
        if before == target == 1.0:
            return out
        ramp = np.linspace(before, target, len(out), dtype=np.float32)
        return apply_gain((out * ramp).astype(np.float32), 1.0)

    def _mixed(self, out: Samples) -> Samples:
        if len(self._tone):
            piece, self._tone = self._tone[: len(out)], self._tone[len(out) :]
            out = out.copy()
            out[: len(piece)] += piece
            return np.clip(out, -1.0, 1.0).astype(np.float32)
        return out

    def _finish(self, utterance: Utterance, now: float) -> None:
        del self._queue[utterance.utterance_id]
        self._forget(utterance.utterance_id)
        if self._started == utterance.utterance_id:
            self._started = None
            report = Report(utterance.utterance_id, "finished", utterance.handed_ms)
            self._fading.append((now + self.latency_s, report))

    def _faded(self, now: float) -> list[Report]:
        reports = []
        while self._fading and now >= self._fading[0][0]:
            reports.append(self._fading.popleft()[1])
        return reports

    def _heard_ms(self, utterance: Utterance) -> float:
        return max(utterance.handed_ms - self.latency_s * 1000, 0.0)

    def _forget(self, utterance_id: str) -> None:
        self._over[utterance_id] = None
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)
