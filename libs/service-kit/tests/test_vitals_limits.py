"""The limits of memory, swap, temperature and load, and what a hot machine may do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_kit.vitals import Severity, Temperatures, ThrottleLevel, Vitals
from parlour_kit.vitals.judging import Finding, Judge
from parlour_kit.vitals.readings import HELD_S, LastValues, Reading
from parlour_kit.vitals.thresholds import Hysteresis, Sustained
from parlour_kit.vitals.throttling import SLOWED_S, Throttle

GB, MB = 1024**3, 1024**2
EASY = Vitals(memory_available_bytes=4 * GB, swap_used_bytes=0, cpu_percent=10.0, temperature_c=45)
WARNING, CRITICAL, EMERGENCY = Severity.WARNING, Severity.CRITICAL, Severity.EMERGENCY


def judged(vitals: Vitals) -> Finding | None:
    found = Judge().update(vitals, 0.0).findings
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.req("H034", "H035", "H036", "F33")
@pytest.mark.parametrize(
    ("quantity", "value", "severity", "bad"),
    [
        ("memory_available_bytes", GB + 1, None, False),
        ("memory_available_bytes", GB, WARNING, True),
        ("memory_available_bytes", 500 * MB + 1, WARNING, True),
        ("memory_available_bytes", 500 * MB, CRITICAL, True),
        ("memory_available_bytes", 100 * MB, CRITICAL, True),
        ("memory_available_bytes", 100 * MB - 1, EMERGENCY, True),
        ("swap_used_bytes", 2 * GB - 1, None, False),
        ("swap_used_bytes", 2 * GB, WARNING, True),
        ("swap_used_bytes", 4 * GB - 1, WARNING, True),
        ("swap_used_bytes", 4 * GB, CRITICAL, True),
        ("swap_used_bytes", 6 * GB, CRITICAL, True),
        ("swap_used_bytes", 6 * GB + 1, EMERGENCY, True),
        ("temperature_c", 74.9, None, False),
        ("temperature_c", 75.0, WARNING, False),
        ("temperature_c", 79.9, WARNING, False),
        ("temperature_c", 80.0, CRITICAL, True),
        ("temperature_c", 85.0, CRITICAL, True),
        ("temperature_c", 85.1, EMERGENCY, True),
        ("temperature_c", -1.0, None, False),
    ],
)
def test_each_limit_counts_from_both_sides(
    quantity: str, value: float, severity: Severity | None, bad: bool
) -> None:
    finding = judged(replace(EASY, **{quantity: value}))

    assert (finding and finding.severity, bool(finding and finding.bad)) == (severity, bad)


@pytest.mark.req("H034", "H035", "H036")
def test_what_is_unknown_is_not_judged() -> None:
    unknown = replace(EASY, memory_available_bytes=None, swap_used_bytes=None, cpu_percent=None)

    assert Judge().update(unknown, 0.0).well


@pytest.mark.req("H037")
@pytest.mark.parametrize(
    ("percent", "seconds", "severity", "bad"),
    [
        (80.0, 299, None, False),
        (80.0, 300, WARNING, False),
        (79.9, 3000, None, False),
        (95.0, 59, None, False),
        (95.0, 60, CRITICAL, True),
        (94.9, 300, WARNING, False),
    ],
)
def test_a_busy_processor_counts_when_it_has_been_busy_for_long(
    percent: float, seconds: int, severity: Severity | None, bad: bool
) -> None:
    judge = Judge()
    for second in range(seconds):
        judge.update(replace(EASY, cpu_percent=percent), second)

    judgement = judge.update(replace(EASY, cpu_percent=percent), seconds)

    assert [f.severity for f in judgement.findings] == ([severity] if severity else [])
    assert judgement.well is not bad


@pytest.mark.req("H037")
def test_one_idle_second_begins_the_minutes_of_load_anew() -> None:
    judge = Judge()
    for second in range(60):
        judge.update(replace(EASY, cpu_percent=10.0 if second == 30 else 99.0), second)

    assert judge.update(replace(EASY, cpu_percent=99.0), 60).well


@given(st.lists(st.floats(80.0, 84.99, exclude_min=False), min_size=1), st.booleans())
@pytest.mark.req("H056")
def test_within_the_band_the_level_never_flaps(within: list[float], hot_before: bool) -> None:
    throttle = Throttle(Temperatures())
    first = throttle.update(replace(EASY, temperature_c=85.0 if hot_before else 76.0), 0.0)

    levels = {throttle.update(replace(EASY, temperature_c=t), 1.0) for t in within}

    assert levels == {first}


@pytest.mark.req("H056")
@pytest.mark.parametrize(
    ("before", "now", "level"),
    [
        (50.0, 84.9, ThrottleLevel.WARM),
        (50.0, 85.0, ThrottleLevel.HOT),
        (85.0, 80.0, ThrottleLevel.HOT),
        (85.0, 79.9, ThrottleLevel.WARM),
        (85.0, 71.9, ThrottleLevel.NONE),
        (50.0, 74.9, ThrottleLevel.NONE),
        (50.0, 75.0, ThrottleLevel.WARM),
        (75.0, 72.0, ThrottleLevel.WARM),
    ],
)
def test_work_pauses_from_85_degrees_and_goes_on_below_80(
    before: float, now: float, level: ThrottleLevel
) -> None:
    throttle = Throttle(Temperatures())
    throttle.update(replace(EASY, temperature_c=before), 0.0)

    assert throttle.update(replace(EASY, temperature_c=now), 1.0) is level


temperatures = st.floats(-1.0, 120.0)


@given(st.lists(temperatures, max_size=8), temperatures, temperatures)
def test_of_two_machines_with_one_past_the_hotter_may_never_do_more(
    past: list[float], one: float, other: float
) -> None:
    levels = []
    for last in sorted((one, other)):
        throttle = Throttle(Temperatures())
        for celsius in past:
            throttle.update(replace(EASY, temperature_c=celsius), 0.0)
        levels.append(throttle.update(replace(EASY, temperature_c=last), 1.0))

    assert levels == sorted(levels)


@given(st.floats(-100, 100), st.floats(0, 50), st.lists(st.floats(-200, 200)))
def test_between_off_and_on_a_threshold_keeps_what_it_said(
    off: float, width: float, values: list[float]
) -> None:
    threshold = Hysteresis(off + width, off)
    for value in values:
        before = threshold.is_on
        after = threshold.update(value)

        if off <= value < off + width:
            assert after is before
        else:
            assert after is (value >= off + width)


@pytest.mark.parametrize(
    "make", [Hysteresis, lambda on, off: Sustained(on, off, for_s=1, calm_s=1)]
)
def test_a_threshold_that_would_end_above_its_beginning_is_refused(make) -> None:
    with pytest.raises(ValueError, match="at or below"):
        make(80.0, 85.0)


@pytest.mark.req("H056")
@pytest.mark.parametrize(
    "wrong",
    [{"hot": 85, "resume": 85}, {"warm": 75, "cool": 75}, {"hot": 70, "resume": 60, "warm": 75}],
)
def test_temperatures_out_of_order_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="below"):
        Temperatures(**wrong)


def test_what_the_firmware_says_it_slows_makes_the_machine_warm_for_a_while() -> None:
    throttle = Throttle(Temperatures())
    slowed, once = replace(EASY, firmware=0b0100), replace(EASY, firmware=0xE0000)

    assert throttle.update(once, 0.0) is ThrottleLevel.NONE
    assert throttle.update(slowed, 1.0) is ThrottleLevel.WARM
    assert throttle.update(EASY, SLOWED_S) is ThrottleLevel.WARM
    assert throttle.update(EASY, SLOWED_S + 1.0) is ThrottleLevel.NONE


READ = Reading(memory_available_bytes=GB, swap_used_bytes=MB, cpu_percent=5.0, temperature_c=50.0)


@pytest.mark.req("H038")
def test_what_the_machine_says_wrongly_is_brought_into_bounds() -> None:
    vitals = LastValues().update(replace(READ, memory_available_bytes=-1, cpu_percent=104.0), 0.0)

    assert (vitals.memory_available_bytes, vitals.cpu_percent) == (0, 100.0)
    assert vitals.impossible == {"memory_available_bytes"}


@pytest.mark.req("H038")
def test_what_cannot_be_read_keeps_its_last_value() -> None:
    last = LastValues()
    last.update(READ, 0.0)

    vitals = last.update(replace(READ, memory_available_bytes=None, cpu_percent=7.0), 3600.0)

    assert (vitals.memory_available_bytes, vitals.cpu_percent) == (GB, 7.0)
    assert vitals.held == {"memory_available_bytes"}
    assert not vitals.unreadable


@pytest.mark.req("H038")
def test_a_machine_of_which_nothing_can_be_read_is_told_from_one_at_ease() -> None:
    assert LastValues().update(Reading(), 0.0).unreadable


@pytest.mark.req("H005", "H039")
def test_a_temperature_that_cannot_be_read_is_believed_for_a_minute_and_then_unknown() -> None:
    last = LastValues()
    never = LastValues().update(replace(READ, temperature_c=None), 0.0)
    last.update(READ, 0.0)

    soon = last.update(replace(READ, temperature_c=None), HELD_S - 1)
    late = last.update(replace(READ, temperature_c=None), HELD_S)

    assert (never.temperature_c, soon.temperature_c, late.temperature_c) == (-1.0, 50.0, -1.0)
