"""Whether the broker's access list holds: it must refuse what nobody may do.

An access list can be lost or stale without anybody noticing, and then everybody may write as
everybody. So this process tries something that the list forbids to all. Only when the broker
refuses are changes taken over MQTT.
"""

from __future__ import annotations

from enum import Enum

from parlour_kit.bus import Bus
from parlour_kit.errors import PublishRefusedError

FORBIDDEN = "system/selftest/forbidden"
NOT_AUTHORISED = 135
MISCONFIGURED_HINT = "render the access list anew and reload the broker"


class Acl(Enum):
    """What is known of the broker's access list."""

    UNKNOWN = "unknown"
    ENFORCED = "enforced"
    OPEN = "open"
    """The broker let the forbidden through."""

    NONE = "none"
    """The operator says that this broker has none."""


async def probe(bus: Bus) -> Acl:
    """Try what nobody may do.

    Raises:
        NotConnectedError: there is no connection.
    """
    try:
        await bus.publish(FORBIDDEN, b"{}", qos=1)
    except PublishRefusedError as error:
        return Acl.ENFORCED if error.reason == NOT_AUTHORISED else Acl.OPEN
    return Acl.OPEN
