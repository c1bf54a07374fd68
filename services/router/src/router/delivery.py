"""An utterance on its way to the ear: sentences out, what became of them back. Pure.

The rules:

1. A sentence is sent at once, numbered from 0; the last one says so, or an empty one after it.
2. A sentence is over when its audio is out or has failed; one failure does not stop the rest.
3. When a worker dies, what is not out yet is sent once more, as soon as another one is ready;
   so is what was sent while no worker was ready.
4. Without any event for ``SILENCE_S`` what is not out has failed; for ``BUSY_S`` where a voice
   is ready, which may speak in other rooms first.
5. All audio being out, the utterance is heard when the loudspeaker says so. Where none reports,
   it is heard when as much time has passed as it sounds.
"""

from __future__ import annotations

from dataclasses import dataclass

from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.room import Playback
from parlour_contracts.messages.tts import Speech, TtsCancel, TtsRequest, Word
from parlour_contracts.topics import TTS_CANCEL, TTS_REQUEST

from router.ambient import Ambient, Publish, failure
from router.progress import Cut, Sounding, cut_at

SILENCE_S = 20.0
BUSY_S = 60.0
BETWEEN_REPORTS_MS = 1000.0
"""A loudspeaker that said nothing for longer may have stopped: it has played no more than that."""

LOUDSPEAKER_S = 10.0
"""How much longer than its sound a reported playback may take."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is said where, and how."""

    site: str
    session_id: str | None = None
    turn_id: str | None = None
    revision: int = 1
    voice: str | None = None
    volume: int | None = None


class Delivery:
    """One utterance. ``settled``: all of it is out, or failed; ``over``: and heard."""

    def __init__(self, subject: Subject, ambient: Ambient) -> None:
        self.id = ambient.new_id()
        self.closed = False
        self.stopped = False
        self.heard = False
        self.error: WireError | None = None
        self.first_audio_at: float | None = None
        self.instances: dict[str, None] = {}
        self._subject = subject
        self._ambient = ambient
        self._sent: list[TtsRequest] = []
        self._open: set[int] = set()
        self._out: dict[int, float] = {}
        self._words: dict[int, list[Word]] = {}
        self._played: tuple[float, float] | None = None
        self._last_event = ambient.now()
        self._resend = False
        self._resent = False
        self._playing_since: float | None = None

    # What is said

    def say(self, text: str, *, last: bool = False) -> list[Publish]:
        """Send the next sentence; an empty last one closes the utterance."""
        if self.closed or self.stopped:
            return []
        subject = self._subject
        request = TtsRequest(
            utterance_id=self.id,
            session_id=subject.session_id,
            turn_id=subject.turn_id,
            revision=subject.revision,
            seq=len(self._sent),
            last=last,
            text=text,
            voice=subject.voice,
            volume=subject.volume,
            site=subject.site,
        )
        if not self._open:
            self._last_event = self._ambient.now()
        if not self._ambient.workers.ready("tts-worker"):
            self._resend = True
        self._sent.append(request)
        self._open.add(request.seq)
        self.closed = last
        return [Publish(TTS_REQUEST, request)]

    @property
    def sentences(self) -> int:
        """How many sentences were sent."""
        return sum(bool(r.text) for r in self._sent)

    @property
    def settled(self) -> bool:
        """No more audio will come."""
        return self.stopped or (self.closed and not self._open)

    @property
    def over(self) -> bool:
        """It was heard to its end, or stopped."""
        return self.stopped or (self.settled and self.heard)

    @property
    def silent(self) -> bool:
        """Nothing of it sounded."""
        return not self._out

    @property
    def duration_s(self) -> float:
        """How long what is out sounds."""
        return sum(self._out.values()) / 1000

    def spoken(self) -> str:
        """The text whose audio is out."""
        return " ".join(r.text for r in self._sent if r.seq in self._out and r.text)

    @property
    def played_ms(self) -> float:
        """How much of it has sounded by now: as the loudspeaker says, else by the clock."""
        now = self._ambient.now()
        if self._played is not None:
            told_ms, told_at = self._played
            return told_ms + min((now - told_at) * 1000, BETWEEN_REPORTS_MS)
        if self.first_audio_at is None:
            return 0.0
        return (now - self.first_audio_at) * 1000

    def cut(self, played_ms: float | None = None) -> Cut:
        """What was heard of it; ``played_ms`` is the loudspeaker's word for how far it came."""
        sentences = [
            Sounding(r.text, self._words.get(r.seq, ()), self._out.get(r.seq))
            for r in self._sent
            if r.seq in self._out or r.seq in self._open  # one that failed is not waited for
        ]
        return cut_at(sentences, self.played_ms if played_ms is None else played_ms)

    # What becomes of it

    def speech(self, event: Speech) -> None:
        """A worker told about one of its sentences."""
        if event.utterance_id != self.id or self.stopped or event.seq >= len(self._sent):
            return
        now = self._last_event = self._ambient.now()
        self.instances[event.instance] = None
        if event.event == "sentence":
            self._note_audio(event, now)
            self._open.discard(event.seq)
        elif event.event == "completed" and self._sent[event.seq].last:
            if not self._sent[event.seq].text or event.seq in self._out:
                self._open.discard(event.seq)
        elif event.event == "failed":
            self._fail(event.seq, event.error or failure("TTS_FAILED", "the voice failed"))
        elif event.event == "cancelled":
            self.error = self.error or failure("TTS_CANCELLED", "the voice was stopped")
            self.stopped = True

    def _note_audio(self, event: Speech, now: float) -> None:
        if event.seq in self._out or not event.duration_ms:
            return
        self._out[event.seq] = event.duration_ms
        self._words[event.seq] = event.words
        if self.first_audio_at is None:
            after_ms = max(0.0, event.timings.total_ms - event.timings.first_audio_ms)
            self.first_audio_at = now - after_ms / 1000

    def _fail(self, seq: int, error: WireError) -> None:
        if seq in self._open and seq not in self._out:
            self.error = self.error or error
        self._open.discard(seq)

    def unsent(self, request: TtsRequest) -> None:
        """A sentence could not be sent."""
        if request.utterance_id == self.id:
            self._fail(request.seq, failure("BROKER_AWAY", "the broker is away"))

    def playback(self, report: Playback) -> None:
        """The loudspeaker told how far it is."""
        if report.utterance_id != self.id:
            return
        if self._playing_since is None:
            self._playing_since = self._ambient.now()
        self._played = (report.played_ms, self._ambient.now())
        self.heard = self.heard or report.event in ("finished", "stopped")

    def lost(self, instance: str) -> list[Publish]:
        """A worker died."""
        if instance in self.instances or not self.instances:
            self._resend = not self._resent and bool(self._open)
        return self.ready()

    def ready(self) -> list[Publish]:
        """A voice is there: send again what died with another."""
        if not self._resend or not self._ambient.workers.ready("tts-worker"):
            return []
        self._resend, self._resent = False, True
        self._last_event = self._ambient.now()
        return [Publish(TTS_REQUEST, r) for r in self._sent if r.seq in self._open]

    def cancel(self, reason: str) -> list[Publish]:
        """Be silent."""
        if self.over or not self._sent:
            self.stopped = True
            return []
        self.stopped = True
        instances = dict.fromkeys([*self.instances, *self._ambient.workers.ready("tts-worker")])
        message = TtsCancel(utterance_id=self.id, reason=reason)
        return [Publish(TTS_CANCEL, message, {"instance": i}) for i in instances]

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`tick`."""
        if self.over:
            return None
        if self._open:
            longest = max(self._out.values(), default=0.0) / 1000
            patience = BUSY_S if self._ambient.workers.ready("tts-worker") else SILENCE_S
            return self._last_event + patience + longest
        if not self.closed:
            return None
        if self._playing_since is not None:
            return max(self._playing_since, self._last_event) + self.duration_s + LOUDSPEAKER_S
        return (self.first_audio_at or self._ambient.now()) + self.duration_s

    def tick(self) -> None:
        """Time has passed."""
        deadline = self.deadline
        if deadline is None or self._ambient.now() < deadline:
            return
        error = failure(
            "TTS_SILENT", "no tts-worker spoke", hint="is one running? `parlour doctor` tells"
        )
        for seq in list(self._open):
            self._fail(seq, error)
        if self.settled:
            self.heard = True
