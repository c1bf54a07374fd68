"""What the router sees: the stages of each turn, the states of rooms, the model's answers.

No metric names a room: a home is small, whoever reads the metrics should not learn who speaks
where, and what comes in must not make series.
"""

from __future__ import annotations

from collections import OrderedDict

from parlour_kit.metrics.registry import TURN_BUCKETS_S, Capped, Group

STATE_BUCKETS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 1800.0)
STAGES = ("endpoint", "transcript", "first_token", "first_sentence", "first_audio", "reply_end",
          "voice_to_voice")  # fmt: skip
REMEMBERED = 4096
"""Requests that are waited for at once; those before are given up."""

_group = Group("router")

turn_stage = _group.histogram(
    "parlour_turn_stage_seconds",
    "Stages of a turn, each from the end of the one before: endpoint (speech ended, perhaps), "
    "transcript, first_token, first_sentence, first_audio; reply_end is from the transcript to "
    "the end of the reply, voice_to_voice from the last word to the first sound of the reply",
    ["stage"],
    buckets=TURN_BUCKETS_S,
)
turns = _group.counter(
    "parlour_turns_total", "Turns by how they ended: replied, empty, cancelled, failed",
    ["outcome"],
)  # fmt: skip
turn_errors = _group.counter(
    "parlour_turn_errors_total", "Turns that something went wrong with, by its code", ["code"]
)
conversation_state = _group.histogram(
    "parlour_conversation_state_seconds",
    "How long a conversation was in a state when it left it",
    ["state"],
    buckets=STATE_BUCKETS_S,
)
conversations = _group.gauge("parlour_conversations", "Rooms that the router knows")
model_requests = _group.counter("parlour_model_requests_total", "Requests to a language model")
model_responses = _group.counter(
    "parlour_model_responses_total", "Answers of a language model by how they ended", ["kind"]
)
model_in_flight = _group.gauge(
    "parlour_model_requests_in_flight", "Requests to a language model that are not answered yet"
)
model_latency = _group.histogram(
    "parlour_model_response_seconds",
    "From a request to the end of its answer; their mean is _sum by _count",
    buckets=TURN_BUCKETS_S,
)
sentences = _group.counter("parlour_sentences_sent_total", "Sentences given to be spoken")

_outcome = Capped(8)
_code = Capped(50, r"[A-Z][A-Z0-9_]{0,63}")
_state = Capped(8)
_stages = {stage: turn_stage.labels(stage) for stage in STAGES}


def turn_over(
    outcome: str, code: str | None, *, stages_ms: dict[str, float | None], first_sound: bool
) -> None:
    """A turn is over.

    Args:
        outcome: how.
        code: of what went wrong, if anything did.
        stages_ms: milliseconds by the names of :data:`STAGES`; None did not occur.
        first_sound: whether the reply was heard, so that the stages up to it add up to
            ``voice_to_voice``.
    """
    turns.labels(_outcome(outcome)).inc()
    if code is not None:
        turn_errors.labels(_code(code)).inc()
    for stage, took_ms in stages_ms.items():
        if took_ms is not None:
            _stages[stage].observe(took_ms / 1000)
    if first_sound:
        waited = sum(took or 0.0 for stage, took in stages_ms.items() if stage != "reply_end")
        _stages["voice_to_voice"].observe(waited / 1000)


def left_state(state: str, seconds: float) -> None:
    """A conversation left a state in which it was for so long (V044)."""
    conversation_state.labels(_state(state)).observe(seconds)


class ModelCalls:
    """Follows the requests of one router to language models (R009)."""

    def __init__(self) -> None:
        self._since: OrderedDict[str, float] = OrderedDict()

    def asked(self, request_id: str, now_s: float) -> None:
        """A request went out; one that goes out again goes on."""
        model_requests.inc()
        self._since.setdefault(request_id, now_s)
        if len(self._since) > REMEMBERED:
            self._since.popitem(last=False)
        model_in_flight.set(len(self._since))

    def over(self, request_id: str, kind: str, now_s: float) -> None:
        """Its answer is complete, it failed, or nobody wants it any more."""
        since = self._since.pop(request_id, None)
        if since is None:
            return
        model_in_flight.set(len(self._since))
        model_responses.labels(kind).inc()
        model_latency.observe(max(0.0, now_s - since))
