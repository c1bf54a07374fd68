"""Who leads: leases and times in, roles out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from config_manager.runtime.flapping import Flapping
from config_manager.runtime.leader import Heard, Leadership, Role
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

OTHER = Heard("config-manager-2", "boot-2", 7, 30, fresh=False)


def leader(**more: str) -> Leadership:
    return Leadership("config-manager", "boot-1", **more)


def own(seq: int = 0) -> Heard:
    return Heard("config-manager", "boot-1", seq, 30, fresh=True)


def active() -> Leadership:
    one = leader()
    one.collected(0)
    one.heard(own(), 0)
    assert one.role is Role.ACTIVE
    return one


def test_alone_it_claims_and_leads_when_its_lease_came_back() -> None:
    one = leader()
    assert one.role is Role.STARTING
    one.collected(0)
    assert one.role is Role.CLAIMING
    assert not one.leads
    one.heard(own(), 0.1)
    assert one.leads


def test_a_broker_that_does_not_send_our_lease_back_costs_two_seconds() -> None:
    one = leader()
    one.collected(0)
    one.tick(1.9)
    assert one.role is Role.CLAIMING
    one.tick(2.0)
    assert one.leads


def test_its_own_lease_of_an_earlier_run_holds_it_up_not_a_moment() -> None:
    one = leader()
    one.heard(Heard("config-manager", "boot-0", 99, 30, fresh=False), 0)
    one.collected(0)
    assert one.role is Role.CLAIMING


def test_a_dead_ones_lease_is_waited_for_once() -> None:
    one = leader()
    one.heard(OTHER, 0)
    one.collected(1)
    assert one.role is Role.WAITING
    one.tick(29)
    assert one.role is Role.WAITING
    one.tick(30)
    assert one.role is Role.CLAIMING


def test_beside_a_living_one_it_stands_by_for_good() -> None:
    one = leader()
    one.heard(OTHER, 0)
    one.collected(1)
    one.heard(replace(OTHER, seq=8, fresh=True), 5)
    assert one.role is Role.STANDBY
    one.tick(500)
    assert one.role is Role.STANDBY
    assert not one.answers


def test_a_lease_that_does_not_move_is_no_life() -> None:
    one = leader()
    one.heard(OTHER, 0)
    one.collected(1)
    one.heard(OTHER, 10)  # the broker told the same again
    one.tick(31)
    assert one.role is Role.CLAIMING


def test_a_clean_stop_of_the_other_lets_it_lead_at_once() -> None:
    one = leader()
    one.heard(OTHER, 0)
    one.collected(1)
    one.withdrawn()
    one.tick(2)
    assert one.role is Role.CLAIMING


@pytest.mark.threat(13)
def test_an_active_one_that_hears_another_lease_stops() -> None:
    one = active()
    one.heard(replace(OTHER, fresh=True), 10)
    assert one.role is Role.CONFLICT
    assert "config-manager-2" in one.why
    one.tick(1000)
    one.heard(own(5), 1001)
    assert one.role is Role.CONFLICT


def test_an_active_one_lets_a_claim_pass_that_will_yield_to_it() -> None:
    one = active()
    one.heard(Heard("config-manager-2", "boot-2", 0, 30, fresh=True), 10)
    assert one.leads


def test_of_two_that_claim_at_once_the_first_leads() -> None:
    first, second = leader(), Leadership("config-manager-2", "boot-2")
    first.collected(0)
    second.collected(0)
    for lease in (own(), Heard("config-manager-2", "boot-2", 0, 30, fresh=True)):
        first.heard(lease, 0.1)
        second.heard(lease, 0.1)
    assert first.leads
    assert second.role is Role.STANDBY


@pytest.mark.parametrize("role", [Role.STANDBY, Role.CONFLICT])
def test_only_the_operator_ends_a_standby_or_a_conflict(role: Role) -> None:
    one = leader(conflict="somebody signs") if role is Role.CONFLICT else leader()
    if role is Role.STANDBY:
        one.heard(OTHER, 0)
        one.heard(replace(OTHER, seq=8), 1)
        one.collected(1)
    assert one.role is role
    one.collected(2)
    one.tick(3)
    assert one.role is role
    one.takeover()
    assert one.leads


def test_a_conflict_of_an_earlier_run_still_holds() -> None:
    one = leader(conflict="another signer")
    assert one.role is Role.CONFLICT
    assert one.answers  # reads go on
    assert not one.leads


class TwoManagers(RuleBasedStateMachine):
    """Two managers on one broker whose leader topic delivers in one order, late as it likes."""

    @initialize(same=st.booleans())
    def begin(self, same: bool) -> None:
        self.now = 0.0
        names = ["config-manager", "config-manager" if same else "config-manager-2"]
        self.both = [Leadership(n, f"boot-{i}") for i, n in enumerate(names)]
        self.names = names
        self.seq = [-1, -1]
        self.topic: list[Heard] = []
        self.read = [0, 0]
        self.both_since: float | None = None

    def say(self, who: int) -> None:
        self.seq[who] += 1
        self.topic.append(Heard(self.names[who], f"boot-{who}", self.seq[who], 30, fresh=True))

    @rule(who=st.sampled_from([0, 1]))
    def collect(self, who: int) -> None:
        one = self.both[who]
        if one.role is Role.STARTING:
            self.catch_up(who, fresh=False)
            one.collected(self.now)
            self.claimed(who)

    def claimed(self, who: int) -> None:
        if self.both[who].role is Role.CLAIMING and self.seq[who] < 0:
            self.say(who)

    def catch_up(self, who: int, *, fresh: bool = True) -> None:
        if self.both[who].role is Role.STARTING:
            found = self.topic[-1:]
        else:
            found = self.topic[self.read[who] :]
        self.read[who] = len(self.topic)
        for lease in found:
            self.both[who].heard(replace(lease, fresh=fresh), self.now)

    @rule(seconds=st.floats(0.1, 10))
    def pass_time(self, seconds: float) -> None:
        """Messages arrive within the time that passes, as they do while both are connected."""
        before = int(self.now // 10)
        self.now += seconds
        for who in (0, 1):
            if self.both[who].role is not Role.STARTING:
                self.catch_up(who)
            self.both[who].tick(self.now)
            self.claimed(who)
        if int(self.now // 10) > before:
            for who in (0, 1):
                if self.both[who].leads:
                    self.say(who)
        for who in (0, 1):
            if self.both[who].role is not Role.STARTING:
                self.catch_up(who)

    @invariant()
    def two_leaders_do_not_last(self) -> None:
        if all(one.leads for one in self.both):
            if self.both_since is None:
                self.both_since = self.now
            assert self.now - self.both_since <= 15
        else:
            self.both_since = None

    @precondition(lambda self: any(one.role is Role.CONFLICT for one in self.both))
    @rule()
    def a_conflict_stays(self) -> None:
        stopped = [one for one in self.both if one.role is Role.CONFLICT]
        self.pass_time(10.0)
        assert all(one.role is Role.CONFLICT for one in stopped)


TestTwoManagers = TwoManagers.TestCase
TestTwoManagers.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_what_the_operator_has_settled_is_not_counted_again() -> None:
    flapping = Flapping()
    for number in range(2):
        flapping.connected(10.0 * number)
        flapping.lost(10.0 * number + 1)
    flapping.settled()

    assert not flapping.connected(22.0)
    flapping.lost(23.0)
    assert not flapping.connected(24.0)


def test_three_short_connections_within_a_minute_mean_a_double() -> None:
    flapping = Flapping()
    outcomes = []
    for start in (0, 20, 40, 60):
        outcomes.append(flapping.connected(start))
        flapping.lost(start + 1)
    assert outcomes == [False, False, False, True]


def test_short_connections_to_a_broker_that_cannot_be_reached_in_between_are_no_double() -> None:
    flapping = Flapping()
    for start in (0, 5, 10, 15, 20, 25):
        assert not flapping.connected(start)
        flapping.lost(start + 1)
        flapping.away()


@pytest.mark.parametrize("apart", [-0.05, 0.05])
def test_connections_that_are_lost_together_are_no_double(apart: float) -> None:
    flapping = Flapping()
    for start in (0, 5, 10, 15, 20, 25):
        assert not flapping.connected(start)
        for moment, lose in sorted(
            [(start + 1, flapping.lost), (start + 1 + apart, flapping.other_lost)],
            key=lambda loss: loss[0],
        ):
            lose(moment)


def test_connections_that_are_lost_one_after_the_other_may_be_a_doubles_doing() -> None:
    flapping = Flapping()
    for start in (0, 20, 40):
        assert not flapping.connected(start)
        flapping.lost(start + 1)
        flapping.other_lost(start + 2)
    assert flapping.connected(60)


def test_a_broker_that_restarts_is_no_double() -> None:
    flapping = Flapping()
    for start in (0, 40, 80, 120):
        assert not flapping.connected(start)
        flapping.lost(start + 30)
        flapping.lost(start + 31)  # an attempt that never stood
