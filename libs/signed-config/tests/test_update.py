"""One service's configuration on the wire: what is read, and what is refused by which code."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.canonical import MAX_UPDATE_BYTES, canonical, checksum, load
from parlour_config.errors import RefusedUpdateError
from parlour_config.pae import CONFIG_UPDATE, LEASE
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.update import FIELDS, Update, build_update, check_update, read_update
from parlour_contracts.messages.signed import ConfigUpdatePayload

VECTORS = Path(__file__).with_name("vectors")
KEY, OTHER = SigningKey(b"\x01" * 32), SigningKey(b"\x02" * 32)
TRUSTED = [TrustedKey.of(KEY.public)]
EPOCH = "550e8400-e29b-41d4-a716-446655440000"
AT = "2026-01-02T03:04:05.000006Z"
CONFIG: dict[str, Any] = {"vad_threshold": 0.5, "words": {"a": [1, None, True]}}

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXT.filter(lambda key: not key.startswith("$")), inner, max_size=3)
    ),
    max_leaves=8,
)
CONFIGS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), VALUES, max_size=5)


def made(**changes: Any) -> bytes:
    """A message whose signature is right, whatever its fields are."""
    body: dict[str, Any] = {
        "version": 1,
        "service": "stt-worker",
        "config": CONFIG,
        "config_epoch": EPOCH,
        "issued_at": AT,
        **changes,
    }
    body.setdefault("checksum", checksum(body["config"]))
    kept = {field: value for field, value in body.items() if value is not ...}
    return canonical({**kept, "signature": KEY.sign(CONFIG_UPDATE, canonical(kept))})


def code_of(payload: bytes, keys: list[TrustedKey] = TRUSTED) -> tuple[str, str]:
    with pytest.raises(RefusedUpdateError) as refused:
        check_update(read_update(payload), keys)
    assert refused.value.hint
    return refused.value.code, refused.value.status


@pytest.mark.req("X3", "C033", "C034")
@given(CONFIGS)
def test_what_is_built_is_read_and_verified_with_nothing_lost(config: dict[str, Any]) -> None:
    wire = build_update(KEY, service="router", config=config, config_epoch=EPOCH, issued_at=AT)

    update = read_update(wire)
    assert (update.service, update.config, update.config_epoch) == ("router", config, EPOCH)
    assert (update.issued_at, update.checksum, update.raw) == (AT, checksum(config), wire)
    assert check_update(update, TRUSTED) == KEY.kid
    message = load(wire)
    assert isinstance(message, dict)
    assert message.keys() == FIELDS == ConfigUpdatePayload.model_fields.keys()
    assert ConfigUpdatePayload.decode(wire).config == config


@pytest.mark.req("X3")
@pytest.mark.parametrize("name", ["g1", "g2"])
def test_the_published_messages_are_built_byte_for_byte(name: str) -> None:
    wire = (VECTORS / f"{name}.wire.json").read_bytes()
    update = read_update(wire)
    key = SigningKey(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )

    assert check_update(update, [TrustedKey.of(key.public)]) == key.kid
    assert wire == build_update(
        key,
        service=update.service,
        config=update.config,
        config_epoch=update.config_epoch,
        issued_at=update.issued_at,
    )


@pytest.mark.req("C033", "C034")
@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "BAD_JSON"),
        (b" " * (MAX_UPDATE_BYTES + 1), "TOO_LARGE"),
        (b"[]", "BAD_VERSION"),
        (b"null", "BAD_VERSION"),
        (b"{}", "BAD_VERSION"),
        (made(version=2), "BAD_VERSION"),
        (made(version=True), "BAD_VERSION"),
        (made(version="1"), "BAD_VERSION"),
        (made().replace(b'"version":1', b'"version":1.0'), "BAD_VERSION"),
        (made(extra=1), "BAD_FIELDS"),
        (made(issued_at=...), "BAD_FIELDS"),
        (made(service="Stt"), "BAD_FIELD"),
        (made(service="stt-worker\n"), "BAD_FIELD"),
        (made(service="s" * 64), "BAD_FIELD"),
        (made(service=None), "BAD_FIELD"),
        (made(config=[]), "BAD_FIELD"),
        (made(config={"Key": 1}), "BAD_FIELD"),
        (made(config={"key\n": 1}), "BAD_FIELD"),
        (made(config={"k" * 129: 1}), "BAD_FIELD"),
        (made(config={"$secret": 1}), "BAD_FIELD"),
        (made(config={"a": {"$masked": True}}), "BAD_FIELD"),
        (made(config={"a": [{"$secret": {}, "b": 1}]}), "BAD_FIELD"),
        (made(checksum="0" * 63), "BAD_FIELD"),
        (made(checksum="A" * 64), "BAD_FIELD"),
        (made(checksum="٠" * 64), "BAD_FIELD"),
        (made(config_epoch="550e8400-e29b-11d4-a716-446655440000"), "BAD_FIELD"),
        (made(config_epoch=EPOCH.upper()), "BAD_FIELD"),
        (made(config_epoch=EPOCH + "\n"), "BAD_FIELD"),
        (made(issued_at="2026-02-30T03:04:05.000006Z"), "BAD_FIELD"),
        (made(issued_at="2026-01-02T03:04:05.006Z"), "BAD_FIELD"),
        (made(issued_at=1), "BAD_FIELD"),
    ],
)
def test_a_message_of_another_form_is_refused(payload: bytes, code: str) -> None:
    assert code_of(payload) == (code, "rejected")


@pytest.mark.req("C034")
def test_a_signature_that_is_no_text_or_another_text_is_refused() -> None:
    message = load(made())
    assert isinstance(message, dict)
    signature = str(message["signature"])
    for other in (signature[:-3] + "h==", signature.replace("=", ""), signature + "\n", ""):
        assert code_of(canonical({**message, "signature": other})) == (
            "BAD_ENCODING",
            "bad_signature",
        )
    assert code_of(canonical({**message, "signature": None})) == ("BAD_FIELD", "rejected")


@pytest.mark.req("C035", "SC037")
@given(st.sampled_from(sorted(FIELDS - {"version", "signature"})), st.data())
def test_a_changed_field_does_not_verify(field: str, data: st.DataObject) -> None:
    message = load(made())
    assert isinstance(message, dict)
    others: dict[str, st.SearchStrategy[Any]] = {
        "service": st.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True),
        "config": CONFIGS,
        "checksum": st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
        "config_epoch": st.uuids(version=4).map(str),
        "issued_at": st.just("2026-01-02T03:04:05.000007Z"),
    }
    value: Any = data.draw(others[field].filter(lambda other: other != message[field]))

    assert code_of(canonical({**message, field: value}))[0] == "BAD_SIGNATURE"


@pytest.mark.req("SC037")
@given(st.integers(0, 511))
def test_a_signature_with_one_other_bit_is_refused(bit: int) -> None:
    message = load(made())
    assert isinstance(message, dict)
    raw = bytearray(base64.b64decode(str(message["signature"])))
    raw[bit // 8] ^= 1 << bit % 8
    altered = base64.b64encode(bytes(raw)).decode()

    assert code_of(canonical({**message, "signature": altered})) == (
        "BAD_SIGNATURE",
        "bad_signature",
    )


@pytest.mark.req("SC037")
def test_another_key_no_key_or_another_kind_of_document_does_not_verify() -> None:
    body = read_update(made()).body()
    assert code_of(made(), [TrustedKey.of(OTHER.public)])[0] == "BAD_SIGNATURE"
    assert code_of(made(), [])[0] == "BAD_SIGNATURE"

    message = load(made())
    assert isinstance(message, dict)
    message["signature"] = KEY.sign(LEASE, body)
    lease = canonical(message)
    assert code_of(lease)[0] == "BAD_SIGNATURE"


@pytest.mark.req("C035")
def test_a_signed_message_with_the_checksum_of_something_else_is_refused() -> None:
    assert code_of(made(checksum=checksum({}))) == ("BAD_CHECKSUM", "rejected")


@pytest.mark.req("X3", "C033")
@given(
    config=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), VALUES, max_size=6
    )
)
def test_what_is_built_is_the_one_canonical_text_of_its_fields(config: dict[str, Any]) -> None:
    wire = build_update(KEY, service="router", config=config, config_epoch=EPOCH, issued_at=AT)

    message = load(wire)
    assert canonical(message) == wire
    assert made(service="router", config=config) == wire
    assert read_update(wire).body() == canonical(
        {field: value for field, value in message.items() if field != "signature"}
    )


@given(st.binary(max_size=300))
def test_no_bytes_bring_another_error(data: bytes) -> None:
    with pytest.raises(RefusedUpdateError):
        read_update(data)


@given(
    st.dictionaries(
        st.sampled_from(sorted(FIELDS)), VALUES | st.text(max_size=90), min_size=5, max_size=7
    )
)
def test_no_values_in_the_fields_bring_another_error(fields: dict[str, Any]) -> None:
    try:
        payload = canonical({**fields, "version": 1})
    except Exception:  # noqa: BLE001  # lone surrogates: there are no such bytes
        return
    with pytest.raises(RefusedUpdateError):
        check_update(read_update(payload), TRUSTED)


@pytest.mark.req("C034")
def test_what_would_be_refused_is_not_built() -> None:
    def code(**changes: Any) -> str:
        fields = {"service": "s", "config": CONFIG, "config_epoch": EPOCH, "issued_at": AT}
        with pytest.raises(RefusedUpdateError) as refused:
            build_update(KEY, **{**fields, **changes})
        return refused.value.code

    assert code(service="S") == "BAD_FIELD"
    assert code(issued_at="now") == "BAD_FIELD"
    assert code(config_epoch="1") == "BAD_FIELD"
    assert code(config={"a": {"$x": 1}}) == "BAD_FIELD"
    assert code(config={"a": float("nan")}) == "NON_FINITE"
    assert code(config={"a": 2**60}) == "NUMBER_RANGE"
    assert code(config={"a": "x" * MAX_UPDATE_BYTES}) == "TOO_LARGE"
    assert code(config={"a": [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}) == "DEPTH"


def test_the_largest_message_is_built_and_read() -> None:
    def build(length: int) -> bytes:
        return build_update(
            KEY, service="s", config={"a": "x" * length}, config_epoch=EPOCH, issued_at=AT
        )

    largest = MAX_UPDATE_BYTES - len(build(0))
    assert len(build(largest)) == MAX_UPDATE_BYTES
    assert read_update(build(largest)).service == "s"
    with pytest.raises(RefusedUpdateError) as refused:
        build(largest + 1)
    assert refused.value.code == "TOO_LARGE"


def test_no_refusal_tells_what_the_message_held() -> None:
    for payload in (
        made(service="Secret-word"),
        made(config={"Secret-word": 1}),
        made(issued_at="Secret-word"),
        made(config_epoch="Secret-word"),
    ):
        with pytest.raises(RefusedUpdateError) as refused:
            read_update(payload)
        assert "ecret-word" not in str(refused.value)


@pytest.mark.req("SC036")
def test_a_message_of_forty_keys_is_verified_within_five_milliseconds() -> None:
    config = {f"key_{n}": f"value {n}" for n in range(40)}
    wire = build_update(KEY, service="s", config=config, config_epoch=EPOCH, issued_at=AT)

    def once() -> float:
        begun = time.process_time()
        check_update(read_update(wire), TRUSTED)
        return time.process_time() - begun

    assert min(once() for _ in range(20)) < 0.005
    assert isinstance(read_update(wire), Update)
