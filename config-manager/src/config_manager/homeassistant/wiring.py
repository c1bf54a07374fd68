"""The bridge of a running manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parlour_contracts.acl import HOME_ASSISTANT
from parlour_kit.version import VERSION

from config_manager.homeassistant.bridge import Fleet, HomeAssistantBridge
from config_manager.runtime.core import Core
from config_manager.runtime.ground import Ground

FILE = "homeassistant.json"


def bridge_of(ground: Ground, core: Core) -> HomeAssistantBridge:
    """The bridge between what a manager stands on and Home Assistant; it does nothing yet."""

    async def stored() -> Mapping[str, Mapping[str, Any]]:
        return (await core.parts.ledger.whole()).payload

    settings = ground.settings
    return HomeAssistantBridge(
        ground.bus,
        ground.clock,
        Fleet(
            models=ground.models,
            stored=stored,
            instances=core.book.instances,
            leads=lambda: core.leadership.leads,
            may_write=lambda: ground.users.role_of(HOME_ASSISTANT) in ("write", "admin"),
            version=VERSION,
        ),
        prefix=settings.home_assistant_prefix if settings.home_assistant else None,
        file=ground.store.path.with_name(FILE),
    )
