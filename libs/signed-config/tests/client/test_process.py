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
from structlog.testing import capture_logs


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


@pytest.mark.parametrize("there", [True, False])
async def test_a_key_file_that_is_not_there_yet_is_named(
    broker: MemoryBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    path = tmp_path / "keys.env"
    if there:
        path.touch()
    monkeypatch.setenv("MQTT_URL", "mqtt://127.0.0.1")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CONFIG_KEYS_FILE", str(path))
    messenger = Messenger(broker.client("router"), "router", LoopClock())

    with capture_logs() as logs:
        signed_feed(
            Ground(
                "router",
                "router",
                RouterConfig,
                messenger,
                new_id(),
                load_settings(ServiceSettings),
            )
        )

    assert [line["path"] for line in logs if "no key file" in line["event"]] == (
        [] if there else [str(path)]
    )
