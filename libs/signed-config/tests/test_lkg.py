"""The last-known-good file: it proves itself, or it is not used."""

from __future__ import annotations

import hmac
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.canonical import MAX_UPDATE_BYTES, canonical, load
from parlour_config.errors import RefusedLkgError
from parlour_config.lkg import (
    DEPTH,
    MAX_SERVICE_BYTES,
    read_keyset_file,
    read_lkg,
    render_keyset_file,
    render_lkg,
)
from parlour_config.pae import LKG, pae
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import TrustState
from parlour_config.update import Update, build_update, read_update
from parlour_contracts.messages.configuration import LKGCache

KEY, OTHER = SigningKey(b"\x01" * 32), SigningKey(b"\x02" * 32)
TRUSTED = [TrustedKey.of(KEY.public)]
MAC, OLD_MAC = b"m" * 32, b"o" * 32
EPOCH = "550e8400-e29b-41d4-a716-446655440000"
AT = "2026-01-02T03:04:05.000006Z"


def update(config: dict[str, Any] | None = None, key: SigningKey = KEY, at: str = AT) -> Update:
    return read_update(
        build_update(
            key,
            service="stt-worker",
            config={"words": "café", "vad": 0.5} if config is None else config,
            config_epoch=EPOCH,
            issued_at=at,
        )
    )


def state_of(taken: Update) -> TrustState:
    return TrustState(
        epoch=EPOCH,
        floor=taken.issued_at,
        floor_kid=KEY.kid,
        retired=("7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a",),
        keyset_version=3,
        poison=("a" * 64,),
        checksum=taken.checksum,
    )


def rendered(taken: Update, key: bytes = MAC, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "payload": {"stt-worker": taken.config},
        "config_epoch": taken.config_epoch,
        "generated_at": taken.issued_at,
        "update": taken.raw,
        "state": state_of(taken),
        "key": key,
    }
    return render_lkg(**{**fields, **changes})


def resealed(data: bytes, change: dict[str, Any], lkg: dict[str, Any], key: bytes = MAC) -> bytes:
    """The file with other fields and MACs that fit them, as whoever stole the key makes it."""

    def mac(fields: dict[str, Any]) -> str:
        return hmac.digest(key, pae(LKG, canonical(fields, DEPTH)), "sha256").hex()

    whole: Any = load(data, MAX_SERVICE_BYTES, DEPTH)
    inner = {**whole["lkg"], **lkg}
    del inner["signature"]
    outer = {**whole, **change, "lkg": {**inner, "signature": mac(inner)}}
    del outer["mac"]
    return canonical({**outer, "mac": mac(outer)}, DEPTH)


def refused(
    data: bytes, keys: list[bytes] | None = None, service: str | None = "stt-worker"
) -> str:
    with pytest.raises(RefusedLkgError) as found:
        read_lkg(data, [MAC] if keys is None else keys, service=service, trusted=TRUSTED)
    assert found.value.code == "LKG_BAD"
    return str(found.value)


@pytest.mark.req("X4", "C010", "C070")
def test_what_is_written_is_read_with_nothing_lost() -> None:
    taken = update()
    found = read_lkg(rendered(taken), [MAC], service="stt-worker", trusted=TRUSTED)

    assert found.payload == {"stt-worker": taken.config}
    assert (found.config_epoch, found.generated_at) == (EPOCH, AT)
    assert found.update == taken
    assert found.state == state_of(taken)
    assert found.key_index == 0


@pytest.mark.req("X4", "C010")
def test_the_five_fields_on_disk_are_those_of_the_data_model() -> None:
    whole: Any = load(rendered(update()), depth=DEPTH)

    assert whole.keys() == {"lkg", "update", "state", "mac"}
    cache = LKGCache.model_validate(whole["lkg"])
    covered = {field: value for field, value in whole["lkg"].items() if field != "signature"}
    assert covered.keys() == {"payload", "config_epoch", "generated_at", "algorithm"}
    mac = hmac.digest(MAC, pae(LKG, canonical(covered)), "sha256").hex()
    assert cache.signature == mac
    assert whole["state"].keys() == {
        "epoch", "floor", "floor_kid", "retired", "keyset_version", "poison",
    }  # fmt: skip


@pytest.mark.req("C070")
@given(st.data())
def test_a_file_with_any_other_bit_is_not_used(data: st.DataObject) -> None:
    good = rendered(update())
    bad = bytearray(good)
    position = data.draw(st.integers(0, len(good) * 8 - 1))
    bad[position // 8] ^= 1 << position % 8

    refused(bytes(bad))


@pytest.mark.req("C070")
@given(st.data())
def test_a_file_that_was_cut_is_not_used(data: st.DataObject) -> None:
    good = rendered(update())

    refused(good[: data.draw(st.integers(0, len(good) - 1))])


@pytest.mark.req("C070")
@given(st.binary(max_size=200))
def test_no_bytes_bring_another_error(data: bytes) -> None:
    refused(data)


def test_without_its_key_a_file_is_not_used() -> None:
    good = rendered(update())

    refused(good, keys=[OLD_MAC])
    refused(good, keys=[])


def test_a_file_under_the_previous_key_is_read_and_tells_so() -> None:
    good = rendered(update(), key=OLD_MAC)
    found = read_lkg(good, [MAC, OLD_MAC], service="stt-worker", trusted=TRUSTED)

    assert found.key_index == 1


@pytest.mark.req("X4", "C070")
@pytest.mark.parametrize(
    ("change", "lkg"),
    [
        ({}, {"payload": {"stt-worker": {"vad": 0.9}}}),
        ({}, {"payload": {"tts-worker": {"words": "café", "vad": 0.5}}}),
        ({}, {"payload": {}}),
        ({}, {"config_epoch": "7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a"}),
        ({}, {"generated_at": "2026-01-02T03:04:05.000007Z"}),
        ({}, {"algorithm": "hmac-md5"}),
        ({"update": update(key=OTHER).raw.decode()}, {}),
        ({"update": update({"vad": 0.9}).raw.decode()}, {}),
        ({"update": None}, {}),
        ({"update": "{}"}, {}),
        ({"state": None}, {}),
        ({"state": {}}, {}),
    ],
)
def test_a_stolen_key_forges_nothing(change: dict[str, Any], lkg: dict[str, Any]) -> None:
    good = rendered(update())
    assert resealed(good, {}, {}) == good

    refused(resealed(good, change, lkg))


@given(
    st.dictionaries(
        st.sampled_from(["epoch", "floor", "floor_kid", "retired", "keyset_version", "poison"]),
        st.none()
        | st.integers(-5, 5)
        | st.text("ab0Z", max_size=3)
        | st.lists(st.none() | st.text("ab", max_size=3), max_size=2),
        min_size=1,
    ),
    st.dictionaries(
        st.sampled_from(["payload", "config_epoch", "generated_at", "algorithm"]),
        st.none() | st.integers(-5, 5) | st.lists(st.integers(0, 1), max_size=2),
        max_size=2,
    ),
)
def test_a_stolen_key_brings_no_other_error(state: dict[str, Any], lkg: dict[str, Any]) -> None:
    whole: Any = load(rendered(update()), depth=DEPTH)

    with suppress(RefusedLkgError):
        read_lkg(
            resealed(rendered(update()), {"state": {**whole["state"], **state}}, lkg),
            [MAC],
            service="stt-worker",
            trusted=TRUSTED,
        )


@pytest.mark.req("X4")
def test_one_mac_does_not_pass_for_the_other() -> None:
    whole: Any = load(rendered(update()), depth=DEPTH)
    whole["mac"], whole["lkg"]["signature"] = whole["lkg"]["signature"], whole["mac"]

    refused(canonical(whole, DEPTH))


@pytest.mark.parametrize("mac", [None, "", "é" * 64, "0" * 64, 7])
def test_a_mac_of_another_kind_does_not_fit(mac: Any) -> None:
    whole: Any = load(rendered(update()), depth=DEPTH)

    assert "MAC" in refused(canonical({**whole, "mac": mac}, DEPTH))


def test_upper_case_digits_are_another_mac() -> None:
    whole: Any = load(rendered(update()), depth=DEPTH)
    whole["mac"] = whole["mac"].upper()

    refused(canonical(whole, DEPTH))


def test_a_file_is_that_of_one_service() -> None:
    refused(rendered(update()), service="tts-worker")
    refused(rendered(update()), service=None)


def test_a_key_that_is_no_longer_trusted_makes_no_file_good() -> None:
    with pytest.raises(RefusedLkgError):
        read_lkg(rendered(update()), [MAC], service="stt-worker", trusted=[])


@pytest.mark.req("C010")
def test_the_managers_file_holds_all_services_and_no_message() -> None:
    payload: dict[str, Any] = {"stt-worker": {"vad": 0.5}, "router": {}}
    data = render_lkg(
        payload=payload, config_epoch=EPOCH, generated_at=AT, update=None, state=None, key=MAC
    )
    found = read_lkg(data, [MAC], service=None)

    assert found.payload == payload
    assert (found.update, found.state) == (None, None)
    refused(data)


def test_the_deepest_and_the_largest_message_find_room() -> None:
    deep: Any = 1
    for _ in range(14):
        deep = [deep]
    for config in ({"a": deep}, {"a": '"\\' * 60_000}, {"a": [10**15] * 14_000}):
        taken = update(config)
        assert len(taken.raw) <= MAX_UPDATE_BYTES
        data = rendered(taken)
        assert read_lkg(data, [MAC], service="stt-worker", trusted=TRUSTED).update == taken


@pytest.mark.req("SC018")
def test_a_file_of_the_usual_size_is_checked_within_fifty_milliseconds() -> None:
    data = rendered(update({f"key_{n}": f"value {n}" for n in range(100)}))

    def once() -> float:
        begun = time.process_time()
        read_lkg(data, [MAC], service="stt-worker", trusted=TRUSTED)
        return time.process_time() - begun

    assert min(once() for _ in range(10)) < 0.05


def test_a_keysets_file_proves_itself_too() -> None:
    data = render_keyset_file(b'{"keyset_version":1}', service="stt-worker", key=OLD_MAC)

    assert read_keyset_file(data, [MAC, OLD_MAC], service="stt-worker") == b'{"keyset_version":1}'
    for bad, service in (
        (data, "tts-worker"),
        (data.replace(b":1", b":2"), "stt-worker"),
        (data[:-1], "stt-worker"),
        (rendered(update(), key=OLD_MAC), "stt-worker"),
    ):
        with pytest.raises(RefusedLkgError):
            read_keyset_file(bad, [MAC, OLD_MAC], service=service)
