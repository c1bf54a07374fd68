"""Every message survives the wire, and nothing else passes for one."""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from datetime import UTC
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parlour_contracts.base import WireModel
from parlour_contracts.messages.health import ConfigState
from parlour_contracts.messages.homeassistant import (
    Component,
    ConfigSettings,
    Device,
    DeviceDiscovery,
    HomeAssistantStatus,
    Origin,
)
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.requests import (
    TRANSACTION_PATTERN,
    AnswerCode,
    ConfigAnswer,
    ConfigApplied,
    ConfigEvent,
    ConfigRequest,
    Problem,
    RefusalCode,
)
from parlour_contracts.messages.room import Ask, Cancel, Say
from parlour_contracts.messages.signed import (
    ConfigKey,
    ConfigUpdatePayload,
    KeysetDocument,
    KeysetSignature,
    Lease,
    Restart,
    RootKey,
    RootKeys,
)
from parlour_contracts.messages.turn import TurnAbort
from parlour_contracts.topics import models
from parlour_contracts.validation import clean_characters, is_blank
from pydantic import BaseModel, RootModel, ValidationError

MODELS: list[type[Any]] = list(models())
UUID7 = st.builds(
    lambda time, rest: (
        f"{time:012x}"[:8] + "-" + f"{time:012x}"[8:] + f"-7{rest % 4096:03x}"
        f"-{8 + rest % 4:x}{rest // 7 % 4096:03x}-{rest:012x}"
    ),
    st.integers(0, 2**48 - 1),
    st.integers(0, 2**48 - 1),
)
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "turn_id": UUID7,
    "session_id": UUID7,
    "request_id": UUID7,
    "utterance_id": UUID7,
    "boot": UUID7,
    "site": st.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True),
    "instance": st.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True),
    "service": st.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True),
    "language": st.from_regex(r"[a-z]{2}-[A-Z]{2}", fullmatch=True),
    "opened_at": st.datetimes().map(lambda t: t.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)),
    "since": st.just("2026-01-02T03:04:05.000006Z"),
    "issued_at": st.just("2026-01-02T03:04:05.000006Z"),
    "timestamp": st.just("2026-01-02T03:04:05.000006Z"),
    "last_backup": st.just("2026-01-02T03:04:05.000006Z"),
    "reply_topic": st.just("llm/reply/router"),
    "version": st.just("1.2.3"),
    "config": st.just(ConfigState()),
    "details": st.just([]),
    "error": st.none() | st.just(WireError(code="FAILED", message="it failed")),
    "err": st.none(),
    "tools": st.lists(st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), max_size=2),
}

MOMENT = st.datetimes(timezones=st.just(UTC))
EPOCH = st.uuids(version=4).map(str)
NAME = SPECIAL["service"]
DIGEST = st.from_regex(r"[a-f0-9]{64}", fullmatch=True)
KID = st.from_regex(r"[a-f0-9]{16}", fullmatch=True)
SIGNATURE = st.binary(min_size=64, max_size=64).map(lambda raw: b64encode(raw).decode())
PUBLIC = st.binary(min_size=32, max_size=32).map(lambda raw: b64encode(raw).decode())
CONFIG = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)
ROOTS = st.builds(
    RootKeys, keys=st.lists(st.builds(RootKey, kid=KID, pub=PUBLIC), min_size=1, max_size=2)
)
COMPONENT = st.builds(
    lambda value: Component(p="number", unique_id="a", name="a", min=value, options=["a"]),
    st.none() | st.integers() | st.floats(0, 1),
)
READABLE = st.text(min_size=1, max_size=50).filter(
    lambda text: not is_blank(clean_characters(text))
)
OWN_FORMS: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    ConfigUpdatePayload: {
        "version": st.just(1), "config": CONFIG, "config_epoch": EPOCH, "issued_at": MOMENT,
        "checksum": DIGEST, "signature": SIGNATURE,
    },
    KeysetDocument: {
        "root": ROOTS,
        "config_keys": st.lists(
            st.builds(ConfigKey, kid=KID, pub=PUBLIC, not_after=st.none() | MOMENT),
            min_size=1, max_size=2,
        ),
        "revoked": st.lists(KID, max_size=2), "reset_floor_for": st.lists(KID, max_size=2),
        "signatures": st.lists(
            st.builds(KeysetSignature, kid=KID, sig=SIGNATURE), min_size=1, max_size=2
        ),
    },
    Restart: {"signature": SIGNATURE},
    Lease: {"config_epoch": EPOCH, "sent_at": MOMENT, "signature": SIGNATURE},
    ConfigRequest: {
        "transaction": st.none() | st.from_regex(TRANSACTION_PATTERN, fullmatch=True),
        "expires_at": st.none() | MOMENT, "config_epoch": st.none() | EPOCH,
        "service": st.none() | NAME, "config": st.none() | CONFIG,
        "version": st.none() | st.integers(0, 2**53 - 1),
    },
    ConfigAnswer: {
        "config_epoch": st.none() | EPOCH, "issued_at": st.none() | st.just("2026-01-02T03:04:05.000006Z"),
        "data": st.none() | CONFIG, "error": st.none() | st.sampled_from(get_args(AnswerCode)),
        "details": st.none() | st.lists(st.builds(Problem), max_size=2),
    },
    ConfigApplied: {
        "config_epoch": st.none() | EPOCH, "issued_at": st.none() | MOMENT, "applied_at": MOMENT,
        "checksum": st.none() | DIGEST, "error": st.none() | st.sampled_from(get_args(RefusalCode)),
        "lkg_age_s": st.none() | st.floats(0, 1e9),
    },
    ConfigEvent: {
        "event": st.from_regex(r"[a-z][a-z-]{0,62}", fullmatch=True), "at": MOMENT,
        "facts": st.dictionaries(st.text(max_size=5), st.integers() | st.none(), max_size=2),
    },
    ConfigSettings: {
        "settings": st.dictionaries(
            st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.floats(0, 9) | st.text(max_size=5)
        ),
    },
    DeviceDiscovery: {
        "dev": st.just(Device(ids=["a"], name="a", mf="a", mdl="a", sw="1.2.3")),
        "o": st.just(Origin(name="a", sw="1.2.3")),
        "cmps": st.dictionaries(st.text(max_size=5), COMPONENT, max_size=2),
    },
    Say: {"text": READABLE},
    Ask: {"text": READABLE},
    HomeAssistantStatus: {"root": st.sampled_from(["online", "offline"])},
}  # fmt: skip
"""Forms that a name has in one message alone."""


def instances(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Valid objects of a model: special forms by name, the rest from its types."""
    own = OWN_FORMS.get(model, {})
    given_fields: dict[str, st.SearchStrategy[Any]] = dict(own)
    for name, field in model.model_fields.items():
        if name not in SPECIAL or name in own:
            continue
        strategy = SPECIAL[name]
        optional = not field.is_required() and field.default is None
        given_fields[name] = st.one_of(st.none(), strategy) if optional else strategy
    return st.builds(model, **given_fields)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_message_round_trips(model: type[Any], data: st.DataObject) -> None:
    message = data.draw(instances(model))

    decoded = model.decode(message.encode())

    assert decoded == message


@pytest.mark.parametrize(
    "model", [m for m in MODELS if not issubclass(m, RootModel)], ids=lambda m: m.__name__
)
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_unknown_field_is_refused(model: type[Any], data: st.DataObject) -> None:
    wire = json.loads(data.draw(instances(model)).encode())
    wire["surprise"] = 1

    with pytest.raises(ValidationError):
        model.decode(json.dumps(wire).encode())


@pytest.mark.parametrize(
    "model", [m for m in MODELS if issubclass(m, WireModel)], ids=lambda m: m.__name__
)
@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(data=st.data(), version=st.sampled_from([0, 2, "1", True, 1.5, None]))
def test_an_unknown_version_is_refused(
    model: type[Any], data: st.DataObject, version: object
) -> None:
    wire = json.loads(data.draw(instances(model)).encode())
    wire["v"] = version

    with pytest.raises(ValidationError):
        model.decode(json.dumps(wire).encode())


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
@settings(max_examples=30)
@given(payload=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_raises_nothing_but_a_value_error(model: type[Any], payload: bytes) -> None:
    with contextlib.suppress(ValueError):
        model.decode(payload)


def test_a_bare_string_is_taken_as_the_text() -> None:
    assert Say.decode(b"Dinner is ready").text == "Dinner is ready"
    assert Ask.decode(b"what's the time?\n").text == "what's the time?"
    assert Say.decode(b'"quoted"').text == "quoted"
    assert Ask.decode(b"42").text == "42"


@pytest.mark.req("H050", "H023")
@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"caf\xc3 now", "caf\ufffd now"),
        (b'{"text": "caf\xff now"}', "caf\ufffd now"),
        (b'{"text": "a\\u0000b\\u202e cafe\\u0301"}', "ab café"),
        ("stop\x1b[2J \u200bhere".encode(), "stop[2J here"),
    ],
)
def test_what_a_person_sends_comes_in_one_form_without_what_is_no_text(
    payload: bytes, text: str
) -> None:
    assert Ask.decode(payload).text == text
    assert Say.decode(payload).text == text


def test_json_of_the_form_is_read_as_json() -> None:
    assert Say.decode(b'{"text": "hello", "volume": 40}').volume == 40


@pytest.mark.parametrize(
    "payload", [b"", b"   ", b'{"text": ""}', b'{"txt": "a"}', b"\xff\xfe", b"\x00\x01"]
)
def test_no_text_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):
        Say.decode(payload)


def test_an_empty_cancel_is_a_cancel() -> None:
    assert Cancel.decode(b"").reason == "person"


@pytest.mark.req("V026")
@pytest.mark.parametrize(
    "wrong",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "0190163D-8694-739B-AEA5-966C26F8AD91",
        "0190163d-8694-739b-cea5-966c26f8ad91",
        "not-an-id",
        "",
    ],
)
def test_only_a_uuid_of_version_7_is_an_id(wrong: str) -> None:
    with pytest.raises(ValidationError):
        TurnAbort(turn_id=wrong, revision=1, reason="test")
