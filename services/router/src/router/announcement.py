"""Something to say that nobody asked for. Pure.

It is no turn: it has no trace, stays out of the history, and the room goes on listening for
its wake word alone while and after it sounds.
"""

from __future__ import annotations

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmRequest
from parlour_contracts.messages.room import Playback, Say
from parlour_contracts.messages.tts import Speech, TtsRequest

from router.ambient import Ambient
from router.chunker import Chunker, Limits
from router.delivery import Delivery, Subject
from router.progress import Cut
from router.turn import Output


class Announcement:
    """One ``say``."""

    def __init__(self, site: str, say: Say, config: RouterConfig, ambient: Ambient) -> None:
        chunker = Chunker(Limits.of(config))
        self._fragments = chunker.feed(say.text) + chunker.finish()
        self.subject = Subject(site, voice=say.voice, volume=say.volume)
        self.cut: Cut | None = None
        self._delivery = Delivery(self.subject, ambient)

    @property
    def over(self) -> bool:
        """It was heard, or stopped."""
        return self._delivery.over

    @property
    def utterance_id(self) -> str:
        """What it says."""
        return self._delivery.id

    @property
    def sounded(self) -> str:
        """What of it has sounded, or is about to."""
        return self._delivery.spoken()

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`tick`."""
        return self._delivery.deadline

    def begin(self) -> Output:
        """Say it."""
        output = Output()
        for fragment in self._fragments[:-1]:
            output.messages += self._delivery.say(fragment)
        output.messages += self._delivery.say("".join(self._fragments[-1:]), last=True)
        return output

    def speech(self, event: Speech) -> Output:
        """A tts-worker told about a sentence."""
        self._delivery.speech(event)
        return Output()

    def playback(self, report: Playback) -> Output:
        """The loudspeaker told how far it is."""
        self._delivery.playback(report)
        return Output()

    def lost(self, instance: str) -> Output:
        """A worker died."""
        return Output(self._delivery.lost(instance))

    def ready(self) -> Output:
        """A worker became ready."""
        return Output(self._delivery.ready())

    def unsent(self, message: LlmRequest | TtsRequest) -> Output:
        """A message could not be sent."""
        if isinstance(message, TtsRequest):
            self._delivery.unsent(message)
        return Output()

    def tick(self) -> Output:
        """Time has passed."""
        self._delivery.tick()
        return Output()

    def cancel(self, reason: str, played_ms: float | None = None) -> Output:
        """Be silent; ``played_ms``: how far the loudspeaker came, if it said so."""
        if not self.over:
            self.cut = self._delivery.cut(played_ms)
        return Output(self._delivery.cancel(reason))
