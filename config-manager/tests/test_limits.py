"""How much one user may ask; time is a number that the test moves."""

from __future__ import annotations

import pytest
from config_manager.fronts.limits import IN_FLIGHT_RETRY_S, REMEMBERED_USERS, RateLimiter
from hypothesis import given
from hypothesis import strategies as st


class Hand:
    """A clock whose hand the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_five_requests_in_a_second_are_admitted_and_the_sixth_is_told_when_to_return(hand):
    limiter = RateLimiter(hand)

    waits = [limiter.admit("alice") for _ in range(6)]

    assert waits[:5] == [None] * 5
    assert waits[5] == pytest.approx(0.2)


def test_who_comes_back_at_the_time_that_was_told_is_admitted(hand):
    limiter = RateLimiter(hand)
    for _ in range(5):
        limiter.admit("alice")
    hand.now += limiter.admit("alice") or 0.0

    assert limiter.admit("alice") is None


def test_ten_requests_in_flight_hold_back_the_eleventh_until_one_is_answered(hand):
    limiter = RateLimiter(hand)
    for _ in range(10):
        hand.now += 1.0
        assert limiter.admit("alice") is None
    hand.now += 1.0

    assert limiter.admit("alice") == IN_FLIGHT_RETRY_S

    limiter.release("alice")

    assert limiter.admit("alice") is None


def test_one_user_over_the_limit_takes_nothing_from_another(hand):
    limiter = RateLimiter(hand)
    for _ in range(20):
        limiter.admit("alice")

    assert limiter.admit("bob") is None


def test_refusals_are_answered_at_most_once_a_second(hand):
    limiter = RateLimiter(hand)

    assert [limiter.may_answer_refusal("alice") for _ in range(3)] == [True, False, False]

    hand.now += 1.0

    assert limiter.may_answer_refusal("alice")


@pytest.mark.req("C078")
def test_five_secrets_a_minute_may_be_revealed(hand):
    limiter = RateLimiter(hand)

    assert [limiter.reveal("alice") for _ in range(5)] == [None] * 5
    assert limiter.reveal("alice") == pytest.approx(60.0)

    hand.now += 60.0

    assert limiter.reveal("alice") is None


def test_a_release_that_nobody_admitted_gives_nobody_more(hand):
    limiter = RateLimiter(hand)
    limiter.release("alice")
    limiter.admit("alice")
    limiter.release("alice")
    limiter.release("alice")
    for _ in range(10):
        hand.now += 1.0
        limiter.admit("alice")
    hand.now += 1.0

    assert limiter.admit("alice") is not None


def test_users_at_rest_are_forgotten_when_there_are_many_and_busy_ones_are_not(hand):
    limiter = RateLimiter(hand)
    limiter.admit("busy")
    for number in range(REMEMBERED_USERS * 3):
        hand.now += 0.01
        limiter.admit(f"user-{number}")
        limiter.release(f"user-{number}")

    assert len(limiter._usage) <= REMEMBERED_USERS + 200
    assert limiter._usage["busy"].in_flight == 1


@given(st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=80))
def test_no_second_admits_more_than_a_full_bucket_and_its_refill(steps):
    hand = Hand()
    limiter = RateLimiter(hand)
    admitted: list[float] = []
    for pause, release in steps:
        hand.now += pause
        if limiter.admit("alice") is None:
            admitted.append(hand.now)
        if release:
            limiter.release("alice")

    for start in admitted:
        assert sum(start <= at < start + 1.0 for at in admitted) <= 10
