"""A stand-in for config-manager: it signs, publishes and watches, on any bus.

It speaks the wire of the real one with keys of its own, so that a service can be tested with
changing settings and without a database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from parlour_config.canonical import load
from parlour_config.client.activation import Identity
from parlour_config.client.reading import SettingsReader
from parlour_config.client.shell import ConfigClient
from parlour_config.clock import add_us
from parlour_config.keyfiles import ServiceKeys
from parlour_config.keyset import build_keyset, listed, sign_keyset
from parlour_config.lkg_store import LkgStore
from parlour_config.sealing import lkg_key, seal, service_key, symmetric_id
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.update import build_update
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.requests import ConfigApplied
from parlour_contracts.topics import CONFIG, CONFIG_APPLIED, CONFIG_KEYS
from parlour_kit.bus import Bus
from parlour_kit.feed import ConfigFeed
from parlour_kit.ids import new_id
from parlour_kit.messenger import Messenger
from parlour_kit.service import Service

from parlour_testkit.observer import Observer
from parlour_testkit.running import FeedOf

SIGNING = bytes(range(32))
ROOT = bytes(range(1, 33))
MASTER = bytes(range(2, 34))
HMAC = bytes(range(3, 35))


@dataclass
class ConfigAuthority:
    """Signs with keys that everybody can read here: for tests alone.

    ``floor`` moves with each message; ``epoch`` may be set to another one at any time. Call
    :meth:`watch` to see what services report.
    """

    bus: Bus
    epoch: str = field(default_factory=lambda: str(uuid4()))
    floor: str = "2026-01-01T00:00:00.000000Z"
    key: SigningKey = field(default_factory=lambda: SigningKey(SIGNING))
    roots: tuple[SigningKey, ...] = field(default_factory=lambda: (SigningKey(ROOT),))
    keyset_version: int = 0
    observer: Observer | None = None

    def keys(self, service: str) -> ServiceKeys:
        """What a service of this authority holds."""
        return ServiceKeys(
            public_keys=(TrustedKey.of(self.key.public),),
            root_keys=tuple(TrustedKey.of(root.public) for root in self.roots),
            service_keys={symmetric_id(MASTER): service_key(MASTER, service)},
            lkg_keys=(lkg_key(HMAC, service),),
        )

    def feed(
        self,
        folder: Path,
        *,
        keys: Callable[[], ServiceKeys] | None = None,
        environment: Mapping[str, str] | None = None,
        forgive: bool = False,
        restart: Callable[[], None] = lambda: None,
    ) -> FeedOf:
        """Makes the real client of a service, with its files in ``folder``.

        ``forgive``: the operator wants marks of poison cleared. ``restart``: called when the
        service is told to start anew.
        """

        def make(service: type[Service[Any]], messenger: Messenger) -> ConfigFeed[Any]:
            name = service.name
            held = self.keys(name)
            own = keys or (lambda: held)
            reader: SettingsReader[Any] = SettingsReader(
                name, service.config_model, environment or {}
            )
            who = Identity(name, messenger.instance, new_id())
            store = LkgStore(folder, name, lambda: own().lkg_keys)
            if forgive:
                store.forgive()
            return ConfigClient(messenger, who, reader, own, store, restart)

        return make

    def sign(
        self, service: str, config: Mapping[str, Any] | ServiceConfigModel, **other: Any
    ) -> bytes:
        """The next message of a service; ``other`` replaces fields before they are signed.

        A settings model is sent whole; its secrets must be sealed by :meth:`seal` instead.
        """
        self.floor = add_us(self.floor, 1)
        plain = config.model_dump() if isinstance(config, ServiceConfigModel) else dict(config)
        fields: dict[str, Any] = {
            "service": service,
            "config": plain,
            "config_epoch": self.epoch,
            "issued_at": self.floor,
            **other,
        }
        return build_update(fields.pop("key", self.key), **fields)

    async def publish(
        self, service: str, config: Mapping[str, Any] | ServiceConfigModel, **other: Any
    ) -> bytes:
        """Sign and publish, retained."""
        payload = self.sign(service, config, **other)
        await self.send(service, payload)
        return payload

    async def send(self, service: str, payload: bytes) -> None:
        """Publish these bytes, retained, whatever they are."""
        await self.bus.publish(
            CONFIG.topic(service=service), payload, qos=1, retain=True,
            properties={"kid": self.key.kid},
        )  # fmt: skip

    def seal(self, service: str, name: str, value: str) -> dict[str, Any]:
        """A secret as it travels."""
        key = service_key(MASTER, service)
        return dict(seal(value, key, service=service, name=name, kid=symmetric_id(MASTER)))

    def keyset(self, *config_keys: SigningKey, **other: Any) -> bytes:
        """The next keyset, signed by the roots; ``other`` as in ``build_keyset``."""
        self.keyset_version += 1
        body = build_keyset(
            **{
                "version": self.keyset_version,
                "roots": [root.public for root in self.roots],
                "threshold": 1,
                "config_keys": [listed(key.public) for key in config_keys or (self.key,)],
                **other,
            }
        )
        return sign_keyset(body, self.roots)

    async def publish_keyset(self, *config_keys: SigningKey, **other: Any) -> bytes:
        """Sign and publish the next keyset, retained."""
        raw = self.keyset(*config_keys, **other)
        await self.bus.publish(CONFIG_KEYS.topic(), raw, qos=1, retain=True)
        return raw

    async def watch(self) -> ConfigAuthority:
        """Record what services report from now on."""
        self.observer = await Observer(self.bus, "authority").watch(CONFIG_APPLIED)
        return self

    @property
    def reports(self) -> list[ConfigApplied]:
        """What was reported, in order; after :meth:`watch`."""
        assert self.observer is not None
        return self.observer.of(CONFIG_APPLIED)

    async def until(
        self, matches: Callable[[ConfigApplied], bool], within: float = 30.0
    ) -> ConfigApplied:
        """Wait for a report, also one that is already there; raises TimeoutError."""
        assert self.observer is not None
        return await self.observer.until(CONFIG_APPLIED, matches, within)

    async def applied(self, payload: bytes, within: float = 30.0) -> ConfigApplied:
        """Wait until this message runs somewhere; raises TimeoutError."""
        digest = _checksum(payload)
        return await self.until(lambda r: r.status == "applied" and r.checksum == digest, within)

    async def change(
        self, service: str, config: Mapping[str, Any] | ServiceConfigModel, within: float = 30.0
    ) -> ConfigApplied:
        """Publish a configuration and wait until it runs."""
        return await self.applied(await self.publish(service, config), within)


def _checksum(payload: bytes) -> str:
    message = load(payload)
    assert isinstance(message, dict)
    return str(message["checksum"])
