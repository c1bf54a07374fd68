"""Whatever is sent in whatever order: a service never goes back, and a refusal changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from attacker import NEXT, ROOT, SERVICE, SIGNER, STRANGER, TOPIC, keyset
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from parlour_config.canonical import checksum
from parlour_config.clock import EPOCH_START, add_us
from parlour_config.errors import RefusedUpdateError
from parlour_config.keyset import KeysetWalk, reset_floor
from parlour_config.lkg import read_lkg, render_lkg
from parlour_config.signing import TrustedKey
from parlour_config.trust import MAX_RETIRED, Accept, EpochPolicy, TrustedSet
from parlour_config.update import build_update, read_update

MAC = bytes(32)
START = "2026-01-01T00:00:00.000000Z"
EPOCHS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(5)]
CONFIGS: list[dict[str, Any]] = [{"volume": n} for n in range(3)]

times = st.integers(0, 30)
epochs = st.sampled_from(EPOCHS)
configs = st.sampled_from(CONFIGS)
signers = st.sampled_from([SIGNER, NEXT])


class Service(RuleBasedStateMachine):
    """A service beside a book in which a person notes what must be true of it."""

    @initialize(pin=st.booleans())
    def begin(self, pin: bool) -> None:
        self.policy = EpochPolicy("pin" if pin else "open")
        self.trusted = TrustedSet(
            SERVICE, [TrustedKey.of(key.public) for key in (SIGNER, NEXT)], policy=self.policy
        )
        self.walk = KeysetWalk([TrustedKey.of(ROOT.public)], 1)
        self.revoked: set[str] = set()
        # the book
        self.floor = -1
        self.floor_kid: str | None = None
        self.epoch: str | None = None
        self.left: set[str] = set()
        self.running: dict[str, Any] | None = None
        self.poison: dict[str, Any] | None = None
        self.last = b""

    @rule(n=times, epoch=epochs, config=configs, key=signers)
    def genuine(self, n: int, epoch: str, config: dict[str, Any], key: Any) -> None:
        """A message that config-manager once signed comes, now or again."""
        payload = build_update(
            key, service=SERVICE, config=config, config_epoch=epoch, issued_at=add_us(START, n)
        )
        expected = self._expected(n, epoch, config, key.kid)
        assert self._deliver(payload) == expected
        if expected in {"applied", "refresh"}:
            if self.epoch not in (None, epoch):
                self.left.add(str(self.epoch))
            self.floor, self.floor_kid, self.epoch = n, key.kid, epoch
            self.running, self.last, self.poison = config, payload, None

    def _expected(self, n: int, epoch: str, config: dict[str, Any], kid: str) -> str:
        """What the rules say, from the book alone."""
        other = self.epoch not in (None, epoch)
        same = config == self.running
        rules = (
            (kid in self.revoked, "BAD_SIGNATURE"),
            (epoch in self.left, "RETIRED_EPOCH"),
            (other and n <= self.floor, "STALE_EPOCH"),
            (other and self.policy.mode == "pin", "EPOCH_UNCONFIRMED"),
            (n < self.floor, "STALE"),
            (n == self.floor and same, "duplicate"),
            (n == self.floor, "EQUIVOCATION"),
            (same, "refresh"),
            (config == self.poison, "CRASH_AFTER_APPLY"),
            (True, "applied"),
        )
        return next(word for holds, word in rules if holds)

    @rule(n=times, epoch=epochs, how=st.integers(0, 3))
    def forged(self, n: int, epoch: str, how: int) -> None:
        """A message that config-manager never signed for this service."""
        payload = build_update(
            STRANGER if how == 0 else SIGNER,
            service="router" if how == 1 else SERVICE,
            config={"volume": 99},
            config_epoch=epoch,
            issued_at=add_us(START, n + 1000),
        )
        if how == 2:
            payload = payload.replace(b"99", b"98")
        topic = "system/config/router" if how == 3 else TOPIC
        assert self._deliver(payload, topic) in {"BAD_SIGNATURE", "WRONG_SERVICE"}

    @precondition(lambda self: self.running is not None)
    @rule()
    def again(self) -> None:
        """The broker sends the retained message again, as after every connection."""
        kid = self.floor_kid
        expected = "BAD_SIGNATURE" if kid in self.revoked else "duplicate"
        if kid is not None:
            assert self._deliver(self.last) == expected

    @precondition(lambda self: self.running is not None and not self.revoked)
    @rule()
    def restart(self) -> None:
        """Power goes and comes back; the file holds what is trusted."""
        update = read_update(self.last)
        data = render_lkg(
            payload={SERVICE: update.config},
            config_epoch=update.config_epoch,
            generated_at=update.issued_at,
            update=self.last,
            state=self.trusted.state,
            key=MAC,
        )
        found = read_lkg(data, [MAC], service=SERVICE, trusted=self.trusted.keys)
        assert found.state is not None
        state = replace(found.state, keyset=self.trusted.state.keyset)
        assert state == self.trusted.state
        self.trusted = TrustedSet(SERVICE, self.trusted.keys, state, self.policy)

    @precondition(lambda self: self.running is not None)
    @rule(config=configs)
    def poisoned(self, config: dict[str, Any]) -> None:
        """The guard marks a configuration that stopped the service twice."""
        if config != self.running:
            self.poison = config
            self.trusted.commit(replace(self.trusted.state, poison=(checksum(config),)))

    @precondition(lambda self: not self.revoked)
    @rule(reset=st.booleans())
    def revoke(self, reset: bool) -> None:
        """A key was stolen: the operator revokes it, and may drop the floor that it set."""
        gone = SIGNER.kid
        raw = keyset(1, keys=(NEXT,), revoked=[gone], reset_floor_for=[gone] if reset else [])
        new = self.walk.judge(raw)
        assert new is not None
        self.walk.commit(new)
        self.trusted.keys = new.trusted
        self.trusted.commit(reset_floor(self.trusted.state, new))
        self.revoked.add(gone)
        if reset and self.floor_kid == gone:
            self.floor, self.floor_kid = -1, None

    def _deliver(self, payload: bytes, topic: str = TOPIC) -> str:
        before = self.trusted.state
        try:
            _, verdict = self.trusted.verify(payload, topic)
        except RefusedUpdateError as error:
            assert self.trusted.state == before
            return error.code
        assert self.trusted.state == before
        if not isinstance(verdict, Accept):
            return "duplicate"
        assert verdict.new_state.floor > before.floor
        self.trusted.commit(verdict.new_state)
        return "refresh" if verdict.refresh else "applied"

    @invariant()
    def the_state_is_what_the_book_says(self) -> None:
        state = self.trusted.state
        assert state.epoch == self.epoch
        assert state.floor == (EPOCH_START if self.floor < 0 else add_us(START, self.floor))
        assert state.floor_kid == self.floor_kid
        assert state.checksum == (None if self.running is None else checksum(self.running))
        assert state.poison == (() if self.poison is None else (checksum(self.poison),))

    @invariant()
    def an_epoch_that_was_left_is_never_entered_again(self) -> None:
        state = self.trusted.state
        assert set(state.retired) == self.left
        assert state.epoch not in state.retired
        assert len(state.retired) == len(set(state.retired)) <= MAX_RETIRED


Service.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestWhateverComesInWhateverOrder = pytest.mark.req("X1", "C035", "SC038")(Service.TestCase)
