"""The benchmark's arithmetic and the chain's end of speech: pure, so proved without a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# `bench` is not installed: it is a folder of scripts at the repository's root.
from bench.endpoint import Endpointer
from bench.measure import (
    STAGES,
    TOTAL,
    Side,
    Turn,
    document,
    first_audible,
    from_stamps,
    pairs_of,
    ratio_interval,
    summarise,
    table,
)
from bench.parlour_side import read_answer

WINDOW = 0.032


def turn(side: Side, clip: str, total: float, *, error: str | None = None) -> Turn:
    moments = (0.0, total * 0.6, total * 0.7, total * 0.8, total)
    return Turn(side, clip, 1, timings={} if error else from_stamps(*moments), error=error)


def test_the_stages_add_up_to_the_whole_way() -> None:
    timings = from_stamps(10.0, 11.2, 11.3, 11.75, 12.5)

    assert timings[STAGES[0]] == 1200.0
    assert timings[TOTAL] == 2500.0
    assert sum(timings[stage] for stage in STAGES) == pytest.approx(timings[TOTAL])


def test_leading_silence_delays_what_is_heard() -> None:
    """100 ms of silence before the sound are played first, though both arrived at once."""
    chunk = [0] * 1600 + [1000] * 160

    assert first_audible([(5.0, chunk)], 16_000) == pytest.approx(5.1)


def test_sound_is_not_heard_before_it_arrives() -> None:
    """A player that ran dry goes on when the next chunk comes."""
    chunks = [(5.0, [0] * 160), (6.0, [1000])]

    assert first_audible(chunks, 16_000) == 6.0


def test_a_gap_moves_all_that_follows() -> None:
    """The player waited 0.99 s for the second chunk, so the third begins that much later."""
    chunks = [(5.0, [0] * 160), (6.0, [0] * 1600), (6.0, [1000])]

    assert first_audible(chunks, 16_000) == pytest.approx(6.1)


def test_sound_that_came_ahead_waits_for_its_place() -> None:
    chunks = [(5.0, [0] * 16_000), (5.1, [-1000])]

    assert first_audible(chunks, 16_000) == pytest.approx(6.0)


def test_what_is_below_the_threshold_is_not_heard() -> None:
    assert first_audible([(5.0, [327, -327])], 16_000) is None
    assert first_audible([(5.0, [327, -328])], 16_000) is not None
    assert first_audible([], 16_000) is None


def test_only_what_both_sides_answered_counts() -> None:
    turns = [
        turn("parlour", "a", 1000),
        turn("chain", "a", 2000),
        turn("parlour", "b", 10),
        turn("chain", "b", 0, error="nothing was understood"),
        turn("chain", "c", 5000),
    ]

    assert [(p.clip, c.clip) for p, c in pairs_of(turns)] == [("a", "a")]
    summary = summarise(turns)
    assert summary.ratio == 0.5
    assert summary.failed == {"parlour": 0, "chain": 1}
    assert "chain 1" in table(summary)


def test_the_same_clip_of_two_rounds_makes_two_pairs() -> None:
    first = [turn("parlour", "a", 1000), turn("chain", "a", 2000)]
    second = [Turn(t.side, t.clip, 2, timings=t.timings) for t in first]

    assert len(pairs_of(first + second)) == 2


def test_nothing_answered_is_an_error_and_not_a_ratio() -> None:
    with pytest.raises(ValueError, match="no clip"):
        summarise([turn("parlour", "a", 1000)])


def test_medians_are_compared_and_not_means() -> None:
    turns = []
    for clip, ours, theirs in (("a", 1000, 2000), ("b", 1100, 2200), ("c", 90_000, 2400)):
        turns += [turn("parlour", clip, ours), turn("chain", clip, theirs)]

    assert summarise(turns).ratio == 0.5


def test_the_interval_holds_the_ratio_and_is_the_same_each_time() -> None:
    pairs = [(1000.0 + 10 * n, 2000.0 + 30 * n) for n in range(16)]
    interval = ratio_interval(pairs)

    assert interval is not None
    low, high = interval
    assert low <= 1075 / 2225 <= high
    assert low < high
    assert ratio_interval(pairs) == interval


def test_two_pairs_give_no_interval() -> None:
    assert ratio_interval([(1.0, 2.0), (1.0, 2.0)]) is None


def test_a_stage_without_time_has_no_ratio() -> None:
    flat = from_stamps(0.0, 1.0, 1.0, 1.0, 2.0)
    summary = summarise(
        [Turn("parlour", "a", 1, timings=flat), Turn("chain", "a", 1, timings=flat)]
    )

    assert summary.rows[1].ratio is None
    assert summary.ratio == 1.0


def test_the_document_holds_everything() -> None:
    turns = [turn("parlour", "a", 900), turn("chain", "a", 1000)]
    made = document(summarise(turns), turns, {"cores": 2})

    assert made["about"] == {"cores": 2}
    assert made["summary"]["rows"][-1]["ratio"] == 0.9
    assert [t["side"] for t in made["turns"]] == ["parlour", "chain"]


def ended_after(ears: Endpointer, *parts: tuple[float, float]) -> float | None:
    """Seconds until the command is over; parts are (seconds, probability)."""
    passed = 0.0
    for seconds, probability in parts:
        for _ in range(round(seconds / WINDOW)):
            passed += WINDOW
            if ears.push(WINDOW, probability):
                return passed
    return None


def test_a_command_ends_after_its_silence() -> None:
    ended = ended_after(Endpointer(), (0.64, 0.0), (1.28, 0.9), (2.0, 0.0))

    assert ended == pytest.approx(0.64 + 1.28 + 0.7, abs=WINDOW)


def test_a_pause_starts_the_silence_anew() -> None:
    ended = ended_after(Endpointer(), (0.96, 0.9), (0.48, 0.0), (0.32, 0.9), (2.0, 0.0))

    assert ended == pytest.approx(0.96 + 0.48 + 0.32 + 0.7, abs=WINDOW)


def test_home_assistant_counts_silence_through_a_pause() -> None:
    ears = Endpointer("homeassistant")
    ended = ended_after(ears, (0.96, 0.9), (0.48, 0.0), (0.32, 0.9), (2.0, 0.0))

    assert ended == pytest.approx(0.96 + 0.48 + 0.32 + 0.22, abs=2 * WINDOW)


def test_home_assistant_forgets_silence_after_a_second_of_speech() -> None:
    ears = Endpointer("homeassistant")
    ended = ended_after(ears, (0.96, 0.9), (0.48, 0.0), (1.28, 0.9), (2.0, 0.0))

    assert ended == pytest.approx(0.96 + 0.48 + 1.28 + 0.7, abs=2 * WINDOW)


def test_a_click_is_no_command() -> None:
    ears = Endpointer()

    assert ended_after(ears, (0.1, 0.9), (3.0, 0.0)) is None
    assert not ears.in_command


def test_silence_ends_at_the_time_out() -> None:
    ears = Endpointer()

    assert ended_after(ears, (20.0, 0.0)) == pytest.approx(15.0, abs=WINDOW)
    assert ears.timed_out


def test_an_answer_needs_all_its_timings() -> None:
    timings = from_stamps(0.0, 1.0, 2.0, 3.0, 4.0)
    answer: dict[str, object] = {"transcript": "a", "timings": timings, "error": None}

    assert read_answer(json.dumps(answer).encode(), b"", 0)["timings"] == timings
    answer["timings"] = timings | {TOTAL: None}
    with pytest.raises(RuntimeError, match=TOTAL):
        read_answer(json.dumps(answer).encode(), b"", 0)


@pytest.mark.parametrize(
    ("out", "code", "said"),
    [
        (b"", 1, "no JSON"),
        (b'{"error": {"code": "STT_FAILED"}}', 1, "STT_FAILED"),
        (b'{"timings": null, "error": null}', 0, "left out"),
    ],
)
def test_what_is_no_answer_says_why(out: bytes, code: int, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        read_answer(out, b"parlour: no fleet", code)
