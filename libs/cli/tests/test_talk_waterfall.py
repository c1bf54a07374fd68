"""Where the time went: the sums, and the chart."""

from hypothesis import given
from hypothesis import strategies as st
from parlour_cli.talk.timings import Timings, measure
from parlour_cli.talk.waterfall import waterfall
from parlour_contracts.messages.room import TurnTimings

ROUTER = TurnTimings(final_to_first_token_ms=180.04, first_token_to_first_sentence_ms=90.0)


def test_the_parts_of_a_spoken_question_add_up_to_the_whole():
    found = measure(speech_end=10.0, final=10.612, audible=11.022, router=ROUTER)

    assert found == Timings(612.0, 180.0, 90.0, 140.0, 1022.0)


def test_a_written_question_has_no_end_of_speech():
    found = measure(speech_end=None, final=10.0, audible=10.5, router=ROUTER)

    assert found == Timings(None, 180.0, 90.0, 230.0, None)


def test_without_a_token_the_rest_is_unknown_but_the_whole_is_not():
    found = measure(speech_end=10.0, final=10.5, audible=11.0, router=TurnTimings())

    assert found == Timings(500.0, None, None, None, 1000.0)


def test_a_transcript_before_the_end_of_speech_tells_no_time():
    found = measure(speech_end=10.0, final=9.0, audible=11.0, router=ROUTER)

    assert found.speech_end_to_final_ms is None
    assert found.speech_end_to_first_audio_ms is None


@given(st.floats(0, 5), st.floats(0, 60), st.floats(0, 20_000), st.floats(0, 20_000))
def test_whatever_was_measured_adds_up(hearing, answering, token, sentence):
    timings = TurnTimings(final_to_first_token_ms=token, first_token_to_first_sentence_ms=sentence)
    found = measure(speech_end=1.0, final=1.0 + hearing, audible=1.0 + hearing + answering,
                    router=timings)  # fmt: skip
    parts = list(found.as_dict().values())

    assert abs(sum(parts[:4]) - parts[4]) < 0.1


def test_the_chart_shows_each_part_after_the_one_before():
    chart = waterfall(Timings(612.0, 180.0, 90.0, 140.0, 1022.0))

    assert chart == [
        "end of speech → transcript    ██████████████████                 612 ms",
        "transcript → first token                        █████            180 ms",
        "first token → first sentence                         ███          90 ms",
        "first sentence → first sound                            ████     140 ms",
        "end of speech → first sound   ──────────────────────────────    1022 ms",
    ]


def test_the_chart_leaves_out_what_did_not_occur():
    chart = waterfall(Timings(None, 100.0, 0.0, 100.0, None))

    assert chart == [
        "transcript → first token      ███████████████                    100 ms",
        "first token → first sentence                 █                     0 ms",
        "first sentence → first sound                 ███████████████     100 ms",
    ]
    assert waterfall(Timings()) == []
