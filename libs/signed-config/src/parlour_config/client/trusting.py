"""Whom a service trusts now: its key file, and the keyset that outranks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parlour_kit.errors import ParlourError

from parlour_config.client.keysets import Keysets
from parlour_config.keyfiles import ServiceKeys
from parlour_config.keyset import Keyset
from parlour_config.signing import TrustedKey
from parlour_config.trust import EpochPolicy, TrustState

NOBODY = "no key is trusted to sign configuration here"


class NoKeysError(ParlourError):
    """Nobody is trusted to change this service's settings."""

    code = "NO_KEYS"
    hint = "config-manager or parlour up makes the key file; CONFIG_KEYS_FILE must name it"


class Trusting:
    """Follows the key file and the accepted keyset. ``keys`` are those of the last look."""

    def __init__(self, keys: Callable[[], ServiceKeys]) -> None:
        self._look = keys
        self.keys = keys()
        self._keysets = Keysets(self.keys, None)

    @property
    def problem(self) -> ParlourError | None:
        """Why no message can be trusted; None when one can."""
        if self.keys.public_keys or self._keysets.version:
            return None
        return NoKeysError(NOBODY)

    @staticmethod
    def require(keys: Sequence[TrustedKey]) -> None:
        """Raises NoKeysError when there is no key."""
        if not keys:
            raise NoKeysError(NOBODY)

    @property
    def can_trust(self) -> bool:
        """Whether a message, or a keyset first, could be verified."""
        return bool(self.keys.public_keys or self.keys.root_keys or self._keysets.version)

    @property
    def version(self) -> int:
        """Of the accepted keyset; 0 without one."""
        return self._keysets.version

    def begin(self, keyset: Keyset | None) -> None:
        """The keyset that a process starts with."""
        self._keysets = Keysets(self.keys, keyset)

    def now(self, state: TrustState) -> tuple[tuple[TrustedKey, ...], EpochPolicy]:
        """Look at the file again: the keys and the epoch policy that count."""
        self.keys = self._look()
        self._keysets.follow(self.keys)
        return self._keysets.trusted(self.keys, state), self.keys.policy

    def judge(self, raw: bytes) -> Keyset | None:
        """A keyset that came; see :meth:`Keysets.judge`."""
        return self._keysets.judge(raw)

    def accepted(self, keyset: Keyset, state: TrustState) -> TrustState:
        """It is on disk; the state that follows."""
        return self._keysets.accepted(keyset, state)
