"""Secrets inside configurations: sealed, masked, opened; see ``parlour_config.sealing``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from parlour_config.sealing import (
    MASKED,
    is_sealed,
    mask_tag,
    open_sealed,
    seal,
    service_key,
)

from config_manager.signer import Signer


class SecretsBox:
    """Opens and closes secrets with the keys of one moment."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def key_id(self) -> str:
        """The id of the master key that new secrets are sealed with."""
        return self._signer.master[0]

    def seal(self, service: str, key: str, value: str) -> dict[str, Any]:
        """The form of a secret in a configuration."""
        kid, master = self._signer.master
        return dict(seal(value, _derived(master, service), service=service, name=key, kid=kid))

    def open(self, service: str, key: str, sealed: object) -> str:
        """A secret in clear.

        Raises:
            UnreadableSecretError: no key opens it.
        """
        keys = {kid: _derived(raw, service) for kid, raw in self._signer.keyring.items()}
        return open_sealed(sealed, keys, service=service, name=key)

    def is_current(self, sealed: object) -> bool:
        """Whether a sealed secret needs the current master key."""
        return is_sealed(sealed) and sealed["$secret"].get("kid") == self.key_id  # type: ignore[index]  # is_sealed has looked

    def tagged(self, service: str, key: str, sealed: object) -> dict[str, Any]:
        """What history shows: whether it changed, and nothing else.

        Raises:
            UnreadableSecretError: no key opens it.
        """
        return self.shown(service, key, self.open(service, key, sealed))

    def shown(self, service: str, key: str, value: str) -> dict[str, Any]:
        """A secret in clear as history shows it: a mask with a tag."""
        tag = mask_tag(value, self._signer.mask_key, service=service, name=key)
        return {**MASKED, "tag": tag}


def masked(config: Mapping[str, Any], secret: Collection[str]) -> dict[str, Any]:
    """A configuration as answers show it."""
    return {
        key: dict(MASKED) if is_sealed(value) or (key in secret and value is not None) else value
        for key, value in config.items()
    }


@lru_cache(maxsize=1024)
def _derived(master: bytes, service: str) -> bytes:
    return service_key(master, service)
