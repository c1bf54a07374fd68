"""What llm-worker measures: tokens, how fast they come, and what a request waits for."""

from __future__ import annotations

from parlour_kit.metrics.registry import TURN_BUCKETS_S, Capped, Group, begin_at_zero

TOKENS_PER_S = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0)

_group = Group("llm-worker")

tokens = _group.counter(
    "parlour_llm_tokens_total",
    "Tokens: prompt (all of it), cached (of the prompt, not computed again), completion",
    ["kind"],
)
tokens_per_second = _group.histogram(
    "parlour_llm_tokens_per_second",
    "How fast an answer came, from its first token to its end",
    buckets=TOKENS_PER_S,
)
queue_wait = _group.histogram(
    "parlour_llm_queue_seconds", "From a request's arrival to its beginning",
    buckets=TURN_BUCKETS_S,
)  # fmt: skip
prefill = _group.histogram(
    "parlour_llm_prefill_seconds", "Reading the prompt, until an answer can begin",
    buckets=TURN_BUCKETS_S,
)  # fmt: skip
first_token = _group.histogram(
    "parlour_llm_first_token_seconds", "From a request's arrival to its first token",
    buckets=TURN_BUCKETS_S,
)  # fmt: skip
replies = _group.counter(
    "parlour_llm_replies_total", "Requests by how they ended: done, failed or superseded",
    ["kind"],
)  # fmt: skip

_kind = Capped(8)
begin_at_zero(tokens, ("prompt", "cached", "completion"))
begin_at_zero(replies, ("done", "failed", "superseded"))


def reply_over(kind: str) -> None:
    """A request is over."""
    replies.labels(_kind(kind)).inc()


def computed(
    *,
    prompt: int,
    cached: int,
    completion: int,
    queue_s: float,
    prefill_s: float,
    first_s: float,
    total_s: float,
) -> None:
    """An answer was computed to its end.

    Args:
        prompt: tokens of the prompt.
        cached: those that needed no computing.
        completion: tokens of the answer.
        queue_s: from the arrival to the beginning.
        prefill_s: for the prompt; 0 where it is not known.
        first_s: from the arrival to the first token.
        total_s: from the arrival to the end.
    """
    for kind, count in (("prompt", prompt), ("cached", cached), ("completion", completion)):
        tokens.labels(kind).inc(count)
    queue_wait.observe(queue_s)
    if prefill_s > 0:
        prefill.observe(prefill_s)
    if first_s > 0:
        first_token.observe(first_s)
        # The first token begins the time, so it is not one of those that came within it.
        if completion > 1 and total_s > first_s:
            tokens_per_second.observe((completion - 1) / (total_s - first_s))
