"""Speaking over an answer: who is heard, how fast it is silent, and what the loudspeaker is not."""

from __future__ import annotations

import numpy as np
import pytest
from parlour_testkit.fakes_room import spoken, wake_word
from satellite.virtual import VirtualRoom
from satellite.windows import WINDOW_S

ECHO_DB = -12.0


def talking(scene, *, echo_db: float = ECHO_DB, warm_s: float = 3.0, **settings):
    """A room in which an answer is played that comes back to the microphone."""
    s = scene(VirtualRoom(echo_db=echo_db), **settings)
    s.utterance = s.answer(30)
    s.run(warm_s)
    assert not s.walls.silent(0.5)
    return s


@pytest.mark.req("V041", "R016")
@pytest.mark.parametrize("echo_db", [-40.0, -20.0, -6.0, 0.0])
def test_its_own_voice_interrupts_nothing_however_loud_it_comes_back(scene, echo_db) -> None:
    s = talking(scene, echo_db=echo_db, warm_s=20)

    assert s.opened == []
    assert s.interrupted == []


@pytest.mark.req("V041", "R021")
@pytest.mark.parametrize("echo_db", [-40.0, -12.0])
def test_speech_over_an_answer_silences_it_and_is_heard_from_its_first_word(scene, echo_db) -> None:
    s = talking(scene, echo_db=echo_db)
    words = spoken(1500, 0.4)
    begin = s.walls.now
    s.walls.say(words)
    s.run(3)

    ((at, stopped),) = s.reports("stopped")
    (cut,) = s.interrupted
    assert at - begin == pytest.approx(0.2, abs=0.08)
    assert s.walls.silent(at + 0.15)
    assert cut.utterance_id == stopped.utterance_id == s.utterance
    assert cut.played_ms == stopped.played_ms
    assert cut.speech_ms >= 200
    assert cut.confidence > 0.7
    (opened,) = s.opened
    assert opened.wake is None
    assert _onset_s(s, 0.3) >= 0.4, "and half a second before it"


@pytest.mark.req("V041")
def test_what_was_played_is_told_to_within_two_windows(scene) -> None:
    s = talking(scene)
    ((started, _),) = s.reports("started")
    s.walls.say(spoken(1000, 0.4))
    s.run(1)

    ((at, stopped),) = s.reports("stopped")
    assert stopped.played_ms / 1000 == pytest.approx(at - started, abs=2 * WINDOW_S)


@pytest.mark.req("V041")
def test_a_short_or_weak_sound_interrupts_nothing(scene) -> None:
    s = talking(scene)
    s.walls.say(spoken(120, 0.4))
    s.run(2)
    s.walls.say(spoken(2000, 0.01))
    s.run(3)

    assert s.interrupted == []


def test_frames_that_still_come_after_an_interruption_are_not_played(scene) -> None:
    s = talking(scene)
    s.walls.say(spoken(600, 0.4))
    s.until(lambda: s.interrupted)
    mark = s.walls.now + 0.1
    properties = {"seq": "500", "rate": "16000", "start_ms": "30000", "sentence": "0"}
    s.room.frame(s.utterance, b"\x40\x40" * 1600, properties, s.now)
    s.transcript("empty")
    s.run(3)

    assert s.walls.silent(mark)
    assert s.room.mouth.ignored == 1
    assert s.room.mouth.speaking is None


def test_the_unheard_rest_sent_anew_is_played_after_a_false_interruption(scene) -> None:
    s = talking(scene)
    s.walls.say(spoken(600, 0.4))
    s.until(lambda: s.interrupted)
    s.run(1)
    s.transcript("empty")
    rest = s.answer(2)
    s.run(3)

    assert next(r.event for _, r in s.reports() if r.utterance_id == rest) == "started"
    assert s.reports("finished")[-1][1].utterance_id == rest


@pytest.mark.req("R016")
def test_a_false_interruption_makes_the_next_one_harder(scene) -> None:
    s = talking(scene)
    before = s.room.guard.coupling_db
    s.walls.say(spoken(600, 0.4))
    s.until(lambda: s.interrupted)
    s.transcript("empty")

    assert s.room.guard.coupling_db >= before + 5


def test_a_larger_margin_wants_a_louder_voice(scene) -> None:
    found = {}
    for margin in (0.0, 30.0):
        s = talking(scene, echo_margin_db=margin)
        s.walls.say(spoken(1000, 0.4))
        s.run(2)
        found[margin] = len(s.interrupted)

    assert found == {0.0: 1, 30.0: 0}


@pytest.mark.req("V041")
def test_how_long_and_how_surely_one_must_speak_are_settings(scene) -> None:
    s = talking(scene, interruption_ms=1000)
    begin = s.walls.now
    s.walls.say(spoken(3000, 0.4))
    assert s.until(lambda: s.interrupted) - begin == pytest.approx(1.0, abs=0.08)

    s = talking(scene, interruption_confidence=0.96)  # the detector is never so sure
    s.walls.say(spoken(3000, 0.4))
    s.run(3)
    assert s.interrupted == []


@pytest.mark.req("R020")
@pytest.mark.parametrize("way", ["speech", "wake"])
def test_the_wake_word_interrupts_in_either_way(scene, way) -> None:
    s = talking(scene, interruption=way, interruption_ms=3000)
    s.walls.say(wake_word(500))
    s.run(1)

    (cut,) = s.interrupted
    assert cut.confidence > 0.7, "whoever says it speaks for sure"
    assert cut.speech_ms >= 200
    assert s.opened[0].wake is not None


@pytest.mark.req("R020")
def test_where_only_the_wake_word_may_interrupt_speech_does_not(scene) -> None:
    s = talking(scene, interruption="wake")
    s.walls.say(spoken(2000, 0.4))
    s.run(3)

    assert s.interrupted == []


@pytest.mark.req("R018")
@pytest.mark.parametrize("limit_s", [8.0, 12.0])
def test_a_microphone_that_is_shut_for_an_answer_hears_the_wake_word_after_its_limit(
    scene, limit_s
) -> None:
    s = talking(scene, interruption="off", shut_limit_s=limit_s)
    s.walls.say(wake_word(500), at=limit_s - 2)
    s.walls.say(spoken(2000, 0.4), at=limit_s - 5)
    s.until(lambda: s.now > limit_s - 0.5)
    assert s.opened == []

    s.until(lambda: s.now > limit_s + 0.5)
    s.walls.say(wake_word(500))
    s.run(1)
    assert len(s.interrupted) == 1


@pytest.mark.req("R018")
def test_a_microphone_that_was_shut_is_open_as_soon_as_the_answer_is_over(scene) -> None:
    s = scene(interruption="off")
    s.answer(2)
    s.until(lambda: s.reports("finished"))
    s.walls.say(spoken(1000))
    s.run(1)

    assert len(s.opened) == 1


def test_the_answer_is_quieter_while_somebody_may_be_interrupting(scene) -> None:
    for percent, share in ((100, 1.0), (40, 0.4), (0, 0.0)):
        s = talking(scene, interruption_ms=3000, duck_percent=percent)
        full = float(np.abs(s.walls.sounded(2.0)).max())
        mark = s.walls.now + 0.3
        s.walls.say(spoken(1500, 0.4))
        s.run(1)
        assert np.abs(s.walls.sounded(mark)).max() / full == pytest.approx(share, abs=0.02)
        s.run(3)
        assert np.abs(s.walls.sounded(s.walls.now - 1)).max() == pytest.approx(full, rel=0.02)


@pytest.mark.req("R001")
def test_after_an_answer_was_heard_to_its_end_no_wake_word_is_needed_for_a_while(scene) -> None:
    s = scene(follow_up_s=4.0)
    s.answer(2)
    end = s.until(lambda: s.reports("finished"))
    s.until(lambda: s.now > end + 3)
    s.walls.say(spoken(800, 0.2))
    s.run(2)
    assert len(s.opened) == 1
    assert s.holds(spoken(800, 0.2))
    s.transcript("final")

    s.answer(2)
    s.until(lambda: len(s.reports("finished")) == 2)
    s.run(4.5)
    s.walls.say(spoken(800))
    s.run(2)
    assert len(s.opened) == 1


@pytest.mark.req("R001")
def test_the_follow_up_window_may_be_closed_for_good(scene) -> None:
    s = scene(follow_up_s=0.0)
    s.answer(2)
    s.until(lambda: s.reports("finished"))
    s.walls.say(spoken(1000))
    s.run(2)

    assert s.opened == []


@pytest.mark.req("R001")
def test_an_announcement_opens_no_follow_up_window(scene) -> None:
    s = scene()
    s.answer(2, turn=False)
    s.until(lambda: s.reports("finished"))
    s.walls.say(spoken(1000))
    s.run(2)

    assert s.opened == []


@pytest.mark.req("R021")
@pytest.mark.parametrize("how", ["cancelled", "aborted", "cancel"])
def test_what_the_house_stops_is_silent_and_told_and_opens_no_follow_up(scene, how) -> None:
    s = talking(scene)
    if how == "cancelled":
        s.speech("cancelled", s.utterance, s.room._turn_of[s.utterance])
    elif how == "aborted":
        s.abort(s.utterance)
    else:
        s.room.cancelled(s.now)
    s.run(0.2)
    mark = s.walls.now
    s.walls.say(spoken(1000, 0.4))
    s.run(3)

    assert [r.event for _, r in s.reports()][-1] == "stopped"
    assert s.interrupted == []
    assert s.walls.silent(mark)
    assert s.opened == []


def test_the_end_of_another_utterance_does_not_stop_this_one(scene, any_id) -> None:
    s = talking(scene)
    s.speech("cancelled", any_id, None)
    s.run(1)

    assert s.reports("stopped") == []
    assert not s.walls.silent(s.walls.now - 0.3)


def _onset_s(s, amplitude: float) -> float:
    """When in the turn somebody begins to speak, louder than the echo."""
    return float(np.flatnonzero(np.abs(s.got()) > amplitude)[0]) / 16_000
