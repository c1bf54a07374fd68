"""The endpoint detector: speech begins, pauses and ends; each turn ends once."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st
from parlour_audio import (
    Doubtful,
    Endpoint,
    Segmenter,
    SegmenterSettings,
    SoftEndpoint,
    SpeechStarted,
)

WINDOW = 32.0
SETTINGS = SegmenterSettings()


def run(
    segmenter: Segmenter, probabilities: list[float], *, finish: bool = False, first: int = 0
) -> list[object]:
    events: list[object] = []
    for i, p in enumerate(probabilities, first):
        events += segmenter.push(p, i * WINDOW, (i + 1) * WINDOW)
    if finish:
        events += segmenter.finish((first + len(probabilities)) * WINDOW)
    return events


def test_speech_then_silence_is_one_utterance() -> None:
    events = run(Segmenter(SETTINGS), [0.0] * 10 + [0.9] * 20 + [0.0] * 30)
    assert [type(e) for e in events] == [SpeechStarted, SoftEndpoint, Endpoint]
    started, soft, end = events
    assert started == SpeechStarted(320.0)
    assert soft == SoftEndpoint(960.0 + 7 * WINDOW, 960.0)
    assert end == Endpoint("silence", 960.0 + 16 * WINDOW, 320.0, 960.0, 640.0)


def test_a_quiet_syllable_does_not_end_speech() -> None:
    """Speech that has begun goes on down to 0.15 below the threshold."""
    events = run(Segmenter(SETTINGS), [0.9] * 10 + [0.36] * 40)
    assert [type(e) for e in events] == [SpeechStarted]


def test_a_murmur_does_not_begin_speech() -> None:
    assert run(Segmenter(SETTINGS), [0.45] * 100) == []


def test_a_pause_shorter_than_the_end_is_part_of_the_utterance() -> None:
    events = run(Segmenter(SETTINGS), [0.9] * 10 + [0.0] * 10 + [0.9] * 10 + [0.0] * 20)
    assert [type(e) for e in events] == [SpeechStarted, SoftEndpoint, SoftEndpoint, Endpoint]
    end = events[-1]
    assert isinstance(end, Endpoint)
    assert (end.speech_start_ms, end.speech_end_ms, end.active_ms) == (0.0, 960.0, 640.0)


def test_a_click_is_not_speech_and_the_wait_goes_on() -> None:
    events = run(Segmenter(SETTINGS), [0.9] * 3 + [0.0] * 400)
    doubt, end = events
    assert doubt == Doubtful(96.0 + 16 * WINDOW, 0.0, 96.0, 96.0)
    assert end == Endpoint("no_speech", 8000.0)


def test_a_short_word_counts_when_the_stream_is_over() -> None:
    """Nothing longer can follow it, so the recogniser may judge it."""
    events = run(Segmenter(SETTINGS), [0.9] * 4 + [0.0] * 30, finish=True)
    assert isinstance(events[0], Doubtful)
    assert events[1:] == [Endpoint("end", 34 * WINDOW, 0.0, 128.0, 128.0)]


def test_silence_until_the_end_of_the_stream_is_no_utterance() -> None:
    assert run(Segmenter(SETTINGS), [0.0] * 30, finish=True) == [Endpoint("end", 960.0)]


def test_endless_speech_is_cut() -> None:
    events = run(Segmenter(replace(SETTINGS, max_utterance_ms=1000)), [0.0] * 5 + [0.9] * 100)
    end = events[-1]
    assert isinstance(end, Endpoint)
    assert (end.reason, end.speech_start_ms, end.at_ms) == ("max", 160.0, 160.0 + 32 * WINDOW)


def test_settings_take_effect_in_the_middle_of_a_turn() -> None:
    segmenter = Segmenter(SETTINGS)
    assert len(run(segmenter, [0.9] * 10 + [0.0] * 10)) == 2
    segmenter.settings = replace(SETTINGS, silence_ms=100)
    (end,) = run(segmenter, [0.0], first=20)
    assert isinstance(end, Endpoint)
    assert end.reason == "silence"


def test_without_any_wait_the_first_pause_ends_the_turn() -> None:
    events = run(Segmenter(replace(SETTINGS, silence_ms=0)), [0.9] * 10 + [0.0])
    assert [type(e) for e in events] == [SpeechStarted, SoftEndpoint, Endpoint]


settings = st.builds(
    SegmenterSettings,
    threshold=st.floats(0, 1),
    silence_ms=st.integers(0, 2000),
    max_utterance_ms=st.integers(1000, 5000),
    no_speech_timeout_ms=st.integers(500, 4000),
    min_speech_ms=st.integers(0, 2000),
)
runs = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 40)), max_size=30)


@given(settings, settings, runs, st.integers(0, 500))
def test_whatever_is_heard_the_turn_ends_once_and_in_order(
    before: SegmenterSettings, after: SegmenterSettings, sound: list[tuple[float, int]], swap: int
) -> None:
    probabilities = [p for p, n in sound for _ in range(n)]
    segmenter = Segmenter(before)
    events = run(segmenter, probabilities[:swap])
    segmenter.settings = after
    events += run(segmenter, probabilities[swap:], finish=True, first=len(probabilities[:swap]))
    ends = [e for e in events if isinstance(e, Endpoint)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    end = ends[0]
    assert end.at_ms <= len(probabilities) * WINDOW
    if end.speech_start_ms is not None:
        assert end.speech_end_ms is not None
        assert 0 <= end.speech_start_ms < end.speech_end_ms <= end.at_ms
        assert 0 < end.active_ms <= end.speech_end_ms - end.speech_start_ms
    starts = [e.at_ms for e in events if isinstance(e, SpeechStarted)]
    assert len(starts) <= 1
    if end.reason == "silence":
        assert starts == [end.speech_start_ms]
    assert run(segmenter, [1.0, 0.0], finish=True) == []


@given(settings, runs)
def test_the_end_never_comes_before_its_silence(
    chosen: SegmenterSettings, sound: list[tuple[float, int]]
) -> None:
    events = run(Segmenter(chosen), [p for p, n in sound for _ in range(n)])
    for event in events:
        if isinstance(event, SoftEndpoint):
            assert event.at_ms - event.speech_end_ms >= min(200, chosen.silence_ms)
        if isinstance(event, Endpoint) and event.reason == "silence":
            assert event.speech_end_ms is not None
            assert event.at_ms - event.speech_end_ms >= chosen.silence_ms
        if isinstance(event, Endpoint) and event.reason == "no_speech":
            assert event.at_ms >= chosen.no_speech_timeout_ms


@given(settings, runs)
def test_no_turn_is_endless(chosen: SegmenterSettings, sound: list[tuple[float, int]]) -> None:
    """No turn lasts longer than the wait, one noise with its silence, and one utterance."""
    probabilities = [p for p, n in sound for _ in range(n)]
    assume(len(probabilities) > 0)
    cycle = (probabilities * (20_000 // 32 // len(probabilities) + 1))[: 20_000 // 32]
    events = run(Segmenter(chosen), cycle)
    bound = chosen.no_speech_timeout_ms + chosen.max_utterance_ms + 2 * WINDOW
    assert isinstance(events[-1], Endpoint)
    assert events[-1].at_ms <= bound
