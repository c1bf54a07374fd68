"""What a service does with a message of configuration: values in, decisions out, no waiting.

The order is the protocol's: the message is verified and judged (steps 1 to 9), its secrets
are opened and its settings checked (10), it is applied (11), and what then runs is stored and
reported (12). A message that fails on the way leaves floor, epoch, stored file and running
settings as they were; only the report says that it was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, cast

from parlour_contracts.messages.health import ConfigState
from parlour_contracts.messages.requests import AppliedStatus, ConfigApplied, RefusalCode
from parlour_kit.errors import ParlourError
from parlour_kit.switch import Outcome

from parlour_config.clock import parse_moment
from parlour_config.errors import RefusedUpdateError
from parlour_config.lkg_store import REFRESH_WRITE_S
from parlour_config.signing import TrustedKey
from parlour_config.trust import Accept, Duplicate, EpochPolicy, TrustedSet, TrustState
from parlour_config.update import Update

C_co = TypeVar("C_co", covariant=True)
C = TypeVar("C")

Source = Literal["mqtt", "lkg", "default", "env"]


class Read(Protocol[C_co]):
    """Step 10: the settings in a verified configuration, or a RefusedUpdateError."""

    def __call__(self, config: Mapping[str, Any], /) -> C_co:
        """Open its secrets and check it."""
        ...


@dataclass(frozen=True)
class Apply(Generic[C]):
    """Make these settings run; then ``state`` holds."""

    update: Update
    state: TrustState
    settings: C


@dataclass(frozen=True)
class Refresh:
    """These settings run already. ``write``: worth storing now."""

    update: Update
    state: TrustState
    write: bool


@dataclass(frozen=True)
class Known:
    """The newest message came again; nothing is to be done."""


Decision: TypeAlias = Apply[C] | Refresh | Known


@dataclass(frozen=True)
class Identity:
    """Who reports: the service, its instance, and the run of its process."""

    service: str
    instance: str
    boot: str


class Activation(Generic[C]):
    """Knows what runs and what is trusted; told of each result, it says what to report.

    ``works`` is false while the settings that ``running`` names do not run: they could not be
    read, or the service could not load with them. Then the same message is tried again each
    time it comes, because what was missing may be there by then.
    """

    def __init__(self, who: Identity, read: Read[C]) -> None:
        self.who = who
        self.trusted = TrustedSet(who.service, ())
        self.running: Update | None = None
        self.source: Source = "default"
        self.works = True
        self.status: AppliedStatus = "applied"
        self.error: RefusalCode | None = None
        self._read = read
        self._written_at = float("-inf")

    def begin(self, update: Update | None, state: TrustState, source: Source) -> None:
        """What a process starts with: the stored message, or none and the defaults."""
        self.running = update
        self.trusted.commit(state)
        self.source = source

    def trust(self, keys: tuple[TrustedKey, ...], policy: EpochPolicy) -> None:
        """The keys and the policy that count from now on."""
        self.trusted.keys = keys
        self.trusted.policy = policy

    def offer(self, payload: bytes, topic: str, hint: str | None, now: float) -> Decision[C]:
        """Steps 1 to 10 for a message.

        Raises:
            RefusedUpdateError: the first check that failed; nothing has changed.
        """
        update, verdict = self.trusted.verify(payload, topic, hint)
        match verdict:
            case Duplicate() if self.works:
                return Known()
            case Duplicate():
                return Apply(update, self.trusted.state, self._read(update.config))
            case Accept(refresh=True) if self.works:
                return Refresh(update, verdict.new_state, self._worth_writing(verdict, now))
            case Accept():
                return Apply(update, verdict.new_state, self._read(update.config))

    def applied(self, update: Update, state: TrustState, outcome: Outcome) -> None:
        """Step 11 went well."""
        self.trusted.commit(state)
        self.running, self.source, self.works = update, "mqtt", True
        self.status, self.error = outcome, None

    def refreshed(self, update: Update, state: TrustState) -> None:
        """The floor has moved under the same settings."""
        self.trusted.commit(state)
        self.running, self.source = update, "mqtt"
        if self.status != "pending_restart":
            self.status, self.error = "applied", None

    def confirmed(self) -> bool:
        """The message that runs came again; whether that says more than was known before."""
        news = self.source == "lkg"
        self.source = "mqtt"
        return news

    def refused(self, error: ParlourError) -> None:
        """A message failed a check, or could not be applied."""
        self.status = getattr(error, "status", "rejected")
        self.error = cast("RefusalCode", error.code)

    def written(self, now: float) -> None:
        """Step 12: what runs and what is trusted is on disk."""
        self._written_at = now
        if self.error == "LKG_WRITE_FAILED":
            self.error = None

    def unwritten(self) -> None:
        """Step 12 failed; the new settings stay."""
        self.error = "LKG_WRITE_FAILED"

    def report(self, wall: datetime, lkg_age_s: float | None) -> ConfigApplied:
        """The reported state: what runs, and what became of the newest message."""
        running = self.running if self.works else None
        return ConfigApplied(
            service=self.who.service,
            instance=self.who.instance,
            boot_id=self.who.boot,
            config_epoch=running.config_epoch if running else None,
            issued_at=parse_moment(running.issued_at) if running else None,
            checksum=running.checksum if running else None,
            keyset_version=self.trusted.state.keyset_version,
            status=self.status,
            source=self.source,
            error=self.error,
            applied_at=wall,
            lkg_age_s=lkg_age_s,
        )

    def state(self, *, stale: bool) -> ConfigState:
        """The same in the health message."""
        running = self.running if self.works else None
        return ConfigState(
            config_epoch=running.config_epoch if running else None,
            checksum=running.checksum if running else None,
            source=self.source,
            stale=stale,
        )

    def _worth_writing(self, verdict: Accept, now: float) -> bool:
        """A floor that moved alone is written once an hour, to spare the card."""
        other_key = verdict.new_state.floor_kid != self.trusted.state.floor_kid
        late = now - self._written_at >= REFRESH_WRITE_S
        return verdict.epoch_changed or other_key or late


def hook_failed(reason: str) -> RefusedUpdateError:
    """The service could not get ready for the new settings; ``reason`` holds no value."""
    return RefusedUpdateError("HOOK_FAILED", reason)
