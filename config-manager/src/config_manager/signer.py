"""The keys that config-manager works with at one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from parlour_config.signing import SigningKey


@dataclass(frozen=True)
class Signer:
    """The keys of one moment; its text shows none.

    Attributes:
        key: signs broadcasts.
        master: id and bytes of the key that new secrets are sealed with.
        keyring: every master key that still opens secrets, by its id.
        mask_key: for the tags of secrets in history.
        clock_trusted: whether wall time may move the floor.
    """

    key: SigningKey = field(repr=False)
    master: tuple[str, bytes] = field(repr=False)
    keyring: Mapping[str, bytes] = field(repr=False)
    mask_key: bytes = field(repr=False)
    clock_trusted: Callable[[], bool] = field(repr=False)
