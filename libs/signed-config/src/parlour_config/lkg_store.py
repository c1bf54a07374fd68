"""A service's trust on disk: its last-known-good file, its keyset and the poison guard.

Calls block for as long as the disk takes; a service makes them off its event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from parlour_kit.metrics import cache

from parlour_config.clock import add_us
from parlour_config.errors import (
    ClockError,
    RefusedDocumentError,
    RefusedLkgError,
    SignedConfigError,
    StorageError,
)
from parlour_config.files import previous_of, read_limited, replace_file, set_aside, sweep
from parlour_config.keyset import Keyset, read_keyset, reset_floor, trusted_keys
from parlour_config.lkg import (
    MAX_SERVICE_BYTES,
    LastKnownGood,
    read_keyset_file,
    read_lkg,
    render_keyset_file,
    render_lkg,
)
from parlour_config.marker import SETTLE_S, ApplyMarker, BootDecision
from parlour_config.signing import TrustedKey
from parlour_config.trust import TrustState, clear_poison
from parlour_config.update import Update

__all__ = ["REFRESH_WRITE_S", "SETTLE_S", "BootDecision", "LkgStore", "Restored"]

REFRESH_WRITE_S = 3600.0
"""A floor that moved alone is written at most this often."""

MAX_KEYSET_FILE_BYTES = 65_536


@dataclass(frozen=True)
class Restored:
    """What a service starts with.

    Attributes:
        lkg: None means defaults.
        state: what to trust; without a file, nothing yet.
        keyset: the accepted one, for a ``KeysetWalk``.
        keys: those that verify messages now; none while the accepted keyset is lost.
        decision: what the poison guard says.
        problems: what was wrong with files; tell the operator.
        aside: under which names those files were kept.
        forgiven: what is no longer marked as poison, by its checksum.
    """

    lkg: LastKnownGood | None
    state: TrustState
    keyset: Keyset | None
    keys: tuple[TrustedKey, ...]
    decision: BootDecision
    problems: tuple[SignedConfigError, ...] = ()
    aside: tuple[Path, ...] = ()
    forgiven: tuple[str, ...] = ()


@dataclass
class _Findings:
    problems: list[SignedConfigError] = field(default_factory=list)
    aside: list[Path] = field(default_factory=list)


class LkgStore:
    """The files of one service in one folder; one process at a time.

    Args:
        folder: made when it is missing.
        service: the own name.
        keys: the HMAC keys now, the current one first.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(self, folder: Path, service: str, keys: Callable[[], Sequence[bytes]]) -> None:
        self.path = folder / f"{service}.lkg.json"
        self.keyset_path = folder / f"{service}.keyset.json"
        self.marker_path = folder / f"{service}.applying.json"
        self._marker = ApplyMarker(self.marker_path)
        self._service = service
        self._keys = keys
        self._stored: str | None = None
        self._forgiving = False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error.strerror}") from error
        for path in (self.path, self.keyset_path, self.marker_path):
            sweep(folder, path.name)

    def forgive(self) -> None:
        """Let the next :meth:`restore` clear every mark of poison: the operator says try again."""
        self._forgiving = True

    def restore(self, env_keys: Sequence[TrustedKey]) -> Restored:
        """Read what to start with, and leave out a configuration that stopped the service.

        A file that does not prove itself is set aside and the service starts on defaults. One
        that cannot be read now stays where it is.

        Args:
            env_keys: the configuration keys of the environment.
        """
        findings = _Findings()
        decision, forgiven = self._decision(findings)
        keyset = self._read_keyset(findings)
        keys = keyset.trusted if keyset is not None else tuple(env_keys)
        lkg = self._read(self.path, keys, findings)
        cache.read("lkg", hit=lkg is not None)
        state = lkg.state if lkg is not None and lkg.state is not None else TrustState()
        if decision.kind == "poisoned":
            lkg, state = self._without_poison(decision, lkg, state, keys, findings)
        else:
            self._stored = _checksum(lkg)
        if keyset is not None:
            state = reset_floor(state, keyset)
        if self._forgiving and state.poison:
            forgiven, state = {*forgiven, *state.poison}, clear_poison(state)
            self._store_forgiven(lkg, state, findings)
        self._forgiving = False
        return Restored(
            lkg=lkg,
            state=state,
            keyset=keyset,
            keys=trusted_keys(keyset, state, env_keys),
            decision=decision,
            problems=tuple(findings.problems),
            aside=tuple(findings.aside),
            forgiven=tuple(sorted(forgiven)),
        )

    def save(self, update: Update, state: TrustState) -> None:
        """Write what the service runs with and trusts now.

        The file of another configuration is kept as the previous one; an older message of the
        same configuration is not worth that place.

        Raises:
            StorageError: ``LKG_WRITE_FAILED``; the old file is still there.
        """
        try:
            data = render_lkg(
                payload={self._service: update.config},
                config_epoch=update.config_epoch,
                generated_at=update.issued_at,
                update=update.raw,
                state=state,
                key=self._key(),
            )
            worth_keeping = self._stored not in {None, update.checksum}
            replace_file(self.path, data, keep_previous=worth_keeping)
        except StorageError as error:
            error.code = "LKG_WRITE_FAILED"
            raise
        self._stored = update.checksum

    def save_keyset(self, raw: bytes) -> None:
        """Write an accepted keyset; it is used afterwards, not before.

        Raises:
            StorageError: the old one is still there.
        """
        data = render_keyset_file(raw, service=self._service, key=self._key())
        replace_file(self.keyset_path, data)

    def begin_apply(self, update: Update) -> None:
        """Call before every attempt to apply a configuration, at a start too.

        Raises:
            StorageError: then nothing guards this configuration.
        """
        self._marker.begin(update)

    def settled(self) -> None:
        """Call when it ran for ``SETTLE_S``, could not be applied, or the service stops.

        Raises:
            StorageError: the marker is still there.
        """
        self._marker.clear()

    def at_boot(self) -> BootDecision:
        """What the poison guard says; nothing is changed."""
        return self._marker.at_boot()

    def _decision(self, findings: _Findings) -> tuple[BootDecision, set[str]]:
        """What the marker says, and what it no longer says because of the operator."""
        decision = self._marker.at_boot()
        if not self._forgiving or decision.kind != "poisoned":
            return decision, set()
        try:
            self._marker.clear()
        except StorageError as error:
            findings.problems.append(error)
        # What is tried now is its first attempt again.
        return replace(decision, kind="retry"), {str(decision.checksum)}

    def _store_forgiven(
        self, lkg: LastKnownGood | None, state: TrustState, findings: _Findings
    ) -> None:
        if lkg is None or lkg.update is None:
            return
        try:
            self.save(lkg.update, state)
        except StorageError as error:
            findings.problems.append(error)

    def _without_poison(
        self,
        decision: BootDecision,
        lkg: LastKnownGood | None,
        state: TrustState,
        keys: Sequence[TrustedKey],
        findings: _Findings,
    ) -> tuple[LastKnownGood | None, TrustState]:
        """What to start with when one configuration must not be applied, and its mark.

        The mark goes into the file. Without one to write, the marker itself stays, so that
        the next start finds it again.
        """
        good = lkg
        if _checksum(good) == decision.checksum:
            good = self._read(previous_of(self.path), keys, findings)
        if good is None or good.update is None or _checksum(good) == decision.checksum:
            return None, _after_poison(state, TrustState(), decision)
        state = _after_poison(state, good.state or TrustState(), decision)
        self._stored = None  # what is there now must not become the previous one
        try:
            self.save(good.update, state)
            self.settled()
        except StorageError as error:
            findings.problems.append(error)
        return replace(good, state=state), state

    def _read(
        self, path: Path, keys: Sequence[TrustedKey], findings: _Findings
    ) -> LastKnownGood | None:
        try:
            data = read_limited(path, MAX_SERVICE_BYTES)
            return read_lkg(data, self._keys(), service=self._service, trusted=keys)
        except FileNotFoundError:
            return None
        except (StorageError, RefusedLkgError) as error:
            _put_aside(path, error, findings)
            return None

    def _read_keyset(self, findings: _Findings) -> Keyset | None:
        try:
            data = read_limited(self.keyset_path, MAX_KEYSET_FILE_BYTES)
            return read_keyset(read_keyset_file(data, self._keys(), service=self._service))
        except FileNotFoundError:
            return None
        except (StorageError, RefusedLkgError, RefusedDocumentError) as error:
            _put_aside(self.keyset_path, error, findings)
            return None

    def _key(self) -> bytes:
        keys = self._keys()
        if not keys:
            raise StorageError(
                "there is no key for the last-known-good file",
                retryable=False,
                hint="set LKG_SERVICE_KEY; parlour up makes the keys",
            )
        return keys[0]


def _put_aside(path: Path, error: SignedConfigError, findings: _Findings) -> None:
    findings.problems.append(error)
    if error.retryable:  # it may be fine; it only could not be read
        return
    try:
        findings.aside.append(set_aside(path))
    except StorageError as problem:
        findings.problems.append(problem)


def _checksum(lkg: LastKnownGood | None) -> str | None:
    return lkg.update.checksum if lkg is not None and lkg.update is not None else None


def _after_poison(latest: TrustState, good: TrustState, decision: BootDecision) -> TrustState:
    """The latest trust, with another configuration running.

    No epoch is entered again and no older message is taken; but the floor stops just below
    the poisonous message, so that this one is refused as what it is when it comes again.
    """
    below = _below(str(decision.issued_at))
    return replace(
        latest,
        floor=max(good.floor, min(latest.floor, below)),
        poison=(str(decision.checksum),),
        checksum=good.checksum,
    )


def _below(moment: str) -> str:
    try:
        return add_us(moment, -1)
    except ClockError:  # the first moment of the calendar
        return moment
