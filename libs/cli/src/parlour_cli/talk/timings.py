"""Where the time of a turn went. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from parlour_contracts.messages.room import TurnTimings


@dataclass(frozen=True)
class Timings:
    """The waterfall of a turn in milliseconds; None where a part did not occur.

    The first four follow each other and add up to the last. It begins when the frame with the
    last sample of speech was sent and ends when the first audible sample is heard, both on the
    sender's clock. The two middle ones are the router's; what lies between its first sentence
    and the loudspeaker is the rest.
    """

    speech_end_to_final_ms: float | None = None
    final_to_first_token_ms: float | None = None
    first_token_to_first_sentence_ms: float | None = None
    first_sentence_to_first_audio_ms: float | None = None
    speech_end_to_first_audio_ms: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """By name, as ``--json`` prints them."""
        return asdict(self)


def measure(
    *,
    speech_end: float | None,
    final: float | None,
    audible: float | None,
    router: TurnTimings,
) -> Timings:
    """Put together what the sender saw and what the router told.

    Args:
        speech_end: when the last frame with speech was sent; None for a typed question.
        final: when the transcript came, or a typed question was sent.
        audible: when the first audible sample of the reply is heard.
        router: the durations of its trace.
    """
    token = _rounded(router.final_to_first_token_ms)
    sentence = _rounded(router.first_token_to_first_sentence_ms)
    hearing = _between(speech_end, final)
    answering = _between(final, audible)
    rest: float | None = None
    total: float | None = None
    if hearing is not None and answering is not None:
        total = round(hearing + answering, 1)
    if answering is not None and token is not None and sentence is not None:
        rest = round(answering - token - sentence, 1)
    return Timings(hearing, token, sentence, rest, total)


def _between(start: float | None, end: float | None) -> float | None:
    if start is None or end is None or end < start:
        return None
    return round((end - start) * 1000, 1)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
