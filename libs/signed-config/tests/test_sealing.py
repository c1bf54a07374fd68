"""Secrets: what was sealed opens in one place, with one key, and nowhere else."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.errors import BadKeyError
from parlour_config.sealing import (
    MASKED,
    UnreadableSecretError,
    derive,
    from_row,
    is_masked,
    is_sealed,
    lkg_key,
    mask_key,
    mask_tag,
    open_sealed,
    seal,
    service_key,
    symmetric_id,
    to_row,
)

MASTER = bytes(range(32))
KID = symmetric_id(MASTER)
KEY = service_key(MASTER, "llm-worker")
WHERE: Any = {"service": "llm-worker", "name": "api_key"}
SECRET = "sk-a-secret-that-nobody-may-read"
SEALED = seal(SECRET, KEY, **WHERE, kid=KID)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def changed(**parts: Any) -> dict[str, Any]:
    result: dict[str, Any] = copy.deepcopy(SEALED)
    result["$secret"].update(parts)
    return result


@given(TEXT)
@pytest.mark.req("C068")
def test_what_was_sealed_opens_and_shows_nothing_meanwhile(value: str) -> None:
    sealed = seal(value, KEY, **WHERE, kid=KID)

    assert open_sealed(sealed, {KID: KEY}, **WHERE) == value
    assert is_sealed(sealed)
    assert len(value) < 4 or value not in json.dumps(sealed, ensure_ascii=False)


@given(TEXT)
@pytest.mark.req("C045")
def test_the_row_holds_the_same_ciphertext(value: str) -> None:
    sealed = seal(value, KEY, **WHERE, kid=KID)

    assert from_row(to_row(sealed), KID) == sealed
    assert to_row(sealed).startswith("v1:")


@pytest.mark.req("C045")
def test_the_same_secret_is_never_sealed_the_same_way_twice() -> None:
    nonces = {seal(SECRET, KEY, **WHERE, kid=KID)["$secret"]["nonce"] for _ in range(200)}

    assert len(nonces) == 200


@pytest.mark.parametrize(
    ("sealed", "keys", "where"),
    [
        (SEALED, {KID: KEY}, {"service": "llm-worker", "name": "other_key"}),
        (SEALED, {KID: KEY}, {"service": "tts-worker", "name": "api_key"}),
        (SEALED, {KID: service_key(MASTER, "tts-worker")}, WHERE),
        (SEALED, {KID: MASTER}, WHERE),
        (SEALED, {"another-id": KEY}, WHERE),
        (SEALED, {}, WHERE),
        (changed(kid="another-id"), {"another-id": KEY}, WHERE),
    ],
)
@pytest.mark.req("C045")
def test_a_secret_moved_to_another_place_or_key_does_not_open(
    sealed: Any, keys: dict[str, bytes], where: Any
) -> None:
    with pytest.raises(UnreadableSecretError) as refused:
        open_sealed(sealed, keys, **where)

    assert refused.value.code == "SECRET_UNREADABLE"
    assert SECRET not in str(refused.value)


@given(st.data())
def test_one_flipped_bit_is_enough(data: st.DataObject) -> None:
    row = bytearray(to_row(SEALED).encode())
    raw = bytearray(base64.b64decode(row[3:]))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    altered = from_row("v1:" + base64.b64encode(raw).decode(), KID)

    with pytest.raises(UnreadableSecretError):
        open_sealed(altered, {KID: KEY}, **WHERE)


@pytest.mark.parametrize(
    "sealed",
    [
        None,
        SECRET,
        {},
        MASKED,
        {"$secret": SECRET},
        {"$secret": {}},
        {**SEALED, "more": 1},
        changed(more="x"),
        changed(kid=5),
        changed(kid=""),
        changed(kid="a b"),
        changed(kid="a" * 65),
        changed(nonce="AAAA"),
        changed(nonce=SEALED["$secret"]["nonce"] + "\n"),
        changed(ct="AAAA"),
        changed(ct=SEALED["$secret"]["ct"].replace("=", "") + "é"),
        changed(ct=None),
    ],
)
def test_another_form_is_no_sealed_secret(sealed: Any) -> None:
    with pytest.raises(UnreadableSecretError):
        open_sealed(sealed, {KID: KEY}, **WHERE)
    with pytest.raises(UnreadableSecretError):
        to_row(sealed)


@pytest.mark.parametrize(
    "row",
    ["", "v1:", "v2:AAAA", "v1:AAAA", "v1:!!", pytest.param(to_row(SEALED)[3:], id="no-version")],
)
def test_another_form_is_no_stored_secret(row: str) -> None:
    with pytest.raises(UnreadableSecretError):
        from_row(row, KID)


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ({"$masked": True}, True),
        ({"$masked": 1}, False),
        ({"$masked": False}, False),
        ({"$masked": True, "tag": "x"}, False),
        ({}, False),
        ("$masked", False),
    ],
)
def test_only_the_exact_mask_means_unchanged(value: object, masked: bool) -> None:
    assert is_masked(value) is masked
    assert is_masked(MASKED)


def test_keys_for_different_purposes_have_nothing_in_common() -> None:
    derived = [
        service_key(MASTER, "llm-worker"),
        service_key(MASTER, "tts-worker"),
        lkg_key(MASTER, "llm-worker"),
        lkg_key(MASTER, "tts-worker"),
        mask_key(MASTER),
        service_key(bytes(32), "llm-worker"),
    ]

    assert len(set(derived)) == len(derived)
    assert all(len(key) == 32 for key in derived)


def test_a_tag_shows_a_change_and_nothing_else() -> None:
    key = mask_key(MASTER)
    tags = [
        mask_tag(SECRET, key, **WHERE),
        mask_tag(SECRET + "x", key, **WHERE),
        mask_tag(SECRET, key, service="llm-worker", name="other_key"),
        mask_tag(SECRET, key, service="tts-worker", name="api_key"),
        mask_tag(SECRET, mask_key(bytes(32)), **WHERE),
    ]

    assert len(set(tags)) == len(tags)
    assert tags[0] == mask_tag(SECRET, key, **WHERE)
    assert all(len(tag) == 16 and int(tag, 16) >= 0 for tag in tags)


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)])
def test_a_symmetric_key_has_32_bytes(raw: bytes) -> None:
    with pytest.raises(BadKeyError):
        derive(raw, "svc/v1/x")
    with pytest.raises(BadKeyError):
        seal(SECRET, raw, **WHERE, kid=KID)
