"""The protocol's published vectors, byte for byte. The key is RFC 8032's first test key."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from parlour_config.canonical import JsonValue, canonical, checksum, load
from parlour_config.errors import BadEncodingError, RefusedJsonError
from parlour_config.pae import CONFIG_UPDATE, KEYSET, pae
from parlour_config.signing import SigningKey, TrustedKey, decode_signature, verify

VECTORS = Path(__file__).with_name("vectors")
PRIVATE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
KID = "21fe31dfa154a261"

GOLDEN = {
    "g1": (
        371, 431, "4f699fad2fcbcb7e94ee1932aa19a9ba3396ee1b21d4ff365e6ca0644a89f568",
        "p8MrZeeWJxbLTveQf/yJ3HIiEU5x+xF6B7Tg+kE+y3vJBzftSRfDHB4aZKOP2pTfjlInv4Jq2quD0XumBam2Cg==",
        474, "efdb9bfe96f45f27f907e6b1541cd466c7d2dc0852f2e13f2e6ccb003655f8b8",
    ),
    "g2": (
        430, 490, "bcc3e633640a080e85448f059468d8fe3b8cfff652b3c87301f4aa80ac7f3456",
        "ykgdJc8ezQg5WMRXZo/2OdsgsHpR6kvw+9Bz3A71R0dmnmoZ8pbfEcTvl/t1g+puajoIryO/Jv0WuGF7I/MWCA==",
        533, "fb5f0f6d08b1edae647f337464bfbadbe6cccada19a4e77639bc329903114476",
    ),
}  # fmt: skip

REFUSED = {
    "n1-duplicate-key": (
        494, "ef77fb0b4342e93885fc0c8a7f5b0160deb3a1b10b6646853b3e10eb345c0d6b", "DUPLICATE_KEY",
    ),
    "n2-nan": (
        474, "c9ba13b0bd6b06d890df0604435a64ebb1e823531cd02408ad10c6827d9bb73b", "NON_FINITE",
    ),
    "n3-number-range": (
        485, "04816d667860b7d955595eb9b1ca2735c597dd57c04fe02136c6e45d0bd6517e", "NUMBER_RANGE",
    ),
}  # fmt: skip


def wire(name: str) -> bytes:
    return (VECTORS / f"{name}.wire.json").read_bytes()


def parts(data: bytes) -> tuple[dict[str, Any], str]:
    """The six signed fields and the signature."""
    message = load(data)
    assert isinstance(message, dict)
    return {k: v for k, v in message.items() if k != "signature"}, message["signature"]


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_messages_are_made_and_read_byte_for_byte(name: str) -> None:
    body_size, pae_size, pae_hash, signature, wire_size, wire_hash = GOLDEN[name]
    data = wire(name)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (wire_size, wire_hash)

    body, sent = parts(data)
    text = canonical(body)
    assert text == (VECTORS / f"{name}.body.json").read_bytes()
    assert len(text) == body_size
    assert checksum(body["config"]) == body["checksum"]
    encoded = pae(CONFIG_UPDATE, text)
    assert (len(encoded), hashlib.sha256(encoded).hexdigest()) == (pae_size, pae_hash)
    assert encoded.startswith(
        b"DSSEv1 45 application/vnd.parlour.config-update.v1+json %d {" % body_size
    )

    key = SigningKey(PRIVATE)
    assert (key.public, key.kid) == (PUBLIC, KID)
    assert key.sign(CONFIG_UPDATE, text) == sent == signature
    assert verify([TrustedKey.of(PUBLIC)], CONFIG_UPDATE, text, sent) == KID
    assert canonical({**body, "signature": sent}) == data


def test_the_source_values_of_the_second_vector_canonicalise_to_it() -> None:
    config: dict[str, JsonValue] = {
        "router_gain": 1e-7,
        "router_ratio": 0.1,
        "router_scale": 2.0,
        "router_limit": 2**53 - 1,
        "router_note": 'line\nbreak \x0f "q" \\ /',
        "router_reply_words": {
            "\uff21": "fullwidth",
            "\U0001f600": "grin",
            "é": "acute",
            "a": "ascii",
        },
    }

    body, _ = parts(wire("g2"))
    assert canonical(config) == canonical(body["config"])
    assert checksum(config) == body["checksum"]


@pytest.mark.parametrize("name", REFUSED)
def test_negative_messages_are_refused_by_the_loader(name: str) -> None:
    size, digest, code = REFUSED[name]
    data = wire(name)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (size, digest)

    with pytest.raises(RefusedJsonError) as refused:
        load(data)

    assert refused.value.code == code


def test_a_lenient_reader_would_have_trusted_the_third() -> None:
    body = json.loads(wire("n3-number-range"), parse_int=lambda text: int(float(text)))
    signature = body.pop("signature")
    lenient = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert verify([TrustedKey.of(PUBLIC)], CONFIG_UPDATE, lenient, signature) == KID


def test_a_second_text_of_the_same_signature_is_refused() -> None:
    data = wire("n4-base64-bits")
    assert hashlib.sha256(data).hexdigest() == (
        "958b1e7b7035a1664d3c0fbd2aeffec105bee326f2554bd68fac1117fec99fdc"
    )
    body, signature = parts(data)

    with pytest.raises(BadEncodingError) as refused:
        verify([TrustedKey.of(PUBLIC)], CONFIG_UPDATE, canonical(body), signature)

    assert refused.value.code == "BAD_ENCODING"
    assert decode_signature(GOLDEN["g1"][3])  # the first text of the same bytes is taken


def test_the_fifth_is_correctly_signed_for_another_service() -> None:
    data = wire("n5-wrong-service")
    assert hashlib.sha256(data).hexdigest() == (
        "bb99ab263f6c8cbcc2cc4dd83aa26dd8bc0c2bf086ba729c02d62abade7fdb05"
    )
    body, signature = parts(data)

    assert verify([TrustedKey.of(PUBLIC)], CONFIG_UPDATE, canonical(body), signature) == KID
    assert body["service"] == "tts-worker"


def test_a_signature_of_one_kind_does_not_pass_for_another() -> None:
    body, signature = parts(wire("g1"))

    with pytest.raises(Exception, match="no trusted key"):
        verify([TrustedKey.of(PUBLIC)], KEYSET, canonical(body), signature)
