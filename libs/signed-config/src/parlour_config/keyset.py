"""The keys that services trust, changed without a restart: signed by roots, one step at a time.

Rules. A keyset is signed by enough of its own root keys, and by enough of those that were
trusted before: the ones in the environment at first, then the ones of the keyset that it
follows. A key counts once, however often it signs and wherever it is listed. After the first
one only the next version is taken, so nobody can skip a keyset that revoked a key. What a
keyset revokes verifies nothing, in whatever list it stands.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from parlour_contracts.messages.signed import KeysetDocument
from pydantic import ValidationError

from parlour_config.canonical import MAX_KEYSET_BYTES, canonical, load
from parlour_config.clock import EPOCH_START
from parlour_config.errors import (
    BadEncodingError,
    BadKeyError,
    BadSignatureError,
    RefusedDocumentError,
    RefusedJsonError,
)
from parlour_config.pae import KEYSET
from parlour_config.signing import SigningKey, TrustedKey, decode_signature, key_id, verify
from parlour_config.trust import TrustState

KeyStatus = Literal["next", "active", "retiring"]

MAX_STEPS = 256
"""Steps that a service takes in one run; somebody who sends more wants to keep it busy."""


@dataclass(frozen=True)
class ListedKey:
    """A configuration key in a keyset; ``not_after`` tells people when the next one is due."""

    kid: str
    key: TrustedKey
    status: KeyStatus
    not_after: str | None


@dataclass(frozen=True)
class Keyset:
    """A keyset that has the right form; only :func:`accept_keyset` makes it trustworthy.

    Attributes:
        raw: the exact bytes, for storing and passing on.
        body: the canonical bytes that are signed.
        signatures: kid and signature, as they came.
    """

    version: int
    roots: tuple[TrustedKey, ...]
    threshold: int
    config_keys: tuple[ListedKey, ...]
    revoked: tuple[str, ...]
    reset_floor_for: tuple[str, ...]
    signatures: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    @property
    def trusted(self) -> tuple[TrustedKey, ...]:
        """The keys that verify configuration and leases."""
        return tuple(entry.key for entry in self.config_keys if entry.kid not in self.revoked)

    @property
    def trusted_roots(self) -> tuple[TrustedKey, ...]:
        """The keys that may sign this keyset and the next one."""
        return tuple(root for root in self.roots if root.kid not in self.revoked)


def listed(
    public: bytes, status: KeyStatus = "active", not_after: str | None = None
) -> dict[str, Any]:
    """The entry of a configuration key."""
    return {**_entry(public), "status": status, "not_after": not_after}


def build_keyset(
    *,
    version: int,
    roots: Sequence[bytes],
    threshold: int,
    config_keys: Sequence[Mapping[str, Any]],
    revoked: Sequence[str] = (),
    reset_floor_for: Sequence[str] = (),
) -> dict[str, Any]:
    """A keyset without signatures, for :func:`sign_keyset`.

    Args:
        version: one more than the last.
        roots: public keys, raw.
        threshold: how many roots must sign.
        config_keys: made with :func:`listed`.
        revoked: kids that verify nothing any more.
        reset_floor_for: kids under which a recorded floor is dropped.
    """
    return {
        "keyset_version": version,
        "root": {"threshold": threshold, "keys": [_entry(public) for public in roots]},
        "config_keys": [dict(entry) for entry in config_keys],
        "revoked": list(revoked),
        "reset_floor_for": list(reset_floor_for),
    }


def sign_keyset(body: Mapping[str, Any], root_keys: Sequence[SigningKey]) -> bytes:
    """The document with a signature of each key; canonical, and :func:`read_keyset` takes it.

    Raises:
        RefusedDocumentError: it breaks a rule of the form.
    """
    signed = canonical(dict(body))
    signatures = [{"kid": key.kid, "sig": key.sign(KEYSET, signed)} for key in root_keys]
    raw = canonical({**body, "signatures": signatures})
    read_keyset(raw)
    return raw


def read_keyset(raw: bytes) -> Keyset:
    """Read a keyset; its signatures are looked at by :func:`accept_keyset`.

    Raises:
        RefusedDocumentError: a code of the loader, ``BAD_FIELD``, ``BAD_KEY``,
            ``KID_MISMATCH`` or ``BAD_ENCODING``.
    """
    try:
        document = load(raw, MAX_KEYSET_BYTES)
        form = KeysetDocument.model_validate(document)
    except RefusedJsonError as error:
        raise RefusedDocumentError(error.code, str(error)) from None
    except ValidationError:
        raise RefusedDocumentError("BAD_FIELD", "this is no keyset") from None
    assert isinstance(document, dict)  # the model took it
    roots = tuple(_key(entry.kid, entry.pub) for entry in form.root.keys)
    config_keys = tuple(
        ListedKey(entry.kid, _key(entry.kid, entry.pub), entry.status, found["not_after"])
        for entry, found in zip(form.config_keys, _entries(document), strict=True)
    )
    for group in (roots, config_keys):
        if len({entry.kid for entry in group}) != len(group):
            raise RefusedDocumentError("BAD_FIELD", "a key is listed twice")
    if form.root.threshold > len(roots):
        raise RefusedDocumentError("BAD_FIELD", "more roots must sign than there are")
    for signature in form.signatures:
        _decodable(signature.sig)
    body = {field: value for field, value in document.items() if field != "signatures"}
    return Keyset(
        version=form.keyset_version,
        roots=roots,
        threshold=form.root.threshold,
        config_keys=config_keys,
        revoked=tuple(form.revoked),
        reset_floor_for=tuple(form.reset_floor_for),
        signatures=tuple((entry.kid, entry.sig) for entry in form.signatures),
        body=canonical(body),
        raw=bytes(raw),
    )


def accept_keyset(
    current: Keyset | None,
    new: Keyset,
    env_roots: Sequence[TrustedKey],
    threshold: int,
) -> Keyset:
    """Decide about a keyset.

    Args:
        current: the accepted one, if there is one.
        new: as read.
        env_roots: the root keys of the environment.
        threshold: how many of those must sign the first keyset.

    Returns:
        The keyset that holds now: the new one, or the current one if it came again.

    Raises:
        RefusedDocumentError: ``NO_ROOT_KEYS``, ``KEYSET_OLD``, ``KEYSET_EQUIVOCATION``,
            ``KEYSET_GAP`` (ask for the ones between) or ``KEYSET_THRESHOLD``.
    """
    if not env_roots:
        raise RefusedDocumentError(
            "NO_ROOT_KEYS",
            "no root key is trusted here",
            hint="set CONFIG_ROOT_PUBLIC_KEYS, or change keys in the environment alone",
        )
    if current is None:
        _require(new, env_roots, threshold)
    else:
        if new.version == current.version and new.body == current.body:
            return current
        _require_next(current, new)
        _require(new, current.trusted_roots, current.threshold)
    _require(new, new.trusted_roots, new.threshold)
    return new


def reset_floor(state: TrustState, keyset: Keyset) -> TrustState:
    """The state after a keyset was accepted: its version, and no floor of a key it names.

    One that was accepted before, and only came again because its document was lost, drops
    no floor a second time.
    """
    if keyset.version <= state.keyset_version:
        return replace(state, keyset=keyset.raw)
    state = replace(state, keyset_version=keyset.version, keyset=keyset.raw)
    if state.floor_kid in keyset.reset_floor_for:
        state = replace(state, floor=EPOCH_START, floor_kid=None)
    return state


def trusted_keys(
    keyset: Keyset | None, state: TrustState, env: Sequence[TrustedKey]
) -> tuple[TrustedKey, ...]:
    """The keys that verify now.

    Those of the environment count until a keyset was accepted, and never again. Neither they
    nor an older keyset's take the place of a lost document: one of them may be revoked.
    """
    if keyset is not None and keyset.version >= state.keyset_version:
        return keyset.trusted
    return tuple(env) if state.keyset_version == 0 else ()


class KeysetWalk:
    """A service's way through keysets: takes each once, at most 256 in a run.

    Args:
        env_roots: the root keys of the environment.
        threshold: how many of those must sign the first keyset.
        current: the accepted keyset, as read from its file.
    """

    def __init__(
        self,
        env_roots: Sequence[TrustedKey],
        threshold: int,
        current: Keyset | None = None,
    ) -> None:
        self.current = current
        self._roots = tuple(env_roots)
        self._threshold = threshold
        self._left = MAX_STEPS

    def judge(self, raw: bytes) -> Keyset | None:
        """Read a document and decide; the new keyset, or None if it is the current one.

        Nothing changes until :meth:`commit`, which follows when the document is on disk.

        Raises:
            RefusedDocumentError: as in ``read_keyset`` and ``accept_keyset``, and
                ``KEYSET_STEPS`` after 256.
        """
        new = read_keyset(raw)
        accepted = accept_keyset(self.current, new, self._roots, self._threshold)
        if accepted is self.current:
            return None
        if self._left == 0:
            raise RefusedDocumentError("KEYSET_STEPS", f"more than {MAX_STEPS} keysets in one run")
        return accepted

    def commit(self, keyset: Keyset) -> None:
        """The keyset is stored: from now on it holds."""
        self.current = keyset
        self._left -= 1


def _require_next(current: Keyset, new: Keyset) -> None:
    if new.version < current.version:
        raise RefusedDocumentError("KEYSET_OLD", "a newer keyset was accepted before")
    if new.version == current.version:
        raise RefusedDocumentError(
            "KEYSET_EQUIVOCATION", "two keysets have one version", hint="a root key is misused"
        )
    if new.version != current.version + 1:
        raise RefusedDocumentError(
            "KEYSET_GAP", "keysets between are missing", hint="the service asks for them"
        )


def _require(keyset: Keyset, roots: Sequence[TrustedKey], threshold: int) -> None:
    """So many different ones of these roots have signed."""
    signers = {root.kid for root in roots if _signed(keyset, root)}
    if len(signers) < max(threshold, 1):
        raise RefusedDocumentError(
            "KEYSET_THRESHOLD", f"{len(signers)} root keys signed, {threshold} must"
        )


def _signed(keyset: Keyset, root: TrustedKey) -> bool:
    for kid, signature in keyset.signatures:
        if kid == root.kid:
            try:
                verify([root], KEYSET, keyset.body, signature)
            except BadSignatureError:
                continue
            return True
    return False


def _entry(public: bytes) -> dict[str, Any]:
    return {"kid": key_id(public), "pub": base64.b64encode(public).decode()}


def _entries(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = document["config_keys"]
    return entries


def _key(kid: str, pub: str) -> TrustedKey:
    raw = base64.b64decode(pub)
    if base64.b64encode(raw).decode() != pub:
        raise RefusedDocumentError("BAD_ENCODING", "a key is not the one text of its bytes")
    try:
        key = TrustedKey.of(raw)
    except BadKeyError as error:
        raise RefusedDocumentError("BAD_KEY", str(error)) from None
    if key.kid != kid:
        raise RefusedDocumentError("KID_MISMATCH", "a kid is not that of its key")
    return key


def _decodable(signature: str) -> None:
    try:
        decode_signature(signature)
    except BadEncodingError as error:
        raise RefusedDocumentError("BAD_ENCODING", str(error)) from None
