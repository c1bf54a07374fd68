"""Who listens to a turn, and what happens when nobody does any more."""

from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.turn import TurnClaimed
from parlour_kit.attendance import Fleet
from parlour_kit.floor import AGAIN_S, CLAIM_S, REOPEN_S, Floor, Move
from parlour_kit.ids import new_id

TURN = new_id()


def claim(attempt=1, instance="stt-worker", turn=TURN):
    return TurnClaimed(turn_id=turn, attempt=attempt, instance=instance, lease_ms=5000,
                       audio_topic=f"stt/{instance}/audio/cli/{turn}")  # fmt: skip


def health(boot, *, conn=1, status="healthy", ready=True, instance="stt-worker", err=None):
    return Health(
        service="stt-worker", instance=instance, status=status, ok=ready, ready=ready,
        version="0.1.0", boot=boot, conn=conn, seq=1, interval_s=5.0, event="heartbeat",
        issued_at="2026-01-01T00:00:00.000000Z", err=err,
    )  # fmt: skip


def floor(now=0.0):
    fleet = Fleet()
    return Floor(TURN, fleet, now), fleet


def test_the_first_claim_of_the_attempt_is_taken_and_others_are_not():
    it, _ = floor()
    assert it.decide(0.0) is Move.OPEN
    assert not it.claimed(claim(turn=new_id()))
    assert not it.claimed(claim(attempt=2))
    assert it.claimed(claim())
    assert not it.claimed(claim(instance="other"))

    assert it.claim is not None
    assert it.claim.instance == "stt-worker"


def test_an_open_that_nobody_answers_is_sent_again_and_given_up_in_the_end():
    it, _ = floor()
    moves = [(t / 10, it.decide(t / 10)) for t in range(int(CLAIM_S * 10) + 1)]

    opened = [at for at, move in moves if move is Move.OPEN]
    assert opened == [n * REOPEN_S for n in range(5)]
    assert moves[-1][1] is Move.GIVE_UP
    assert it.attempt == 5


def test_a_claim_of_an_earlier_attempt_no_longer_counts():
    it, _ = floor()
    it.decide(0.0)
    it.decide(REOPEN_S)

    assert not it.claimed(claim(attempt=1))
    assert it.claimed(claim(attempt=2))


def test_a_listener_whose_will_came_is_replaced():
    it, fleet = floor()
    boot = new_id()
    fleet.see(health(boot), 0.0)
    it.decide(0.0)
    it.claimed(claim())
    assert it.decide(1.0) is Move.WAIT
    fleet.see(health(boot, status="offline", ready=False), 2.0)

    assert it.decide(2.0) is Move.OPEN
    assert it.attempt == 2
    assert it.claim is None


def test_a_listener_that_was_started_anew_has_forgotten_the_turn():
    it, fleet = floor()
    first, second = new_id(), new_id()
    fleet.see(health(first), 0.0)
    it.decide(0.0)
    it.claimed(claim())
    fleet.see(health(second), 1.0)

    assert it.decide(1.0) is Move.OPEN


def test_a_listener_silent_for_three_intervals_is_gone():
    it, fleet = floor()
    fleet.see(health(new_id()), 0.0)
    it.decide(0.0)
    it.claimed(claim())

    assert it.decide(15.0) is Move.WAIT
    assert it.decide(15.1) is Move.OPEN


def test_a_will_of_an_earlier_boot_or_connection_is_ignored():
    fleet = Fleet()
    first, second = new_id(), new_id()
    fleet.see(health(second, conn=2), 0.0)
    fleet.see(health(first, status="offline", ready=False), 1.0)
    fleet.see(health(second, conn=1, status="offline", ready=False), 1.0)

    assert fleet.is_ready("stt-worker", 1.0)
    assert not fleet.is_gone("stt-worker", second, 1.0)


def test_the_patience_for_a_new_listener_begins_when_the_old_one_is_gone():
    it, fleet = floor()
    boot = new_id()
    fleet.see(health(boot), 0.0)
    it.decide(0.0)
    it.claimed(claim())
    fleet.see(health(boot, status="offline", ready=False), 100.0)
    it.decide(100.0)

    assert it.decide(100.0 + CLAIM_S - 0.1) is not Move.GIVE_UP


def test_trouble_is_told_with_what_to_do_about_it():
    fleet = Fleet()
    assert "no stt-worker" in fleet.trouble("stt-worker", 0.0)[0]
    error = WireError(code="MODEL_MISSING", message="no model base", hint="parlour models pull")
    fleet.see(health(new_id(), status="unhealthy", ready=False, err=error), 0.0)

    assert fleet.trouble("stt-worker", 0.0) == ("stt-worker: no model base", "parlour models pull")


def test_a_worker_that_becomes_ready_is_asked_at_once():
    it, fleet = floor()
    first, second = new_id(), new_id()
    fleet.see(health(first), 0.0)
    it.decide(0.0)
    it.claimed(claim())
    fleet.see(health(second, ready=False, status="unhealthy"), 1.0)
    assert it.decide(1.0) is Move.OPEN
    assert it.decide(2.0) is Move.WAIT
    fleet.see(health(second), 2.5)

    assert it.decide(2.5) is Move.OPEN
    assert it.decide(2.6) is Move.WAIT
    assert it.attempt == 3


def test_a_listener_that_claims_before_its_new_health_comes_is_not_asked_again_at_once() -> None:
    f, fleet = floor()
    before, after = new_id(), new_id()
    fleet.see(health(before), 0.0)
    fleet.see(health(before, status="offline", ready=False), 1.0)

    assert f.decide(2.0) is Move.OPEN
    assert f.claimed(claim())
    assert f.decide(2.1) is Move.WAIT
    fleet.see(health(after), 2.2)
    f2 = f.decide(2.0 + AGAIN_S)

    assert f2 is Move.OPEN, "it is another run than the one that was known when it claimed"
    assert f.claimed(claim(2))
    assert f.decide(10.0) is Move.WAIT
