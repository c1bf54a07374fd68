"""S1's sessions and conversations: camelCase on the wire, and every mistake named at once."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.messages.conversation import (
    AssistantMessage,
    Camel,
    ConversationContext,
    ConversationMessage,
    LlmChoice,
    MessageMetadata,
    Session,
    STTSession,
    SystemMessage,
    TranscriptSegment,
    TtsChoice,
    UserMessage,
    decode_message,
)
from parlour_contracts.messages.room import ConversationState, SessionStatus
from parlour_contracts.validation.sessions import (
    is_session,
    validate_conversation_message,
    validate_session,
)
from pydantic import TypeAdapter, ValidationError

ID = "0190163d-8694-739b-aea5-966c26f8ad91"
SESSION: dict[str, Any] = {
    "sessionId": ID, "socketId": "conn-12345", "status": "active", "state": "LISTENING",
    "samplingRate": 48000, "language": "en-US", "createdAt": 1_735_000_000_000,
    "lastActivityAt": 1_735_000_000_001,
    "metadata": {
        "clientType": "browser",
        "audioFormat": {"sampleRate": 48000, "channels": 1, "encoding": "pcm"},
    },
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "messageId": ID, "role": "user", "content": "Hello.", "source": "stt",
    "timestamp": 1_735_000_000_000, "metadata": {"transcriptConfidence": 0.95, "isFinal": True},
}  # fmt: skip
CONTEXT: dict[str, Any] = {
    "sessionId": ID, "messages": [MESSAGE], "callDetails": {"startedAt": 1},
    "config": {
        "llm": {"model": "gemma", "systemPrompt": "You are kind."}, "tts": {"voiceId": "joe"},
    },
    "metrics": {"transcriptLatency": [1.5], "llmLatency": [], "ttsLatency": [2.0]},
}  # fmt: skip
HEARING: dict[str, Any] = {
    "sessionId": ID, "connectionId": "stt-worker", "engine": "whisper",
    "connectionState": "connected", "config": {"model": "base"}, "createdAt": 1,
    "lastActivityAt": 2, "isActive": True,
    "transcriptSegments": [{"text": "Hi", "confidence": 1.0, "isFinal": False, "timestamp": 3}],
}  # fmt: skip
FORMS: list[tuple[type[Camel], dict[str, Any]]] = [
    (Session, SESSION), (ConversationMessage, MESSAGE), (ConversationContext, CONTEXT),
    (STTSession, HEARING),
]  # fmt: skip


def snake(value: Any) -> Any:
    """The same with Python's names for keys."""
    if isinstance(value, dict):
        return {
            "".join(f"_{c.lower()}" if c.isupper() else c for c in k): snake(v)
            for k, v in value.items()
        }
    return [snake(v) for v in value] if isinstance(value, list) else value


@pytest.mark.req("V001", "V002", "V003", "V004", "V005", "V006", "V007", "V008", "V009", "V010")
@pytest.mark.req("V013", "V014", "V015", "V016", "V017", "V019")
@pytest.mark.parametrize(("model", "form"), FORMS)
def test_a_model_is_camel_case_on_the_wire_and_snake_case_in_python(
    model: type[Camel], form: dict[str, Any]
) -> None:
    read = model.decode(json.dumps(form).encode())
    again = json.loads(read.encode())

    assert model.decode(read.encode()) == read == model.model_validate(snake(form))
    assert _holds(again, form)
    with pytest.raises(ValidationError):
        model.decode(json.dumps(snake(form)).encode())


def _holds(whole: Any, part: Any) -> bool:
    """Whether every value of a part is in the whole, under the same name."""
    if isinstance(part, dict):
        return all(key in whole and _holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_holds, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize(("model", "form"), FORMS)
def test_what_is_optional_is_left_out_and_what_is_unknown_refused(
    model: type[Camel], form: dict[str, Any]
) -> None:
    read = model.decode(json.dumps(form).encode())

    assert b"null" not in read.encode()
    with pytest.raises(ValidationError):
        model.decode(json.dumps({**form, "mood": "fine"}).encode())


@pytest.mark.req("V002", "V003", "V011")
def test_a_session_has_three_statuses_and_a_conversation_six_states() -> None:
    assert get_args(SessionStatus) == ("idle", "active", "ended")
    assert get_args(ConversationState) == (
        "INITIALIZING", "LISTENING", "THINKING", "RESPONDING", "INTERRUPTED", "ENDED",
    )  # fmt: skip


@pytest.mark.req("V008", "V015")
def test_the_defaults_are_those_of_s1() -> None:
    llm, tts = LlmChoice(model="m", system_prompt=""), TtsChoice(voice_id="v")
    hearing = STTSession.decode(json.dumps(HEARING).encode())

    assert (llm.temperature, llm.max_tokens, tts.speed) == (0.7, 150, 1.0)
    assert (hearing.config.sampling_rate, hearing.config.language) == (16000, "en-US")
    assert hearing.metrics.chunks_received == hearing.retry_count == 0


@pytest.mark.parametrize(
    "change",
    [
        {"sessionId": "11111111-1111-1111-1111-111111111111"}, {"status": "gone"},
        {"state": "SLEEPING"}, {"samplingRate": 44100}, {"samplingRate": "48000"},
        {"language": "english"}, {"createdAt": -1}, {"createdAt": 1.5}, {"createdAt": True},
        {"socketId": ""}, {"endedAt": "now"}, {"metadata": {}},
        {"metadata": {**SESSION["metadata"], "clientType": "fax"}},
    ],
)  # fmt: skip
def test_a_session_with_a_wrong_value_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Session.decode(json.dumps({**SESSION, **change}).encode())


@pytest.mark.req("V010", "V019")
@pytest.mark.parametrize("confidence", [-0.01, 1.01, "1", True, float("nan"), float("inf")])
def test_a_confidence_is_a_number_from_0_to_1(confidence: object) -> None:
    with pytest.raises(ValidationError):
        MessageMetadata.model_validate({"transcript_confidence": confidence})
    with pytest.raises(ValidationError):
        TranscriptSegment.model_validate(
            {"text": "", "confidence": confidence, "is_final": True, "timestamp": 0}
        )


# The union


@pytest.mark.req("V028")
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "user", "content": "Hi", "confidence": 0.5},
         UserMessage(content="Hi", confidence=0.5)),
        ({"type": "assistant", "content": "Hi", "tokenCount": 2},
         AssistantMessage(content="Hi", token_count=2)),
        ({"type": "system", "content": "Hi"}, SystemMessage(content="Hi")),
    ],
)  # fmt: skip
def test_the_type_of_a_message_decides_on_its_fields(form: dict[str, Any], expected: Camel) -> None:
    read = decode_message(json.dumps(form).encode())

    assert read == expected
    assert json.loads(read.encode()) == form


@pytest.mark.req("V028")
@pytest.mark.parametrize(
    "form",
    [
        {"type": "user", "content": "Hi"}, {"type": "user", "content": "Hi", "tokenCount": 2},
        {"type": "system", "content": "Hi", "confidence": 1.0}, {"type": "tool", "content": "Hi"},
        {"content": "Hi"}, {"type": "assistant", "content": "Hi", "token_count": 2},
    ],
)  # fmt: skip
def test_a_message_with_the_fields_of_another_type_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        decode_message(json.dumps(form).encode())


# The guard and the checks

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*SESSION, *MESSAGE, "transcriptConfidence"]), inner, max_size=8
        )
    ),
    max_leaves=12,
)
SESSION_ERRORS = [
    "sessionId must be valid UUIDv7", "samplingRate must be one of: 8000, 16000, 48000",
    "language must be in format: en-US", "status must be one of: idle, active, ended",
]  # fmt: skip
MESSAGE_ERRORS = [
    "messageId must be valid UUIDv7", "role must be one of: system, user, assistant",
    "content must be non-empty string", "transcriptConfidence must be between 0 and 1",
]  # fmt: skip


@pytest.mark.req("V027")
def test_the_guard_looks_at_the_kinds_of_values_alone() -> None:
    assert is_session(SESSION)
    assert is_session({**SESSION, "sessionId": "any", "samplingRate": 1.5})
    for key in ("sessionId", "socketId", "status", "language", "samplingRate", "createdAt",
                "lastActivityAt"):  # fmt: skip
        assert not is_session({k: v for k, v in SESSION.items() if k != key})
        assert not is_session({**SESSION, key: None})
        assert not is_session({**SESSION, key: True})
    assert not any(map(is_session, (None, [], "session", 7, {})))


@pytest.mark.req("V029")
def test_everything_that_is_wrong_with_a_session_is_named_at_once() -> None:
    assert validate_session(SESSION) == []
    assert validate_session({}) == SESSION_ERRORS
    assert validate_session({"status": "gone", "samplingRate": 44100}) == SESSION_ERRORS
    assert validate_session({**SESSION, "samplingRate": 44100}) == SESSION_ERRORS[1:2]
    assert validate_session({**SESSION, "language": "en-us\n"}) == SESSION_ERRORS[2:3]
    assert validate_session({**SESSION, "sessionId": ID.replace("-7", "-4"), "status": 1}) == [
        SESSION_ERRORS[0], SESSION_ERRORS[3],
    ]  # fmt: skip


@pytest.mark.req("V030")
def test_everything_that_is_wrong_with_a_message_is_named_at_once() -> None:
    wrong = {
        "messageId": "1",
        "role": "tool",
        "content": "",
        "metadata": {"transcriptConfidence": 2},
    }

    assert validate_conversation_message(MESSAGE) == []
    assert validate_conversation_message(wrong) == MESSAGE_ERRORS
    assert validate_conversation_message({}) == MESSAGE_ERRORS[:3]
    for confidence in (-0.1, 1.1, "1", True, float("nan")):
        message = {**MESSAGE, "metadata": {"transcriptConfidence": confidence}}
        assert validate_conversation_message(message) == MESSAGE_ERRORS[3:]
    for metadata in (None, {}, {"transcriptConfidence": 0}, {"transcriptConfidence": 1.0}):
        assert validate_conversation_message({**MESSAGE, "metadata": metadata}) == []


@pytest.mark.req("V027", "V029", "V030")
@given(JSON)
def test_no_value_is_too_strange_to_be_checked(value: object) -> None:
    assert set(validate_session(value)) <= set(SESSION_ERRORS)
    assert set(validate_conversation_message(value)) <= set(MESSAGE_ERRORS)
    assert is_session(value) in (True, False)


def changed(form: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The form with some of its fields replaced by anything."""
    return st.dictionaries(st.sampled_from(list(form)), JSON, max_size=3).map(
        lambda change: {**form, **change}
    )


@given(changed(SESSION))
def test_whatever_is_a_session_passes_the_guard_and_the_check(form: dict[str, Any]) -> None:
    try:
        session = TypeAdapter(Session).validate_python(form, by_alias=True, by_name=False)
    except ValidationError:
        return
    wire = json.loads(session.encode())
    assert is_session(wire)
    assert validate_session(wire) == []


@given(changed(MESSAGE))
def test_whatever_is_a_message_passes_the_check(form: dict[str, Any]) -> None:
    try:
        message = TypeAdapter(ConversationMessage).validate_python(
            form, by_alias=True, by_name=False
        )
    except ValidationError:
        return
    assert validate_conversation_message(json.loads(message.encode())) == []
