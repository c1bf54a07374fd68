"""Something that is said whole: its text is known when it begins. Pure."""

from __future__ import annotations

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmRequest
from parlour_contracts.messages.room import Playback
from parlour_contracts.messages.tts import Speech, TtsRequest

from router.ambient import Ambient, Publish
from router.chunker import Chunker, Limits
from router.delivery import Delivery, Subject
from router.progress import Cut
from router.turn import Output


class Utterance:
    """What is common to all that: sentences out, what becomes of them back.

    Attributes:
        subject: where and how it is said.
        cut: how far it was heard, once it was stopped.
    """

    def __init__(self, text: str, subject: Subject, config: RouterConfig, ambient: Ambient) -> None:
        chunker = Chunker(Limits.of(config))
        self._fragments = chunker.feed(text) + chunker.finish()
        self.subject = subject
        self.cut: Cut | None = None
        self._delivery = Delivery(subject, ambient)

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
        return self._result()

    def playback(self, report: Playback) -> Output:
        """The loudspeaker told how far it is."""
        self._delivery.playback(report)
        return self._result()

    def lost(self, instance: str) -> Output:
        """A worker died."""
        return self._result(self._delivery.lost(instance))

    def ready(self) -> Output:
        """A worker became ready."""
        return self._result(self._delivery.ready())

    def unsent(self, message: LlmRequest | TtsRequest) -> Output:
        """A message could not be sent."""
        if isinstance(message, TtsRequest):
            self._delivery.unsent(message)
        return self._result()

    def tick(self) -> Output:
        """Time has passed."""
        self._delivery.tick()
        return self._result()

    def cancel(self, reason: str, played_ms: float | None = None) -> Output:
        """Be silent; ``played_ms``: how far the loudspeaker came, if it said so."""
        if self.over:
            return Output()
        self.cut = self._delivery.cut(played_ms)
        return Output(self._delivery.cancel(reason))

    def _result(self, messages: list[Publish] | None = None) -> Output:
        """What a step leads to."""
        return Output(messages or [])
