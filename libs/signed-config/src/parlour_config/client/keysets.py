"""Which keyset a service follows, and the way to the ones that it missed."""

from __future__ import annotations

from typing import Any

from parlour_config.canonical import canonical, load
from parlour_config.errors import RefusedJsonError
from parlour_config.keyfiles import ServiceKeys
from parlour_config.keyset import Keyset, KeysetWalk, reset_floor, trusted_keys
from parlour_config.signing import TrustedKey
from parlour_config.trust import TrustState

MAX_ANSWER_BYTES = 524_288


class Keysets:
    """The accepted keyset and the root keys that were first.

    Root keys are the one thing that a keyset cannot replace unseen: when those in the
    environment change, the accepted keyset stays, and they count for a first one alone.
    """

    def __init__(self, keys: ServiceKeys, current: Keyset | None) -> None:
        self._roots = (keys.root_keys, keys.threshold)
        self._walk = KeysetWalk(*self._roots, current)

    @property
    def version(self) -> int:
        """Of the accepted keyset; 0 without one."""
        return self._walk.current.version if self._walk.current else 0

    def follow(self, keys: ServiceKeys) -> None:
        """The root keys of the environment may have changed."""
        if (keys.root_keys, keys.threshold) != self._roots:
            self._roots = (keys.root_keys, keys.threshold)
            self._walk = KeysetWalk(*self._roots, self._walk.current)

    def trusted(self, keys: ServiceKeys, state: TrustState) -> tuple[TrustedKey, ...]:
        """The keys that verify configuration now."""
        return trusted_keys(self._walk.current, state, keys.public_keys)

    def judge(self, raw: bytes) -> Keyset | None:
        """A document that came; the new keyset, or None when it is the accepted one.

        Raises:
            RefusedDocumentError: ``KEYSET_GAP`` means that the ones between must be asked for.
        """
        return self._walk.judge(raw)

    def accepted(self, keyset: Keyset, state: TrustState) -> TrustState:
        """The document is on disk: from now on it holds. Returns the state that follows."""
        self._walk.commit(keyset)
        return reset_floor(state, keyset)


def documents_of(answer: bytes) -> list[bytes]:
    """The keysets in an answer to op ``keyset``, oldest first; none when it holds none.

    Each is judged as if it had come by itself, so nothing here is trusted.
    """
    try:
        message = load(answer, MAX_ANSWER_BYTES)
        data: Any = message.get("data") if isinstance(message, dict) else None
        if isinstance(data, dict):
            data = data.get("keysets")
        found = data if isinstance(data, list) else []
        documents = [d for d in found if isinstance(d, dict)]
        documents.sort(key=_version)
        return [canonical(document) for document in documents]
    except RefusedJsonError:
        return []


def _version(document: dict[str, Any]) -> int:
    version = document.get("keyset_version")
    return version if isinstance(version, int) else 0
