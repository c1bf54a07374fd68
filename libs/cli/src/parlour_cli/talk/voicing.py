"""A text in the fleet's own voice, as sound."""

from __future__ import annotations

import asyncio
from typing import Final

from parlour_audio.frames import Pcm16
from parlour_contracts.messages.tts import Speech, TtsRequest
from parlour_contracts.topics import AUDIO_OUT, SPEECH, TTS_REQUEST
from parlour_kit.ids import new_id
from parlour_kit.messenger import Frame, Messenger

from parlour_cli.talk.errors import SilenceError
from parlour_cli.talk.loudspeakers import Loudspeakers
from parlour_cli.talk.saying import SpeechFailedError

VOICE_S: Final = 30.0
LATE_FRAMES_S: Final = 0.3
"""Frames travel apart from events, so the last ones may come after the news of the end."""


async def voice(messenger: Messenger, site: str, text: str) -> tuple[Pcm16, int]:
    """Have one sentence spoken to a room where nobody else listens.

    Returns:
        The sound, mono, and its rate in Hz.

    Raises:
        SilenceError: no tts-worker spoke it.
        SpeechFailedError: it could not be spoken.
    """
    utterance_id = new_id()
    speakers = Loudspeakers()
    ended: asyncio.Future[Speech] = asyncio.get_running_loop().create_future()

    def on_frame(frame: Frame, levels: dict[str, str]) -> None:
        speakers.frame(levels["utterance_id"], frame, messenger.clock.monotonic())

    def on_speech(speech: Speech, _levels: dict[str, str]) -> None:
        over = speech.event in ("completed", "failed", "cancelled")
        if speech.utterance_id == utterance_id and over and not ended.done():
            ended.set_result(speech)

    await messenger.on_frame(AUDIO_OUT, on_frame, site=site)
    await messenger.on(SPEECH, on_speech, site=site)
    request = TtsRequest(utterance_id=utterance_id, text=text, last=True, site=site)
    await messenger.send(TTS_REQUEST, request)
    try:
        async with asyncio.timeout(VOICE_S):
            speech = await ended
    except TimeoutError:
        raise SilenceError(f"nothing was spoken within {VOICE_S:.0f} s") from None
    if speech.event != "completed":
        error = speech.error
        raise SpeechFailedError(
            error.message if error else "it was cancelled", hint=error.hint if error else None
        )
    await messenger.clock.sleep(LATE_FRAMES_S)
    await messenger.off(AUDIO_OUT, site=site)
    await messenger.off(SPEECH, site=site)
    return speakers.sound([utterance_id])
