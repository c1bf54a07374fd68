"""Who holds which keys, read from the environment and from a file that may change meanwhile.

The manager holds what signs, seals and derives. A service holds public keys and what was derived
for it alone: a master key has no place in its environment.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Generic, Self, TypeVar

from parlour_kit.errors import StartupError

from parlour_config.keylines import Lines, NamedKey, merged, read_lines
from parlour_config.sealing import lkg_key, mask_key, service_key
from parlour_config.signing import MAX_TRUSTED_KEYS, SigningKey, TrustedKey
from parlour_config.trust import OPEN, EpochPolicy

MANAGER = "config-manager"
ROOT_PRIVATE_KEY = "CONFIG_ROOT_PRIVATE_KEY"

K = TypeVar("K")
_EPOCH = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NO_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class ManagerKeys:
    """The keys of config-manager.

    Attributes:
        signing: signs broadcasts and the lease now.
        signing_next: will sign after the switch; services are told of it before.
        signing_previous_public: signed before the switch; still trusted within the grace.
        master: seals secrets now.
        master_next: is handed to services before the first secret is sealed with it.
        master_previous: open what was sealed before.
        hmac: authenticates last-known-good files now.
        hmac_next: is handed to services before it counts.
        hmac_previous: files written before are still read with it.
        roots: sign keysets; their private halves are not kept here.
        threshold: how many of them must sign.
    """

    signing: SigningKey
    master: NamedKey = field(repr=False)
    hmac: NamedKey = field(repr=False)
    signing_next: SigningKey | None = None
    signing_previous_public: tuple[TrustedKey, ...] = ()
    master_next: NamedKey | None = field(default=None, repr=False)
    master_previous: tuple[NamedKey, ...] = field(default=(), repr=False)
    hmac_next: NamedKey | None = field(default=None, repr=False)
    hmac_previous: NamedKey | None = field(default=None, repr=False)
    roots: tuple[TrustedKey, ...] = ()
    threshold: int = 1

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Self:
        """Read the values of a file and an environment.

        Raises:
            StartupError: naming every problem at once, never a value.
        """
        lines = Lines(values)
        signing = lines.signing("CONFIG_SIGNATURE_PRIVATE_KEY", required=True)
        claimed = lines.text("CONFIG_SIGNATURE_PRIVATE_KEY_ID")
        if signing is not None and claimed not in (None, signing.kid):
            lines.wrong("CONFIG_SIGNATURE_PRIVATE_KEY_ID", "is not the id of the key")
        master = lines.master("CONFIG_MASTER_KEY", required=True)
        hmac = lines.master("LKG_HMAC_KEY", required=True)
        hmac_next = lines.master("LKG_HMAC_KEY_NEXT")
        hmac_previous = lines.master("LKG_HMAC_KEY_PREVIOUS")
        roots, threshold = _roots(lines)
        following = lines.signing("CONFIG_SIGNATURE_PRIVATE_KEY_NEXT")
        previous = lines.public("CONFIG_SIGNATURE_PUBLIC_KEYS_PREVIOUS")
        master_next = lines.master("CONFIG_MASTER_KEY_NEXT")
        master_previous = lines.masters("CONFIG_MASTER_KEY_PREVIOUS")
        ids = [key.id for key in (master, *master_previous) if key is not None]
        if len(set(ids)) < len(ids):
            lines.wrong("CONFIG_MASTER_KEY_PREVIOUS_ID", "has an id twice")
        lines.finish("the keys of config-manager are incomplete or wrong")
        assert signing is not None
        assert master is not None
        assert hmac is not None
        keys = cls(
            signing=signing,
            master=master,
            hmac=hmac,
            signing_next=following,
            signing_previous_public=previous,
            master_next=master_next,
            master_previous=master_previous,
            hmac_next=hmac_next,
            hmac_previous=hmac_previous,
            roots=roots,
            threshold=threshold,
        )
        if len(keys.trusted) > MAX_TRUSTED_KEYS:
            raise StartupError(
                f"config-manager would have more than {MAX_TRUSTED_KEYS} signing keys trusted",
                hint="finish the rotation that is under way before you start another",
            )
        return keys

    @classmethod
    def from_environment(cls, env: Mapping[str, str], path: Path | None) -> Self:
        """The environment over the file; errors as in :meth:`of`."""
        return cls.of(merged(read_lines(path), env))

    @property
    def trusted(self) -> tuple[TrustedKey, ...]:
        """Every key that may have signed, the current one first."""
        following = (self.signing_next.public,) if self.signing_next else ()
        keys = [TrustedKey.of(public) for public in (self.signing.public, *following)]
        return tuple({key.kid: key for key in (*keys, *self.signing_previous_public)}.values())

    @property
    def keyring(self) -> dict[str, bytes]:
        """The master keys by id, the current one first."""
        return dict((self.master, *self.master_previous))

    @property
    def mask(self) -> bytes:
        """The key of the tags by which history shows that a secret changed."""
        return mask_key(self.master.raw)

    def service_keys(self, service: str) -> dict[str, bytes]:
        """What the secrets of a service are sealed with, by master key id."""
        return {kid: service_key(raw, service) for kid, raw in self.keyring.items()}

    def lkg_keys(self, service: str) -> tuple[bytes, ...]:
        """The keys of a last-known-good file, the current one first."""
        keys = (self.hmac, self.hmac_previous) if self.hmac_previous else (self.hmac,)
        return tuple(lkg_key(key.raw, service) for key in keys)


@dataclass(frozen=True)
class ServiceKeys:
    """The keys of one service. Without a public key it takes no configuration over MQTT.

    Attributes:
        public_keys: may sign configuration, until a keyset says otherwise.
        root_keys: may sign keysets; without any, keysets are ignored.
        threshold: how many of them must sign.
        service_keys: open the service's secrets, by the id of the master key.
        lkg_keys: of the last-known-good file, the current one first.
        policy: about epochs, from ``CONFIG_EPOCH_POLICY`` and ``CONFIG_EPOCH_PINNED``.
    """

    public_keys: tuple[TrustedKey, ...] = ()
    root_keys: tuple[TrustedKey, ...] = ()
    threshold: int = 1
    service_keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    lkg_keys: tuple[bytes, ...] = field(default=(), repr=False)
    policy: EpochPolicy = OPEN

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Self:
        """Read the values of a file and an environment.

        Raises:
            StartupError: naming every problem at once, never a value.
        """
        lines = Lines(values)
        roots, threshold = _roots(lines)
        service = lines.named("CONFIG_SERVICE_KEY") + lines.named("CONFIG_SERVICE_KEY_PREVIOUS")
        lkg = lines.named("LKG_SERVICE_KEY") + lines.named("LKG_SERVICE_KEY_PREVIOUS")
        mode = lines.text("CONFIG_EPOCH_POLICY") or "open"
        if mode not in ("open", "pin"):
            lines.wrong("CONFIG_EPOCH_POLICY", "must be open or pin")
        pinned = lines.text("CONFIG_EPOCH_PINNED")
        if pinned is not None and not _EPOCH.fullmatch(pinned):
            lines.wrong("CONFIG_EPOCH_PINNED", "must be a UUIDv4, in lower case")
        keys = cls(
            public_keys=lines.public("CONFIG_SIGNATURE_PUBLIC_KEYS"),
            root_keys=roots,
            threshold=threshold,
            service_keys=dict(reversed(service)),  # of two under one id the current one counts
            lkg_keys=tuple(key.raw for key in lkg),
            policy=EpochPolicy("pin" if mode == "pin" else "open", pinned),
        )
        lines.finish("the keys of this service are wrong")
        return keys

    @classmethod
    def from_environment(cls, env: Mapping[str, str], path: Path | None) -> Self:
        """The environment over the file; errors as in :meth:`of`."""
        return cls.of(merged(read_lines(path), env))


class KeyFile(Generic[K]):
    """Keys that follow their file: a rotation needs no restart.

    The first reading must succeed. Later ones may meet a file that somebody is repairing by
    hand; then the keys of before stay in use, and :attr:`problem` says why.
    """

    def __init__(
        self,
        path: Path | None,
        read: Callable[[Mapping[str, str]], K],
        env: Mapping[str, str] = _NO_ENVIRONMENT,
    ) -> None:
        """Name the file; nothing is read yet.

        Args:
            path: may be absent, and may come into being later.
            read: makes the keys, for example :meth:`ServiceKeys.of`.
            env: wins over the file.
        """
        self.path = path
        self.problem: StartupError | None = None
        self._read = read
        self._env = env
        self._stamp: tuple[int, int, int] | None = None
        self._keys: K | None = None
        self._lock = threading.Lock()

    @classmethod
    def of_manager(
        cls, path: Path | None, env: Mapping[str, str] = _NO_ENVIRONMENT
    ) -> KeyFile[ManagerKeys]:
        """The file of config-manager."""
        return KeyFile(path, ManagerKeys.of, env)

    @classmethod
    def of_service(
        cls, path: Path | None, env: Mapping[str, str] = _NO_ENVIRONMENT
    ) -> KeyFile[ServiceKeys]:
        """The file of a service."""
        return KeyFile(path, ServiceKeys.of, env)

    def current(self) -> K:
        """The keys as the file has them now.

        Raises:
            StartupError: at the first reading only.
        """
        with self._lock:
            stamp = self._look()
            if self._keys is None or stamp != self._stamp:
                self._again(gone=stamp is None and self.path is not None)
                self._stamp = stamp
            assert self._keys is not None
            return self._keys

    def _again(self, *, gone: bool) -> None:
        if gone and self._keys is not None:
            self.problem = StartupError(f"{self.path} is gone", hint="put the file back")
            return
        try:
            self._keys = self._read(merged(read_lines(self.path), self._env))
        except StartupError as error:
            if self._keys is None:
                raise
            self.problem = error
        else:
            self.problem = None

    def _look(self) -> tuple[int, int, int] | None:
        """Taken before the reading: a change between the two brings one reading too many."""
        try:
            found = self.path.stat() if self.path is not None else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_size) if found else None


def read_root_key(path: Path) -> SigningKey:
    """The private root key, where it was not yet moved off the machine.

    Raises:
        StartupError: the file is missing or holds no key.
    """
    lines = Lines(read_lines(path))
    key = lines.signing(ROOT_PRIVATE_KEY, required=True)
    lines.finish(f"{path} holds no root key")
    assert key is not None
    return key


def _roots(lines: Lines) -> tuple[tuple[TrustedKey, ...], int]:
    roots = lines.public("CONFIG_ROOT_PUBLIC_KEYS")
    threshold = lines.number("CONFIG_ROOT_THRESHOLD", 1)
    if roots and threshold > len(roots):
        lines.wrong("CONFIG_ROOT_THRESHOLD", "is more than there are root keys")
    return roots, threshold
