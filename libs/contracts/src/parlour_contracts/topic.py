"""What a topic is: a pattern of levels, a payload, a delivery, and who is on each side."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from parlour_contracts.base import NAME_PATTERN

MAX_JSON_BYTES = 65_536
MAX_LLM_BYTES = 262_144
MAX_FRAME_BYTES = 65_536
"""A frame of 100 ms at 48 kHz stereo PCM16 is 19,200 bytes."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LEVELS = {
    "turn_id": _UUID,
    "utterance_id": _UUID,
    "op": r"[a-z_]{1,32}",
    "config": rf"(?:{NAME_PATTERN}|_all)",
}
"""The form of a level where it is not a name; ``config`` is a service or all of them."""

_FIELD = re.compile(r"\{([a-z_]+)\}")


class Payload(Protocol):
    """A model that knows its own bytes."""

    def encode(self) -> bytes:
        """The bytes that go on the wire."""
        ...

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the bytes of a message; raises ValueError when they are not one."""
        ...


M = TypeVar("M", bound=Payload)


class BadTopicError(ValueError):
    """A topic was asked for with a level missing or malformed."""


@dataclass(frozen=True)
class TopicBase:
    """What every topic has: its name, pattern, delivery and the roles on both sides."""

    name: str
    pattern: str
    qos: int
    retain: bool
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    summary: str
    max_bytes: int = MAX_JSON_BYTES
    shared: str | None = None
    """The service whose instances share this work: it is read through ``$share/<service>/…``."""

    @property
    def params(self) -> tuple[str, ...]:
        """The names of the pattern's open levels, in order."""
        return tuple(_FIELD.findall(self.pattern))

    def topic(self, **params: str) -> str:
        """The topic with every level filled.

        Raises:
            BadTopicError: a level is missing, unknown, or not of its form.
        """
        if set(params) != set(self.params):
            raise BadTopicError(f"{self.name} needs {self.params}, not {tuple(params)}")
        for key, value in params.items():
            if re.fullmatch(_LEVELS.get(key, NAME_PATTERN), value) is None:
                raise BadTopicError(f"{self.name}: {key} is not of its form")
        return self.pattern.format(**params)

    def filter(self, **params: str) -> str:
        """A subscription: given levels are filled, the others are ``+``; work is shared."""
        filled = _FIELD.sub(lambda m: params.get(m[1], "+"), self.pattern)
        return f"$share/{self.shared}/{filled}" if self.shared else filled

    def parse(self, topic: str) -> dict[str, str] | None:
        """The open levels of a topic, or None when it is not of this pattern."""
        expression = _FIELD.sub(
            lambda m: f"(?P<{m[1]}>{_LEVELS.get(m[1], NAME_PATTERN)})", self.pattern
        )
        match = re.fullmatch(expression, topic)
        return match.groupdict() if match else None


@dataclass(frozen=True)
class Topic(TopicBase, Generic[M]):
    """A topic whose payload is JSON of one model.

    ``streaming`` tells the messages that may be lost: they go with QoS 0.
    """

    model: type[M] = None  # type: ignore[assignment]  # required; follows fields with defaults
    streaming: Callable[[M], bool] | None = None

    def qos_of(self, message: M) -> int:
        """The delivery of this message: 0 for what may be lost, else the topic's."""
        return 0 if self.streaming is not None and self.streaming(message) else self.qos


@dataclass(frozen=True)
class FrameTopic(TopicBase):
    """A topic whose payload is one binary audio frame; its format is in user properties."""

    properties: tuple[str, ...] = ()


def strip_share(topic_filter: str) -> str:
    """The filter without its shared-subscription group."""
    return topic_filter.split("/", 2)[2] if topic_filter.startswith("$share/") else topic_filter
