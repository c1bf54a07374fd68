"""What a message on a configuration topic means: the protocol's table, row by row."""

from __future__ import annotations

import pytest
from config_manager.runtime.reconcile import Meaning, Moment, Past, Plan, Seen, classify, plan
from hypothesis import given
from hypothesis import strategies as st

OURS, EARLIER, STRANGE = "ours", "earlier", "strange"
MINTED, FLOOR = "2026-02", "2026-06"
PAST = Past(OURS, MINTED, FLOOR, frozenset({EARLIER}))
START, RUNNING = Moment(starting=True), Moment(starting=False)
TWIN_LEADS = Moment(starting=True, lease_live=True)


def seen(epoch: str | None = OURS, issued_at: str = "2026-05", **more: object) -> Seen:
    return Seen("stt-worker", epoch, issued_at, "c1", **more)  # type: ignore[arg-type]


@pytest.mark.req("C035")
@pytest.mark.parametrize(
    ("message", "moment", "known", "meaning"),
    [
        (seen(None), START, True, Meaning.TAMPERED),
        (seen(None), RUNNING, True, Meaning.TAMPERED),
        (seen(misplaced=True), RUNNING, True, Meaning.TAMPERED),
        (seen(issued_at="2026-05"), START, True, Meaning.OWN),
        (seen(issued_at=FLOOR), RUNNING, True, Meaning.OWN),
        (seen(issued_at="2026-07"), START, True, Meaning.BEHIND),
        (seen(issued_at="2026-07"), START, False, Meaning.BEHIND),
        (seen(issued_at="2026-07"), RUNNING, True, Meaning.CONFLICT),
        (seen(issued_at="2026-05"), RUNNING, False, Meaning.CONFLICT),
        (seen(issued_at="2026-05"), START, False, Meaning.CONFLICT),
        (seen(EARLIER, "2026-09"), RUNNING, False, Meaning.EARLIER),
        (seen(EARLIER, "2026-01"), START, False, Meaning.EARLIER),
        (seen(STRANGE, MINTED), RUNNING, False, Meaning.REPLAYED),
        (seen(STRANGE, "2026-01"), START, False, Meaning.REPLAYED),
        (seen(STRANGE, "2026-03"), START, False, Meaning.PREDECESSOR),
        (seen(STRANGE, "2026-09"), START, False, Meaning.PREDECESSOR),
        (seen(STRANGE, "2026-03"), TWIN_LEADS, False, Meaning.CONFLICT),
        (seen(STRANGE, "2026-03"), RUNNING, False, Meaning.CONFLICT),
    ],
)
def test_each_row_of_the_table_has_its_meaning(
    message: Seen, moment: Moment, known: bool, meaning: Meaning
) -> None:
    assert classify(message, PAST, moment, known=known) is meaning


def planned(*messages: Seen, moment: Moment = START, past: Past = PAST) -> Plan:
    return plan(
        messages,
        past,
        moment,
        known=frozenset({("stt-worker", "c1"), ("stt-worker", "old")}),
        desired={"stt-worker": "c1", "router": "r1"},
    )


def test_the_newest_own_message_is_left_alone_and_a_missing_one_published() -> None:
    found = planned(seen())

    assert found.publish == {"router"}
    assert found.missing == {"router"}
    assert found.new_epoch is None


def test_an_old_own_message_is_overwritten() -> None:
    assert "stt-worker" in planned(Seen("stt-worker", OURS, "2026-05", "old")).overwrite


def test_a_restored_database_gets_a_new_epoch_above_all_that_was_published() -> None:
    found = planned(seen(issued_at="2027-01"), Seen("router", EARLIER, "2027-02", "x"))

    assert found.new_epoch == "restored-behind"
    assert found.floor == "2027-02"
    assert found.publish == {"stt-worker", "router"}


def test_a_lost_database_follows_its_predecessor_without_a_second_epoch() -> None:
    fresh = Past(OURS, MINTED, FLOOR, minted_now=True)
    found = planned(seen(STRANGE, "2027-01"), past=fresh)

    assert found.new_epoch is None
    assert found.record == {STRANGE}
    assert found.floor == "2027-01"
    assert found.predecessors == 1


def test_a_replaced_database_gets_a_new_epoch_after_its_predecessor() -> None:
    found = planned(seen(STRANGE, "2027-01"))

    assert found.new_epoch == "predecessor"
    assert found.record == {STRANGE}


def test_a_conflict_leaves_everything_untouched() -> None:
    found = planned(seen(None), Seen("router", STRANGE, "2027", "x"), moment=RUNNING)

    assert found.conflict == ("router",)
    assert not found.publish
    assert not found.record


def test_a_topic_of_a_service_that_is_gone_is_emptied() -> None:
    found = planned(Seen("gone", EARLIER, "2026-01", "x"))

    assert "gone" in found.overwrite


def test_part_of_a_collection_makes_nobody_missing() -> None:
    found = plan(
        [seen()], PAST, RUNNING, known=frozenset({("stt-worker", "c1")}),
        desired={"stt-worker": "c1", "router": "r1"}, whole=False,
    )  # fmt: skip

    assert not found.publish


EPOCHS = st.sampled_from([OURS, EARLIER, STRANGE, None])
TIMES = st.sampled_from(["2026-01", MINTED, "2026-03", FLOOR, "2026-07", "2027-01"])
MESSAGES = st.builds(
    Seen,
    st.sampled_from(["stt-worker", "router", "gone"]),
    EPOCHS,
    TIMES,
    st.sampled_from(["c1", "old", "r1", "x"]),
    st.booleans(),
)


@given(st.lists(MESSAGES, unique_by=lambda s: s.service), st.booleans(), st.booleans())
def test_a_plan_never_lowers_the_floor_and_never_publishes_beside_another_signer(
    messages: list[Seen], starting: bool, lease_live: bool
) -> None:
    found = planned(*messages, moment=Moment(starting, lease_live))

    if found.conflict:
        assert not found.publish
        assert found.new_epoch is None
        return
    assert found.floor >= FLOOR
    if starting:
        for message in messages:
            assert found.floor >= message.issued_at
    if not starting:
        assert found.new_epoch is None
    for message in messages:
        newest = (
            message.epoch == OURS
            and not message.misplaced
            and {"stt-worker": "c1", "router": "r1"}.get(message.service) == message.checksum
            and found.new_epoch is None
        )
        assert (message.service in found.publish) != newest
