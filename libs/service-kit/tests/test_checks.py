"""When a check runs, and what counts until it does."""

from __future__ import annotations

import asyncio

import pytest
from parlour_kit.clock import LoopClock
from parlour_kit.errors import ParlourError
from parlour_kit.probes.checks import (
    BUSY_S,
    COMPONENT_S,
    TTL_S,
    Check,
    CheckBook,
    DegradedError,
    Evidence,
    GaveWayError,
    Look,
)


class BrokenError(ParlourError):
    """An engine of this test."""

    code = "BROKEN"
    hint = "Mend it."


class Engine:
    """Something to check: takes ``takes_s``, raises ``error``, and counts."""

    def __init__(self, takes_s: float = 0.1, error: Exception | None = None) -> None:
        self.takes_s = takes_s
        self.error = error
        self.deaf = False
        self.runs = 0
        self.look = Look()

    async def run(self) -> None:
        self.runs += 1
        ends = asyncio.get_running_loop().time() + self.takes_s
        while (left := ends - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
        if self.error is not None:
            raise self.error

    def check(self, name: str = "model", limit_s: float = COMPONENT_S, **more: object) -> Check:
        return Check(name, self.run, "llm", limit_s, lambda: self.look, **more)


def book(*checks: Check, told: list | None = None) -> CheckBook:
    return CheckBook(checks, LoopClock(), (lambda _r: None) if told is None else told.append)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.req("H015", "H013")
async def test_a_result_counts_for_30_s_and_is_found_anew_when_it_is_asked_for_then() -> None:
    engine, told = Engine(), []
    checks = book(engine.check(), told=told)
    assert checks.known()[0].state == "unknown"

    (first,) = await checks.fresh()
    await asyncio.sleep(TTL_S - 0.2)
    await checks.fresh()
    assert engine.runs == 1
    await asyncio.sleep(0.3)
    engine.error = BrokenError("at /home/kim/model.bin")
    (second,) = await checks.fresh()
    engine.error = None
    await asyncio.sleep(TTL_S + 0.1)
    (third,) = await checks.fresh()

    assert [r.state for r in (first, second, third)] == ["healthy", "unhealthy", "healthy"]
    assert engine.runs == 3
    assert told == [first, second, third]
    assert first.latency_ms == pytest.approx(100)


@pytest.mark.req("H019", "H030")
async def test_checks_run_side_by_side_and_one_that_hangs_keeps_no_other_from_its_result() -> None:
    quick, failing, hanging = Engine(1.0), Engine(0.5, ValueError("secret")), Engine(1e6)
    checks = book(quick.check("a"), failing.check("b"), hanging.check("c"))
    began = now()

    results = await checks.fresh()

    assert [r.state for r in results] == ["healthy", "unhealthy", "unhealthy"]
    assert now() - began == pytest.approx(COMPONENT_S)
    assert [r.message.partition(":")[0] for r in results[1:]] == ["CHECK_FAILED", "CHECK_TIMEOUT"]


@pytest.mark.req("H030")
@pytest.mark.parametrize(("takes_s", "state"), [(4.999, "healthy"), (5.0, "unhealthy")])
async def test_exactly_the_limit_is_too_late(takes_s: float, state: str) -> None:
    (result,) = await book(Engine(takes_s).check(limit_s=5.0)).fresh()

    assert result.state == state


@pytest.mark.req("H030")
async def test_a_check_that_cannot_be_stopped_is_not_begun_again_while_it_hangs() -> None:
    engine = Engine(300)
    engine.deaf = True
    checks = book(engine.check())
    assert (await checks.fresh())[0].state == "unhealthy"
    await asyncio.sleep(TTL_S + 0.1)
    began = now()

    (again,) = await checks.fresh()

    assert (again.state, engine.runs, now() - began) == ("unhealthy", 1, 0)
    engine.takes_s = 0.1
    await asyncio.sleep(300)
    assert (await checks.fresh())[0].state == "healthy"
    assert engine.runs == 2


@pytest.mark.req("H032", "H033")
async def test_real_work_of_the_last_30_s_counts_as_a_check_whatever_it_showed() -> None:
    engine = Engine()
    checks = book(engine.check())
    engine.look = Look(worked=Evidence(now()))
    await asyncio.sleep(TTL_S - 0.1)
    assert (await checks.fresh())[0].state == "healthy"
    assert engine.runs == 0
    await asyncio.sleep(0.2)
    assert (await checks.fresh())[0].state == "healthy"
    assert engine.runs == 1

    engine.look = Look(worked=Evidence(now(), BrokenError("x")))

    assert checks.known()[0].state == "unhealthy"
    assert (await checks.fresh())[0].message == "BROKEN: Mend it."
    assert engine.runs == 1


async def test_an_engine_at_work_is_not_disturbed_and_its_last_result_counts() -> None:
    engine = Engine()
    checks = book(engine.check())
    engine.look = Look(busy=True)
    (first,) = await checks.fresh()
    assert (first.state, first.works, engine.runs) == ("unknown", True, 0)

    engine.look = Look()
    await checks.fresh()
    engine.look = Look(busy=True)
    await asyncio.sleep(100)

    assert (await checks.fresh())[0].state == "healthy"
    assert engine.runs == 1


async def test_a_check_that_gives_way_to_work_leaves_the_last_result_as_it_was() -> None:
    engine = Engine()
    checks = book(engine.check())
    (before,) = await checks.fresh()
    await asyncio.sleep(TTL_S + 0.1)
    engine.error = GaveWayError("somebody asked")

    assert await checks.fresh() == [before]
    assert engine.runs == 2


async def test_an_engine_that_computes_for_two_minutes_without_a_result_hangs() -> None:
    engine = Engine()
    checks = book(engine.check())
    engine.look = Look(busy=True, computing=True)
    assert checks.known()[0].works
    await asyncio.sleep(BUSY_S)
    assert checks.known()[0].works
    engine.look = Look(busy=True, computing=True, worked=Evidence(now()))
    await asyncio.sleep(BUSY_S)
    assert checks.known()[0].works

    await asyncio.sleep(1)

    assert checks.known()[0].message.startswith("ENGINE_HANGS")


async def test_what_is_known_to_be_wrong_needs_no_check() -> None:
    engine = Engine()
    checks = book(engine.check())
    await checks.fresh()
    engine.look = Look(trouble=BrokenError("no model at /models/x"))

    (result,) = await checks.fresh()

    assert (result.state, result.message, engine.runs) == ("unhealthy", "BROKEN: Mend it.", 1)


@pytest.mark.req("X23")
async def test_what_works_but_not_as_it_should_is_degraded() -> None:
    (result,) = await book(Engine(error=DegradedError("slow")).check()).fresh()

    assert (result.state, result.works) == ("degraded", True)


@pytest.mark.req("H015")
async def test_a_change_of_configuration_drops_results_also_those_that_are_being_found() -> None:
    engine, told = Engine(2.0), []
    checks = book(engine.check(), told=told)
    await checks.fresh()
    checks.forget()
    assert checks.known()[0].state == "unknown"

    asking = asyncio.create_task(checks.fresh())
    await asyncio.sleep(1)
    checks.forget()
    await asking

    assert (checks.known()[0].state, len(told)) == ("unknown", 1)
    assert (await checks.fresh())[0].state == "healthy"


@pytest.mark.req("H015")
async def test_what_worked_before_a_change_of_configuration_says_nothing_after_it() -> None:
    engine = Engine()
    checks = book(engine.check())
    engine.look = Look(worked=Evidence(now()))
    await asyncio.sleep(1)

    checks.forget()

    assert checks.known()[0].state == "unknown"
    await checks.fresh()
    assert engine.runs == 1


async def test_two_who_ask_at_once_share_one_run() -> None:
    engine = Engine(1.0)
    checks = book(engine.check())

    one, other = await asyncio.gather(checks.fresh(), checks.fresh())

    assert one == other
    assert engine.runs == 1


@pytest.mark.req("SC106")
async def test_a_check_that_nobody_asked_for_takes_a_hundredth_of_the_time_at_most() -> None:
    engine = Engine(2.0)
    checks = book(engine.check())
    began = now()
    while now() - began < 2000:
        await checks.fresh(sparing=True)
        await asyncio.sleep(5)

    assert 2.0 * engine.runs <= 0.011 * (now() - began)
    assert engine.runs >= 9


async def test_another_machine_is_asked_only_when_somebody_asks() -> None:
    engine = Engine()
    engine.look = Look(elsewhere=True)
    checks = book(engine.check())

    await checks.fresh(sparing=True)
    assert engine.runs == 0
    await checks.fresh()
    assert engine.runs == 1


async def test_what_costs_nothing_is_asked_each_time() -> None:
    engine = Engine(0.01)
    checks = book(engine.check(ttl_s=0.0))

    for _ in range(3):
        await checks.fresh()

    assert engine.runs == 3
