"""A service's trust on disk: its last-known-good file, its keyset, and the poison guard.

The guard: before a configuration is applied, a marker with its checksum is written, and
removed a minute after success. Who finds it at the next start was stopped in between. The
first time that may have been the power; the second time the configuration is poison: it is
not applied again, and the one before it takes its place.

Calls block for as long as the disk takes; a service makes them off its event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from parlour_config.canonical import canonical, load
from parlour_config.clock import add_us
from parlour_config.errors import (
    ClockError,
    RefusedJsonError,
    RefusedLkgError,
    SignedConfigError,
    StorageError,
)
from parlour_config.files import (
    previous_of,
    read_limited,
    remove_file,
    replace_file,
    set_aside,
    sweep,
)
from parlour_config.lkg import (
    MAX_SERVICE_BYTES,
    LastKnownGood,
    read_keyset_file,
    read_lkg,
    render_keyset_file,
    render_lkg,
)
from parlour_config.signing import TrustedKey
from parlour_config.trust import TrustState
from parlour_config.update import Update

SETTLE_S = 60.0
"""A configuration that has run so long did not stop the service."""

REFRESH_WRITE_S = 3600.0
"""A floor that moved alone is written at most this often."""

MAX_ATTEMPTS = 2
MAX_KEYSET_FILE_BYTES = 65_536
MAX_MARKER_BYTES = 4_096


@dataclass(frozen=True)
class BootDecision:
    """What the marker says at a start.

    Attributes:
        kind: ``clean``: no marker. ``retry``: the service was stopped once while it applied
            ``checksum``; apply it again. ``poisoned``: twice; never apply it.
        marked_at: ``issued_at`` of the message that the marker names.
    """

    kind: Literal["clean", "retry", "poisoned"]
    checksum: str | None = None
    marked_at: str | None = None


@dataclass(frozen=True)
class Loaded:
    """What was found on disk.

    Attributes:
        lkg: what to start with; None means defaults.
        state: what to trust; without a file, nothing yet.
        decision: about a marker.
        problems: why a file was set aside.
        aside: under which names those were kept.
    """

    lkg: LastKnownGood | None
    state: TrustState
    decision: BootDecision
    problems: tuple[SignedConfigError, ...] = ()
    aside: tuple[Path, ...] = ()


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
        self._service = service
        self._keys = keys
        self._stored: str | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {folder.name}: {error.strerror}") from error
        for path in (self.path, self.keyset_path, self.marker_path):
            sweep(folder, path.name)

    def load(self, trusted: Sequence[TrustedKey]) -> Loaded:
        """Read what to start with, and deal with a configuration that stopped the service.

        A file that does not prove itself is set aside, and the service starts on defaults.

        Args:
            trusted: the keys that verify the stored message.

        Raises:
            StorageError: not even a bad file can be moved.
        """
        decision = self.at_boot()
        findings = _Findings()
        lkg = self._read(self.path, trusted, findings)
        if decision.kind == "poisoned" and decision.checksum is not None:
            lkg = self._without(decision, lkg, trusted, findings)
        self._stored = lkg.update.checksum if lkg is not None and lkg.update else None
        state = (lkg.state if lkg is not None else None) or TrustState()
        if decision.kind == "poisoned" and decision.checksum not in state.poison:
            state = replace(state, poison=(*state.poison, str(decision.checksum)))
        return Loaded(lkg, state, decision, tuple(findings.problems), tuple(findings.aside))

    def save(self, update: Update, state: TrustState) -> None:
        """Write what the service runs with and trusts now.

        Another configuration's file is kept as the previous one; a newer message or state for
        the same configuration is not worth that.

        Raises:
            StorageError: code ``LKG_WRITE_FAILED``; the old file is still there.
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
            replace_file(self.path, data, keep_previous=update.checksum != self._stored)
        except StorageError as error:
            raise StorageError(str(error), code="LKG_WRITE_FAILED") from error
        self._stored = update.checksum

    def load_keyset(self) -> tuple[bytes | None, SignedConfigError | None]:
        """The accepted keyset's exact bytes; or None, and why the file was set aside if so."""
        findings = _Findings()
        try:
            data = read_limited(self.keyset_path, MAX_KEYSET_FILE_BYTES)
            return read_keyset_file(data, self._keys(), service=self._service), None
        except FileNotFoundError:
            return None, None
        except (StorageError, RefusedLkgError) as error:
            self._put_aside(self.keyset_path, error, findings)
            return None, error

    def save_keyset(self, raw: bytes) -> None:
        """Write an accepted keyset, before it is used.

        Raises:
            StorageError: the old one is still there.
        """
        data = render_keyset_file(raw, service=self._service, key=self._key())
        replace_file(self.keyset_path, data)

    def begin_apply(self, update: Update) -> None:
        """Before a configuration is applied, at a start too: write the marker.

        Raises:
            StorageError: then do not apply.
        """
        marker = self._marker()
        again = marker is not None and marker["checksum"] == update.checksum
        attempts = int(marker["attempts"]) + 1 if marker is not None and again else 1
        text: dict[str, str | int] = {
            "epoch": update.config_epoch,
            "issued_at": update.issued_at,
            "checksum": update.checksum,
            "attempts": attempts,
        }
        replace_file(self.marker_path, canonical(text))

    def settled(self) -> None:
        """The configuration ran for a minute, could not be applied, or the service stops.

        Raises:
            StorageError: the marker is still there.
        """
        remove_file(self.marker_path)

    def at_boot(self) -> BootDecision:
        """What the marker says; nothing is changed."""
        marker = self._marker()
        if marker is None:
            return BootDecision("clean")
        kind: Literal["retry", "poisoned"] = (
            "poisoned" if int(marker["attempts"]) >= MAX_ATTEMPTS else "retry"
        )
        return BootDecision(kind, str(marker["checksum"]), str(marker["issued_at"]))

    def _without(
        self,
        decision: BootDecision,
        lkg: LastKnownGood | None,
        trusted: Sequence[TrustedKey],
        findings: _Findings,
    ) -> LastKnownGood | None:
        """The file to start with when one configuration must not be applied."""
        checksum = str(decision.checksum)
        bad = lkg
        if lkg is not None and lkg.update is not None and lkg.update.checksum == checksum:
            lkg = self._read(previous_of(self.path), trusted, findings)
            if lkg is not None and lkg.update is not None and lkg.update.checksum == checksum:
                lkg = None
        if lkg is None or lkg.update is None or lkg.state is None:
            return None  # the marker stays: it is the only record of the poison
        state = _after_poison(lkg.state, bad.state if bad else None, decision)
        self._stored = lkg.update.checksum
        try:
            self.save(lkg.update, state)
            self.settled()
        except StorageError as error:
            findings.problems.append(error)
        return replace(lkg, state=state)

    def _read(
        self, path: Path, trusted: Sequence[TrustedKey], findings: _Findings
    ) -> LastKnownGood | None:
        try:
            data = read_limited(path, MAX_SERVICE_BYTES)
            return read_lkg(data, self._keys(), service=self._service, trusted=trusted)
        except FileNotFoundError:
            return None
        except (StorageError, RefusedLkgError) as error:
            self._put_aside(path, error, findings)
            return None

    def _put_aside(self, path: Path, error: SignedConfigError, findings: _Findings) -> None:
        findings.problems.append(error)
        try:
            findings.aside.append(set_aside(path))
        except StorageError as problem:
            findings.problems.append(problem)

    def _marker(self) -> dict[str, str | int] | None:
        """The marker; one that cannot be read says nothing."""
        try:
            marker = load(read_limited(self.marker_path, MAX_MARKER_BYTES))
        except (FileNotFoundError, StorageError, RefusedJsonError):
            return None
        if not isinstance(marker, dict):
            return None
        checksum, attempts = marker.get("checksum"), marker.get("attempts")
        issued_at = marker.get("issued_at")
        if not isinstance(checksum, str) or not isinstance(issued_at, str):
            return None
        if type(attempts) is not int:
            return None
        return {"checksum": checksum, "issued_at": issued_at, "attempts": attempts}

    def _key(self) -> bytes:
        keys = self._keys()
        if not keys:
            raise StorageError("no key for the last-known-good file", retryable=False)
        return keys[0]


def _after_poison(state: TrustState, bad: TrustState | None, decision: BootDecision) -> TrustState:
    """The trust to go on with: no epoch is entered again, and no older message is taken.

    The floor stops just below the poisonous message, so that it is refused as what it is when
    it comes again.
    """
    later = state if bad is None else replace(bad, checksum=state.checksum)
    try:
        below = add_us(str(decision.marked_at), -1)
    except ClockError:
        below = state.floor
    return replace(
        later,
        floor=max(state.floor, min(later.floor, below)),
        poison=(str(decision.checksum),),
    )
