"""What the router sees: the stages of each turn, the states of rooms, the model's answers.

No metric names a room: a home is small, whoever reads the metrics should not learn who speaks
where, and what comes in must not make series.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from parlour_kit.metrics.registry import TURN_BUCKETS_S, Capped, Group, begin_at_zero

STATE_BUCKETS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 1800.0)
WAITS = ("endpoint", "transcript", "first_token", "first_sentence", "first_audio")
"""The stages that somebody waits through who has asked something."""

OUTCOMES = ("replied", "empty", "cancelled", "failed")
ANSWERS = ("done", "failed", "cancelled", "abandoned")
STATES = ("INITIALIZING", "LISTENING", "THINKING", "RESPONDING", "INTERRUPTED", "ENDED")
ALERTS = ("thinking_long", "responding_long", "interrupted_often")
STAGES = (*WAITS, "reply_end", "voice_to_voice")
REMEMBERED = 4096
"""Requests that are waited for at once; those before are given up."""

_group = Group("router")

turn_stage = _group.histogram(
    "parlour_turn_stage_seconds",
    "Stages of a turn, each from the end of the one before: endpoint (speech ended, perhaps), "
    "transcript, first_token (0 where no model is asked), first_sentence, first_audio; reply_end "
    "is from the transcript to the end of the reply, voice_to_voice from the last word to the "
    "first sound of the reply",
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
commands = _group.counter(
    "parlour_commands_total",
    "Turns that were answered without a language model, by what was wanted",
    ["intent"],
)
alerts = _group.counter(
    "parlour_alerts_total",
    "Conversations to look at: thinking_long (5 s without a sentence), responding_long (15 s), "
    "interrupted_often (the sixth time in one session)",
    ["alert"],
)

_outcome = Capped(8)
_code = Capped(50, r"[A-Z][A-Z0-9_]{0,63}")
_state = Capped(8)
_intent = Capped(50)
_stages = {stage: turn_stage.labels(stage) for stage in STAGES}
begin_at_zero(turns, OUTCOMES)
begin_at_zero(model_responses, ANSWERS)
begin_at_zero(conversation_state, STATES)
begin_at_zero(alerts, ALERTS)


def turn_over(outcome: str, code: str | None, stages_ms: Mapping[str, float | None]) -> None:
    """A turn is over.

    Args:
        outcome: how.
        code: of what went wrong, if anything did.
        stages_ms: milliseconds by the names of :data:`STAGES`; None did not occur. Where all of
            :data:`WAITS` did, their sum is ``voice_to_voice``; a typed question has none.
    """
    turns.labels(_outcome(outcome)).inc()
    if code is not None:
        turn_errors.labels(_code(code)).inc()
    for stage, took_ms in stages_ms.items():
        if took_ms is not None:
            _stages[stage].observe(took_ms / 1000)
    waits = [took for stage in WAITS if (took := stages_ms.get(stage)) is not None]
    if len(waits) == len(WAITS):
        _stages["voice_to_voice"].observe(sum(waits) / 1000)


def left_state(state: str, seconds: float) -> None:
    """A conversation left a state in which it was for so long (V044)."""
    conversation_state.labels(_state(state)).observe(seconds)


def begin_commands(intents: Iterable[str]) -> None:
    """What can be wanted without a language model."""
    begin_at_zero(commands, [_intent(intent) for intent in intents])


def command(intent: str) -> None:
    """A turn needed no language model (R006)."""
    commands.labels(_intent(intent)).inc()


def alert(name: str) -> None:
    """A conversation should be looked at (V045)."""
    alerts.labels(name).inc()


class ModelCalls:
    """Follows the requests of one router to language models (R009)."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def asked(self, request_id: str, turn_id: str, now_s: float) -> None:
        """A request went out; one that goes out again goes on."""
        model_requests.inc()
        self._open.setdefault(request_id, (turn_id, now_s))
        if len(self._open) > REMEMBERED:
            self._open.popitem(last=False)
        model_in_flight.set(len(self._open))

    def over(self, request_id: str, kind: str, now_s: float) -> None:
        """Its answer is complete, it failed, or nobody wants it any more."""
        request = self._open.pop(request_id, None)
        if request is None:
            return
        model_in_flight.set(len(self._open))
        model_responses.labels(kind).inc()
        model_latency.observe(max(0.0, now_s - request[1]))

    def turn_over(self, turn_id: str, now_s: float) -> None:
        """Nobody waits any more for what its turn has asked."""
        for request_id in [r for r, (turn, _) in self._open.items() if turn == turn_id]:
            self.over(request_id, "abandoned", now_s)
