"""What Parlour asks of a message bus: bytes out, bytes in, and to know when it is connected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from parlour_contracts.topics import strip_share


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came from the wire.

    ``retain`` tells a stored message from a fresh one; on a fresh one it is set only where the
    subscription asked for ``retain_as_published``. ``response_topic`` and ``correlation`` are
    where and with what the sender wants its answer. ``acknowledge`` is there on a subscription
    with ``manual_ack`` alone: the broker sends the message again until it was called.
    """

    topic: str
    payload: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    qos: int = 0
    retain: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None
    acknowledge: Callable[[], None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SubscribeOptions:
    """How a subscription is served (MQTT 5).

    Attributes:
        retain_handling: 0 brings the retained messages at each subscribe, 1 at the first one of
            a session, 2 never.
        retain_as_published: a fresh message shows whether it was sent to be retained.
        no_local: what this client sends itself does not come back.
        manual_ack: the receiver acknowledges each message by ``Message.acknowledge``.
    """

    retain_handling: int = 0
    retain_as_published: bool = False
    no_local: bool = False
    manual_ack: bool = False


PLAIN = SubscribeOptions()


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when this client is gone without a word."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True
    delay_s: int = 5


Receiver = Callable[[Message], None]
"""Called in the receive loop, in order of arrival; must return at once and never raise."""


class Bus(Protocol):
    """A connection to a broker, as the rest of Parlour sees it."""

    @property
    def connected(self) -> bool:
        """Whether a message could be sent now."""
        ...

    @property
    def connections(self) -> int:
        """How often this bus has been connected."""
        ...

    def on_connected(self, callback: Callable[[], None]) -> None:
        """Call back after every connect, once all subscriptions stand again."""
        ...

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        properties: Mapping[str, str] | None = None,
        expiry_s: int | None = None,
        response_topic: str | None = None,
        correlation: bytes | None = None,
    ) -> None:
        """Send; at QoS 1, return when the broker has it.

        Raises:
            NotConnectedError: there is no connection, or it was lost before the broker answered.
            PublishRefusedError: the broker answered with an error.
        """
        ...

    async def subscribe(
        self,
        topic_filter: str,
        receiver: Receiver,
        *,
        qos: int = 1,
        options: SubscribeOptions = PLAIN,
    ) -> None:
        """Deliver what matches; the subscription outlives reconnects.

        Asking again for a filter replaces its receiver and brings its retained messages again.

        Raises:
            SubscribeRefusedError: the broker answered with an error.
        """
        ...

    async def unsubscribe(self, topic_filter: str) -> None:
        """Deliver no more of it."""
        ...


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic is within a filter (``+``, ``#``, ``$share/group/…``)."""
    wanted = strip_share(topic_filter).split("/")
    levels = topic.split("/")
    if levels[0].startswith("$") and wanted[0] in ("+", "#"):
        return False
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


def share_group(topic_filter: str) -> str | None:
    """The group of a shared subscription, or None."""
    return topic_filter.split("/", 2)[1] if topic_filter.startswith("$share/") else None
