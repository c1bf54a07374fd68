"""When speech begins and when it is over: probabilities in, events out.

Nothing here reads a clock: times are positions in the sound, in milliseconds from its first
sample, and come in with the probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SOFT_END_MS: Final = 200.0
"""So much silence may be the end: whoever wants to prepare an answer starts here."""

Reason = Literal["silence", "max", "end", "no_speech"]


@dataclass(frozen=True)
class SegmenterSettings:
    """Durations in milliseconds; ``threshold`` is a probability.

    Speech begins at ``threshold`` and goes on down to a little below it, so that a quiet syllable
    does not end it.
    """

    threshold: float = 0.5
    silence_ms: float = 500
    max_utterance_ms: float = 30_000
    no_speech_timeout_ms: float = 8_000
    min_speech_ms: float = 250

    @property
    def exit_threshold(self) -> float:
        """Below this probability, speech has paused."""
        return max(self.threshold - 0.15, 0.01)


@dataclass(frozen=True)
class SpeechStarted:
    """Somebody speaks, for long enough not to be a click. ``at_ms``: the first speech."""

    at_ms: float


@dataclass(frozen=True)
class SoftEndpoint:
    """Perhaps the end: silence for `SOFT_END_MS`, or for the whole of a shorter ``silence_ms``.

    ``last``: the end itself comes with it.
    """

    at_ms: float
    speech_end_ms: float
    last: bool = False


@dataclass(frozen=True)
class Doubtful:
    """A sound shorter than ``min_speech_ms``, followed by silence: a click, or "yes".

    The wait for speech goes on; whoever can tell the two apart may end it.
    """

    at_ms: float
    speech_start_ms: float
    speech_end_ms: float
    active_ms: float


@dataclass(frozen=True)
class Endpoint:
    """The end, once.

    ``silence``: the speaker stopped. ``max``: cut. ``end``: the stream is over. ``no_speech``:
    nobody spoke. Where nothing was said both times are None. ``active_ms`` is how much of the
    time between them was speech.
    """

    reason: Reason
    at_ms: float
    speech_start_ms: float | None = None
    speech_end_ms: float | None = None
    active_ms: float = 0.0


Event = SpeechStarted | SoftEndpoint | Doubtful | Endpoint


@dataclass
class _Burst:
    """A run of speech with pauses shorter than the end."""

    start_ms: float
    end_ms: float
    active_ms: float
    confirmed: bool = False
    paused: bool = False
    softened: bool = False

    @property
    def span_ms(self) -> float:
        return self.end_ms - self.start_ms


class Segmenter:
    """The endpoint detector of one turn. ``settings`` may be replaced at any time."""

    def __init__(self, settings: SegmenterSettings) -> None:
        self.settings = settings
        self.done = False
        self._burst: _Burst | None = None
        self._noise: _Burst | None = None

    @property
    def hold_ms(self) -> float | None:
        """From here on sound may still be wanted; None while nobody speaks."""
        bursts = [b.start_ms for b in (self._burst, self._noise) if b is not None]
        return min(bursts, default=None)

    @property
    def speech(self) -> tuple[float, float] | None:
        """Start and end of the speech so far, in ms; None before `SpeechStarted`."""
        burst = self._burst
        return (burst.start_ms, burst.end_ms) if burst is not None and burst.confirmed else None

    @property
    def last_speech_ms(self) -> float | None:
        """Where speech was last, in ms; None while nobody speaks."""
        return None if self._burst is None else self._burst.end_ms

    def push(self, probability: float, start_ms: float, end_ms: float) -> tuple[Event, ...]:
        """The events of the next window, from ``start_ms`` to ``end_ms``."""
        if self.done:
            return ()
        events: list[Event] = []
        self._hear(probability, start_ms, end_ms, events)
        if self._burst is not None:
            self._cut(self._burst, end_ms, events)
        if self._burst is None:
            self._wait(end_ms, events)
        return tuple(events)

    def finish(self, at_ms: float) -> tuple[Event, ...]:
        """The stream is over: what was heard up to here is all.

        A word shorter than ``min_speech_ms`` counts here: nothing longer follows it.
        """
        if self.done:
            return ()
        return (self._end("end", at_ms, self._burst or self._noise),)

    def _hear(self, p: float, start_ms: float, end_ms: float, events: list[Event]) -> None:
        burst = self._burst
        if burst is None:
            if p < self.settings.threshold:
                return
            burst = self._burst = _Burst(start_ms, end_ms, end_ms - start_ms)
        elif p >= (self.settings.threshold if burst.paused else self.settings.exit_threshold):
            burst.end_ms = end_ms
            burst.active_ms += end_ms - start_ms
            burst.paused = burst.softened = False
        else:
            burst.paused = True
        if not burst.confirmed and burst.span_ms >= self.settings.min_speech_ms:
            burst.confirmed = True
            events.append(SpeechStarted(burst.start_ms))

    def _cut(self, burst: _Burst, now_ms: float, events: list[Event]) -> None:
        limit = self.settings.silence_ms
        silence = now_ms - burst.end_ms
        fresh = burst.confirmed and burst.paused and not burst.softened
        if fresh and silence >= min(SOFT_END_MS, limit):
            burst.softened = True
            events.append(SoftEndpoint(now_ms, burst.end_ms, silence >= limit))
        if burst.paused and silence >= limit:
            if burst.confirmed:
                events.append(self._end("silence", now_ms, burst))
            else:
                self._noise, self._burst = burst, None
                events.append(Doubtful(now_ms, burst.start_ms, burst.end_ms, burst.active_ms))
        elif now_ms - burst.start_ms >= self.settings.max_utterance_ms:
            events.append(self._end("max", now_ms, burst))

    def _wait(self, now_ms: float, events: list[Event]) -> None:
        if now_ms >= self.settings.no_speech_timeout_ms:
            events.append(self._end("no_speech", now_ms, None))

    def _end(self, reason: Reason, at_ms: float, burst: _Burst | None) -> Endpoint:
        self.done = True
        if burst is None:
            return Endpoint(reason, at_ms)
        return Endpoint(reason, at_ms, burst.start_ms, burst.end_ms, burst.active_ms)
