"""Rotation of the three keys: looks where each stands, does the next thing, tells people.

The rules are in :mod:`config_manager.rotation.rules`. Here is the shell around them: key files,
journal, database. :meth:`KeyRotations.step` is called again and again; each call does at most one
action for each key, and every action may be repeated after a kill.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from parlour_config.clock import parse_moment
from parlour_config.keyfiles import KeyFile, ManagerKeys
from parlour_config.keyset import Keyset, accept_keyset, read_keyset
from parlour_config.provision import (
    RotatedKey,
    Rotation,
    finish_rotation,
    rotation,
    start_rotation,
    switch_rotation,
)
from parlour_contracts.messages.signed import moment_text
from parlour_kit.clock import Clock

from config_manager.commands import RefusedError
from config_manager.commands.refusal import Gate, pass_gate
from config_manager.fronts.rest_models import KeysReport
from config_manager.rotation.journal import Entry, Journal
from config_manager.rotation.ports import Fleet, Grace, Work
from config_manager.rotation.report import Standing, keys_report
from config_manager.rotation.rules import Action, Known, next_of, revoked
from config_manager.rotation.shelf import Shelf

NAMES: Final[tuple[RotatedKey, ...]] = ("signing", "hmac", "master")
SYSTEM: Final = "system:rotation"

__all__ = ["Grace", "KeyRotations"]


class KeyRotations:
    """The keys of the fleet and their rotations."""

    def __init__(
        self,
        keys: KeyFile[ManagerKeys],
        folder: Path,
        work: Work,
        shelf: Shelf,
        fleet: Fleet,
        clock: Clock,
        *,
        clock_trusted: Callable[[], bool] = lambda: True,
        grace: Grace | None = None,
        gate: Gate = lambda: None,
        failpoint: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Put it together; nothing happens before the first step.

        Args:
            keys: the manager's keys, as every part of it sees them.
            folder: of the key files.
            work: the commands.
            shelf: keysets and records.
            fleet: the runtime.
            clock: wall time for graces, monotonic seconds where it cannot be trusted.
            clock_trusted: whether wall time can be.
            grace: how long old keys count.
            gate: why nothing may be changed now, or None.
            failpoint: called between any two effects; for tests.
        """
        self._keys = keys
        self._folder = folder
        self._work = work
        self._shelf = shelf
        self._fleet = fleet
        self._clock = clock
        self._trusted = clock_trusted
        self._grace = grace or Grace()
        self._gate = gate
        self._at = failpoint
        self._journal = Journal(folder)
        self._since: dict[tuple[str, str], float] = {}
        self._problems: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self._log = structlog.get_logger("parlour.keys")

    async def report(self) -> KeysReport:
        """Public halves, ids and states; never a private half."""
        keys = self._keys.current()
        keyset = await self._shelf.newest()
        standings = []
        for name in NAMES:
            known = await self._known(name, keyset)
            entry = self._entry(known.standing)
            standings.append(Standing(known, next_of(known), entry, self._problems.get(name)))
        return keys_report(keys, keyset, standings, self._journal.disowned)

    async def start(
        self, name: RotatedKey, *, by: str, reason: str, compromised: bool = False
    ) -> None:
        """Begin a rotation; one that is under way goes on.

        Raises:
            RefusedError: nothing may be changed now, or the keys come from the environment, where
                nobody can write them.
            ParlourError: the key files cannot be read or written.
        """
        async with self._lock:
            pass_gate(self._gate)
            self._require_files(name)
            await self._shelf.note(
                "key-rotation", by, key=name, reason=reason,
                compromised="yes" if compromised else None,
            )  # fmt: skip
            self._at(f"{name}:noted")
            if compromised and name == "signing":
                current = self._keys.current().signing.kid
                await asyncio.to_thread(self._journal.disown, current)
                self._at("signing:disowned")
            standing = await asyncio.to_thread(start_rotation, self._folder, name)
            self._at(f"{name}:started")
            entry = self._entry(standing)
            if entry.by != by:
                await self._remember(standing, entry.model_copy(update={"by": by}))
        await self.step()

    async def accept_keyset(self, document: bytes, *, by: str, reason: str) -> int:
        """Take the next keyset.

        Raises:
            RefusedDocumentError: it is not signed as it must be, or not the next one.
            RefusedError: nothing may be changed now, or config-manager would have no key left to
                sign with.
        """
        async with self._lock:
            pass_gate(self._gate)
            keys = self._keys.current()
            current = await self._shelf.newest()
            new = read_keyset(document)
            accepted = accept_keyset(current, new, keys.roots, keys.threshold)
            if accepted is not current:
                _require_own_key(keys, accepted)
                self._at("keyset:accepted")
                await self._shelf.put(accepted, by, reason)
                self._at("keyset:stored")
        await self.step()
        return accepted.version

    async def step(self) -> bool:
        """Do the next action of each rotation; whether there may be more at once.

        What goes wrong is in the report and is tried again at the next call.
        """
        busy = False
        async with self._lock:
            for name in NAMES:
                try:
                    busy |= await self._step(name)
                except Exception as error:  # noqa: BLE001  # the other keys go on
                    text = getattr(error, "code", type(error).__name__)
                    if self._problems.get(name) != text:
                        self._log.error("a rotation does not go on", key=name, reason=text)
                    self._problems[name] = text
                else:
                    self._problems.pop(name, None)
        return busy

    async def _step(self, name: RotatedKey) -> bool:
        known = await self._known(name, await self._shelf.newest())
        action = next_of(known).action
        if action is None:
            return False
        await self._act(action, known, self._entry(known.standing))
        self._at(f"{name}:{action}:done")
        return True

    async def _act(self, action: Action, known: Known, entry: Entry) -> None:
        standing = known.standing
        match action:
            case "switch":
                if standing.name == "signing" and revoked(known):
                    await asyncio.to_thread(self._journal.owe_epoch, True)
                    self._at("signing:epoch-owed")
                await asyncio.to_thread(switch_rotation, self._folder, standing.name)
            case "new-epoch":
                await self._fleet.key_revoked(entry.by)
                self._at("signing:epoch-made")
                await asyncio.to_thread(self._journal.owe_epoch, False)
            case "finish":
                await self._finish(standing, entry)
            case "rewrap":
                if await self._work.rewrap() == 0:
                    raise RefusedError("INTERNAL", "secrets are left that nobody finds")
            case "reissue" | "prove":
                await self._spread(action)
                self._at(f"{standing.name}:{action}:spread")
                await self._begin_grace(standing, entry)

    async def _spread(self, action: Action) -> None:
        """What must be done with the new key before the grace of the old one begins."""
        if action == "reissue":
            await self._work.reissue()
            return
        unreadable = await self._work.unreadable_secrets()
        if unreadable:
            raise RefusedError("INTERNAL", f"{len(unreadable)} secrets do not open")

    async def _begin_grace(self, standing: Rotation, entry: Entry) -> None:
        until = moment_text(self._clock.wall() + self._grace.of(standing.name))
        changed = {"spread": True, "grace_until": until, "trusted": self._trusted()}
        await self._remember(standing, entry.model_copy(update=changed))

    async def _finish(self, standing: Rotation, entry: Entry) -> None:
        await self._shelf.note(
            "key-retired", SYSTEM, key=standing.name, key_id=standing.current,
            retired=",".join(standing.previous),
        )  # fmt: skip
        self._at(f"{standing.name}:retirement-noted")
        changed = {"completed_at": moment_text(self._clock.wall())}
        await self._remember(standing, entry.model_copy(update=changed))
        self._at(f"{standing.name}:completion-kept")
        await asyncio.to_thread(finish_rotation, self._folder, standing.name)

    async def _known(self, name: RotatedKey, keyset: Keyset | None) -> Known:
        standing = await asyncio.to_thread(rotation, self._folder, name)
        entry = self._entry(standing)
        rotating_master = name == "master" and standing.phase != "idle"
        return Known(
            standing=standing,
            spread=entry.spread,
            grace_over=self._grace_over(standing, entry),
            keyset=keyset,
            has_roots=bool(self._keys.current().roots),
            living=self._fleet.keyset_versions() if name == "signing" else {},
            left=await self._shelf.left(standing.current) if rotating_master else 0,
            epoch_due=self._journal.epoch_due,
        )

    def _grace_over(self, standing: Rotation, entry: Entry) -> bool:
        """By the wall clock where it can be trusted, else by time that this process has seen."""
        if entry.grace_until is None:
            return False
        seen = self._since.setdefault((standing.name, entry.grace_until), self._clock.monotonic())
        if self._clock.monotonic() - seen >= self._grace.of(standing.name).total_seconds():
            return True
        by_wall = entry.trusted and self._trusted()
        return by_wall and self._clock.wall() >= parse_moment(entry.grace_until)

    def _entry(self, standing: Rotation) -> Entry:
        """The entry of the key that is coming, or of the one in use."""
        return self._journal.entry(standing.name, standing.next or standing.current)

    async def _remember(self, standing: Rotation, entry: Entry) -> None:
        await asyncio.to_thread(self._journal.put, standing.name, entry)

    def _require_files(self, name: RotatedKey) -> None:
        keys = self._keys.current()
        used = {"signing": keys.signing.kid, "hmac": keys.hmac.id, "master": keys.master.id}[name]
        if rotation(self._folder, name).current != used:
            raise RefusedError(
                "READ_ONLY",
                "this key comes from the environment, so config-manager cannot change it",
                hint="put the new key and the previous one into the environment and restart",
            )


def _require_own_key(keys: ManagerKeys, keyset: Keyset) -> None:
    """See that config-manager could still sign."""
    own = {keys.signing.kid} | ({keys.signing_next.kid} if keys.signing_next else set())
    if not own & {key.kid for key in keyset.trusted}:
        raise RefusedError(
            "VALIDATION_FAILED",
            "this keyset trusts no key that config-manager could sign with",
            hint="begin a rotation first and sign the draft that it shows",
        )
