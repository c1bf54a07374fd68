"""The logical clock: it only grows, whatever the wall clock says."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.clock import (
    EPOCH_START,
    add_us,
    ahead_s,
    moment_text,
    next_issued,
    parse_moment,
)
from parlour_config.errors import ClockError

MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
FLOORS = MOMENTS.map(moment_text)


@pytest.mark.req("X1")
@given(FLOORS, st.lists(st.none() | MOMENTS, max_size=20))
def test_whatever_the_clock_says_the_next_value_is_greater_than_all_before(
    floor: str, clock: list[datetime | None]
) -> None:
    for now in clock:
        value = next_issued(floor, now)
        assert value > floor
        assert parse_moment(value) > parse_moment(floor)
        floor = value


@given(FLOORS)
def test_a_clock_that_is_not_trusted_moves_it_by_one_microsecond(floor: str) -> None:
    assert next_issued(floor, None) == add_us(floor, 1)


@given(FLOORS, MOMENTS)
def test_a_trusted_clock_that_is_ahead_is_followed(floor: str, now: datetime) -> None:
    assert next_issued(floor, now) == max(moment_text(now), add_us(floor, 1))


@given(MOMENTS, MOMENTS)
def test_the_order_of_the_texts_is_the_order_of_the_times(one: datetime, two: datetime) -> None:
    assert (moment_text(one) < moment_text(two)) == (one < two)
    assert parse_moment(moment_text(one)) == one


@given(FLOORS, st.integers(-(10**9), 10**9))
def test_adding_and_taking_away_meet_again(floor: str, microseconds: int) -> None:
    try:
        there = add_us(floor, microseconds)
    except ClockError:
        return
    assert add_us(there, -microseconds) == floor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-10-17T12:00:00.000000",
        "2025-10-17T12:00:00.000000Z\n",
        "2025-10-17T12:00:00.00000Z",
        "2025-10-17T12:00:00.0000000Z",
        "2025-10-17 12:00:00.000000Z",
        "2025-10-17T12:00:00.000000+00:00",
        "2025-10-17t12:00:00.000000z",
        "2025-02-29T12:00:00.000000Z",
        "2025-13-01T12:00:00.000000Z",
        "2025-10-17T24:00:00.000000Z",
        "2025-10-17T12:00:60.000000Z",
        "0000-10-17T12:00:00.000000Z",
        "２０２５-10-17T12:00:00.000000Z",
    ],
)
def test_a_time_has_one_text_and_stands_in_the_calendar(text: str) -> None:
    with pytest.raises(ClockError):
        parse_moment(text)


@given(st.text(max_size=40))
def test_no_text_brings_another_error(text: str) -> None:
    with suppress(ClockError):
        assert moment_text(parse_moment(text)) == text


def test_after_the_last_moment_there_is_none() -> None:
    with pytest.raises(ClockError) as refused:
        next_issued("9999-12-31T23:59:59.999999Z", None)

    assert refused.value.code == "CLOCK_END"


def test_a_floor_tells_how_far_it_is_ahead() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)

    assert (
        ahead_s("2026-01-03T00:00:00.500000Z", now)
        == timedelta(days=1, seconds=0.5).total_seconds()
    )
    assert ahead_s("2026-01-01T23:59:59.000000Z", now) == -1.0
    assert ahead_s(EPOCH_START, now) < 0
