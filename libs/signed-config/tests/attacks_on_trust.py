"""Attacks with genuine bytes in the wrong place or at the wrong time (threats 2 to 6, 13 to 15, 24)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attacker import (
    CONFIG,
    EPOCH,
    EVIL,
    IDENTITY,
    NEXT,
    OTHER_EPOCH,
    ROOT,
    ROOT_2,
    SERVICE,
    SIGNER,
    STRANGER,
    Home,
    at,
    attack,
    keyset,
    update,
)
from parlour_config.canonical import canonical, checksum, load
from parlour_config.clock import next_issued
from parlour_config.keyset import MAX_STEPS, build_keyset, listed
from parlour_config.lease import build_lease, read_lease
from parlour_config.pae import CONFIG_UPDATE, KEYSET
from parlour_config.signing import TrustedKey
from parlour_config.update import build_update

# --- replay and rollback ---


@attack(2, "STALE")
def an_older_genuine_update(home: Home) -> None:
    home.take(update(9))


@attack(2, "STALE")
def yesterdays_update_after_a_newer_one_came(home: Home) -> None:
    home.take(update(20))
    home.take(update(10, CONFIG))


@attack(2, "EQUIVOCATION")
def two_updates_of_one_moment(home: Home) -> None:
    home.take(update(10, EVIL))


@attack(3, "RETIRED_EPOCH")
def an_epoch_that_was_left(home: Home) -> None:
    home.take(update(20, CONFIG, epoch=OTHER_EPOCH))
    home.take(update(20, EVIL, epoch=EPOCH))


@attack(3, "RETIRED_EPOCH")
def an_epoch_that_was_left_with_a_newer_message(home: Home) -> None:
    home.take(update(20, CONFIG, epoch=OTHER_EPOCH))
    home.take(update(30, EVIL, epoch=EPOCH))


@attack(3, "STALE_EPOCH")
def another_epoch_below_the_floor(home: Home) -> None:
    home.take(update(9, EVIL, epoch=OTHER_EPOCH))


@attack(3, "STALE_EPOCH")
def an_epoch_that_fell_off_the_list(home: Home) -> None:
    for n in range(33):
        home.take(update(11 + n, CONFIG, epoch=f"{n:08x}-0000-4000-8000-000000000000"))
    assert EPOCH not in home.trusted.state.retired
    home.take(update(12, EVIL, epoch=EPOCH))


@attack(13, "EPOCH_UNCONFIRMED")
def a_second_manager_where_the_operator_wants_to_be_asked(home: Home) -> None:
    home.pin()
    home.take(update(20, epoch=OTHER_EPOCH))


@attack(13, "RETIRED_EPOCH")
def two_managers_that_pull_a_service_to_and_fro(home: Home) -> None:
    home.take(update(20, epoch=OTHER_EPOCH))
    home.take(update(21, CONFIG, epoch=EPOCH))


# --- substitution ---


@attack(5, "WRONG_SERVICE")
def another_services_settings_on_this_services_topic(home: Home) -> None:
    home.take(update(service="tts-worker"))


@attack(5, "WRONG_SERVICE")
def this_services_settings_on_another_topic(home: Home) -> None:
    home.take(update(), "system/config/tts-worker")


@attack(5, "WRONG_SERVICE")
def a_service_whose_name_begins_alike(home: Home) -> None:
    home.take(update(service="stt-worker-2"), "system/config/stt-worker-2")


@attack(6, "WRONG_SERVICE")
def a_mixture_with_the_settings_of_a_neighbour(home: Home) -> None:
    home.take(update(20))
    home.take(update(21, CONFIG, service="router"))


# --- clocks ---


@attack(15, "STALE")
def everything_genuine_after_a_stolen_key_ran_ahead(home: Home) -> None:
    ahead = build_update(
        SIGNER,
        service=SERVICE,
        config=EVIL,
        config_epoch=EPOCH,
        issued_at="9999-12-31T23:59:59.999999Z",
    )
    home.take(ahead)
    home.take(update(20, CONFIG))


@attack(15, "BAD_SIGNATURE")
def a_stolen_key_after_the_recovery_from_running_ahead(home: Home) -> None:
    home.rekey(keyset(1))
    ahead = build_update(
        SIGNER,
        service=SERVICE,
        config=EVIL,
        config_epoch=EPOCH,
        issued_at="9999-12-31T23:59:59.999999Z",
    )
    home.take(ahead)
    home.rekey(keyset(2, keys=(NEXT,), revoked=[SIGNER.kid], reset_floor_for=[SIGNER.kid]))
    home.take(update(20, CONFIG, key=NEXT, epoch=OTHER_EPOCH))
    assert home.trusted.state.floor == at(20)
    home.take(ahead)


@attack(15, "CLOCK_END")
def a_floor_at_the_end_of_the_calendar(_home: Home) -> None:
    next_issued("9999-12-31T23:59:59.999999Z", None)


@attack(15, "BAD_SIGNATURE")
def running_ahead_without_the_key(home: Home) -> None:
    home.take(
        build_update(
            STRANGER,
            service=SERVICE,
            config=EVIL,
            config_epoch=EPOCH,
            issued_at="9999-12-31T23:59:59.999999Z",
        )
    )


# --- poison ---


@attack(24, "CRASH_AFTER_APPLY")
def settings_that_stopped_the_service_twice(home: Home) -> None:
    home.trusted.commit(replace(home.trusted.state, poison=(checksum(EVIL),)))
    home.take(update(20, EVIL))


@attack(24, "CRASH_AFTER_APPLY")
def settings_that_stopped_the_service_twice_in_another_epoch(home: Home) -> None:
    home.trusted.commit(replace(home.trusted.state, poison=(checksum(EVIL),)))
    home.take(update(20, EVIL, epoch=OTHER_EPOCH))


# --- keys and keysets ---


@attack(14, "BAD_SIGNATURE")
def a_revoked_key(home: Home) -> None:
    home.rekey(keyset(1, keys=(NEXT,), revoked=[SIGNER.kid]))
    home.take(update())


@attack(14, "BAD_SIGNATURE")
def a_revoked_key_that_is_still_listed(home: Home) -> None:
    home.rekey(keyset(1, keys=(SIGNER, NEXT), revoked=[SIGNER.kid]))
    home.take(update())


@attack(14, "BAD_SIGNATURE")
def a_key_of_the_environment_after_a_keyset_left_it_out(home: Home) -> None:
    home.rekey(keyset(1, keys=(NEXT,)))
    home.take(update())


@attack(14, "KEYSET_GAP")
def a_keyset_that_skips_the_one_which_revoked(home: Home) -> None:
    home.rekey(keyset(1))
    home.rekey(keyset(3))


@attack(14, "KEYSET_OLD")
def a_keyset_of_before_the_revocation(home: Home) -> None:
    home.rekey(keyset(1))
    home.rekey(keyset(2, keys=(NEXT,), revoked=[SIGNER.kid]))
    home.rekey(keyset(1))


@attack(14, "KEYSET_EQUIVOCATION")
def two_keysets_of_one_version(home: Home) -> None:
    home.rekey(keyset(1))
    home.rekey(keyset(1, keys=(STRANGER,)))


@attack(14, "KEYSET_THRESHOLD")
def one_root_key_that_signs_twice(home: Home) -> None:
    two: Any = load(keyset(1, (ROOT, ROOT_2), (ROOT, ROOT_2)))
    signed = {name: value for name, value in two.items() if name != "signatures"}
    once = {"kid": ROOT.kid, "sig": ROOT.sign(KEYSET, canonical(signed))}
    home.rekey(canonical({**signed, "signatures": [once, once]}))


@attack(14, "BAD_FIELD")
def one_root_key_that_is_listed_twice(home: Home) -> None:
    home.rekey(keyset(1, (ROOT,), (ROOT, ROOT)))


@attack(14, "BAD_FIELD")
def a_keyset_that_nobody_needs_to_sign(home: Home) -> None:
    home.rekey(keyset(1, threshold=0))


@attack(14, "KEYSET_THRESHOLD")
def new_roots_that_only_sign_for_themselves(home: Home) -> None:
    home.rekey(keyset(1))
    home.rekey(keyset(2, (STRANGER,), (STRANGER,), keys=(STRANGER,)))


@attack(14, "KEYSET_THRESHOLD")
def new_roots_that_never_signed(home: Home) -> None:
    home.rekey(keyset(1))
    home.rekey(keyset(2, (ROOT,), (ROOT_2,)))


@attack(14, "KEYSET_THRESHOLD")
def too_few_of_the_old_roots(home: Home) -> None:
    home.rekey(keyset(1, (ROOT, ROOT_2), (ROOT, ROOT_2)))
    home.rekey(keyset(2, (ROOT,), (ROOT,)))


@attack(14, "KEYSET_THRESHOLD")
def a_keyset_signed_with_a_configuration_key(home: Home) -> None:
    home.rekey(keyset(1, (SIGNER,), (ROOT,), keys=(STRANGER,)))


@attack(14, "KEYSET_THRESHOLD")
def a_keyset_with_a_signature_made_for_an_update(home: Home) -> None:
    fields = build_keyset(
        version=1, roots=[ROOT.public], threshold=1, config_keys=[listed(STRANGER.public)]
    )
    wrong = {"kid": ROOT.kid, "sig": ROOT.sign(CONFIG_UPDATE, canonical(fields))}
    home.rekey(canonical({**fields, "signatures": [wrong]}))


@attack(14, "KID_MISMATCH")
def a_keyset_that_names_a_key_by_the_id_of_another(home: Home) -> None:
    home.rekey(keyset(1, keys=(STRANGER,)).replace(STRANGER.kid.encode(), SIGNER.kid.encode()))


@attack(26, "BAD_KEY")
def a_keyset_that_brings_a_key_of_small_order(home: Home) -> None:
    fields = build_keyset(
        version=1, roots=[ROOT.public], threshold=1, config_keys=[listed(IDENTITY)]
    )
    right = {"kid": ROOT.kid, "sig": ROOT.sign(KEYSET, canonical(fields))}
    home.rekey(canonical({**fields, "signatures": [right]}))


@attack(14, "NO_ROOT_KEYS")
def a_keyset_where_no_root_key_is_known(home: Home) -> None:
    home.walk = type(home.walk)([], 1)
    home.rekey(keyset(1))


@attack(14, "KEYSET_STEPS")
def more_keysets_than_a_service_takes_in_one_run(home: Home) -> None:
    for version in range(1, MAX_STEPS + 2):
        home.rekey(keyset(version))


# --- leases ---


def lease(**changes: Any) -> dict[str, Any]:
    made: Any = load(
        build_lease(
            SIGNER,
            instance="config-manager",
            config_epoch=EPOCH,
            boot_id="0f8fad5b-d9cb-469f-a165-70867728950e",
            lease_seq=7,
            sent_at=at(10),
        )
    )
    return {**made, **changes}


@attack(13, "BAD_SIGNATURE")
def a_lease_with_a_greater_number(home: Home) -> None:
    read_lease(canonical(lease(lease_seq=8)), home.trusted.keys)


@attack(13, "BAD_SIGNATURE")
def a_lease_of_a_key_that_is_not_trusted(_home: Home) -> None:
    read_lease(canonical(lease()), [TrustedKey.of(STRANGER.public)])


@attack(13, "BAD_FIELD")
def a_lease_that_lasts_for_ever(home: Home) -> None:
    read_lease(canonical(lease(ttl_s=10**9)), home.trusted.keys)
