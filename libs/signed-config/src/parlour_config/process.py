"""The process of a service whose settings come signed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

import structlog
from parlour_contracts.config import ServiceConfigModel
from parlour_kit import process
from parlour_kit.errors import StartupError
from parlour_kit.feed import ConfigFeed, Ground
from parlour_kit.settings import ProcessSettings
from pydantic import Field

from parlour_config.client.activation import Identity
from parlour_config.client.reading import SettingsReader
from parlour_config.client.shell import ConfigClient
from parlour_config.errors import StorageError
from parlour_config.keyfiles import KeyFile
from parlour_config.lkg_store import LkgStore

FOLDER = "config"
"""Below the data directory: last known good settings, keyset and marker of each service."""


class ServiceSettings(ProcessSettings):
    """What a service needs to start.

    The keys themselves may stand in the environment too, under the names that the file has,
    and outrank it there.
    """

    config_keys_file: Path | None = Field(
        None, description="file with the service's keys, which may change while it runs"
    )
    config_clear_poison: bool = Field(
        False, description="try a configuration again that stopped the service twice"
    )


def signed_feed(ground: Ground) -> ConfigFeed[ServiceConfigModel]:
    """The configuration of a service: verified messages, its own files, else defaults.

    Raises:
        StartupError: its keys are wrong, or its folder cannot be made.
    """
    settings = ground.settings
    path = settings.config_keys_file if isinstance(settings, ServiceSettings) else None
    keys = KeyFile.of_service(path, os.environ)
    keys.current()
    if path is not None and not path.exists():
        structlog.get_logger("parlour.config").warning(
            "there is no key file yet; it is looked for every few seconds",
            path=str(path), hint="config-manager or parlour up makes it",
        )  # fmt: skip
    try:
        store = LkgStore(_folder(ground), ground.service, lambda: keys.current().lkg_keys)
    except StorageError as error:
        raise StartupError(f"cannot start: {error}", hint="check DATA_DIR") from None
    if isinstance(settings, ServiceSettings) and settings.config_clear_poison:
        store.forgive()
    reader: SettingsReader[Any] = SettingsReader(ground.service, ground.model, os.environ)
    who = Identity(ground.service, ground.instance, ground.boot)
    return ConfigClient(ground.messenger, who, reader, keys.current, store, _end)


def _end() -> None:
    """As an operator would: work is finished or handed back, and the supervisor starts it again."""
    signal.raise_signal(signal.SIGTERM)


def _folder(ground: Ground) -> Path:
    """Instances that share a data directory have a folder each."""
    folder = ground.settings.data_dir / FOLDER
    return folder if ground.instance == ground.service else folder / ground.instance


def main(where: str) -> NoReturn:
    """Run a service; see :func:`parlour_kit.process.main`.

    Args:
        where: the service's class as ``package.module:Class``.
    """
    process.main(where, ServiceSettings, signed_feed)
