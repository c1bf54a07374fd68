"""Attacks on what lies on a disk: last-known-good files and secrets (threats 7 to 9, 16, 17)."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from attacker import (
    CONFIG,
    EPOCH,
    EVIL,
    OTHER_EPOCH,
    SERVICE,
    SIGNER,
    STRANGER,
    Home,
    at,
    attack,
    update,
)
from parlour_config.canonical import canonical, load
from parlour_config.lkg import read_keyset_file, read_lkg, render_keyset_file, render_lkg
from parlour_config.pae import LKG, pae
from parlour_config.sealing import from_row, open_sealed, seal, service_key, to_row
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import TrustState

KEY, OTHER_KEY = bytes([1]) * 32, bytes([2]) * 32
MASTER = bytes([3]) * 32
KID = "2026-a"
SEALED: Any = seal(
    "sk-secret", service_key(MASTER, SERVICE), service=SERVICE, name="api_key", kid=KID
)


def lkg(
    config: dict[str, Any] = CONFIG,
    message: bytes | None = None,
    *,
    key: bytes = KEY,
    service: str = SERVICE,
    **changes: Any,
) -> bytes:
    """A file as it should be, unless something is changed, in which case the MACs still fit."""
    fields: dict[str, Any] = {"config_epoch": EPOCH, "generated_at": at(10), **changes}
    return render_lkg(
        payload={service: config},
        update=update(10, CONFIG) if message is None else message,
        state=TrustState(epoch=EPOCH, floor=at(10), floor_kid=SIGNER.kid),
        key=key,
        **fields,
    )


def start(data: bytes, key: bytes = KEY, signer: SigningKey = SIGNER) -> Any:
    return read_lkg(data, [key], service=SERVICE, trusted=[TrustedKey.of(signer.public)])


def fields(data: bytes) -> dict[str, Any]:
    found: Any = load(data)
    return dict(found)


def mac(made: dict[str, Any], key: bytes = KEY) -> str:
    return hmac.digest(key, pae(LKG, canonical(made)), "sha256").hex()


# --- last-known-good ---


@attack(7, "LKG_BAD")
def a_setting_changed_in_the_file(_home: Home) -> None:
    start(lkg().replace(b"0.5", b"0.9"))


@attack(7, "LKG_BAD")
def a_floor_lowered_in_the_file(_home: Home) -> None:
    found = fields(lkg())
    start(canonical({**found, "state": {**found["state"], "floor": at(1)}}))


@attack(7, "LKG_BAD")
def a_retired_epoch_taken_out_of_the_file(_home: Home) -> None:
    data = render_lkg(
        payload={SERVICE: CONFIG},
        config_epoch=EPOCH,
        generated_at=at(10),
        update=update(10, CONFIG),
        state=TrustState(epoch=EPOCH, floor=at(10), floor_kid=SIGNER.kid, retired=(OTHER_EPOCH,)),
        key=KEY,
    )
    start(data.replace(f'"{OTHER_EPOCH}"'.encode(), b""))


@attack(7, "LKG_BAD")
def a_file_that_was_cut_short(_home: Home) -> None:
    start(lkg()[:-20])


@attack(7, "LKG_BAD")
def a_file_with_a_field_too_many(_home: Home) -> None:
    start(canonical({**fields(lkg()), "more": 1}))


@attack(7, "LKG_BAD")
def the_inner_mac_in_the_place_of_the_outer(_home: Home) -> None:
    found = fields(lkg())
    start(canonical({**found, "mac": found["lkg"]["signature"]}))


@attack(7, "LKG_BAD")
def no_key_at_all_in_place_of_a_key(_home: Home) -> None:
    read_lkg(lkg(), [], service=SERVICE, trusted=[TrustedKey.of(SIGNER.public)])


@attack(7, "LKG_BAD")
def another_algorithm_named_in_the_file(_home: Home) -> None:
    found = fields(lkg())
    inner = {**found["lkg"], "algorithm": "none"}
    del inner["signature"]
    inner["signature"] = mac(inner)
    whole = {"lkg": inner, "update": found["update"], "state": found["state"]}
    start(canonical({**whole, "mac": mac(whole)}))


@attack(8, "LKG_BAD")
def new_settings_under_a_stolen_key(_home: Home) -> None:
    start(lkg(EVIL))


@attack(8, "LKG_BAD")
def a_message_of_the_attackers_own_under_a_stolen_key(_home: Home) -> None:
    start(lkg(EVIL, update(10, EVIL, key=STRANGER)))


@attack(8, "LKG_BAD")
def settings_that_only_equal_the_signed_ones_under_a_stolen_key(_home: Home) -> None:
    start(lkg({**CONFIG, "streaming_partials": 1}))


@attack(8, "LKG_BAD")
def another_services_genuine_message_under_a_stolen_key(_home: Home) -> None:
    start(lkg(EVIL, update(10, EVIL, service="tts-worker")))


@attack(8, "LKG_BAD")
def a_newer_time_than_the_messages_under_a_stolen_key(_home: Home) -> None:
    start(lkg(generated_at=at(50)))


@attack(8, "LKG_BAD")
def another_epoch_than_the_messages_under_a_stolen_key(_home: Home) -> None:
    start(lkg(config_epoch=OTHER_EPOCH))


@attack(8, "LKG_BAD")
def the_managers_file_in_the_place_of_a_services(_home: Home) -> None:
    data = render_lkg(
        payload={SERVICE: EVIL},
        config_epoch=EPOCH,
        generated_at=at(10),
        update=None,
        state=None,
        key=KEY,
    )
    start(data)


@attack(8, "LKG_BAD")
def the_file_of_another_service(_home: Home) -> None:
    start(lkg(message=update(10, CONFIG, service="tts-worker"), service="tts-worker"))


@attack(8, "LKG_BAD")
def the_file_of_a_service_with_another_key(_home: Home) -> None:
    start(lkg(key=OTHER_KEY))


@attack(14, "LKG_BAD")
def a_file_whose_signer_is_trusted_no_more(_home: Home) -> None:
    start(lkg(), signer=STRANGER)


@attack(8, "LKG_BAD")
def the_keyset_file_of_another_service(_home: Home) -> None:
    data = render_keyset_file(b"{}", service="tts-worker", key=KEY)
    read_keyset_file(data, [KEY], service=SERVICE)


@attack(2, "STALE")
def a_replay_of_what_came_after_an_old_file_was_put_back(home: Home) -> None:
    """Putting back an old file cannot be seen; the next genuine message ends what it won."""
    restored = start(lkg())
    home.trusted.commit(restored.state)
    home.take(update(30))
    home.take(update(20))


@attack(9, "STALE")
def an_older_message_than_that_of_an_old_file(home: Home) -> None:
    home.take(update(20))
    home.trusted.commit(start(lkg()).state)
    home.take(update(9))


# --- secrets ---


def reveal(
    sealed: Any,
    *,
    service: str = SERVICE,
    name: str = "api_key",
    master: bytes = MASTER,
    kid: str = KID,
) -> None:
    open_sealed(sealed, {kid: service_key(master, service)}, service=service, name=name)


@attack(17, "SECRET_UNREADABLE")
def a_secret_moved_to_another_key(_home: Home) -> None:
    reveal(SEALED, name="greeting")


@attack(17, "SECRET_UNREADABLE")
def a_secret_moved_to_another_service(_home: Home) -> None:
    reveal(SEALED, service="tts-worker")


@attack(17, "SECRET_UNREADABLE")
def a_row_under_the_id_of_another_key(_home: Home) -> None:
    reveal(from_row(to_row(SEALED), "2025-a"), kid="2025-a")


@attack(17, "SECRET_UNREADABLE")
def names_that_run_into_each_other(_home: Home) -> None:
    key = service_key(MASTER, SERVICE)
    sealed = seal("x", key, service=SERVICE, name="a", kid="b.c")
    open_sealed(sealed, {"c": key, "b.c": key}, service=SERVICE, name="a.b")


@attack(17, "SECRET_UNREADABLE")
def a_ciphertext_without_the_end_of_its_tag(_home: Home) -> None:
    raw = base64.b64decode(SEALED["$secret"]["ct"])[:-4]
    reveal({"$secret": {**SEALED["$secret"], "ct": base64.b64encode(raw).decode()}})


@attack(16, "SECRET_UNREADABLE")
def a_secret_read_by_another_service_with_its_own_key(_home: Home) -> None:
    keys = {KID: service_key(MASTER, "tts-worker")}
    open_sealed(SEALED, keys, service=SERVICE, name="api_key")


@attack(16, "SECRET_UNREADABLE")
def a_secret_in_clear_where_a_sealed_one_belongs(_home: Home) -> None:
    reveal("sk-in-clear")
