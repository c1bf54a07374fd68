"""The loudspeaker without sound: order, gaps, and when each sample is heard."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from parlour_cli.talk.player import LOST_FRAME_S, LOST_SENTENCE_S, Player

RATE = 16_000


def frame(sentence, number, *, frames=3, sentences=2, ms=100, level=None, first_seq=None):
    """A frame of a constant level that tells which one it is."""
    value = 1000 * (sentence + 1) + number if level is None else level
    samples = np.full(RATE * ms // 1000, value, "<i2")
    seq = sentence * frames + number if first_seq is None else first_seq + number
    last = number == frames - 1
    return samples.tobytes(), {
        "seq": str(seq), "rate": str(RATE), "sentence": str(sentence),
        "start_ms": str(number * ms), "end": str(int(last)),
        "last": str(int(last and sentence == sentences - 1)),
    }  # fmt: skip


def utterance(**changes):
    return [frame(s, n, **changes) for s in range(2) for n in range(3)]


WHOLE = [1000, 1001, 1002, 2000, 2001, 2002]


def levels(player):
    return [int(c.samples[0]) for c in player.chunks]


def test_frames_in_order_are_heard_one_after_the_other():
    player = Player()
    for payload, properties in utterance():
        player.frame(payload, properties, 10.0)

    assert levels(player) == WHOLE
    assert np.allclose([c.at for c in player.chunks], [10.0 + i * 0.1 for i in range(6)])
    assert player.underruns == 0
    sound, rate = player.sound()
    assert (len(sound), rate) == (6 * 1600, RATE)


@given(order=st.permutations(range(6)), twice=st.lists(st.integers(0, 5), max_size=6))
def test_any_order_with_duplicates_gives_the_same_sound(order, twice):
    player, frames = Player(), utterance()
    for index in [*order, *twice]:
        player.frame(*frames[index], 10.0)

    assert levels(player) == WHOLE
    assert player.lost == 0


def test_a_sound_that_comes_too_late_is_an_underrun_and_is_counted():
    player = Player()
    player.frame(*frame(0, 0), 10.0)
    player.frame(*frame(0, 1), 10.3)

    assert player.underruns == 1
    assert round(player.underrun_s, 6) == 0.2
    assert player.chunks[1].at == 10.3
    assert round(player.played_ms(10.35), 3) == 150.0


def test_first_audio_is_the_first_sample_that_can_be_heard():
    player = Player()
    player.frame(*frame(0, 0, level=300), 10.0)
    assert player.audible_at is None
    player.frame(*frame(0, 1, level=-400), 10.02)

    assert player.audible_at == 10.1


def test_first_audio_that_arrives_late_counts_from_its_arrival():
    player = Player()
    player.frame(*frame(0, 0, level=0), 10.0)
    player.frame(*frame(0, 1, level=5000), 10.5)

    assert player.audible_at == 10.5


def test_a_lost_frame_is_waited_for_a_while_only():
    player = Player()
    player.frame(*frame(0, 0), 10.0)
    player.frame(*frame(0, 2), 10.01)
    assert player.next_at == 10.01 + LOST_FRAME_S
    player.poll(10.01 + LOST_FRAME_S)

    assert levels(player) == [1000, 1002]
    assert player.lost == 1


def test_a_sentence_waits_longer_for_the_one_before_it():
    player = Player()
    player.frame(*frame(1, 0), 10.0)
    player.poll(10.0 + LOST_SENTENCE_S - 0.1)
    assert player.chunks == []
    player.frame(*frame(0, 0), 10.0 + LOST_SENTENCE_S - 0.05)
    for n in (1, 2):
        player.frame(*frame(0, n), 15.0)

    assert levels(player) == [1000, 1001, 1002, 2000]


def test_a_sentence_made_again_goes_on_where_the_first_worker_stopped():
    player = Player()
    player.frame(*frame(0, 0), 10.0)
    for n in range(3):
        player.frame(*frame(0, n, first_seq=0, level=7000 + n), 10.05)

    assert levels(player) == [1000, 7001, 7002]


def test_playback_is_reported_as_a_real_loudspeaker_would():
    player = Player()
    for payload, properties in utterance(ms=200):
        player.frame(payload, properties, 10.0)
    told = []
    now = 10.0
    while not player.over:
        told += [(round(now - 10, 2), r.event, round(r.played_ms)) for r in player.poll(now)]
        if (at := player.next_at) is not None:
            now = at

    assert told == [
        (0.0, "started", 0), (0.5, "position", 500), (1.0, "position", 1000),
        (1.2, "finished", 1200),
    ]  # fmt: skip


def test_an_utterance_whose_sound_ran_out_does_not_ask_to_be_polled_for_ever():
    player = Player()
    player.frame(*frame(0, 0), 10.0)
    player.poll(10.0)
    player.poll(11.0)

    assert player.next_at is None


def test_what_is_stopped_is_silent_at_once():
    player = Player()
    for payload, properties in utterance():
        player.frame(payload, properties, 10.0)
    player.poll(10.0)
    reports = player.stop(10.25)
    player.frame(*frame(1, 2), 10.3)

    assert [(r.event, round(r.played_ms)) for r in reports] == [("stopped", 250)]
    assert player.stop(10.3) == []
    assert player.poll(20.0) == []


def test_frames_that_are_none_are_counted_and_change_nothing():
    player = Player()
    good = frame(0, 0)
    for payload, changes in (
        (good[0], {"rate": "fast"}), (good[0], {"rate": "0"}), (good[0], {"start_ms": "-1"}),
        (good[0], {"sentence": "9" * 30}), (b"odd", {}), (good[0], {"seq": "١"}),
    ):  # fmt: skip
        player.frame(payload, {**good[1], **changes}, 10.0)
    player.frame(good[0], {}, 10.0)

    assert player.malformed == 7
    assert player.chunks == []


def test_rates_that_differ_become_that_of_the_beginning():
    player = Player()
    player.frame(*frame(0, 0, frames=1), 10.0)
    _, properties = frame(1, 0, frames=1)
    player.frame(np.full(2205, 2000, "<i2").tobytes(), {**properties, "rate": "22050"}, 10.0)
    sound, rate = player.sound()

    assert (len(sound), rate) == (3200, RATE)
    assert player.over is False
    assert [r.event for r in player.poll(10.2)] == ["started", "finished"]
