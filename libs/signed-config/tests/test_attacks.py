"""Attacks by name: each fails with its own code and leaves what the service trusts as it was.

The rows of the threat table that need more than this library (roles, requests, storage, the
broker) are shown where they live; the others are all here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import attacks_at_rest
import attacks_on_bytes
import attacks_on_trust
import pytest
from attacker import ATTACKS, CONFIG, EPOCH, SERVICE, SIGNER, TOPIC, Attack, Home, at, update
from attacks_at_rest import KEY, lkg
from parlour_config.client.freshness import REFRESH_S, Freshness
from parlour_config.clock import next_issued
from parlour_config.errors import SignedConfigError
from parlour_config.lease import LeaseWatch, build_lease, read_lease
from parlour_config.lkg_store import LkgStore
from parlour_config.trust import Accept, TrustedSet
from parlour_config.update import build_update, read_update

FILES = (attacks_at_rest, attacks_on_bytes, attacks_on_trust)


@pytest.mark.threat(1, 2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 22, 24, 25, 26)
@pytest.mark.req("C034", "C035", "C045", "C070", "SC037", "SC038", "F3")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.threat}-{attack.name}")
def test_the_attack_fails_with_its_code(attack: Attack) -> None:
    with pytest.raises(SignedConfigError) as refused:
        attack.work(Home())

    assert refused.value.code == attack.code
    assert refused.value.hint
    assert "sk-" not in str(refused.value)


@pytest.mark.req("C035")
def test_a_refused_message_changes_nothing_and_the_next_genuine_one_is_taken() -> None:
    in_one_step = 0
    for attack in ATTACKS:
        home = Home()
        before = (home.trusted.state, home.trusted.keys, home.trusted.policy, home.walk.current)
        with pytest.raises(SignedConfigError):
            attack.work(home)
        after = (home.trusted.state, home.trusted.keys, home.trusted.policy, home.walk.current)
        if after == before:  # others prepare themselves with steps that are no attack
            in_one_step += 1
            home.take(update(59, {**CONFIG, "language": "nl"}))
            assert home.trusted.state.floor == at(59)

    assert in_one_step > 70


def test_every_row_of_the_threat_table_that_lives_here_has_an_attack() -> None:
    assert len(ATTACKS) == len({attack.name for attack in ATTACKS}) > 80
    (mark,) = [
        mark for mark in test_the_attack_fails_with_its_code.pytestmark if mark.name == "threat"
    ]
    assert {attack.threat for attack in ATTACKS} == set(mark.args)
    assert len({attack.code for attack in ATTACKS}) >= 28
    assert {attack.work.__module__ for attack in ATTACKS} == {file.__name__ for file in FILES}


@pytest.mark.threat(4)
def test_a_service_that_is_kept_from_its_configuration_notices_by_itself() -> None:
    """Threat 4: freezing forges nothing, so it can only be noticed."""
    fresh = Freshness(0.0)
    beat = b'{"event":"heartbeat boot=a seq=%d every=10"}'
    hours = 3600.0

    for second in range(0, int(2 * REFRESH_S) + 1, 10):
        fresh.manager(beat % second, float(second))
    assert not fresh.stale(2 * REFRESH_S)
    fresh.manager(beat % 999_999, 2 * REFRESH_S + 1)
    assert fresh.stale(2 * REFRESH_S + 1)  # the manager lives, but its messages are withheld
    fresh.valid(12 * hours + 2)
    assert not fresh.stale(12 * hours + 2)
    for second in range(31):
        fresh.manager(beat % 999_999, 12 * hours + 2 + second)  # its last beat, again and again
    assert fresh.stale(12 * hours + 40)


@pytest.mark.threat(21)
@pytest.mark.req("X1")
def test_no_clock_makes_the_next_message_older() -> None:
    """Threat 21: at 1970, at 2038, a day ahead, a day behind, or without any clock."""
    floor = at(10)
    clocks = [
        None,
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
        datetime(2026, 1, 2, tzinfo=UTC),
        datetime(2025, 12, 31, tzinfo=UTC),
        None,
    ]
    home = Home()

    for number, now in enumerate(clocks):
        later = next_issued(floor, now)
        assert later > floor
        floor = later
        home.take(
            build_update(
                SIGNER,
                service=SERVICE,
                config={**CONFIG, "n": number},
                config_epoch=EPOCH,
                issued_at=floor,
            )
        )
        assert home.trusted.state.floor == floor


@pytest.mark.threat(13)
def test_the_lease_that_a_dead_manager_left_never_looks_alive() -> None:
    """Threat 13: a retained lease comes again with every connection."""
    left = build_lease(
        SIGNER,
        instance="config-manager-2",
        config_epoch=EPOCH,
        boot_id="0f8fad5b-d9cb-469f-a165-70867728950e",
        lease_seq=7,
        sent_at=at(10),
    )
    watch = LeaseWatch("own-boot")

    for second in range(0, 300, 5):
        watch.note(read_lease(left, Home().trusted.keys), float(second))
        assert watch.live(float(second)) is None


@pytest.mark.threat(9)
def test_an_old_file_that_is_put_back_is_worth_one_start_at_most(tmp_path: Path) -> None:
    """Threat 9: without a chip for it nobody can see this; what is bounded is the gain."""
    store = LkgStore(tmp_path, SERVICE, lambda: [KEY])
    home = Home()
    keys = home.trusted.keys
    store.path.write_bytes(lkg())
    old = store.restore(keys)
    assert old.lkg is not None

    service = TrustedSet(SERVICE, old.keys, replace(old.state))
    newest = update(40, {**CONFIG, "language": "nl"})
    _, verdict = service.verify(newest, TOPIC)
    assert isinstance(verdict, Accept)
    service.commit(verdict.new_state)
    store.save(read_update(newest), service.state)

    again = LkgStore(tmp_path, SERVICE, lambda: [KEY]).restore(keys)
    assert again.state.floor == at(40)
    with pytest.raises(SignedConfigError, match="not above"):
        service.verify(update(20), TOPIC)
