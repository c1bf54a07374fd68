"""A turn that is being heard, and everything that is held for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from parlour_audio.vad import SpeechProbability
from parlour_contracts.messages.turn import TurnOpen

from stt_worker.actions import Clip
from stt_worker.ears import Ear
from stt_worker.session import Hearing


@dataclass(eq=False)
class Turn:
    """A turn that this worker has claimed."""

    site: str
    opened: TurnOpen
    language: str
    hearing: Hearing
    vad: SpeechProbability
    ear: Ear
    jobs: set[asyncio.Task[None]] = field(default_factory=set)
    glimpsing: bool = False
    presuming: tuple[Clip, asyncio.Task[None]] | None = None
    """What is recognised ahead of the endpoint, and by what."""

    def drop_void(self) -> None:
        """Stop what is presumed of a pause after which somebody went on."""
        if self.presuming is not None and not self.hearing.still_presumes(self.presuming[0]):
            self.presuming[1].cancel()
