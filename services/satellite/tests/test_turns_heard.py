"""Which turns a room opens, what of the sound they hold, and how they end."""

from __future__ import annotations

import numpy as np
import pytest
from parlour_testkit.fakes_room import spoken, wake_word
from satellite.virtual import VirtualRoom


def test_speech_without_the_wake_word_opens_no_turn(scene) -> None:
    s = scene()
    s.walls.say(spoken(3000), at=1)
    s.run(6)

    assert s.opened == []


@pytest.mark.req("R001")
def test_the_wake_word_opens_a_turn_that_holds_what_is_said_next(scene) -> None:
    s = scene()
    s.walls.say(wake_word(), at=1.0)
    s.walls.say(spoken(800, 0.2), at=1.6)
    s.run(4)

    (opened,) = s.opened
    assert opened.attempt == 1
    assert opened.wake is not None
    assert opened.wake.word == "a tone"
    assert 0.35 <= opened.wake.confidence <= 1
    assert s.holds(spoken(800, 0.2))


@pytest.mark.req("C064")
def test_a_higher_threshold_that_counts_at_once_lets_the_same_word_pass(scene) -> None:
    s = scene(energy_boost=1.0)
    s.walls.say(wake_word(160), at=1.0)
    s.run(2)
    assert len(s.opened) == 1
    s.transcript("empty")

    s.use(wake_threshold=0.95)
    s.walls.say(wake_word(160))
    s.run(2)
    assert len(s.opened) == 1


@pytest.mark.req("C064")
def test_a_word_without_speech_is_no_wake_word_where_speech_is_asked_for(scene) -> None:
    quiet = wake_word() * np.float32(0.05)  # too quiet for the speech detector, not for the other
    s = scene(wake_vad=0.3)
    s.walls.say(quiet, at=1.0)
    s.run(2)
    assert s.opened == []

    s.use(wake_vad=0.0)
    s.walls.say(quiet)
    s.run(2)
    assert len(s.opened) == 1


@pytest.mark.req("C064")
def test_the_boost_makes_a_quiet_word_loud_enough_for_its_detector(scene) -> None:
    faint = wake_word() * np.float32(0.0005)
    s = scene(wake_vad=0.0, energy_boost=0.5)
    s.walls.say(faint, at=1.0)
    s.run(2)
    assert s.opened == []

    s.use(energy_boost=3.0)
    s.walls.say(faint)
    s.run(2)
    assert len(s.opened) == 1


@pytest.mark.req("R019")
def test_a_wake_word_counts_again_only_after_the_retrigger_time(scene) -> None:
    s = scene(wake_retrigger_s=3.0)
    s.walls.say(wake_word(300), at=1.0)
    s.walls.say(wake_word(300), at=2.5)
    s.until(lambda: s.opened)
    s.transcript("empty")
    s.run(2)
    assert len(s.opened) == 1

    s.use(wake_retrigger_s=0.1)
    s.walls.say(wake_word(300))
    s.run(1)
    assert len(s.opened) == 2


@pytest.mark.req("R001")
def test_in_live_mode_speech_opens_a_turn_that_holds_its_first_word(scene) -> None:
    s = scene(live_mode=True)
    s.walls.say(spoken(1000, 0.2), at=2.0)
    s.run(5)

    (opened,) = s.opened
    assert opened.wake is None
    assert s.holds(spoken(1000, 0.2))


def test_the_pre_roll_is_as_long_as_its_setting_says(scene) -> None:
    lead = {}
    for ms in (0, 320, 1600):
        s = scene(live_mode=True, pre_roll_ms=ms)
        s.walls.say(spoken(1000), at=3.0)
        s.run(5)
        lead[ms] = int(np.flatnonzero(np.abs(s.got()) > 0.01)[0]) / 16

    assert lead[320] - lead[0] == pytest.approx(320, abs=33)
    assert lead[1600] - lead[0] == pytest.approx(1600, abs=33)


@pytest.mark.req("V041")
def test_a_short_noise_opens_no_turn_in_live_mode(scene) -> None:
    s = scene(live_mode=True)
    s.walls.say(spoken(120), at=1.0)
    s.walls.say(spoken(120), at=2.0)
    s.run(4)

    assert s.opened == []


@pytest.mark.req("R013")
def test_speech_that_is_hardly_louder_than_the_room_is_ignored_where_noise_is(scene) -> None:
    faint = spoken(1000, 0.035)
    found = {}
    for wanted in (True, False):
        s = scene(VirtualRoom(noise_db=-39), live_mode=True, noise_suppression=wanted)
        s.walls.say(faint, at=4.0)
        s.run(6)
        found[wanted] = len(s.opened)

    assert found == {True: 0, False: 1}


def test_a_turn_ends_with_its_transcript_and_the_microphone_closes(scene) -> None:
    s = scene()
    s.walls.say(wake_word(), at=1.0)
    s.until(lambda: s.opened)
    s.run(2)
    before = len(s.got())
    s.transcript("final")
    s.run(2)

    assert s.room.hearing is None
    assert len(s.got()) == before


def test_a_transcript_of_another_turn_or_an_earlier_failure_ends_nothing(scene, any_id) -> None:
    s = scene()
    s.walls.say(wake_word(), at=1.0)
    s.until(lambda: s.opened)
    s.run(1)
    s.transcript("final", turn_id=any_id)
    s.transcript("partial")
    s.transcript("failed", attempt=7)

    assert s.room.hearing is not None


@pytest.mark.req("R001", "R018")
def test_a_wake_word_after_which_nobody_speaks_closes_the_microphone(scene) -> None:
    s = scene(wake_window_s=4.0)
    s.walls.say(wake_word(), at=1.0)
    woke = s.until(lambda: s.opened)
    s.run(3.5)
    assert not s.ended  # it stays open even if no command follows

    closed = s.until(lambda: s.ended)
    assert closed - woke == pytest.approx(4.0, abs=0.1)


def test_somebody_who_speaks_in_time_is_not_cut_off_by_the_window(scene) -> None:
    s = scene(wake_window_s=2.0)
    s.walls.say(wake_word(), at=1.0)
    s.walls.say(spoken(3000), at=2.8)
    s.run(6)

    assert not s.ended


def test_who_dies_while_it_listens_is_followed_by_another_that_hears_all(scene) -> None:
    s = scene()
    s.health()
    s.walls.say(wake_word(), at=1.0)
    s.walls.say(spoken(3000, 0.2), at=1.6)
    s.run(3)
    s.health("lwt")
    s.worker = "stt-worker-2"
    s.run(3)

    assert [o.attempt for o in s.opened] == [1, 2]
    assert len({o.turn_id for o in s.opened}) == 1
    assert s.holds(spoken(3000, 0.2), 2)
    assert np.array_equal(s.got(1), s.got(2)[: len(s.got(1))])


def test_a_turn_that_nobody_claims_is_opened_again_and_nothing_of_it_is_lost(scene) -> None:
    s = scene()
    s.claims = False
    s.walls.say(wake_word(), at=1.0)
    s.walls.say(spoken(500, 0.2), at=1.6)
    s.run(3)
    s.claims = True
    s.until(lambda: len(s.opened) == 2)
    s.run(2)

    assert s.opened[-1].attempt == 2
    assert s.holds(spoken(500, 0.2))


def test_a_turn_that_nobody_can_listen_to_ends_with_a_tone_and_the_room_wakes_again(scene) -> None:
    s = scene(tone_error=True)
    s.claims = False
    s.walls.say(wake_word(), at=1.0)
    s.until(lambda: s.opened)
    gone = s.until(lambda: s.room.hearing is None)
    s.run(1)

    assert not s.walls.silent(gone - 0.1)
    s.claims = True
    s.walls.say(wake_word())
    s.run(2)
    assert s.room.hearing is not None


def test_a_microphone_that_nobody_closes_closes_itself(scene) -> None:
    s = scene()
    s.walls.say(wake_word(), at=1.0)
    s.walls.say(spoken(140_000), at=1.6)
    s.run(140)

    assert s.ended
    assert len(s.got()) <= 131 * 16_000


@pytest.mark.req("R017")
def test_after_a_turn_speech_opens_no_other_for_the_cool_down(scene) -> None:
    opened = {}
    for ms in (0, 3000):
        s = scene(live_mode=True, cool_down_ms=ms)
        s.walls.say(spoken(4000), at=1.0)
        s.until(lambda s=s: s.opened)
        s.transcript("final")
        s.run(2)
        opened[ms] = len(s.opened)

    assert opened == {0: 2, 3000: 1}


def test_a_muted_room_hears_neither_the_word_nor_speech_and_ends_the_turn(scene) -> None:
    s = scene(live_mode=True)
    s.walls.say(spoken(5000), at=1.0)
    s.run(2)
    assert len(s.opened) == 1
    s.use(muted=True)
    s.run(1)
    assert s.ended
    sent = len(s.got())
    s.transcript("final")
    s.walls.say(wake_word(), at=s.walls.now + 3)
    s.run(5)

    assert len(s.opened) == 1
    assert len(s.got()) == sent


@pytest.mark.req("R017")
def test_after_unmuting_nothing_is_listened_to_for_the_guard_time(scene) -> None:
    opened = {}
    for ms in (0, 1000):
        s = scene(muted=True, unmute_guard_ms=ms)
        s.run(1)
        s.use(muted=False)
        s.walls.say(wake_word(500))
        s.run(0.8)
        opened[ms] = len(s.opened)
        s.walls.say(wake_word(), at=s.walls.now + 1)
        s.run(2)
        assert s.opened, "and after it everything is as ever"

    assert opened == {0: 1, 1000: 0}


@pytest.mark.req("R003")
@pytest.mark.parametrize("name", ["tone_wake", "tone_end", "tone_error"])
def test_each_tone_is_heard_where_its_setting_wants_it(scene, name) -> None:
    heard = {}
    for percent in (100, 200, 0):
        s = scene(**{name: True, "tone_percent": percent})
        s.walls.say(wake_word(), at=1.0)
        s.until(lambda s=s: s.opened)
        s.run(1)
        at_wake = not s.walls.silent(0)
        mark = s.walls.now
        s.transcript("failed" if name == "tone_error" else "final")
        s.run(1)
        assert at_wake is (name == "tone_wake" and percent > 0)
        assert s.walls.silent(mark) is (name == "tone_wake" or percent == 0)
        heard[percent] = float(np.abs(s.walls.sounded()).max())

    assert heard[0] == 0 < heard[100] < heard[200] <= 1


def test_a_house_that_may_not_listen_answers_without_a_tone_of_failure(scene) -> None:
    s = scene(tone_error=True)
    s.walls.say(wake_word(), at=1.0)
    s.until(lambda: s.opened)
    s.transcript("failed", reason="MUTED")
    s.run(1)

    assert s.walls.silent(0)
