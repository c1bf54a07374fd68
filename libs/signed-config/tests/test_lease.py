"""Who leads: leases are signed, and only a number that grows proves that somebody lives."""

from __future__ import annotations

from typing import Any

import pytest
from parlour_config.canonical import canonical, load
from parlour_config.errors import RefusedDocumentError
from parlour_config.lease import MAX_WATCHED, TTL_S, Lease, LeaseWatch, build_lease, read_lease
from parlour_config.pae import CONFIG_UPDATE
from parlour_config.signing import SigningKey, TrustedKey

KEY = SigningKey(b"\x01" * 32)
TRUSTED = [TrustedKey.of(KEY.public)]
FIELDS: dict[str, Any] = {
    "instance": "config-manager",
    "config_epoch": "550e8400-e29b-41d4-a716-446655440000",
    "boot_id": "b1",
    "lease_seq": 7,
    "sent_at": "2026-01-02T03:04:05.000006Z",
}


def lease(seq: int, boot: str = "b1", ttl_s: int = TTL_S) -> Lease:
    wire = build_lease(KEY, **{**FIELDS, "lease_seq": seq, "boot_id": boot, "ttl_s": ttl_s})
    return read_lease(wire, TRUSTED)


def test_what_is_built_is_read_with_the_key_that_signed_it() -> None:
    assert read_lease(build_lease(KEY, **FIELDS), TRUSTED) == Lease(**FIELDS, ttl_s=30, kid=KEY.kid)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lease_seq": 8}, "BAD_SIGNATURE"),
        ({"instance": "config-manager-2"}, "BAD_SIGNATURE"),
        ({"ttl_s": True}, "BAD_FIELD"),
        ({"ttl_s": 0}, "BAD_FIELD"),
        ({"sent_at": "today"}, "BAD_FIELD"),
        ({"extra": 1}, "BAD_FIELD"),
        ({"signature": "A" * 87 + "="}, "BAD_FIELD"),
        ({"signature": "A" * 85 + "B=="}, "BAD_ENCODING"),
        ({"boot_id": "b" * 2_000}, "TOO_LARGE"),
    ],
)
def test_an_altered_lease_is_refused(change: dict[str, Any], code: str) -> None:
    message = load(build_lease(KEY, **FIELDS))
    assert isinstance(message, dict)

    with pytest.raises(RefusedDocumentError) as refused:
        read_lease(canonical({**message, **change}), TRUSTED)
    assert refused.value.code == code


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"null"])
def test_what_is_no_lease_is_refused(payload: bytes) -> None:
    with pytest.raises(RefusedDocumentError):
        read_lease(payload, TRUSTED)


def test_a_signature_over_another_kind_of_document_does_not_pass() -> None:
    message = load(build_lease(KEY, **FIELDS))
    assert isinstance(message, dict)
    body = {field: value for field, value in message.items() if field != "signature"}
    message["signature"] = KEY.sign(CONFIG_UPDATE, canonical(body))

    with pytest.raises(RefusedDocumentError) as refused:
        read_lease(canonical(message), TRUSTED)
    assert refused.value.code == "BAD_SIGNATURE"


def test_what_a_crashed_manager_left_is_waited_for_and_then_dead() -> None:
    watch = LeaseWatch("own")
    watch.note(lease(7), now=100.0)

    assert watch.live(100.0) is None
    assert watch.undecided(129.9)
    assert not watch.undecided(130.0)
    watch.note(lease(7), now=131.0)  # delivered again: still the same one
    assert watch.live(131.0) is None
    assert not watch.undecided(131.0)


def test_a_growing_number_is_alive_until_it_stands_still() -> None:
    watch = LeaseWatch("own")
    watch.note(lease(7), now=100.0)
    watch.note(lease(8), now=110.0)

    assert watch.live(110.0) == lease(8)
    assert watch.live(139.9) == lease(8)
    assert not watch.undecided(120.0)
    assert watch.live(140.0) is None


def test_old_leases_played_again_prove_nothing() -> None:
    watch = LeaseWatch("own")
    watch.note(lease(8), now=0.0)
    for now in range(40, 100, 10):
        watch.note(lease(7 + now % 2), now=float(now))
        watch.note(lease(3), now=float(now))

    assert watch.live(95.0) is None


def test_the_own_lease_is_not_anothers() -> None:
    watch = LeaseWatch("own")
    watch.note(lease(1, "own"), now=0.0)
    watch.note(lease(2, "own"), now=10.0)

    assert watch.live(10.0) is None
    assert not watch.undecided(10.0)


def test_after_a_clean_stop_there_is_nobody() -> None:
    watch = LeaseWatch("own")
    watch.note(lease(7), now=0.0)
    watch.note(lease(8), now=10.0)
    watch.note(None, now=12.0)

    assert watch.live(12.0) is None
    assert not watch.undecided(12.0)


def test_each_manager_says_how_long_its_lease_lives() -> None:
    watch = LeaseWatch()
    watch.note(lease(1, ttl_s=3), now=0.0)
    watch.note(lease(2, ttl_s=3), now=1.0)

    assert watch.live(3.9) is not None
    assert watch.live(4.0) is None


def test_a_flood_of_managers_takes_no_more_room() -> None:
    watch = LeaseWatch()
    for n in range(MAX_WATCHED * 4):
        watch.note(lease(1, f"boot-{n}"), now=0.0)

    assert len(watch._highest) == MAX_WATCHED
