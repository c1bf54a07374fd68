"""Attacks with bytes: parsers, signatures, keys (threats 1, 6, 22, 25, 26)."""

from __future__ import annotations

import base64
import json

from attacker import (
    CONFIG,
    EVIL,
    IDENTITY,
    NEXT,
    ROOT,
    SIGNER,
    STRANGER,
    TOPIC,
    Home,
    at,
    attack,
    body,
    keyset,
    signed,
    update,
)
from parlour_config.canonical import canonical
from parlour_config.pae import KEYSET, LEASE, LKG
from parlour_config.signing import TrustedKey

ORDER = 2**252 + 27742317777372353535851937790883648493


def signature_of(payload: bytes) -> str:
    return str(json.loads(payload)["signature"])


@attack(22, "TOO_LARGE")
def an_update_that_is_larger_than_any_may_be(home: Home) -> None:
    home.take(signed(body({"note": "x" * 262_144})))


@attack(22, "TOO_LARGE")
def a_small_update_behind_endless_blanks(home: Home) -> None:
    home.take(update() + b" " * 300_000)


@attack(22, "TOO_LARGE")
def a_keyset_that_is_larger_than_any_may_be(home: Home) -> None:
    home.rekey(keyset() + b" " * 16_384)


@attack(22, "DEPTH")
def containers_within_containers_without_an_end(home: Home) -> None:
    home.take(update().replace(b'"language":"en"', b'"language":' + b"[" * 100_000))


@attack(22, "NUMBER_RANGE")
def a_number_of_a_hundred_thousand_digits(home: Home) -> None:
    home.take(update().replace(b'"vad_threshold":1', b'"vad_threshold":' + b"1" * 100_000))


@attack(25, "DUPLICATE_KEY")
def a_second_value_for_a_key_that_another_reader_would_take(home: Home) -> None:
    home.take(update(20, CONFIG).replace(b'"language":"en"', b'"language":"de","language":"en"'))


@attack(25, "DUPLICATE_KEY")
def a_second_value_under_an_escaped_name(home: Home) -> None:
    home.take(
        update(20, CONFIG).replace(b'"language":"en"', b'"\\u006canguage":"de","language":"en"')
    )


@attack(25, "NON_FINITE")
def a_number_that_is_none(home: Home) -> None:
    home.take(update().replace(b'"vad_threshold":1', b'"vad_threshold":NaN'))


@attack(25, "NON_FINITE")
def a_number_that_overflows(home: Home) -> None:
    home.take(update().replace(b'"vad_threshold":1', b'"vad_threshold":1e400'))


@attack(25, "NUMBER_RANGE")
def a_number_that_doubles_round_to_the_signed_one(home: Home) -> None:
    payload = signed(body({**CONFIG, "vad_threshold": 2**53 - 1}))
    home.take(payload.replace(b"9007199254740991", b"9007199254740993"))


@attack(25, "BAD_JSON")
def half_a_character(home: Home) -> None:
    home.take(update().replace(b'"en"', b'"\\ud800"'))


@attack(25, "BAD_UTF8")
def a_byte_order_mark_in_front(home: Home) -> None:
    home.take(b"\xef\xbb\xbf" + update())


@attack(25, "BAD_UTF8")
def a_slash_in_too_many_bytes(home: Home) -> None:
    home.take(update().replace(b'"en"', b'"\xc0\xaf"'))


@attack(25, "BAD_VERSION")
def a_format_version_that_only_equals_one(home: Home) -> None:
    home.take(signed(body(version=True)))


@attack(25, "BAD_VERSION")
def a_format_version_of_the_future(home: Home) -> None:
    home.take(signed(body(version=2)))


@attack(1, "BAD_FIELDS")
def an_update_that_chooses_its_own_algorithm(home: Home) -> None:
    home.take(signed(body(algorithm="none")))


@attack(1, "BAD_FIELDS")
def an_update_without_a_signature(home: Home) -> None:
    home.take(canonical(body()))


@attack(5, "BAD_FIELD")
def a_service_name_with_a_line_break_behind(home: Home) -> None:
    home.take(signed(body(service="stt-worker\n")))


@attack(15, "BAD_FIELD")
def a_time_in_digits_of_another_script(home: Home) -> None:
    home.take(signed(body(issued_at="٢٠٢٦-01-01T00:00:20.000000Z")))


@attack(15, "BAD_FIELD")
def a_time_that_sorts_behind_every_other(home: Home) -> None:
    home.take(signed(body(issued_at="9999-99-99T99:99:99.999999Z")))


@attack(15, "BAD_FIELD")
def a_time_of_another_zone(home: Home) -> None:
    home.take(signed(body(issued_at="2026-01-01T00:00:20.000000+14:00")))


@attack(16, "BAD_FIELD")
def a_setting_that_looks_like_a_mask(home: Home) -> None:
    home.take(signed(body({"api_key": {"$masked": True}})))


@attack(6, "BAD_FIELD")
def a_list_in_place_of_a_complete_configuration(home: Home) -> None:
    home.take(signed(body([{"vad_threshold": 1}])))


@attack(1, "BAD_SIGNATURE")
def a_setting_changed_on_the_way(home: Home) -> None:
    home.take(update(20, CONFIG).replace(b'"en"', b'"de"'))


@attack(1, "BAD_SIGNATURE")
def a_key_of_the_attackers_own(home: Home) -> None:
    home.take(update(key=STRANGER))


@attack(1, "BAD_SIGNATURE")
def a_key_of_the_attackers_own_with_the_managers_id(home: Home) -> None:
    home.take(update(key=STRANGER), TOPIC, SIGNER.kid)


@attack(1, "BAD_SIGNATURE")
def any_key_where_none_is_trusted(home: Home) -> None:
    home.trusted.keys = ()
    home.take(update())


@attack(1, "BAD_SIGNATURE")
def the_signature_of_another_genuine_update(home: Home) -> None:
    home.take(canonical({**body(), "signature": signature_of(update(20, CONFIG))}))


@attack(1, "BAD_SIGNATURE")
def a_root_key_in_place_of_a_configuration_key(home: Home) -> None:
    home.take(update(key=ROOT))


@attack(1, "BAD_SIGNATURE")
def a_signature_made_for_a_lease(home: Home) -> None:
    home.take(signed(body(), SIGNER, LEASE))


@attack(1, "BAD_SIGNATURE")
def a_signature_made_for_a_keyset(home: Home) -> None:
    home.take(signed(body(), SIGNER, KEYSET))


@attack(1, "BAD_SIGNATURE")
def a_signature_made_for_a_file(home: Home) -> None:
    home.take(signed(body(), SIGNER, LKG))


@attack(1, "BAD_SIGNATURE")
def a_signature_over_the_bytes_without_their_kind(home: Home) -> None:
    raw = SIGNER._key.sign(canonical(body()))
    home.take(canonical({**body(), "signature": base64.b64encode(raw).decode()}))


@attack(26, "BAD_SIGNATURE")
def a_signature_plus_the_order_of_the_group(home: Home) -> None:
    raw = base64.b64decode(signature_of(update()))
    second = int.from_bytes(raw[32:], "little") + ORDER
    forged = raw[:32] + second.to_bytes(32, "little")
    home.take(canonical({**body(), "signature": base64.b64encode(forged).decode()}))


@attack(26, "BAD_SIGNATURE")
def the_signature_that_a_key_of_small_order_would_verify(home: Home) -> None:
    home.take(canonical({**body(), "signature": base64.b64encode(IDENTITY + bytes(32)).decode()}))


@attack(26, "BAD_KEY")
def a_key_of_small_order_among_the_trusted_ones(home: Home) -> None:
    home.trusted.keys = (*home.trusted.keys, TrustedKey.of(IDENTITY))


@attack(26, "BAD_KEY")
def a_second_spelling_of_a_key(_home: Home) -> None:
    TrustedKey.of((2**255 - 19 + 3).to_bytes(32, "little"))


@attack(26, "BAD_KEY")
def a_fifth_key(home: Home) -> None:
    more = [TrustedKey.of(bytes([n]) * 32) for n in (9, 10, 11, 12)]
    home.trusted.keys = (*home.trusted.keys, *more)
    home.take(update())


@attack(26, "BAD_ENCODING")
def a_second_text_of_the_same_signature(home: Home) -> None:
    text = signature_of(update())
    changed = text[:-3] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[text[-3]] + "=="
    home.take(canonical({**body(), "signature": changed}))


@attack(26, "BAD_ENCODING")
def a_signature_in_the_alphabet_of_addresses(home: Home) -> None:
    raw = b"\xff" * 64
    home.take(canonical({**body(), "signature": base64.urlsafe_b64encode(raw).decode()}))


@attack(26, "BAD_ENCODING")
def an_empty_signature(home: Home) -> None:
    home.take(canonical({**body(), "signature": ""}))


@attack(25, "BAD_CHECKSUM")
def a_checksum_of_something_else_correctly_signed(home: Home) -> None:
    home.take(signed(body(EVIL, at(20), checksum="0" * 64)))


@attack(26, "BAD_SIGNATURE")
def a_genuine_signature_with_a_key_that_is_not_yet_trusted(home: Home) -> None:
    home.take(update(key=NEXT))
