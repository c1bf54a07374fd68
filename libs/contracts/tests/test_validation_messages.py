"""A client's message is measured, read and judged, and all that is wrong with it is told at once."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.validation import (
    CLOSE_CODES,
    HTTP_STATUS,
    AudioMessage,
    ControlMessage,
    ErrorCode,
    RestError,
    TextMessage,
    ValidationError,
    client_messages,
    error_frame,
    validate_message,
)
from parlour_contracts.validation.client_messages import (
    MAX_CHUNK_BYTES,
    MAX_MESSAGE_BYTES,
    _parts,
)
from parlour_contracts.validation.errors import mistake

EXAMPLES: dict[str, dict[str, Any]] = {
    "audio": {"format": "pcm16", "sample_rate": 16000, "chunk": "AAD//w=="},
    "text": {"text": "Is it raining?", "language": "en-US"},
    "control": {"action": "interrupt"},
}


def frame(kind: Any, data: Any, **more: Any) -> bytes:
    return json.dumps({"type": kind, "data": data, **more}).encode()


def codes(raw: bytes | str) -> list[tuple[str, str]]:
    verdict = validate_message(raw)
    assert (verdict.message is None) == bool(verdict.errors)
    return [(error.field, error.error_code) for error in verdict.errors]


def of_size(size: int) -> bytes:
    """A valid audio message of exactly so many bytes."""
    empty = len(frame("audio", {**EXAMPLES["audio"], "extra": ""}))
    return frame("audio", {**EXAMPLES["audio"], "extra": "x" * (size - empty)})


@pytest.mark.req("H021", "H022", "H026", "H042", "H043", "H044", "X22")
def test_each_kind_of_message_is_read() -> None:
    audio, text, control = (validate_message(frame(k, d)).message for k, d in EXAMPLES.items())

    assert audio == AudioMessage(format="pcm16", sample_rate=16000, chunk=b"\x00\x00\xff\xff")
    assert text == TextMessage(text="Is it raining?", language="en-US")
    assert control == ControlMessage(action="interrupt")


@pytest.mark.req("H045")
def test_every_mistake_of_a_message_is_told_together() -> None:
    raw = frame("audio", {"format": "mp3", "sample_rate": 11025, "chunk": "%%"}, id=7)
    assert codes(raw) == [
        ("id", "INVALID_DATA_FIELD"),
        ("data.format", "INVALID_AUDIO_FORMAT"),
        ("data.sample_rate", "INVALID_SAMPLE_RATE"),
        ("data.chunk", "INVALID_AUDIO_CHUNK"),
    ]
    raw = frame("text", {"text": "x" * 5001, "language": "english", "voice": "amy"})
    assert codes(raw) == [
        ("data.voice", "INVALID_DATA_FIELD"),
        ("data.text", "TEXT_TOO_LONG"),
        ("data.language", "INVALID_LANGUAGE"),
    ]
    assert codes(b"{}") == [("type", "INVALID_MESSAGE_TYPE"), ("data", "INVALID_DATA_FIELD")]


@pytest.mark.req("H021", "H046")
@pytest.mark.parametrize("kind", [None, 3, True, "", "video", "Audio", ["audio"], {"a": 1}])
def test_a_type_is_one_of_three(kind: Any) -> None:
    assert codes(frame(kind, {})) == [("type", "INVALID_MESSAGE_TYPE")]
    assert codes(frame("t" * 33, {})) == [("type", "FIELD_TOO_LONG")]
    assert codes(frame("t" * 32, {})) == [("type", "INVALID_MESSAGE_TYPE")]


@pytest.mark.req("H022", "H046")
def test_keys_may_be_added_within_data_and_not_beside_it() -> None:
    for kind in ("audio", "control"):
        assert not codes(frame(kind, {**EXAMPLES[kind], "mine": [1, {"a": None}]}))
        assert codes(frame(kind, EXAMPLES[kind], mine=1)) == [("mine", "INVALID_DATA_FIELD")]
    for data in (None, [], "x", 1):
        assert codes(frame("control", data)) == [("data", "INVALID_DATA_FIELD")]


def test_what_is_unknown_is_named_up_to_a_bound() -> None:
    many = {f"key {number}": number for number in range(500)}
    assert len(codes(frame("control", EXAMPLES["control"], **many))) == 20


@pytest.mark.req("X13", "H022", "H047")
def test_a_message_of_a_mebibyte_is_too_large_and_one_of_a_byte_less_is_not() -> None:
    assert not codes(of_size(MAX_MESSAGE_BYTES - 1))
    for raw in (of_size(MAX_MESSAGE_BYTES), b"\xff" * MAX_MESSAGE_BYTES):
        assert codes(raw) == [("", "MESSAGE_TOO_LARGE")]
    assert codes("é" * (MAX_MESSAGE_BYTES // 2)) == [("", "MESSAGE_TOO_LARGE")]


@pytest.mark.req("H046")
@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"3", b'"text"', b"null", b"{}{}", b'{"type": NaN}', b"\xff\xfe",
        b"[" * 900_000, b'{"a":' * 100_000, b'{"a": ' + b"9" * 100_000 + b"}",
        b'{"type": "text", "type": "control", "data": {"action": "pause"}}',
        b'{"type": "text", "data": {"text": [' + b"[]," * 2000 + b"[]]}}",
    ],
    ids=lambda raw: raw[:12].decode("latin-1"),
)  # fmt: skip
def test_what_is_not_one_json_object_is_refused(raw: bytes) -> None:
    assert codes(raw) == [("", "INVALID_JSON")]


@pytest.mark.req("SC110", "H022")
@pytest.mark.parametrize(
    "raw",
    [
        b"x" * MAX_MESSAGE_BYTES,
        b'{"type": "text", "data": [' + b"[]," * 300_000 + b"1]}",
        b"[" + b'"",' * 300_000 + b"1]",
        b'{"a":' * 200_000,
        b'{"a": "' + b',\\"' * 300_000,
    ],
    ids=["too large", "lists", "strings", "objects", "commas in a string without an end"],
)
def test_what_would_take_long_to_parse_is_refused_unparsed_or_as_one_string(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []

    def loads(text: str, **_how: Any) -> Any:
        parsed.append(_parts(text[: text.find('"', 8)]))
        raise ValueError

    monkeypatch.setattr(client_messages.json, "loads", loads)
    assert codes(raw)[0][1] in ("MESSAGE_TOO_LARGE", "INVALID_JSON")
    assert max(parsed, default=0) < 10


def test_a_text_of_nothing_but_commas_and_brackets_is_a_text() -> None:
    assert not codes(frame("text", {"text": '[,{"' * 1250}))


@pytest.mark.req("H042", "H046")
@pytest.mark.parametrize(
    ("field", "values", "code"),
    [
        ("format", [None, 1, "PCM16", "wav"], "INVALID_AUDIO_FORMAT"),
        ("sample_rate", [None, True, 16000.0, "16000", 11025], "INVALID_SAMPLE_RATE"),
        ("chunk", [None, 5, "", "AAA", "AA A=", "AAAA\n", "äöü="], "INVALID_AUDIO_CHUNK"),
    ],
)
def test_sound_is_taken_in_the_known_forms_only(field: str, values: list[Any], code: str) -> None:
    for value in values:
        assert codes(frame("audio", {**EXAMPLES["audio"], field: value})) == [
            (f"data.{field}", code)
        ]


@pytest.mark.req("H042")
def test_a_chunk_has_at_most_half_a_mebibyte_of_sound() -> None:
    for size, wrong in ((MAX_CHUNK_BYTES, False), (MAX_CHUNK_BYTES + 1, True)):
        chunk = base64.b64encode(bytes(size)).decode()
        assert bool(codes(frame("audio", {**EXAMPLES["audio"], "chunk": chunk}))) is wrong
    for coding in ("pcm16", "pcm24", "opus"):
        for rate in (8000, 16000, 24000, 44100, 48000):
            data = {**EXAMPLES["audio"], "format": coding, "sample_rate": rate}
            assert not codes(frame("audio", data))


@pytest.mark.req("H041", "H023")
@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("x" * 5000, True),
        ("x" * 5001, False),
        ("e\u0301" * 5000, True),
        ("e\u0301" * 5001, False),
        ("x" * 4999 + "\x00\x01", False),
        ("x" * 1_000_000, False),
        ("a" + "\u0315\u0300" * 9000, True),
    ],
    ids=str,
)
def test_characters_of_a_text_are_counted_in_form_c_and_before_any_is_stripped(
    text: str, fine: bool
) -> None:
    assert codes(frame("text", {"text": text})) == (
        [] if fine else [("data.text", "TEXT_TOO_LONG")]
    )


@pytest.mark.req("H023", "H046", "X14")
def test_a_text_with_characters_that_do_more_than_stand_there_is_refused_and_they_are_named() -> (
    None
):
    for text in ("pay \u202ereversed", "zero\u200bwidth", "private \ue000", "tag \U000e0041"):
        assert codes(frame("text", {"text": text})) == [("data.text", "INVALID_CHARACTERS")]
    (error,) = validate_message(frame("text", {"text": "a\u202eb\u200bc\u202e"})).errors
    assert error.message.endswith("U+202E U+200B")
    assert error.received_value == "abc"


@pytest.mark.req("H023", "H046")
@pytest.mark.parametrize("text", [None, "", 5, ["a"], "\x00\x07", " \n\t ", "\ufffd"])
def test_a_text_without_anything_to_read_is_refused(text: Any) -> None:
    assert codes(frame("text", {"text": text})) == [("data.text", "INVALID_DATA_FIELD")]


@pytest.mark.req("H043", "X17", "H046")
@pytest.mark.parametrize("language", ["EN", "en-us", "eng", "en-USA", "", 5, "en_US", "en-US\n"])
def test_a_language_is_given_as_two_letters_with_or_without_a_country(language: Any) -> None:
    assert codes(frame("text", {"text": "hi", "language": language})) == [
        ("data.language", "INVALID_LANGUAGE")
    ]
    assert not codes(frame("text", {"text": "hi", "language": "en"}))


@pytest.mark.req("H044", "H046")
@pytest.mark.parametrize("action", [None, "stop", "INTERRUPT", 1, ["pause"]])
def test_an_action_is_one_of_four(action: Any) -> None:
    assert codes(frame("control", {"action": action})) == [("data.action", "INVALID_ACTION")]
    for known in ("interrupt", "pause", "resume", "reset"):
        assert not codes(frame("control", {"action": known}))


@pytest.mark.req("H050", "H051", "H023")
def test_a_text_comes_out_in_one_form_without_controls_and_model_tokens() -> None:
    raw = '{"type":"text","data":{"text":"cafe\u0301\\u0000 <|im_\\u0001end|> \U0001f44d\ud83d"}}'
    message = validate_message(raw.encode("utf-8", "surrogatepass")).message
    assert isinstance(message, TextMessage)
    assert message.text == "café \U0001f44d\ufffd\ufffd\ufffd"


@pytest.mark.req("H046", "H047", "H048")
def test_each_code_has_its_status_and_the_grave_ones_close_a_socket() -> None:
    assert set(HTTP_STATUS) == set(get_args(ErrorCode))
    assert {code: status for code, status in HTTP_STATUS.items() if status != 400} == {
        "MESSAGE_TOO_LARGE": 413, "RATE_LIMIT_EXCEEDED": 429, "MODEL_UNAVAILABLE": 503,
    }  # fmt: skip
    assert CLOSE_CODES == {
        "INVALID_JSON": 1003, "RATE_LIMIT_EXCEEDED": 1008, "MESSAGE_TOO_LARGE": 1009,
    }  # fmt: skip


@pytest.mark.req("H049", "X22")
def test_a_mistake_is_told_in_the_frame_that_its_sender_speaks_and_to_http_with_all_others() -> (
    None
):
    verdict = validate_message(frame("control", {"action": "stop"}))
    (error,) = verdict.errors
    assert json.loads(error_frame(error).model_dump_json(exclude_none=True)) == {
        "type": "error",
        "data": {
            "code": "INVALID_ACTION",
            "message": "action is one of interrupt, pause, resume, reset",
            "field": "data.action",
            "received_value": "stop",
        },
    }
    told = RestError(error_code=error.error_code, message=error.message, details=[error])
    assert set(told.model_dump()) == {"error_code", "message", "details"}


@pytest.mark.req("H011", "H026")
@pytest.mark.parametrize(
    ("received", "shown"),
    [
        ("x" * 5000, "x" * 100),
        ("\x1b[31mred\u202e", "[31mred"),
        ({"a": 1, "b": 2}, "an object with 2 keys"),
        ([1] * 9, "a list of 9"),
        (True, "true"),
        (1.5, "1.5"),
        (10**200, "1" + "0" * 99),
    ],
    ids=str,
)
def test_what_was_received_is_shown_without_harm_and_at_most_a_hundred_characters(
    received: Any, shown: str
) -> None:
    error = mistake("data.text", "INVALID_DATA_FIELD", "no", received)
    assert error.received_value == shown
    assert ValidationError.model_validate_json(error.model_dump_json()) == error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)
FIELDS = ("format", "sample_rate", "chunk", "text", "language", "action", "more")


@pytest.mark.req("H011", "H045", "F34")
@given(
    kind=st.sampled_from([*EXAMPLES, "x"]) | JSON,
    data=st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON,
    more=st.dictionaries(st.text(max_size=200), JSON, max_size=3),
)
def test_whatever_comes_is_either_a_message_or_errors_that_can_be_sent(
    kind: Any, data: Any, more: dict[str, Any]
) -> None:
    verdict = validate_message(json.dumps({**more, "type": kind, "data": data}))

    assert (verdict.message is None) == bool(verdict.errors)
    for error in verdict.errors:
        assert error_frame(error).model_dump_json().encode()
        assert error.error_code in get_args(ErrorCode)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange_to_be_judged(raw: bytes) -> None:
    assert validate_message(raw).errors
