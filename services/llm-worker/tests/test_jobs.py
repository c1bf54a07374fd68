"""Which request computes next, and which is dropped."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from llm_worker.jobs import MAX_PER_SESSION, MAX_WAITING, Ending, Job, JobQueue
from parlour_contracts.messages.llm import ChatMessage, LlmRequest
from parlour_kit.ids import new_id

SESSION = new_id()


def job(
    *, request_id: str | None = None, turn: str | None = None, session: str = SESSION,
    revision: int = 1, attempt: int = 1,
) -> Job:  # fmt: skip
    request = LlmRequest(
        request_id=request_id or new_id(), session_id=session, turn_id=turn or new_id(),
        revision=revision, attempt=attempt, reply_topic="llm/reply/router",
        messages=[ChatMessage(role="user", content="hi")],
    )  # fmt: skip
    return Job(request, received=0.0)


def verdicts(queue: JobQueue, *jobs: Job) -> list[str]:
    return [queue.admit(j).verdict for j in jobs]


def test_requests_are_computed_one_by_one_in_order_of_arrival():
    queue, first, second = JobQueue(), job(), job()
    verdicts(queue, first, second)

    assert queue.take(1.0) is first
    assert queue.take(2.0) is None
    queue.finish(first)
    assert queue.take(3.0) is second
    assert second.started == 3.0


def test_a_session_may_have_ten_waiting_and_another_still_gets_in():
    queue = JobQueue()

    assert verdicts(queue, *(job() for _ in range(MAX_PER_SESSION))) == ["queued"] * 10
    assert verdicts(queue, job(), job(session=new_id())) == ["full", "queued"]


def test_all_sessions_together_have_a_limit():
    queue = JobQueue()

    taken = verdicts(queue, *(job(session=new_id()) for _ in range(MAX_WAITING + 1)))

    assert taken == ["queued"] * MAX_WAITING + ["full"]


def test_the_same_request_again_is_ignored_also_when_it_is_over():
    queue, first = JobQueue(), job()
    again = job(request_id=first.request.request_id)

    assert verdicts(queue, first, again) == ["queued", "duplicate"]
    queue.take(0)
    queue.finish(first)
    assert verdicts(queue, again) == ["duplicate"]


def test_a_higher_attempt_takes_the_place_of_the_lower():
    queue, first = JobQueue(), job(attempt=1)
    queue.admit(first)
    queue.take(0)
    second = job(request_id=first.request.request_id, attempt=2)

    admission = queue.admit(second)

    assert admission.verdict == "queued"
    assert admission.ended == (first,)
    assert first.ending is Ending.SUPERSEDED
    assert first.cancel.cancelled


def test_a_newer_revision_ends_the_older_ones_running_or_waiting():
    queue, turn = JobQueue(), new_id()
    running, waiting, other = job(turn=turn), job(turn=turn), job()
    verdicts(queue, running, waiting, other)
    queue.take(0)

    admission = queue.admit(job(turn=turn, revision=2))

    assert admission.ended == (running, waiting)
    assert running.cancel.cancelled
    assert not other.cancel.cancelled
    assert queue.waiting == 2
    assert verdicts(queue, job(turn=turn, revision=1)) == ["stale"]


def test_an_abort_ends_its_revision_and_those_before_but_not_later_ones():
    queue, turn = JobQueue(), new_id()
    second, third = job(turn=turn, revision=2), job(turn=new_id(), revision=3)
    verdicts(queue, second, third)

    assert queue.abort(turn, 2) == (second,)
    assert verdicts(queue, job(turn=turn, revision=2), job(turn=turn, revision=3)) == [
        "stale", "queued",
    ]  # fmt: skip


def test_an_abort_or_cancel_that_overtakes_its_request_still_ends_it():
    queue, turn, request = JobQueue(), new_id(), new_id()
    queue.abort(turn, 1)
    queue.cancel(request)

    assert verdicts(queue, job(turn=turn), job(request_id=request)) == ["stale", "stale"]


def test_a_cancelled_request_that_waits_is_never_computed():
    queue, first, second = JobQueue(), job(), job()
    verdicts(queue, first, second)

    assert queue.cancel(first.request.request_id) == (first,)
    assert queue.take(0) is second


def test_a_job_is_ended_once():
    queue, first = JobQueue(), job()
    queue.admit(first)
    queue.take(0)
    queue.cancel(first.request.request_id)

    assert queue.end(first, Ending.TIMED_OUT) == ()
    assert first.ending is Ending.CANCELLED


class Machine(RuleBasedStateMachine):
    """Any order of requests, aborts, cancels and time-outs."""

    turns = tuple(new_id() for _ in range(3))
    ids = tuple(new_id() for _ in range(6))

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue()
        self.admitted: list[Job] = []
        self.taken: list[Job] = []
        self.ended: list[Job] = []
        self.void: dict[str, int] = {}

    @rule(
        i=st.sampled_from(ids), t=st.sampled_from(turns), r=st.integers(1, 4), a=st.integers(1, 3)
    )
    def request(self, i: str, t: str, r: int, a: int) -> None:
        new = job(request_id=i, turn=t, revision=r, attempt=a)
        admission = self.queue.admit(new)
        self.ended += admission.ended
        if admission.verdict == "queued":
            self.admitted.append(new)
            self.void[t] = max(self.void.get(t, 0), r - 1)

    @rule()
    def take(self) -> None:
        taken = self.queue.take(0.0)
        if taken:
            assert taken.ending is None
            assert taken.request.revision > self.void.get(taken.request.turn_id, 0)
            self.taken.append(taken)

    @rule()
    def finish(self) -> None:
        if self.queue.running:
            self.queue.finish(self.queue.running)

    @rule(t=st.sampled_from(turns), r=st.integers(1, 4))
    def abort(self, t: str, r: int) -> None:
        self.ended += self.queue.abort(t, r)
        self.void[t] = max(self.void.get(t, 0), r)

    @rule(i=st.sampled_from(ids))
    def cancel(self, i: str) -> None:
        self.ended += self.queue.cancel(i)

    @invariant()
    def nothing_unwanted_goes_on(self) -> None:
        running = self.queue.running
        if running and running.request.revision <= self.void.get(running.request.turn_id, 0):
            assert running.cancel.cancelled

    @invariant()
    def each_job_is_accounted_for_once(self) -> None:
        assert len(set(self.ended)) == len(self.ended)
        never_ran = [j for j in self.ended if j.started is None]
        assert len(self.admitted) == self.queue.waiting + len(self.taken) + len(never_ran)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
