"""An authority on the broker in memory."""

from __future__ import annotations

import pytest
from parlour_testkit import ConfigAuthority, MemoryBroker


@pytest.fixture
async def authority(broker: MemoryBroker) -> ConfigAuthority:
    return await ConfigAuthority(broker.client("config-manager")).watch()
