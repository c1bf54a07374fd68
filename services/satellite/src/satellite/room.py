"""A room: its ear, its mouth and the turn that is heard; each window of sound in, one out. Pure.

The rules:

1. The wake word opens a turn; so does speech in live mode, within the follow-up window after an
   answer was heard to its end (R001), and over a running answer (barge-in, V041).
2. Who interrupts is heard from before the first word on, and silences the loudspeaker at once.
   What was interrupted never resumes by itself, and frames of it that still come are ignored.
3. A turn ends with its transcript, or when nobody can be found who listens.
4. The follow-up window opens when an answer has been heard to its end, never by a timer.
5. A muted microphone hears nothing. One that is shut for an answer's sake hears the wake word
   again after ``shut_limit_s`` at the latest (R018).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from parlour_audio import apply_gain
from parlour_audio.frames import Samples
from parlour_audio.vad import SpeechProbability
from parlour_contracts.config.satellite import SatelliteConfig
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import MUTED, Transcript, TurnAbort, TurnClaimed, Wake
from parlour_kit.attendance import Fleet
from parlour_kit.floor import Move

from satellite.ear import Attention, Ear, Spoke, Woke
from satellite.echo_guard import EchoGuard
from satellite.hearing import Hearing
from satellite.mouth import Mouth, Report
from satellite.ring import Ring
from satellite.tones import Tone, tone
from satellite.wake_word import WakeDetector
from satellite.windows import RATE, WINDOW, level_db, windows_of

WAKE_PRE_ROLL_MS: Final = 64.0
"""A wake word is found at its end, give or take; who speaks on is heard from there."""

WAKE_SPEECH_MS: Final = 600.0
"""About so long a wake word lasts; whoever says one speaks for sure."""

RING_MS: Final = 6000.0
"""The longest pre-roll and the longest speech that interrupts."""

SPEECH: Final = 0.5
WORD_MS: Final = 500.0
"""At the beginning of a turn the rest of the wake word is no answer to it."""

REMEMBERED: Final = 128


Cause = Literal["wake", "speech", "interruption"]


@dataclass(frozen=True)
class Open:
    """Ask who listens to a turn; ``cause`` is why it was opened."""

    turn_id: str
    attempt: int
    wake: Wake | None
    cause: Cause


@dataclass(frozen=True)
class Interrupted:
    """Somebody spoke over an utterance."""

    utterance_id: str
    played_ms: float
    confidence: float
    speech_ms: float


@dataclass(frozen=True)
class Hush:
    """Drop what the loudspeaker's device still keeps."""


Command = Open | Interrupted | Hush | Report


class Room:
    """One room.

    Args:
        config: its settings; :meth:`use` changes them.
        vad: how probable speech is.
        wake: finds the wake word; None: there is none.
        new_id: makes the name of a turn.
        rate: of the loudspeaker in Hz.
        latency_s: how long its device keeps sound.

    Attributes:
        hearing: the turn that is heard; None between turns.
        out: what is to be done, in order; whoever does it takes it away.
    """

    def __init__(
        self,
        config: SatelliteConfig,
        vad: SpeechProbability,
        wake: WakeDetector | None,
        new_id: Callable[[], str],
        *,
        rate: int = RATE,
        latency_s: float = 0.0,
    ) -> None:
        self.config = config
        self.hearing: Hearing | None = None
        self.out: list[Command] = []
        self.fleet = Fleet()
        self.mouth = Mouth(rate, latency_s)
        self.guard = EchoGuard(latency_s)
        self.ear = Ear(vad, wake, self.guard)
        self._new_id = new_id
        self._ring = Ring(RING_MS)
        self._turn_of: OrderedDict[str, str | None] = OrderedDict()
        self._follow_until: float | None = None
        self._shut_until: float | None = None
        self._cool_until: float | None = None
        self._speaking_since: float | None = None
        self._interrupting: str | None = None
        self.mouth.gain = config.volume_percent / 100

    # Sound

    def hear(self, window: Samples, now: float) -> Samples:
        """Take a window of the microphone; returns what the loudspeaker plays meanwhile.

        Args:
            window: 512 samples at 16 kHz, -1.0 to 1.0.
            now: seconds of the caller's clock.

        Returns:
            32 ms at the loudspeaker's rate.
        """
        number = self._ring.push(window)
        attention = self._attention(now)
        if self.hearing is not None and attention is not Attention.SHUT:
            self.hearing.add(window)
        match self.ear.window(number, window, attention, self.config, now):
            case Woke() as woke:
                self._woke(woke, number, now)
            case Spoke() as spoke:
                self._spoke(spoke, now)
            case None:
                pass
        self._listen_on(now)
        return self._play(now)

    def _attention(self, now: float) -> Attention:
        config = self.config
        if config.muted or (self._shut_until is not None and now < self._shut_until):
            return Attention.SHUT
        if self.hearing is not None:
            return Attention.BUSY
        if self.mouth.speaking is not None:
            since = self._speaking_since if self._speaking_since is not None else now
            if config.interruption == "off" and now - since < config.shut_limit_s:
                return Attention.SHUT
            return Attention.OPEN if config.interruption == "speech" else Attention.WAKE
        if self._cool_until is not None and now < self._cool_until:
            return Attention.WAKE
        following = self._follow_until is not None and now < self._follow_until
        return Attention.OPEN if config.live_mode or following else Attention.WAKE

    def _woke(self, woke: Woke, number: int, now: float) -> None:
        self._interrupt(1.0, WAKE_SPEECH_MS, now)
        first = number + 1 - windows_of(WAKE_PRE_ROLL_MS)
        self._open(first, now, Wake(word=woke.word, confidence=woke.confidence))
        self._chime("wake", wanted=self.config.tone_wake)

    def _spoke(self, spoke: Spoke, now: float) -> None:
        run = spoke.run
        self._interrupt(run.confidence, run.speech_ms, now)
        self._open(run.first - windows_of(self.config.pre_roll_ms), now, None)

    def _interrupt(self, confidence: float, speech_ms: float, now: float) -> None:
        """Silence the loudspeaker, if it speaks."""
        speaking = self.mouth.speaking
        if speaking is None:
            return
        played_ms = self.mouth.played_ms(now)
        self.out.append(Interrupted(speaking, played_ms, min(confidence, 1.0), speech_ms))
        self._interrupting = speaking
        self._silence(self.mouth.stop_all(now))

    def _open(self, first: int, now: float, wake: Wake | None) -> None:
        self._follow_until = None
        self.hearing = Hearing(self._new_id(), self.fleet, now, wake)
        for window in self._ring.since(max(first, 0)):
            self.hearing.add(window)

    def _listen_on(self, now: float) -> None:
        """What time does to the turn that is heard."""
        hearing = self.hearing
        if hearing is None:
            return
        if self.ear.probability >= SPEECH and hearing.length_s * 1000 > WORD_MS:
            hearing.heard_speech = True
        unheard = hearing.wake is not None and not hearing.heard_speech
        if unheard and now - hearing.opened_at >= self.config.wake_window_s:
            hearing.close()
        match hearing.decide(now):
            case Move.OPEN:
                self.out.append(Open(hearing.turn_id, hearing.attempt, hearing.wake, self._cause()))
            case Move.GIVE_UP:
                self._over(now, failed=True)
            case Move.WAIT:
                pass

    def _play(self, now: float) -> Samples:
        mouth = self.mouth
        unsure = self.hearing is not None or (self.ear.suspects and mouth.speaking is not None)
        mouth.duck = self.config.duck_percent / 100 if unsure else 1.0
        sound, reports = mouth.take(WINDOW * mouth.rate // RATE, now)
        self._tell(reports, now)
        if mouth.speaking is None:
            self._speaking_since = None
        elif self._speaking_since is None:
            self._speaking_since, self._follow_until = now, None
        self.guard.played(level_db(sound))
        return sound

    # Messages

    def claimed(self, claim: TurnClaimed) -> bool:
        """A stt-worker listens; tells whether it gets frames."""
        return self.hearing is not None and self.hearing.claimed(claim)

    def health(self, health: Health, now: float) -> None:
        """A process told how it is."""
        self.fleet.see(health, now)

    def transcript(self, transcript: Transcript, now: float) -> None:
        """A stt-worker told what it heard."""
        hearing = self.hearing
        if hearing is None or transcript.turn_id != hearing.turn_id:
            return
        if transcript.kind not in ("final", "empty", "failed"):
            return
        if transcript.kind == "failed" and transcript.attempt != hearing.attempt:
            return
        if transcript.kind == "final":
            self._chime("end", wanted=self.config.tone_end)
        elif self._interrupting is not None:
            self.guard.mistrust()
        failed = transcript.kind == "failed" and transcript.reason != MUTED
        self._over(now, failed=failed)

    def frame(
        self, utterance_id: str, payload: bytes, properties: Mapping[str, str], now: float
    ) -> None:
        """Sound of an answer came."""
        self.mouth.frame(utterance_id, payload, properties, now)

    def speech(self, event: Speech, now: float) -> None:
        """A tts-worker told about a sentence."""
        self._turn_of[event.utterance_id] = event.turn_id
        while len(self._turn_of) > REMEMBERED:
            self._turn_of.popitem(last=False)
        match event.event:
            case "started":
                self.mouth.sentence_expected(event.utterance_id, event.seq)
            case "failed":
                self.mouth.sentence_failed(event.utterance_id, event.seq)
            case "completed":
                self.mouth.all_out(event.utterance_id, now)
            case "cancelled":
                self._silence(self.mouth.stop(event.utterance_id, now))
            case "sentence":
                pass

    def aborted(self, abort: TurnAbort, now: float) -> None:
        """A turn is void: nothing of it is played."""
        void = [u for u, turn in self._turn_of.items() if turn == abort.turn_id]
        self._silence([report for u in void for report in self.mouth.stop(u, now)])

    def cancelled(self, now: float) -> None:
        """Somebody stopped the room."""
        self._silence(self.mouth.stop_all(now))
        if self.hearing is not None:
            self.hearing.close()

    def use(self, config: SatelliteConfig, now: float) -> None:
        """Other settings count from now on."""
        before, self.config = self.config, config
        self.mouth.gain = config.volume_percent / 100
        if config.muted and not before.muted:
            self._follow_until = None
            if self.hearing is not None:
                self.hearing.close()
        if before.muted and not config.muted:
            self._shut_until = now + config.unmute_guard_ms / 1000

    # What follows

    def _cause(self) -> Cause:
        if self._interrupting is not None:
            return "interruption"
        return "wake" if self.hearing is not None and self.hearing.wake is not None else "speech"

    def _over(self, now: float, *, failed: bool) -> None:
        self.hearing = self._interrupting = None
        self._cool_until = now + self.config.cool_down_ms / 1000
        if failed:
            self._chime("error", wanted=self.config.tone_error)

    def _silence(self, reports: list[Report]) -> None:
        if reports:
            self.out.append(Hush())
            self.out += reports

    def _tell(self, reports: list[Report], now: float) -> None:
        self.out += reports
        for report in reports:
            answer = self._turn_of.get(report.utterance_id) is not None
            if report.event == "finished" and answer and self.config.follow_up_s > 0:
                self._follow_until = now + self.config.follow_up_s

    def _chime(self, name: Tone, *, wanted: bool) -> None:
        if wanted:
            gain = self.config.tone_percent / 100 * self.config.volume_percent / 100
            self.mouth.chime(apply_gain(tone(name, self.mouth.rate), gain))
