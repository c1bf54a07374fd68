"""What a manager stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parlour_config.keyfiles import KeyFile, ManagerKeys
from parlour_config.users import UsersFile
from parlour_contracts.config import ServiceConfigModel
from parlour_kit.bus import Bus
from parlour_kit.clock import Clock

from config_manager.runtime.clock import WallClock
from config_manager.runtime.epoch_file import EpochFiles
from config_manager.runtime.lkg_file import LkgFile
from config_manager.runtime.request_line import RequestLine
from config_manager.settings import ManagerSettings
from config_manager.store import Store


@dataclass(frozen=True)
class Ground:
    """What a manager stands on; everything is open already."""

    settings: ManagerSettings
    store: Store
    keys: KeyFile[ManagerKeys]
    users: UsersFile
    lkg: LkgFile
    files: EpochFiles
    bus: Bus
    clock: Clock
    wall: WallClock
    line: RequestLine
    instance: str
    models: Mapping[str, type[ServiceConfigModel]]
    minted: frozenset[str]
    seeds: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, str]
