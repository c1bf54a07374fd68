"""Settings of router (C026-C030, V008, V040, V047)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from parlour_contracts.config.fields import ServiceConfigModel, setting
from parlour_contracts.config.regex_guard import check_expression

DEFAULT_BOUNDARY = r"""[.!?…]+["')\]]?\s"""
"""The corrected default of X7."""

Expression = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_expression)]
Line = Annotated[str, Field(min_length=1, max_length=300)]
TimeZone = Annotated[
    str, Field(max_length=64, pattern=r"^(?:[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*)?$")
]
"""A name of the IANA time zone database; whether the machine knows it is seen when it is set."""


class RouterConfig(ServiceConfigModel):
    """How a conversation is led."""

    router_llm_tts_stream: bool = setting(
        True, "Speak while thinking", "Speak each sentence as soon as it is there."
    )
    router_stream_min_chars: int = setting(
        30, "Shortest fragment", "Characters before an answer may be cut.", ge=1, le=500
    )
    router_stream_max_chars: int = setting(
        200, "Longest fragment", "Characters after which an answer is cut.", ge=1, le=1000
    )
    router_stream_boundary_only: bool = setting(
        True, "Cut at boundaries only", "Off: cut also at a blank once long enough."
    )
    router_stream_boundary_regex: Expression = setting(
        DEFAULT_BOUNDARY, "Boundary", "Expression that ends a sentence.",
        help_text="A regular expression of at most 200 characters. It must not look back, nor "
        "refer to what it matched, and two repeats that take the same characters must not meet.",
    )  # fmt: skip
    history_messages: int = setting(
        10, "Memory", "Messages of the conversation given to the model.", ge=0, le=100
    )
    system_prompt: Annotated[str, Field(min_length=1, max_length=8000)] = setting(
        "You are a helpful voice assistant in a home. "
        "Answer in one or two short sentences of plain English.",
        "System prompt", "Who the assistant is.", complexity="simple",
    )  # fmt: skip
    think_timeout_s: float = setting(
        30.0, "Patience", "Seconds without a first sentence before giving up.", gt=0, le=120
    )
    session_idle_s: float = setting(
        1800.0, "Idle session", "Seconds of silence that end a session.", gt=0, le=86_400
    )
    session_max_s: float = setting(
        7200.0, "Longest session", "Seconds after which a session ends.", gt=0, le=86_400
    )
    barge_in: bool = setting(
        True, "Interruptions", "Somebody who speaks over a reply stops it.", complexity="simple"
    )
    barge_in_confidence: float = setting(
        0.7, "Confidence", "How sure it must be that somebody speaks over a reply.", gt=0, le=1
    )
    barge_in_speech_ms: int = setting(
        200, "Shortest interruption", "Milliseconds of speech that stop a reply.", ge=0, le=5000
    )
    nods_interrupt: bool = setting(
        False, "Nods interrupt", "On: also a mere okay or mhm ends a reply that is running."
    )
    resume_reply: bool = setting(
        True, "Go on", "Speak the rest of a reply that was interrupted by no words."
    )
    echo_similarity: float = setting(
        0.85, "Own echo", "A transcript as similar to what sounds is dropped; 1: the same words.",
        gt=0, le=1,
    )  # fmt: skip
    line_empty: Line = setting(
        "I didn't catch that, could you repeat?", "Nothing heard", "Said after an empty turn."
    )
    line_slow: Line = setting(
        "I'm having trouble processing that. Could you rephrase?",
        "Too slow", "Said when no sentence came in time.",
    )  # fmt: skip
    line_tier1: Line = setting(
        "Sorry, something went wrong. Please say that again.",
        "First failure", "Said at the first failure in a row.",
    )  # fmt: skip
    line_tier2: Line = setting(
        "I have a technical problem right now.", "Second failure", "Said at the second in a row."
    )
    line_tier3: Line = setting(
        "I can't answer at the moment. I will be back soon.",
        "More failures", "Said from the third in a row.",
    )  # fmt: skip
    rule_intents: bool = setting(
        True, "Quick commands", "Answer the time, timers, volume and such without the model.",
        complexity="simple",
        help_text="Whole phrases of English alone, such as 'set a timer for ten minutes'. Off: "
        "the language model is asked whatever was said; timers that run ring all the same.",
    )  # fmt: skip
    time_zone: TimeZone = setting(
        "", "Time zone", "Where the house is, such as Europe/Berlin; empty: as the machine.",
        complexity="simple",
    )  # fmt: skip
    timers_max: int = setting(50, "Timers", "So many timers run at once in a room.", ge=1, le=100)
    timer_max_s: int = setting(
        86_400, "Longest timer", "Seconds that a timer may run.", ge=1, le=604_800
    )
    timer_rings: int = setting(
        3, "Rings", "How often a timer rings that nobody stops.", ge=1, le=100
    )
    timer_ring_interval_s: float = setting(
        20.0, "Between rings", "Seconds from one ring of a timer to the next.", ge=5, le=600
    )

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.router_stream_max_chars < self.router_stream_min_chars:
            raise ValueError("router_stream_max_chars must not be below router_stream_min_chars")
        return self
