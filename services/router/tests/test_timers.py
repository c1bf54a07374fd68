"""Timers: what is set rings once it has ended, also when the router did not live to see it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Say
from router.desk import Kept
from router.timers import KeptTimer

from .household import Household

DONE = "Your timer for 10 minutes is done."


@pytest.mark.req("R006")
def test_a_timer_rings_three_times_every_twenty_seconds() -> None:
    home = Household()
    home.command("Set a timer for ten minutes.")

    rung = home.rings_within(900)

    assert [text for _, text in rung] == [DONE] * 3
    first = rung[0][0]
    assert first == pytest.approx(600, abs=3)
    assert [at - first for at, _ in rung] == [0, 20, 40]
    assert home.room.desk.is_empty
    assert home.room.deadline is None


@pytest.mark.parametrize("words", ["Stop.", "Cancel the timer.", "Stop the alarm!", "Be quiet."])
def test_somebody_who_says_stop_has_heard_it(words: str) -> None:
    home = Household()
    home.command("Set a timer for ten minutes.")
    assert len(home.rings_within(610)) == 1

    assert home.command(words) == ""
    assert home.rings_within(300) == []
    assert home.room.desk.is_empty


def test_stop_silences_a_ring_while_it_sounds() -> None:
    home = Household()
    home.command("Set a timer for one minute.")
    home.wait(65)
    ring = home.sentences[-1]
    home.hear("Stop.")

    assert [c.utterance_id for c in home.cancels] == [ring.utterance_id]
    assert home.rings_within(300) == []


def test_a_cancel_from_outside_silences_a_ring_but_no_timer_that_runs() -> None:
    home = Household()
    home.command("Set a timer for one minute.")
    home.command("Set a timer for ten minutes.")
    assert len(home.rings_within(65)) == 1
    home.take(home.room.cancel("person"))

    assert [text for _, text in home.rings_within(600)][:1] == [DONE]


def test_a_ring_waits_behind_a_running_reply() -> None:
    home = Household()
    home.command("Set a timer for one minute.")
    home.wait(50)
    before = len(home.sentences)
    home.ask("Sun?")
    home.answer("The sun is a star.")
    sounding = len(home.sentences)
    home.wait(15)
    assert len(home.sentences) == sounding
    home.hear_out(before)

    assert home.sentences[-1].text.startswith("Your timer for 1 minute")


def test_a_ring_waits_for_who_speaks() -> None:
    home = Household()
    home.command("Set a timer for one minute.")
    turn = home.claim()
    home.wait(70)
    assert len(home.sentences) == 1
    home.hear("", turn, kind="empty")
    home.hear_out(1)

    assert [r.text for r in home.sentences][-1].startswith("Your timer for 1 minute")


def test_a_late_ring_says_that_it_is_late() -> None:
    home = Household()
    home.command("Set a timer for one minute.")
    turn = home.claim()
    home.wait(58 + 100)
    home.hear("", turn, kind="empty")
    home.hear_out(1)

    assert (
        home.sentences[-1].text == "Your timer for 1 minute was done 1 minute and 40 seconds ago."
    )


def test_a_ring_waits_for_a_voice() -> None:
    home = Household(has_voice=False)
    home.room.desk.timers.set(60, "pasta")
    home.wait(120)
    assert home.sentences == []
    home.voice_comes()
    home.take(home.room.ready())

    assert home.sentences[-1].text == "Your pasta timer was done 1 minute ago."


def test_a_ring_is_heard_in_a_quiet_room() -> None:
    home = Household()
    home.command("Set the volume to 5.")
    home.command("Set a timer for one minute.")
    home.rings_within(65)

    assert home.sentences[-1].volume == 40


def test_several_timers_that_end_together_all_ring() -> None:
    home = Household()
    for name in ("egg", "pasta", "tea"):
        home.room.desk.timers.set(60, name)

    rung = [text for _, text in home.rings_within(300)]
    assert rung == [
        f"Your {name} timer is done." for _ in range(3) for name in ("egg", "pasta", "tea")
    ]


# What people ask for


def kitchen() -> Household:
    home = Household()
    home.command("Set a pasta timer for ten minutes.")
    home.command("Set a timer for an hour.")
    return home


def test_how_much_is_left_is_told() -> None:
    home = kitchen()

    assert home.command("How much time is left on the pasta timer?").startswith("9 minutes and 5")
    assert home.command("How much time is left?").startswith("There are 9 minutes and 5")
    assert home.command("How much time is left on the egg timer?") == "There is no egg timer."


def test_timers_are_listed() -> None:
    home = kitchen()
    listed = home.command("What timers are there?")
    home.command("Cancel the pasta timer.")

    assert listed.startswith("There are 2 timers: 9 minutes and 5")
    assert listed.endswith("on the timer for 1 hour.")
    assert home.command("List my timers.").startswith("There is a timer with 59 minutes and 5")


def test_a_timer_is_cancelled_by_its_name_or_its_length() -> None:
    home = kitchen()

    assert home.command("Cancel the timer.") == (
        "Which one? There are the pasta timer and the timer for 1 hour."
    )
    assert home.command("Cancel the egg timer.") == "There is no egg timer."
    assert home.command("Cancel the two minute timer.") == "There is no timer for 2 minutes."
    assert home.command("Cancel the pasta timer.") == "The pasta timer is cancelled."
    assert home.command("Cancel the timer.") == "The timer for 1 hour is cancelled."
    assert home.command("Cancel the timer.") == "There is no timer."
    assert home.rings_within(4000) == []


def test_all_timers_are_cancelled_at_once() -> None:
    home = kitchen()

    assert home.command("Cancel all timers.") == "All timers are cancelled."
    assert home.command("Cancel all timers.") == "There is no timer."
    assert home.rings_within(4000) == []


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        ("Set a timer for 25 hours.", "A timer can run for 1 day at most."),
        ("Set a timer for 0 minutes.", "A timer needs at least one second."),
    ],
)
def test_what_cannot_be_set_is_refused_aloud(wish: str, refusal: str) -> None:
    home = Household()

    assert home.command(wish) == refusal
    assert home.room.desk.is_empty


def test_a_room_has_fifty_timers_at_most() -> None:
    home = Household()
    for _ in range(50):
        home.command("Set a timer for 20 hours.")

    assert home.command("Set a timer for 1 hour.") == "There are already 50 timers."
    assert len(home.command("List timers.")) < 1000


# A restart


def test_a_timer_goes_on_over_a_restart() -> None:
    home = Household()
    home.command("Set a timer for ten minutes.")
    again = home.restarted(200)

    assert again.rings_within(900)[0] == (pytest.approx(600 - 200, abs=3), DONE)


def test_a_timer_that_ended_meanwhile_rings_at_once_and_says_that_it_is_late() -> None:
    home = Household()
    home.command("Set a pasta timer for ten minutes.")
    again = home.restarted(3600 * 3)

    assert again.rings_within(5) == [(0.0, "Your pasta timer was done 2 hours and 50 minutes ago.")]
    assert again.command("Stop.") == ""
    assert again.room.desk.is_empty


def test_the_volume_stays_over_a_restart() -> None:
    home = Household()
    home.command("Quieter.")

    assert home.restarted(10).room.desk.spoken_volume == 80


def test_a_clock_that_is_set_does_not_move_a_timer() -> None:
    home = Household()
    home.command("Set a timer for ten minutes.")
    home.begin += timedelta(days=1)

    assert home.rings_within(900)[0][0] == pytest.approx(600, abs=3)


def test_a_clock_that_starts_in_the_past_delays_no_timer_beyond_its_length() -> None:
    home = Household()
    home.command("Set a timer for ten minutes.")
    again = home.restarted(-86_400)

    assert again.rings_within(900)[0] == (pytest.approx(600, abs=3), DONE)


def test_a_clock_that_learns_the_time_after_the_start_makes_a_kept_timer_ring() -> None:
    home = Household()
    home.command("Set a pasta timer for an hour.")
    again = home.restarted(-60)
    assert again.rings_within(10) == []
    again.begin += timedelta(hours=2)
    rung = again.rings_within(120)

    assert rung[0][0] <= 30
    assert rung[0][1].startswith("Your pasta timer was done 59 minutes")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([None, "tea", "egg"]), st.integers(1, 3600),
                  st.integers(-4000, 4000)),
        max_size=6,
    ),
    st.integers(1, 4),
)  # fmt: skip
def test_every_kept_timer_rings_as_often_as_it_should_and_never_later_than_its_length(
    timers: list[tuple[str | None, int, int]], rings: int
) -> None:
    home = Household(RouterConfig(timer_rings=rings))
    kept = Kept(
        timers=tuple(
            KeptTimer(name, float(seconds), home.wall + timedelta(seconds=left))
            for name, seconds, left in timers
        )
    )
    again = home.restarted(0, kept)
    rung = again.rings_within(5000)

    assert len(rung) == rings * len(timers)
    latest = max((min(seconds, max(left, 0)) for _, seconds, left in timers), default=0)
    assert all(at <= latest + 30 + 25.0 * rings * len(timers) for at, _ in rung)
    assert again.room.desk.is_empty


def test_an_announcement_of_somebody_does_not_count_as_a_ring() -> None:
    home = Household()
    home.command("Set a timer for one minute.")
    home.take(home.room.say(Say(text="Dinner is ready.")))
    home.hear_out(1)

    assert [text for _, text in home.rings_within(300)] == ["Your timer for 1 minute is done."] * 3
