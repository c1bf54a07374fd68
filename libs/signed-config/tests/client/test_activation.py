"""The decisions about messages, for any order in which they may come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.client.activation import Activation, Apply, Identity, Known, Refresh
from parlour_config.errors import RefusedUpdateError
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import OPEN
from parlour_config.update import build_update

KEY = SigningKey(bytes(range(32)))
STRANGER = SigningKey(b"s" * 32)
EPOCHS = [
    "550e8400-e29b-41d4-a716-446655440000",
    "7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a",
    "0b5f8f3e-6a51-4a5c-8a57-2f4b1c9d7e60",
]
TOPIC = "system/config/router"
WHO = Identity("router", "router", "boot")


def message(epoch: int, moment: int, value: int, signer: SigningKey = KEY) -> bytes:
    return build_update(
        signer, service="router", config={"value": value}, config_epoch=EPOCHS[epoch],
        issued_at=f"2026-01-01T00:00:00.{moment:06d}Z",
    )  # fmt: skip


def activation() -> Activation[Mapping[str, Any]]:
    def read(config: Mapping[str, Any]) -> Mapping[str, Any]:
        if config["value"] == 0:
            raise RefusedUpdateError("SCHEMA_INVALID", "value: must not be 0")
        return config

    active = Activation(WHO, read)
    active.trust((TrustedKey.of(KEY.public),), OPEN)
    return active


steps = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 12), st.integers(0, 3),
        st.sampled_from(["take", "take", "take", "fail", "forge", "garbage"]),
    ),
    max_size=40,
)  # fmt: skip


@pytest.mark.threat(2, 3)
@given(steps)
def test_whatever_comes_time_and_epochs_never_go_back(story) -> None:
    """The sequence of what runs is a subsequence of what was signed; a refusal changes nothing."""
    active = activation()
    floors, epochs = [active.trusted.state.floor], []
    for epoch, moment, value, what in story:
        payload = message(epoch, moment, value, STRANGER if what == "forge" else KEY)
        before = (active.trusted.state, active.running)
        try:
            decision = active.offer(payload if what != "garbage" else payload[:-9], TOPIC, None, 0)
        except RefusedUpdateError as error:
            active.refused(error)
            assert (active.trusted.state, active.running) == before
            continue
        assert what not in ("forge", "garbage")
        match decision:
            case Apply() if what == "fail":
                active.refused(RefusedUpdateError("HOOK_FAILED", "no"))
                assert (active.trusted.state, active.running) == before
            case Apply():
                assert value != 0
                active.applied(decision.update, decision.state, "applied")
            case Refresh():
                assert active.running is not None
                assert decision.update.config == active.running.config
                active.refreshed(decision.update, decision.state)
            case Known():
                assert (active.trusted.state, active.running) == before
        floors.append(active.trusted.state.floor)
        if active.trusted.state.epoch != (epochs[-1] if epochs else None):
            epochs.append(active.trusted.state.epoch)
    assert floors == sorted(floors)
    assert len(epochs) == len(set(epochs)), "no epoch is entered twice"
    assert (active.running is None) == (active.trusted.state.checksum is None)


def test_a_message_that_could_not_be_used_is_tried_again_when_it_comes_again() -> None:
    active = activation()
    step = active.offer(message(0, 1, 5), TOPIC, None, 0)
    assert isinstance(step, Apply)
    active.begin(step.update, step.state, "lkg")
    active.works = False

    again = active.offer(message(0, 1, 5), TOPIC, None, 0)
    assert isinstance(again, Apply)
    active.applied(again.update, again.state, "applied")

    assert isinstance(active.offer(message(0, 1, 5), TOPIC, None, 0), Known)


def test_a_configuration_of_a_new_key_or_epoch_is_worth_writing_at_once() -> None:
    other = SigningKey(b"o" * 32)
    active = activation()
    active.trust((TrustedKey.of(KEY.public), TrustedKey.of(other.public)), OPEN)
    step = active.offer(message(0, 1, 5), TOPIC, None, 0)
    assert isinstance(step, Apply)
    active.applied(step.update, step.state, "applied")
    active.written(0)

    def refresh(*what: Any, now: float = 10) -> bool:
        found = active.offer(message(*what), TOPIC, None, now)
        assert isinstance(found, Refresh)
        return found.write

    assert not refresh(0, 2, 5)
    assert refresh(0, 2, 5, other)
    assert refresh(1, 2, 5)
    assert refresh(0, 2, 5, now=3600)
