"""A real config-manager and real services on the keys that it made, on a broker in memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from parlour_config.keyfolder import service_path
from parlour_config.process import ServiceSettings, signed_feed
from parlour_kit.feed import Ground
from parlour_kit.ids import new_id
from parlour_kit.messenger import Messenger
from parlour_testkit.running import FeedOf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "config-manager" / "tools"))

from running_manager import Person, manager, told

__all__ = ["Person", "manager", "signed_worker", "told"]


def signed_worker(folder: Path, name: str) -> FeedOf:
    """The feed of a service's process, with the keys that config-manager made for it."""

    def make(service: type[Any], messenger: Messenger) -> Any:
        settings = ServiceSettings(
            _env_file=None,
            mqtt_url="mqtt://127.0.0.1:9",
            data_dir=folder / "worker",
            config_keys_file=service_path(folder / "keys", name),
        )
        ground = Ground(name, name, service.config_model, messenger, new_id(), settings)
        return signed_feed(ground)

    return make
