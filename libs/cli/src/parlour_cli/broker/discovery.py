"""Where Home Assistant looks for devices; config-manager reads the same variable."""

from __future__ import annotations

import os
import re

from parlour_contracts.acl import DISCOVERY_PREFIX, PREFIX_PATTERN

from parlour_cli.broker.errors import BrokerError

VARIABLE = "HOME_ASSISTANT_PREFIX"


def discovery_prefix() -> str:
    """The first level of Home Assistant's topics, for the access list.

    Raises:
        BrokerError: what the environment says is no such level.
    """
    found = os.environ.get(VARIABLE) or DISCOVERY_PREFIX
    if re.fullmatch(PREFIX_PATTERN, found) is None:
        raise BrokerError(
            f"{VARIABLE} is not one level of a topic",
            hint="letters, digits, _ and -, at most 64; Home Assistant's own is homeassistant",
        )
    return found
