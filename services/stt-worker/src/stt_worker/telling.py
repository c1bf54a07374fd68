"""What stt-worker says: that it listens to a turn, and what it heard."""

from __future__ import annotations

import structlog
from parlour_contracts.messages.turn import Transcript, TurnClaimed
from parlour_contracts.topics import STT_AUDIO, TRANSCRIPT, TURN_CLAIMED
from parlour_kit.clock import Clock
from parlour_kit.errors import BusError
from parlour_kit.messenger import Messenger

from stt_worker import report
from stt_worker.actions import Concluded
from stt_worker.measuring import Happenings
from stt_worker.session import LEASE_MS
from stt_worker.turn import Turn

RETRIES_S = (0.25, 0.5, 1.0, 2.0)
"""Waits between attempts to deliver a transcript while the broker is away."""


class Teller:
    """Sends claims and transcripts, and notes how turns end."""

    def __init__(
        self,
        messenger: Messenger,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        counts: Happenings,
    ) -> None:
        self._messenger = messenger
        self._clock = clock
        self._log = log
        self._counts = counts

    def report(self, turn: Turn, over: Concluded, transcribe_ms: float = 0.0) -> Transcript:
        """The message that ends a turn's hearing; it is counted and logged."""
        self._counts.over(over.kind, turn.hearing.counts)
        message = report.transcript(turn.opened, turn.language, over, transcribe_ms)
        frames = turn.hearing.counts
        self._log.info(
            "turn heard", turn_id=turn.opened.turn_id, site=turn.site,
            attempt=turn.opened.attempt, kind=over.kind, reason=over.reason,
            confidence=round(message.confidence, 3), timings=message.timings.model_dump(),
            frames=frames.taken, lost=frames.lost, late=frames.late, duplicate=frames.duplicate,
        )  # fmt: skip
        return message

    async def claim(self, turn: Turn) -> None:
        """Say where the frames of a turn are to be sent."""
        opened, instance = turn.opened, self._messenger.instance
        topic = STT_AUDIO.topic(instance=instance, site=turn.site, turn_id=opened.turn_id)
        message = TurnClaimed(turn_id=opened.turn_id, attempt=opened.attempt, instance=instance,
                              audio_topic=topic, lease_ms=LEASE_MS)  # fmt: skip
        await self._messenger.send(TURN_CLAIMED, message, site=turn.site)

    async def send(self, site: str, message: Transcript) -> None:
        """Send it; what ends a turn is tried again while the broker is away."""
        for wait in (*RETRIES_S, None):
            try:
                await self._messenger.send(TRANSCRIPT, message, site=site)
            except BusError as error:
                if wait is None or not error.retryable or message.kind in ("partial", "soft_final"):
                    raise
                await self._clock.sleep(wait)
            else:
                return
