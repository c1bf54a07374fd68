"""The hearing of one turn: frames in, actions out; no clock, no network, no thread.

    LISTENING ──endpoint──▶ TRANSCRIBING ──▶ DONE (final, empty or failed)
        └── wrong format, silence on the wire, nobody spoke ──▶ DONE;  abort ends it from anywhere

Each hearing concludes exactly once: whatever comes after that changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from parlour_audio.decoder import StreamDecoder
from parlour_audio.frames import Samples
from parlour_audio.segmenter import (
    Doubtful,
    Endpoint,
    Event,
    Segmenter,
    SegmenterSettings,
    SoftEndpoint,
)
from parlour_audio.vad import SpeechProbability, WindowedVad
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import AudioFormat

from stt_worker.actions import (
    Action,
    Clip,
    Concluded,
    Consider,
    LookAhead,
    Transcribe,
)
from stt_worker.engine import RATE, Recognition
from stt_worker.gate import is_sure, was_said
from stt_worker.ordering import FrameOrder, Lost
from stt_worker.partials import PartialPolicy
from stt_worker.presuming import Presumption
from stt_worker.sound import Sound

LEASE_MS = 5000
"""A turn without a frame for so long has lost its satellite."""

MAX_FRAME_MS = 200.0
"""Frames are 10 to 100 ms; judging a longer one would hold up the other rooms."""

MAX_CONCEALED_MS = 1000.0
"""More lost sound than this is left out, not filled with silence."""

BLUR_MS = 700.0
"""So much the speech detector may be wrong about where speech begins and ends.

On recorded commands it was late by up to 0.4 s on a soft first syllable; cut there, the
recogniser invents another sentence. The speech pad comes on top. In a window that is filled up
anyway both cost nothing.
"""

KEPT_MS = BLUR_MS + 1200.0
"""Sound kept while nobody speaks: the blur, the longest speech pad, and the frames around it."""

MIN_WORD_MS = 64.0
"""A sound with less speech in it than this is no word."""


class State(Enum):
    """Where a hearing stands."""

    LISTENING = "listening"
    TRANSCRIBING = "transcribing"
    DONE = "done"


@dataclass(frozen=True)
class HearingSettings:
    """What of the configuration a hearing needs; may change at every frame."""

    segmenter: SegmenterSettings
    speech_pad_ms: float
    mix: bool
    partials: bool
    ahead: bool

    @classmethod
    def of(cls, config: STTWorkerConfig) -> HearingSettings:
        """Read the settings."""
        return cls(
            SegmenterSettings(
                config.vad_threshold,
                config.vad_silence_duration_ms,
                config.max_utterance_ms,
                config.no_speech_timeout_ms,
                config.min_speech_ms,
            ),
            config.vad_speech_pad_ms,
            config.channels == 2,
            config.streaming_partials,
            config.transcribe_ahead,
        )


@dataclass(frozen=True)
class _Frame:
    payload: bytes
    end: bool


class Hearing:
    """One turn, from its claim to its conclusion.

    Args:
        form: the format that the turn was opened with.
        model: judges windows; it belongs to this hearing until it is over.
        settings: see `HearingSettings`; replace ``settings`` at any time.
        now_s: monotonic seconds; so are the later ones.

    Raises:
        AudioError: the format is not supported.
    """

    def __init__(
        self, form: AudioFormat, model: SpeechProbability, settings: HearingSettings, now_s: float
    ) -> None:
        self.state = State.LISTENING
        self.settings = settings
        self._form = form
        self._decoder = StreamDecoder(
            form.rate, form.channels, form.encoding, RATE, mix=settings.mix
        )
        self._order: FrameOrder[_Frame] = FrameOrder()
        self.counts = self._order.counts
        self.malformed = 0
        self._vad = WindowedVad(model)
        self._segmenter = Segmenter(settings.segmenter)
        self._sound = Sound()
        self._partials = PartialPolicy()
        self._presumption = Presumption()
        self._frame_ms = 20.0
        self.ended_s = now_s
        """When the endpoint came; before, when the hearing began."""
        self._heard_at_s = now_s
        self._spoken_at_s = now_s
        self._speech_end_ms: float | None = None
        self._doubt: tuple[tuple[float, float], float] | None = None

    def frame(self, payload: bytes, properties: Mapping[str, str], now_s: float) -> list[Action]:
        """Take one frame as it came from the wire."""
        if self.state is not State.LISTENING:
            return []
        seq = _number(properties.get("seq"))
        if seq is None:
            self.malformed += 1
            return []
        if not self._fits(properties):
            return self._conclude(
                Concluded(
                    "failed", "the frames are not in the format that the turn was opened with"
                )
            )
        if self._decoder.duration_ms(payload) > MAX_FRAME_MS:
            return self._conclude(Concluded("failed", "a frame must be of 10 to 100 ms"))
        wild = self.counts.wild
        ordered = self._order.push(seq, _Frame(payload, properties.get("end") == "1"), now_s)
        if self.counts.wild == wild:
            self._heard_at_s = now_s
        return self._digest(ordered, now_s)

    def tick(self, now_s: float) -> list[Action]:
        """Time has passed: give up what is late; fail when nothing comes any more."""
        if self.state is not State.LISTENING:
            return []
        actions = self._digest(self._order.tick(now_s), now_s)
        if not actions and (now_s - self._heard_at_s) * 1000 >= LEASE_MS:
            return self._conclude(Concluded("failed", f"no audio for {LEASE_MS} ms"))
        return actions

    def heard(self, clip: Clip, recognition: Recognition) -> Concluded | None:
        """The recogniser has answered for the whole clip."""
        span_ms = clip.speech_end_ms - clip.speech_start_ms
        if was_said(recognition, clip.active_ms, span_ms, asked=clip.asked):
            revision = self._presumption.revision_of(recognition)
            return self._over(Concluded("final", None, clip, recognition, revision))
        return self._over(Concluded("empty", "nothing intelligible was said", clip))

    def presumed(self, clip: Clip, recognition: Recognition | None) -> list[Action]:
        """The recogniser has answered ahead of the endpoint; None: it could not, or was not asked.

        Where the endpoint has come meanwhile, that is the end of it.
        """
        if self.state is State.DONE or not self._presumption.answered(clip, recognition):
            return []
        confirmed = self._presumption.confirmed
        if confirmed is None:
            return []
        return (
            [Transcribe(confirmed)] if recognition is None else self._said(confirmed, recognition)
        )

    def still_presumes(self, clip: Clip) -> bool:
        """Whether nobody has spoken since the clip was cut."""
        last_ms = self._segmenter.last_speech_ms
        return self.state is not State.DONE and last_ms in (None, clip.speech_end_ms)

    def considered(self, clip: Clip, recognition: Recognition) -> Concluded | None:
        """The recogniser has answered for a short sound: a sure word ends the turn.

        Not when somebody has begun to speak since: then the turn is about that.
        """
        if self.state is not State.LISTENING or self._segmenter.last_speech_ms is not None:
            return None
        if not is_sure(recognition):
            return None
        return self.heard(clip, recognition)

    def broke(self, reason: str) -> Concluded | None:
        """The recogniser, or the worker, cannot do it."""
        return self._over(Concluded("failed", reason))

    def glimpsed(self, recognition: Recognition) -> str | None:
        """A partial text, if it is worth telling and the turn is not over."""
        text = recognition.text
        if self.state is State.LISTENING and self._partials.worth(text):
            return text
        return None

    def abort(self) -> None:
        """The turn is void: nothing more comes of it."""
        self.state = State.DONE

    def _fits(self, properties: Mapping[str, str]) -> bool:
        """Whether the frame is in the turn's format; what it does not say is taken as such."""
        expected = {
            "rate": str(self._form.rate),
            "channels": str(self._form.channels),
            "encoding": self._form.encoding,
        }
        return all(properties.get(key, value) == value for key, value in expected.items())

    def _digest(self, ordered: list[_Frame | Lost], now_s: float) -> list[Action]:
        actions: list[Action] = []
        for item in ordered:
            if self.state is not State.LISTENING:
                break
            self._segmenter.settings = self.settings.segmenter
            if isinstance(item, Lost):
                missing_ms = item.count * self._frame_ms
                if missing_ms <= MAX_CONCEALED_MS:
                    self._listen(self._decoder.conceal(missing_ms), now_s, actions)
                continue
            self._frame_ms = self._decoder.duration_ms(item.payload) or self._frame_ms
            self._listen(self._decoder.feed(item.payload), now_s, actions)
            if item.end:
                self._finish(now_s, actions)
        self._reconsider(now_s, actions)
        self._look_ahead(now_s, actions)
        return actions

    def _listen(self, samples: Samples, now_s: float, actions: list[Action]) -> None:
        self._sound.append(samples)
        for probability, start_ms, end_ms in self._vad.push(samples):
            self._judge(self._segmenter.push(probability, start_ms, end_ms), now_s, actions)
        hold_ms = self._segmenter.hold_ms
        self._sound.forget((self._sound.end_ms if hold_ms is None else hold_ms) - KEPT_MS)

    def _finish(self, now_s: float, actions: list[Action]) -> None:
        self._listen(self._decoder.finish(), now_s, actions)
        for probability, start_ms, end_ms in self._vad.finish():
            self._judge(self._segmenter.push(probability, start_ms, end_ms), now_s, actions)
        self._judge(self._segmenter.finish(self._sound.end_ms), now_s, actions)

    def _judge(self, events: tuple[Event, ...], now_s: float, actions: list[Action]) -> None:
        last_ms = self._segmenter.last_speech_ms
        if last_ms is not None and last_ms != self._speech_end_ms:
            self._speech_end_ms = last_ms
            self._spoken_at_s = now_s
        for event in events:
            if isinstance(event, SoftEndpoint):
                span = self._segmenter.speech
                if self.settings.ahead and not event.last and span is not None:
                    clip = self._clip(span, span[1] - span[0], now_s)
                    actions.append(self._presumption.begin(clip))
            elif isinstance(event, Doubtful):
                if event.active_ms >= MIN_WORD_MS:
                    span = (event.speech_start_ms, event.speech_end_ms)
                    actions.append(Consider(self._clip(span, event.active_ms, now_s)))
                    self._doubt = (span, event.active_ms)
            elif isinstance(event, Endpoint):
                actions += self._ended(event, now_s)

    def _ended(self, end: Endpoint, now_s: float) -> list[Action]:
        if end.speech_start_ms is None or end.speech_end_ms is None:
            return self._conclude(Concluded("empty", "nobody spoke"))
        self.state = State.TRANSCRIBING
        self.ended_s = now_s
        span = (end.speech_start_ms, end.speech_end_ms)
        clip = self._clip(span, end.active_ms, now_s, asked=end.reason == "end")
        if self._presumption.confirm(clip):
            heard = self._presumption.recognition
            return [] if heard is None else self._said(clip, heard)
        return [Transcribe(clip)]

    def _said(self, clip: Clip, recognition: Recognition) -> list[Action]:
        over = self.heard(clip, recognition)
        return [] if over is None else [over]

    def _reconsider(self, now_s: float, actions: list[Action]) -> None:
        """A short word may end after the detector has lost it: look again, with what followed."""
        if self._doubt is None or self.state is not State.LISTENING:
            return
        span, active_ms = self._doubt
        if self._segmenter.last_speech_ms is not None:
            self._doubt = None
        elif self._sound.end_ms >= span[1] + self._margin_ms:
            self._doubt = None
            if not any(isinstance(action, Consider) for action in actions):
                actions.append(Consider(self._clip(span, active_ms, now_s)))

    def _look_ahead(self, now_s: float, actions: list[Action]) -> None:
        speech = self._segmenter.speech
        if not self.settings.partials or speech is None or self.state is not State.LISTENING:
            return
        if self._partials.due(now_s, speech[1] - speech[0]):
            actions.append(LookAhead(self._clip(speech, speech[1] - speech[0], now_s)))

    def _clip(
        self, speech: tuple[float, float], active_ms: float, now_s: float, *, asked: bool = False
    ) -> Clip:
        """The sound around speech, as far as it has come."""
        start_ms, end_ms = speech
        margin_ms = self._margin_ms
        if asked:
            samples, from_ms = self._sound.cut(self._sound.start_ms, self._sound.end_ms)
        else:
            samples, from_ms = self._sound.cut(start_ms - margin_ms, end_ms + margin_ms)
        wait_ms = max((now_s - self._spoken_at_s) * 1000, 0.0)
        return Clip(samples, from_ms, start_ms, end_ms, active_ms, wait_ms, asked)

    @property
    def _margin_ms(self) -> float:
        """Sound on either side of the speech that the recogniser gets."""
        return BLUR_MS + self.settings.speech_pad_ms

    def _conclude(self, how: Concluded) -> list[Action]:
        over = self._over(how)
        return [] if over is None else [over]

    def _over(self, how: Concluded) -> Concluded | None:
        if self.state is State.DONE:
            return None
        self.state = State.DONE
        return how


def _number(text: str | None) -> int | None:
    """A frame's number: plain decimal digits, at most ten."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    return int(text)
