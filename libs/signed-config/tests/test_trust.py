"""The rules of trust, told as what happens to a service."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.clock import EPOCH_START, add_us
from parlour_config.errors import RefusedUpdateError
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import (
    MAX_RETIRED,
    OPEN,
    Accept,
    Duplicate,
    EpochPolicy,
    TrustedSet,
    TrustState,
    clear_poison,
)
from parlour_config.update import build_update, read_update

KEY = SigningKey(b"\x01" * 32)
TOPIC = "system/config/stt-worker"
START = "2026-01-01T00:00:00.000000Z"
FIRST, SECOND, THIRD = (f"{n:08x}-0000-4000-8000-000000000000" for n in (1, 2, 3))


def signed(
    n: int, volume: int = 1, epoch: str = FIRST, service: str = "stt-worker", at: str = START
) -> bytes:
    """Message number ``n``: its time is that of the number."""
    return build_update(
        KEY,
        service=service,
        config={"volume": volume},
        config_epoch=epoch,
        issued_at=add_us(at, n),
    )


def fresh(state: TrustState | None = None, policy: EpochPolicy = OPEN) -> TrustedSet:
    return TrustedSet("stt-worker", [TrustedKey.of(KEY.public)], state, policy)


def take(trusted: TrustedSet, payload: bytes, topic: str = TOPIC) -> str:
    """Deliver a message and apply it: what became of it, in one word."""
    before = trusted.state
    try:
        _, verdict = trusted.verify(payload, topic)
    except RefusedUpdateError as error:
        assert trusted.state == before
        return error.code
    assert trusted.state == before
    if isinstance(verdict, Duplicate):
        return "duplicate"
    trusted.commit(verdict.new_state)
    return "refresh" if verdict.refresh else "applied"


@pytest.mark.req("C035", "C051")
def test_first_contact_pins_the_epoch_and_sets_the_floor() -> None:
    trusted = fresh()

    assert take(trusted, signed(5)) == "applied"
    state = trusted.state
    assert (state.epoch, state.floor, state.floor_kid) == (FIRST, add_us(START, 5), KEY.kid)
    assert state.checksum == read_update(signed(5)).checksum
    assert state.retired == ()


@pytest.mark.req("X1", "C035", "SC038")
def test_only_a_message_above_the_floor_is_new() -> None:
    trusted = fresh()
    take(trusted, signed(5))

    assert take(trusted, signed(4, volume=2)) == "STALE"
    assert take(trusted, signed(4)) == "STALE"
    assert take(trusted, signed(5)) == "duplicate"
    assert take(trusted, signed(5, volume=2)) == "EQUIVOCATION"
    assert take(trusted, signed(6)) == "refresh"
    assert take(trusted, signed(7, volume=2)) == "applied"
    assert take(trusted, signed(6)) == "STALE"


@pytest.mark.req("X1", "SC038")
@pytest.mark.parametrize(
    "at",
    ["0001-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z", "9999-12-31T23:00:00.000000Z"],
)
def test_no_message_is_refused_for_its_age_alone(at: str) -> None:
    state = TrustState(floor=at, floor_kid=KEY.kid, epoch=FIRST)

    assert take(fresh(state), signed(1, at=at)) == "applied"
    assert take(fresh(state), signed(1, at=at, epoch=SECOND)) == "applied"


@pytest.mark.req("X1", "SC038")
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), max_size=40))
def test_whatever_comes_again_the_floor_only_rises(messages: list[tuple[int, int]]) -> None:
    trusted = fresh()
    highest = 0
    for n, volume in messages:
        outcome = take(trusted, signed(n, volume))
        assert (outcome in {"applied", "refresh"}) == (n > highest)
        if n < highest:
            assert outcome == "STALE"
        highest = max(highest, n)
        assert trusted.state.floor == add_us(START, highest)


@pytest.mark.req("C035")
def test_configuration_of_another_service_or_topic_is_refused() -> None:
    trusted = fresh()

    assert take(trusted, signed(1, service="tts-worker")) == "WRONG_SERVICE"
    assert take(trusted, signed(1), "system/config/tts-worker") == "WRONG_SERVICE"
    assert take(trusted, signed(1, service="tts-worker"), "system/config/tts-worker") == (
        "WRONG_SERVICE"
    )
    assert take(trusted, signed(1), "stt-worker") == "applied"


@pytest.mark.req("C035", "C051")
def test_an_epoch_is_left_once_and_never_entered_again() -> None:
    trusted = fresh()
    take(trusted, signed(5))

    assert take(trusted, signed(5, epoch=SECOND)) == "STALE_EPOCH"
    assert take(trusted, signed(4, epoch=SECOND)) == "STALE_EPOCH"
    assert take(trusted, signed(6, volume=2, epoch=SECOND)) == "applied"
    assert (trusted.state.epoch, trusted.state.retired) == (SECOND, (FIRST,))
    assert take(trusted, signed(9, epoch=FIRST)) == "RETIRED_EPOCH"
    assert take(trusted, signed(7, epoch=THIRD)) == "applied"
    assert take(trusted, signed(99, epoch=SECOND)) == "RETIRED_EPOCH"
    assert trusted.state.retired == (FIRST, SECOND)


@pytest.mark.req("C051")
def test_another_epoch_with_the_same_settings_is_entered_without_applying_them() -> None:
    trusted = fresh()
    take(trusted, signed(1))

    _, verdict = trusted.verify(signed(2, epoch=SECOND), TOPIC)
    assert isinstance(verdict, Accept)
    assert (verdict.refresh, verdict.epoch_changed) == (True, True)
    _, verdict = trusted.verify(signed(2), TOPIC)
    assert isinstance(verdict, Accept)
    assert (verdict.refresh, verdict.epoch_changed) == (True, False)


@pytest.mark.req("C051")
@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from([FIRST, SECOND])), max_size=40))
def test_two_managers_move_a_service_at_most_once(messages: list[tuple[int, str]]) -> None:
    trusted = fresh()
    epochs = []
    for n, epoch in messages:
        take(trusted, signed(n, epoch=epoch))
        epochs.append(trusted.state.epoch)

    changes = sum(one != two for one, two in pairwise(epochs))
    assert changes <= 1


@pytest.mark.req("C051")
def test_the_list_of_left_epochs_keeps_the_latest_and_the_floor_holds_off_the_rest() -> None:
    trusted = fresh()
    epochs = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(MAX_RETIRED + 3)]
    for n, epoch in enumerate(epochs):
        assert take(trusted, signed(n + 1, epoch=epoch)) in {"applied", "refresh"}

    assert trusted.state.retired == tuple(epochs[-MAX_RETIRED - 1 : -1])
    assert take(trusted, signed(1, epoch=epochs[0])) == "STALE_EPOCH"


@pytest.mark.req("C051")
def test_with_the_policy_pin_another_epoch_waits_for_the_operator() -> None:
    trusted = fresh(policy=EpochPolicy("pin"))

    assert take(trusted, signed(1)) == "applied"
    assert take(trusted, signed(2, epoch=SECOND)) == "EPOCH_UNCONFIRMED"
    assert take(trusted, signed(1, epoch=SECOND)) == "STALE_EPOCH"
    assert take(trusted, signed(2)) == "refresh"
    trusted.policy = EpochPolicy("pin", SECOND)
    assert take(trusted, signed(3, epoch=THIRD)) == "EPOCH_UNCONFIRMED"
    assert take(trusted, signed(3)) == "refresh"
    assert take(trusted, signed(4, epoch=SECOND)) == "refresh"
    assert take(trusted, signed(5)) == "RETIRED_EPOCH"


@pytest.mark.req("C051")
def test_with_a_named_epoch_first_contact_is_with_that_one() -> None:
    trusted = fresh(policy=EpochPolicy("pin", SECOND))

    assert take(trusted, signed(1)) == "EPOCH_UNCONFIRMED"
    assert take(trusted, signed(1, epoch=SECOND)) == "applied"


@pytest.mark.req("C035")
def test_poison_is_refused_until_something_else_was_taken() -> None:
    poison = read_update(signed(9, volume=9)).checksum
    trusted = fresh()
    take(trusted, signed(1))
    trusted.commit(replace(trusted.state, poison=(poison,)))

    assert take(trusted, signed(9, volume=9)) == "CRASH_AFTER_APPLY"
    assert take(trusted, signed(10, volume=9, epoch=SECOND)) == "CRASH_AFTER_APPLY"
    assert trusted.state.epoch == FIRST
    assert take(trusted, signed(11, volume=2)) == "applied"
    assert take(trusted, signed(12, volume=9)) == "applied"


def test_the_operator_may_clear_the_mark() -> None:
    poison = read_update(signed(9, volume=9)).checksum
    trusted = fresh(TrustState(poison=(poison,)))

    assert take(trusted, signed(9, volume=9)) == "CRASH_AFTER_APPLY"
    trusted.commit(clear_poison(trusted.state))
    assert take(trusted, signed(9, volume=9)) == "applied"


def test_a_service_on_defaults_takes_a_message_as_new_and_not_as_a_refresh() -> None:
    assert take(fresh(TrustState(epoch=FIRST)), signed(1)) == "applied"


def test_without_a_message_at_the_floor_there_is_no_duplicate() -> None:
    state = TrustState(epoch=FIRST, checksum=read_update(signed(0)).checksum)

    assert take(fresh(state), signed(0, at=EPOCH_START)) == "STALE"


def test_a_message_that_was_not_applied_may_come_again() -> None:
    trusted = fresh()
    _, first = trusted.verify(signed(1), TOPIC)
    _, second = trusted.verify(signed(1), TOPIC)

    assert first == second
    assert trusted.state == TrustState()


@pytest.mark.req("SC037")
def test_a_key_that_is_no_longer_trusted_verifies_nothing() -> None:
    trusted = fresh()
    take(trusted, signed(1))
    trusted.keys = ()

    assert take(trusted, signed(2)) == "BAD_SIGNATURE"


@pytest.mark.req("C035")
def test_checks_come_in_the_order_of_the_protocol() -> None:
    state = fresh()
    take(state, signed(5, epoch=FIRST))
    take(state, signed(6, epoch=SECOND))
    cases: list[tuple[bytes, Any]] = [
        (signed(1, service="tts-worker", epoch=FIRST), "WRONG_SERVICE"),
        (signed(1, epoch=FIRST), "RETIRED_EPOCH"),
        (signed(1, epoch=THIRD), "STALE_EPOCH"),
        (signed(1, epoch=SECOND), "STALE"),
    ]

    for payload, code in cases:
        assert take(state, payload) == code
