"""What a service's environment says about its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from parlour_config.lkg_store import LkgStore
from parlour_config.process import ServiceSettings, signed_feed
from parlour_contracts.config import RouterConfig
from parlour_kit.clock import LoopClock
from parlour_kit.feed import Ground
from parlour_kit.ids import new_id
from parlour_kit.messenger import Messenger
from parlour_kit.settings import load_settings
from parlour_testkit import MemoryBroker


@pytest.mark.parametrize(("said", "times"), [(None, 0), ("0", 0), ("1", 1)])
async def test_the_operator_clears_a_mark_of_poison_with_a_variable(
    broker: MemoryBroker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str | None,
    times: int,
) -> None:
    monkeypatch.setenv("MQTT_URL", "mqtt://127.0.0.1")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    if said is not None:
        monkeypatch.setenv("CONFIG_CLEAR_POISON", said)
    asked: list[LkgStore] = []
    monkeypatch.setattr(LkgStore, "forgive", lambda store: asked.append(store))  # noqa: PLW0108  # a method
    messenger = Messenger(broker.client("router"), "router", LoopClock())

    signed_feed(
        Ground(
            "router", "router", RouterConfig, messenger, new_id(), load_settings(ServiceSettings)
        )
    )

    assert len(asked) == times
