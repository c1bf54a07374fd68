"""The process's connections to the broker, and the messages over them."""

from __future__ import annotations

from typing import Literal

from parlour_kit.metrics.registry import Capped, Group

Refused = Literal["too_big", "invalid", "overload"]

_group = Group("all")

connected = _group.gauge(
    "parlour_mqtt_connected", "1 while the connection to the broker stands, else 0",
    ["connection"],
)  # fmt: skip
reconnects = _group.counter(
    "parlour_mqtt_reconnects_total", "Connections to the broker after the first one",
    ["connection"],
)  # fmt: skip
failed_connects = _group.counter(
    "parlour_mqtt_connect_failures_total", "Tries that brought no connection to the broker",
    ["connection"],
)  # fmt: skip
_messages = _group.counter(
    "parlour_mqtt_messages_total", "Messages of the registry, received and sent", ["direction"]
)
_refused = _group.counter(
    "parlour_mqtt_messages_refused_total",
    "Messages that were received and not used: too_big, invalid, overload",
    ["reason"],
)
handler_failures = _group.counter(
    "parlour_handler_failures_total", "Handlers and background tasks that ended with an error"
)

received = _messages.labels("received")
sent = _messages.labels("sent")
_REFUSED = {reason: _refused.labels(reason) for reason in ("too_big", "invalid", "overload")}
_connection = Capped(4)


def refused(reason: Refused) -> None:
    """A message was received and not used."""
    _REFUSED[reason].inc()


class Line:
    """One connection of the process by its name, such as ``main``."""

    def __init__(self, name: str) -> None:
        label = _connection(name)
        self._connected = connected.labels(label)
        self._reconnects = reconnects.labels(label)
        self._failures = failed_connects.labels(label)

    def up(self, connections: int) -> None:
        """It stands, for the ``connections``-th time."""
        self._connected.set(1)
        if connections > 1:
            self._reconnects.inc()

    def down(self) -> None:
        """It does not stand any more."""
        self._connected.set(0)

    def away(self) -> None:
        """A try brought no connection."""
        self._failures.inc()
