"""A microphone's timetable."""

from hypothesis import given
from hypothesis import strategies as st
from parlour_cli.talk.microphone import CATCH_UP, Microphone

FRAMES = [b"a", b"b", b"c"]


def test_a_frame_exists_when_its_last_sample_is_captured():
    it = Microphone(FRAMES, b"-", 0.02, 5.0)

    assert list(it.pending(5.019)) == []
    assert list(it.pending(5.02)) == [(0, b"a")]
    assert it.next_at == 5.04
    assert list(it.pending(5.06)) == [(1, b"b"), (2, b"c")]


def test_silence_follows_the_question_in_real_time():
    it = Microphone(FRAMES, b"-", 0.02, 0.0)
    for n in range(10):
        sent = list(it.pending((n + 1) * 0.02))

        assert sent == [(n, FRAMES[n] if n < 3 else b"-")]


def test_another_listener_gets_everything_faster_than_real_time_but_not_in_a_flood():
    it = Microphone([bytes([n]) for n in range(30)], b"-", 0.02, 0.0)
    for n in range(25):
        list(it.pending((n + 1) * 0.02))
    it.rewind()
    rounds = [list(it.pending(0.5)) for _ in range(4)]

    assert [len(r) for r in rounds] == [CATCH_UP, CATCH_UP, 5, 0]
    assert [seq for r in rounds for seq, _ in r] == list(range(25))


def test_a_frame_whose_sending_failed_is_pending_again():
    it = Microphone(FRAMES, b"-", 0.02, 0.0)
    next(it.pending(1.0))

    assert next(it.pending(1.0)) == (0, b"a")


@given(steps=st.lists(st.floats(0.0, 0.2), min_size=1, max_size=60))
def test_whenever_it_is_asked_no_frame_is_left_out_or_sent_early(steps):
    it, now, seen = Microphone(FRAMES, b"-", 0.02, 0.0), 0.0, []
    for step in steps:
        now += step
        for seq, _ in it.pending(now):
            seen.append(seq)
            assert (seq + 1) * 0.02 <= now + 1e-6

    assert seen == list(range(len(seen)))
