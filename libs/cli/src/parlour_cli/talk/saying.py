"""``parlour say``: an announcement in a room, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from parlour_contracts.messages.room import Say
from parlour_contracts.messages.tts import Speech
from parlour_contracts.topics import SAY, SPEECH
from parlour_kit.messenger import Messenger

from parlour_cli.talk.errors import SilenceError, TalkError

START_S = 30.0
"""A running reply is spoken first; after that it must begin."""
SPEAK_S = 120.0


class SpeechFailedError(TalkError):
    """The voice could not speak it."""

    code = "SPEECH_FAILED"


@dataclass
class Announcement:
    """The first utterance in a room that belongs to no turn. Pure: speech events in."""

    utterance_id: str | None = None
    duration_ms: float = 0.0
    over: bool = False
    failure: Speech | None = None
    sentences: list[str] = field(default_factory=list)

    def see(self, speech: Speech) -> str | None:
        """Take an event in; returns the text of a sentence that begins."""
        if speech.turn_id is not None or self.over:
            return None
        if self.utterance_id is None and speech.event in ("started", "failed"):
            self.utterance_id = speech.utterance_id
        if speech.utterance_id != self.utterance_id:
            return None
        match speech.event:
            case "started":
                self.sentences.append(speech.text)
                return speech.text
            case "sentence":
                self.duration_ms += speech.duration_ms
            case "completed":
                self.over = True
            case "failed" | "cancelled":
                self.over, self.failure = True, speech
        return None


async def say(
    messenger: Messenger, site: str, message: Say, show: Callable[[str], None]
) -> Announcement:
    """Have a text spoken in a room and wait until its sound is out.

    Args:
        messenger: a person's connection.
        site: the room.
        message: what to say.
        show: told each sentence as it begins.

    Raises:
        SilenceError: nothing began, or it never ended.
        SpeechFailedError: the voice failed, or it was cancelled.
    """
    announcement = Announcement()
    news = asyncio.Event()

    def on_speech(speech: Speech, _levels: dict[str, str]) -> None:
        sentence = announcement.see(speech)
        if sentence is not None:
            show(sentence)
        news.set()

    async def until(happened: Callable[[], bool], within: float, failure: str) -> None:
        try:
            async with asyncio.timeout(within):
                while not happened():
                    news.clear()
                    await news.wait()
        except TimeoutError:
            raise SilenceError(f"{failure} within {within:.0f} s",
                               hint="parlour doctor looks for the cause") from None  # fmt: skip

    await messenger.on(SPEECH, on_speech, site=site)
    await messenger.send(SAY, message, site=site)
    await until(lambda: announcement.utterance_id is not None, START_S, "nothing was spoken")
    await until(lambda: announcement.over, SPEAK_S, "the speech did not end")
    failed = announcement.failure
    if failed is not None:
        error = failed.error
        raise SpeechFailedError(
            error.message if error else "it was cancelled",
            code=error.code if error else "CANCELLED", hint=error.hint if error else "",
        )  # fmt: skip
    return announcement
