"""Which sentence is spoken next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.messages.tts import TtsRequest
from parlour_kit.ids import new_id
from tts_worker.queueing import REORDER_S, Offer, SpeechQueue

A, B, C = (new_id() for _ in range(3))
TURN = new_id()


def ask(utterance: str = A, seq: int = 0, *, last: bool = False, **more) -> TtsRequest:
    return TtsRequest(
        utterance_id=utterance, seq=seq, last=last, text=f"{seq}.", site="den", **more
    )


def offer(queue: SpeechQueue, request: TtsRequest, now: float = 0.0) -> Offer:
    return queue.offer(request, now)[0]


def take(queue: SpeechQueue, now: float = 0.0, *, together: bool = True, hold: float = 2.0):
    """The (utterance, seq) to speak now; or when to look again."""
    waiting, again = queue.take(now, keep_together=together, hold_s=hold)
    if waiting is None:
        return again
    queue.spoken(waiting.request, now)
    return waiting.request.utterance_id, waiting.request.seq


@given(st.permutations(range(6)))
def test_sentences_are_spoken_in_order_however_they_arrive(order: list[int]):
    queue = SpeechQueue()
    for seq in order:
        offer(queue, ask(seq=seq, last=seq == 5))

    assert [take(queue) for _ in range(6)] == [(A, n) for n in range(6)]
    assert take(queue) is None


def test_a_sentence_waits_for_its_predecessor_a_moment_only():
    queue = SpeechQueue()
    offer(queue, ask(seq=1))

    assert take(queue, 0.1) == REORDER_S
    assert take(queue, REORDER_S) == (A, 1)


def test_a_predecessor_that_comes_too_late_is_spoken_all_the_same():
    queue = SpeechQueue()
    offer(queue, ask(seq=1))
    take(queue, REORDER_S)

    assert offer(queue, ask(seq=0), 1.0) is Offer.QUEUED
    assert take(queue, 1.0) == (A, 0)


@pytest.mark.req("C023", "V049")
def test_an_answer_that_has_begun_is_finished_before_another_begins():
    queue = SpeechQueue()
    for request in (ask(A, 0), ask(B, 0, last=True), ask(A, 1, last=True)):
        offer(queue, request)

    assert [take(queue) for _ in range(3)] == [(A, 0), (A, 1), (B, 0)]


@pytest.mark.req("C023")
def test_without_keeping_together_sentences_are_spoken_as_they_arrive():
    queue = SpeechQueue()
    for at, request in enumerate((ask(A, 0), ask(B, 0), ask(A, 1), ask(B, 1))):
        offer(queue, request, at)

    order = [take(queue, 9, together=False) for _ in range(4)]
    assert order == [(A, 0), (B, 0), (A, 1), (B, 1)]


@pytest.mark.req("C024")
def test_the_place_of_an_answer_is_held_for_its_next_sentence_until_the_time_out():
    queue = SpeechQueue()
    offer(queue, ask(A, 0))
    assert take(queue, 10.0) == (A, 0)
    offer(queue, ask(B, 0), 10.1)

    assert take(queue, 10.2) == 12.0
    assert take(queue, 12.0) == (B, 0)


@pytest.mark.req("C024")
def test_without_a_wait_the_next_answer_begins_at_once():
    queue = SpeechQueue()
    offer(queue, ask(A, 0))
    take(queue, 10.0)
    offer(queue, ask(B, 0), 10.0)

    assert take(queue, 10.0, hold=0.0) == (B, 0)


def test_nothing_is_spoken_twice():
    queue = SpeechQueue()
    offer(queue, ask(seq=0))
    assert offer(queue, ask(seq=0)) is Offer.DUPLICATE
    take(queue)
    assert offer(queue, ask(seq=0)) is Offer.DUPLICATE
    offer(queue, ask(seq=1, last=True))
    take(queue)
    assert offer(queue, ask(seq=1)) is Offer.DUPLICATE
    assert offer(queue, ask(seq=2)) is Offer.DUPLICATE
    assert len(queue) == 0


def test_a_cancelled_utterance_is_dropped_and_stays_silent():
    queue = SpeechQueue()
    offer(queue, ask(A, 0))
    offer(queue, ask(A, 1))
    take(queue)

    dropped = queue.cancel(A)

    assert dropped is not None
    assert (dropped.site, dropped.seq) == ("den", 1)
    assert queue.is_void(ask(A))
    assert offer(queue, ask(A, 2)) is Offer.VOID
    assert take(queue) is None
    assert queue.cancel(A) is None


def test_a_cancel_before_its_utterance_silences_it_too():
    queue = SpeechQueue()

    assert queue.cancel(A) is None
    assert offer(queue, ask(A)) is Offer.VOID


def test_an_abort_drops_its_revision_and_those_before_it_alone():
    queue = SpeechQueue()
    offer(queue, ask(A, turn_id=TURN, revision=2))
    offer(queue, ask(C))

    assert queue.abort(TURN, 1) == []
    assert [d.utterance_id for d in queue.abort(TURN, 2)] == [A]
    assert offer(queue, ask(B, turn_id=TURN, revision=2)) is Offer.VOID
    assert offer(queue, ask(B, turn_id=TURN, revision=3)) is Offer.QUEUED
    assert [take(queue), take(queue, 5)] == [(C, 0), (B, 0)]


def test_a_newer_revision_of_a_turn_drops_the_older_one():
    queue = SpeechQueue()
    offer(queue, ask(A, turn_id=TURN, revision=1))

    result, dropped = queue.offer(ask(B, turn_id=TURN, revision=2), 0.0)

    assert result is Offer.QUEUED
    assert [d.utterance_id for d in dropped] == [A]
    assert take(queue) == (B, 0)


def test_the_queue_is_bounded():
    queue = SpeechQueue(max_waiting=3)
    results = [offer(queue, ask(seq=n)) for n in range(4)]

    assert results == [Offer.QUEUED] * 3 + [Offer.FULL]
    take(queue)
    assert offer(queue, ask(seq=3)) is Offer.QUEUED


def test_memory_is_bounded_and_forgets_the_oldest_idle_utterance_first():
    queue = SpeechQueue(remembered=10)
    waiting = new_id()
    offer(queue, ask(waiting))
    for _ in range(50):
        queue.cancel(new_id())
        queue.abort(new_id(), 1)

    assert len(queue._utterances) <= 11
    assert len(queue._void_revisions) <= 10
    assert take(queue) == (waiting, 0)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["offer", "offer", "offer", "take", "cancel", "wait"]),
        st.sampled_from([A, B, C]),
        st.integers(0, 5),
        st.booleans(),
    ),
    max_size=60,
)


@given(EVENTS, st.booleans())
def test_whatever_happens_nothing_is_repeated_lost_or_spoken_after_a_cancel(events, together):
    queue, now = SpeechQueue(), 0.0
    wanted: set[tuple[str, int]] = set()
    spoken: list[tuple[str, int]] = []
    ended: set[str] = set()
    for kind, utterance, seq, last in events:
        if kind == "offer" and offer(queue, ask(utterance, seq, last=last), now) is Offer.QUEUED:
            wanted.add((utterance, seq))
        elif kind == "cancel":
            queue.cancel(utterance)
            wanted = {w for w in wanted if w[0] != utterance}
            ended.add(utterance)
        elif kind == "wait":
            now += 0.2
        elif kind == "take":
            waiting, again = queue.take(now, keep_together=together, hold_s=1.0)
            assert waiting is None or again is None
            assert again is None or again > now
            if waiting is not None:
                key = (waiting.request.utterance_id, waiting.request.seq)
                assert key in wanted
                assert key not in spoken
                assert key[0] not in ended
                spoken.append(key)
                wanted.discard(key)
                queue.spoken(waiting.request, now)
                if waiting.request.last:
                    ended.add(key[0])
                    wanted = {w for w in wanted if w[0] != key[0]}
    assert len(queue) == len(wanted)
    # With time everything that waits is spoken.
    for _ in range(len(wanted)):
        now += 5
        waiting, _ = queue.take(now, keep_together=together, hold_s=1.0)
        if waiting is None:
            break
    assert len(queue) == 0
