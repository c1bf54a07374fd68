"""Signatures, and the keys that must never be trusted."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.errors import BadEncodingError, BadKeyError, BadSignatureError
from parlour_config.pae import CONFIG_UPDATE, pae
from parlour_config.signing import SigningKey, TrustedKey, decode_signature, key_id, verify

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
IDENTITY = (0, 1)
KEYS = [SigningKey(bytes([n]) * 32) for n in range(1, 6)]
TRUSTED = [TrustedKey.of(key.public) for key in KEYS]
BODY = b'{"a":1}'


def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
    """Points of edwards25519, by the definition."""
    (x1, y1), (x2, y2) = one, two
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + y1 * x2) * pow(1 + t, P - 2, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P
    return x, y


def x_of(y: int) -> int | None:
    """An x with this y on the curve."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x * x % P == square else None


def torsion() -> set[tuple[int, int]]:
    """The eight points whose order divides 8, found without a table of them."""
    order = 2**252 + 27742317777372353535851937790883648493
    y = 2
    while True:
        x = x_of(y)
        if x is not None:
            point, base, n = IDENTITY, (x, y), order
            while n:
                point = add(point, base) if n & 1 else point
                base, n = add(base, base), n >> 1
            found, current = {IDENTITY}, point
            while current != IDENTITY:
                found.add(current)
                current = add(current, point)
            if len(found) == 8:
                return found
        y += 1


def encodings(point: tuple[int, int]) -> set[bytes]:
    """Every 32 bytes that some reader takes for this point: both signs, y and y + p."""
    _, y = point
    return {
        (value | sign << 255).to_bytes(32, "little")
        for value in (y, y + P)
        if value < 2**255
        for sign in (0, 1)
    }


def test_every_spelling_of_every_point_of_small_order_is_refused() -> None:
    weak = set().union(*(encodings(point) for point in torsion()))

    assert len(weak) == 14
    for raw in weak:
        with pytest.raises(BadKeyError):
            TrustedKey.of(raw)


def test_the_library_alone_would_verify_a_signature_that_nobody_made() -> None:
    identity = b"\x01" + bytes(31)
    forged = identity + bytes(32)

    Ed25519PublicKey.from_public_bytes(identity).verify(forged, pae(CONFIG_UPDATE, b"anything"))
    with pytest.raises(BadKeyError):
        TrustedKey.of(identity)


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(raw: bytes) -> None:
    with pytest.raises(BadKeyError):
        TrustedKey.of(raw)
    with pytest.raises(BadKeyError):
        SigningKey(raw)


@pytest.mark.parametrize("hint", [None, KEYS[3].kid, "no-such-kid"])
@pytest.mark.parametrize("signer", KEYS[:4])
def test_any_of_four_keys_verifies_whatever_the_hint_says(
    signer: SigningKey, hint: str | None
) -> None:
    signature = signer.sign(CONFIG_UPDATE, BODY)

    assert verify(TRUSTED[:4], CONFIG_UPDATE, BODY, signature, hint=hint) == signer.kid


def test_another_key_another_body_or_no_key_does_not_verify() -> None:
    signature = KEYS[4].sign(CONFIG_UPDATE, BODY)

    for keys, body in ((TRUSTED[:4], BODY), (TRUSTED[4:], BODY + b" "), ([], BODY)):
        with pytest.raises(BadSignatureError):
            verify(keys, CONFIG_UPDATE, body, signature)


def test_a_fifth_trusted_key_is_refused() -> None:
    with pytest.raises(BadKeyError):
        verify(TRUSTED, CONFIG_UPDATE, BODY, KEYS[0].sign(CONFIG_UPDATE, BODY))


@given(st.integers(0, 511))
def test_one_flipped_bit_of_a_signature_is_enough(bit: int) -> None:
    raw = bytearray(decode_signature(KEYS[0].sign(CONFIG_UPDATE, BODY)))
    raw[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BadSignatureError):
        verify(TRUSTED[:1], CONFIG_UPDATE, BODY, base64.b64encode(raw).decode())


@given(st.text(max_size=100) | st.binary(max_size=80).map(lambda b: base64.b64encode(b).decode()))
def test_no_signature_text_brings_another_error(text: str) -> None:
    with pytest.raises((BadEncodingError, BadSignatureError)):
        verify(TRUSTED[:1], CONFIG_UPDATE, BODY, text)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: text[:-2],
        lambda text: text.replace("=", ""),
        lambda text: " " + text,
        lambda text: text[:40] + "\n" + text[40:],
        lambda text: base64.urlsafe_b64encode(b"\xff" * 64).decode(),
        lambda text: base64.b64encode(bytes(63)).decode(),
        lambda text: base64.b64encode(bytes(65)).decode(),
        lambda text: "é" * 88,
    ],
)
def test_a_signature_has_one_text(change: object) -> None:
    with pytest.raises(BadEncodingError):
        decode_signature(change(KEYS[0].sign(CONFIG_UPDATE, BODY)))  # type: ignore[operator]


def test_lengths_in_the_encoding_are_bytes_and_bodies_cannot_be_shifted() -> None:
    assert pae("é", "ü€".encode()) == "DSSEv1 2 é 5 ü€".encode()
    assert pae("a", b"b 1 c") != pae("a b", b"1 c")


def test_a_signing_key_shows_no_secret() -> None:
    key = KEYS[0]

    assert bytes([1] * 32).hex() not in f"{key!r}{key!s}{vars(key)!r}"
    assert key.kid == key_id(key.public)
