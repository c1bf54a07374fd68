"""What the metrics make of the sentences that come, and of those that are spoken."""

from __future__ import annotations

from parlour_contracts.messages.tts import TtsTimings
from parlour_kit.metrics import speaking, work

from tts_worker.queueing import Offer
from tts_worker.session import Spoken

_DROPPED_AS: dict[Offer, work.Reason] = {
    Offer.VOID: "stale",
    Offer.DUPLICATE: "duplicate",
    Offer.FULL: "full",
}


def offered(offer: Offer) -> None:
    """What became of a request that came."""
    if offer is not Offer.QUEUED:
        work.dropped(_DROPPED_AS[offer])


def cancelled(utterances: int) -> None:
    """So many utterances became void that were not spoken to their end."""
    work.dropped("cancelled", utterances)


def spoken(sentence: Spoken, timings: TtsTimings) -> None:
    """A sentence was spoken."""
    speaking.sentence_spoken(
        timings.queue_ms / 1000,
        sentence.first_audio_ms / 1000,
        sentence.total_ms / 1000,
        sentence.duration_ms / 1000,
    )


def failed() -> None:
    """A sentence was not spoken."""
    speaking.sentence("failed")
