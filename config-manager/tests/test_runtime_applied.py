"""Desired against reported: who lags, when it is told, and when it is sent again."""

from __future__ import annotations

import pytest
from config_manager.runtime.applied import Reported, SyncBook

WANTED, OLD = "a" * 64, "b" * 64


def report(instance: str = "stt-worker", checksum: str | None = WANTED, status: str = "applied"):
    return Reported("stt-worker", instance, checksum, status, None, None)


def book(*instances: str) -> SyncBook:
    made = SyncBook()
    made.want("stt-worker", WANTED, 0)
    for instance in instances or ("stt-worker",):
        beat(made, 0, instance)
    return made


def beat(made: SyncBook, now: float, instance: str = "stt-worker", *, gone: bool = False) -> None:
    made.beat(
        "stt-worker", instance, f"boot-{instance}", int(now) + 1, 5, now, gone=gone, retained=False
    )


def test_a_service_is_in_sync_when_every_living_instance_runs_what_it_should() -> None:
    made = book("stt-worker", "stt-worker-2")
    made.note(report())
    assert made.lagging("stt-worker", 1) == ["stt-worker-2"]
    made.note(report("stt-worker-2", OLD))
    assert not made.in_sync("stt-worker", 1)
    made.note(report("stt-worker-2"))
    assert made.in_sync("stt-worker", 1)


def test_an_instance_that_is_gone_does_not_lag() -> None:
    made = book()
    beat(made, 2, gone=True)
    assert made.in_sync("stt-worker", 2)


def test_an_instance_whose_health_stood_still_for_three_intervals_is_gone() -> None:
    made = book()
    assert not made.in_sync("stt-worker", 14.9)
    assert made.in_sync("stt-worker", 15)


def test_a_retained_health_is_no_sign_of_life() -> None:
    made = SyncBook()
    made.want("stt-worker", WANTED, 0)
    made.beat("stt-worker", "stt-worker", "boot", 9, 5, 0, gone=False, retained=True)
    assert made.in_sync("stt-worker", 0)
    made.beat("stt-worker", "stt-worker", "boot", 10, 5, 1, gone=False, retained=False)
    assert not made.in_sync("stt-worker", 1)


def test_a_will_of_an_earlier_run_buries_nobody() -> None:
    made = book()
    made.beat("stt-worker", "stt-worker", "boot-old", 0, 5, 1, gone=True, retained=False)
    assert made.lagging("stt-worker", 1) == ["stt-worker"]


@pytest.mark.req("C076")
def test_it_is_sent_again_after_30_s_and_told_after_60_s_once() -> None:
    made = book()
    sent, told = [], []
    for now in range(121):
        beat(made, now)
        due = made.due(now)
        sent += [(now, s) for s in due.republish]
        told += [(now, i) for _, i in due.alarms]
    assert sent == [(n, "stt-worker") for n in (30, 60, 90, 120)]
    assert told == [(60, "stt-worker")]


def test_what_was_refused_is_not_sent_again_every_half_minute() -> None:
    made = book()
    made.note(report(checksum=OLD, status="rejected"))
    sent = []
    for now in range(700):
        beat(made, now)
        sent += [now for _ in made.due(now).republish]
    assert sent == [30, 330, 630]


def test_a_change_begins_the_wait_anew() -> None:
    made = book()
    for now in range(29):
        beat(made, now)
    made.want("stt-worker", OLD, 29)
    for now in range(29, 59):
        beat(made, now)
        assert not made.due(now).republish
    beat(made, 59)
    assert made.due(59).republish == ("stt-worker",)


def test_recovery_is_told_once() -> None:
    made = book()
    for now in range(61):
        beat(made, now)
        made.due(now)
    made.note(report())
    beat(made, 61)
    assert made.due(61).recovered == (("stt-worker", "stt-worker"),)
    assert made.due(61).recovered == ()


def test_a_service_that_left_the_database_is_nobodys_concern() -> None:
    made = book()
    made.want_all([("router", OLD)], 1)
    assert made.in_sync("stt-worker", 1)
    assert set(made.desired) == {"router"}
