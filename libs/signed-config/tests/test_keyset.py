"""How the trusted keys change: signed by enough roots, one step at a time, never back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.canonical import MAX_KEYSET_BYTES, canonical, load
from parlour_config.clock import EPOCH_START
from parlour_config.errors import RefusedDocumentError
from parlour_config.keyset import (
    MAX_STEPS,
    Keyset,
    KeysetWalk,
    accept_keyset,
    build_keyset,
    listed,
    read_keyset,
    reset_floor,
    sign_keyset,
    trusted_keys,
)
from parlour_config.pae import CONFIG_UPDATE
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import TrustState

ROOTS = [SigningKey(bytes([n]) * 32) for n in range(1, 6)]
CONFIG_KEYS = [SigningKey(bytes([n]) * 32) for n in range(11, 16)]
ENV_ROOTS = [TrustedKey.of(key.public) for key in ROOTS[:2]]
AT = "2026-01-08T00:00:00.000000Z"


def body(
    version: int = 1, roots: Sequence[SigningKey] = ROOTS[:1], **changes: Any
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "version": version,
        "roots": [root.public for root in roots],
        "threshold": 1,
        "config_keys": [listed(CONFIG_KEYS[0].public)],
    }
    return build_keyset(**{**fields, **changes})


def keyset(
    version: int = 1,
    roots: Sequence[SigningKey] = ROOTS[:1],
    signers: Sequence[SigningKey] | None = None,
    **changes: Any,
) -> Keyset:
    signing = roots if signers is None else signers
    return read_keyset(sign_keyset(body(version, roots, **changes), signing))


def code_of_reading(raw: bytes) -> str:
    with pytest.raises(RefusedDocumentError) as refused:
        read_keyset(raw)
    return refused.value.code


def code_of(
    current: Keyset | None,
    new: Keyset,
    env: Sequence[TrustedKey] = ENV_ROOTS,
    threshold: int = 1,
) -> str:
    with pytest.raises(RefusedDocumentError) as refused:
        accept_keyset(current, new, env, threshold)
    assert refused.value.hint
    return refused.value.code


def test_what_is_signed_is_read_with_nothing_lost() -> None:
    made = keyset(
        4,
        ROOTS[:2],
        config_keys=[
            listed(CONFIG_KEYS[0].public, "retiring", AT),
            listed(CONFIG_KEYS[1].public),
            listed(CONFIG_KEYS[2].public, "next"),
        ],
        threshold=2,
        revoked=[CONFIG_KEYS[3].kid],
        reset_floor_for=[CONFIG_KEYS[4].kid],
    )

    assert (made.version, made.threshold) == (4, 2)
    assert [root.kid for root in made.roots] == [root.kid for root in ROOTS[:2]]
    assert [(entry.kid, entry.status, entry.not_after) for entry in made.config_keys] == [
        (CONFIG_KEYS[0].kid, "retiring", AT),
        (CONFIG_KEYS[1].kid, "active", None),
        (CONFIG_KEYS[2].kid, "next", None),
    ]
    assert [key.kid for key in made.trusted] == [key.kid for key in CONFIG_KEYS[:3]]
    assert (made.revoked, made.reset_floor_for) == (
        (CONFIG_KEYS[3].kid,),
        (CONFIG_KEYS[4].kid,),
    )
    assert read_keyset(made.raw) == made


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"keyset_version": 0}, "BAD_FIELD"),
        ({"keyset_version": True}, "BAD_FIELD"),
        ({"extra": 1}, "BAD_FIELD"),
        ({"config_keys": []}, "BAD_FIELD"),
        ({"revoked": ["xyz"]}, "BAD_FIELD"),
        ({"signatures": []}, "BAD_FIELD"),
        ({"config_keys": [listed(CONFIG_KEYS[n % 4].public) for n in range(5)]}, "BAD_FIELD"),
        ({"config_keys": [listed(CONFIG_KEYS[0].public), listed(CONFIG_KEYS[0].public)]}, "BAD_FIELD"),
        ({"config_keys": [{**listed(CONFIG_KEYS[0].public), "kid": CONFIG_KEYS[1].kid}]}, "KID_MISMATCH"),
        ({"config_keys": [listed(b"\x01" + bytes(31))]}, "BAD_KEY"),
        ({"config_keys": [{**listed(bytes(32)), "pub": "A" * 42 + "B="}]}, "BAD_ENCODING"),
        ({"config_keys": [listed(CONFIG_KEYS[0].public, not_after="2026-02-30T00:00:00.000000Z")]}, "BAD_FIELD"),
        ({"signatures": [{"kid": "0" * 16, "sig": "A" * 85 + "B=="}]}, "BAD_ENCODING"),
    ],
)  # fmt: skip
def test_a_document_of_another_form_is_refused(change: dict[str, Any], code: str) -> None:
    document = load(keyset().raw)
    assert isinstance(document, dict)

    assert code_of_reading(canonical({**document, **change})) == code


def test_the_loaders_rules_hold_for_a_keyset_too() -> None:
    raw = keyset().raw

    assert code_of_reading(b"{") == "BAD_JSON"
    assert code_of_reading(b" " * MAX_KEYSET_BYTES + raw) == "TOO_LARGE"
    assert code_of_reading(raw.replace(b'"revoked":[]', b'"revoked":[],"revoked":[]')) == (
        "DUPLICATE_KEY"
    )
    assert code_of_reading(b"[]") == "BAD_FIELD"


@given(st.binary(max_size=200))
def test_no_bytes_bring_another_error(data: bytes) -> None:
    with pytest.raises(RefusedDocumentError):
        read_keyset(data)


def test_the_first_keyset_may_have_any_version_and_needs_the_roots_of_the_environment() -> None:
    first = keyset(7)

    assert accept_keyset(None, first, ENV_ROOTS, 1) is first
    assert code_of(None, keyset(7, ROOTS[2:3])) == "KEYSET_THRESHOLD"
    assert code_of(None, first, threshold=2) == "KEYSET_THRESHOLD"
    assert code_of(None, first, env=[]) == "NO_ROOT_KEYS"


def test_the_first_keyset_is_signed_by_its_own_roots_too() -> None:
    assert code_of(None, keyset(1, ROOTS[2:3], signers=ROOTS[:1])) == "KEYSET_THRESHOLD"
    both = keyset(1, ROOTS[2:3], signers=[ROOTS[0], ROOTS[2]])
    assert accept_keyset(None, both, ENV_ROOTS, 1) is both


def test_only_the_next_version_follows() -> None:
    current = keyset(4)

    following = keyset(5)
    assert accept_keyset(current, following, ENV_ROOTS, 1) is following
    assert code_of(current, keyset(6)) == "KEYSET_GAP"
    assert code_of(current, keyset(3)) == "KEYSET_OLD"
    assert code_of(current, keyset(4, revoked=[CONFIG_KEYS[4].kid])) == "KEYSET_EQUIVOCATION"


def test_the_keyset_that_holds_may_come_again() -> None:
    current = keyset(4)

    assert accept_keyset(current, read_keyset(current.raw), ENV_ROOTS, 1) is current
    spaced = read_keyset(b" " + current.raw)
    assert accept_keyset(current, spaced, ENV_ROOTS, 1) is current


def test_new_roots_need_the_old_ones_and_the_old_ones_need_the_new() -> None:
    current = keyset(4, ROOTS[2:4], threshold=2)

    both = keyset(5, ROOTS[3:5], signers=ROOTS[2:5], threshold=2)
    assert accept_keyset(current, both, ENV_ROOTS, 1) is both
    assert code_of(current, keyset(5, ROOTS[3:5], threshold=2)) == "KEYSET_THRESHOLD"
    assert code_of(current, keyset(5, ROOTS[3:5], signers=ROOTS[2:4], threshold=2)) == (
        "KEYSET_THRESHOLD"
    )


def test_the_roots_of_the_environment_have_no_say_after_the_first_keyset() -> None:
    current = keyset(4, ROOTS[2:3])

    assert code_of(current, keyset(5, ROOTS[:1])) == "KEYSET_THRESHOLD"
    assert code_of(current, keyset(5, ROOTS[:1], signers=ROOTS[:2])) == "KEYSET_THRESHOLD"


def test_a_root_that_signs_twice_counts_once() -> None:
    current = keyset(4, ROOTS[:2], threshold=2)

    twice = keyset(5, ROOTS[:2], signers=[ROOTS[0], ROOTS[0]], threshold=2)
    assert code_of(current, twice) == "KEYSET_THRESHOLD"
    assert code_of(None, twice, env=[ENV_ROOTS[0], ENV_ROOTS[0]], threshold=2) == (
        "KEYSET_THRESHOLD"
    )


def test_a_root_that_is_listed_twice_is_refused() -> None:
    with pytest.raises(RefusedDocumentError) as refused:
        sign_keyset(body(roots=[ROOTS[0], ROOTS[0]], threshold=2), ROOTS[:1])

    assert refused.value.code == "BAD_FIELD"


def test_more_signers_than_there_are_roots_cannot_be_asked_for() -> None:
    with pytest.raises(RefusedDocumentError) as refused:
        sign_keyset(body(threshold=2), ROOTS[:1])

    assert refused.value.code == "BAD_FIELD"


def test_a_signature_under_anothers_kid_or_over_another_kind_does_not_count() -> None:
    fields = body()
    wrong_name = {"kid": ROOTS[0].kid, "sig": ROOTS[1].sign("x", canonical(fields))}
    wrong_kind = {"kid": ROOTS[0].kid, "sig": ROOTS[0].sign(CONFIG_UPDATE, canonical(fields))}
    for signature in (wrong_name, wrong_kind):
        new = read_keyset(canonical({**fields, "signatures": [signature]}))
        assert code_of(None, new) == "KEYSET_THRESHOLD"

    good = load(sign_keyset(fields, ROOTS[:1]))
    assert isinstance(good, dict)
    signatures = [wrong_name, wrong_kind, *good["signatures"]]
    new = read_keyset(canonical({**fields, "signatures": signatures}))
    assert accept_keyset(None, new, ENV_ROOTS, 1) is new


@given(st.sampled_from(["keyset_version", "revoked", "reset_floor_for", "config_keys"]))
def test_a_field_that_was_changed_after_signing_is_noticed(field: str) -> None:
    document = load(keyset().raw)
    assert isinstance(document, dict)
    other: dict[str, Any] = {
        "keyset_version": 2,
        "revoked": [CONFIG_KEYS[0].kid],
        "reset_floor_for": [CONFIG_KEYS[0].kid],
        "config_keys": [listed(CONFIG_KEYS[4].public)],
    }

    assert code_of(None, read_keyset(canonical({**document, field: other[field]}))) == (
        "KEYSET_THRESHOLD"
    )


@pytest.mark.req("SC037")
def test_a_revoked_key_verifies_nothing_in_whatever_list_it_stands() -> None:
    made = keyset(
        roots=ROOTS[:2],
        config_keys=[listed(key.public) for key in CONFIG_KEYS[:2]],
        revoked=[CONFIG_KEYS[0].kid, ROOTS[0].kid],
    )

    assert [key.kid for key in made.trusted] == [CONFIG_KEYS[1].kid]
    assert [key.kid for key in made.trusted_roots] == [ROOTS[1].kid]
    assert accept_keyset(None, made, ENV_ROOTS, 1) is made
    assert code_of(made, keyset(2, ROOTS[:2], signers=ROOTS[:1])) == "KEYSET_THRESHOLD"


def test_a_floor_of_a_named_key_is_dropped_once() -> None:
    named = keyset(2, reset_floor_for=[CONFIG_KEYS[0].kid])
    state = TrustState(epoch="e", floor=AT, floor_kid=CONFIG_KEYS[0].kid, retired=("d",))

    after = reset_floor(state, named)
    assert (after.floor, after.floor_kid) == (EPOCH_START, None)
    assert (after.epoch, after.retired, after.keyset_version) == ("e", ("d",), 2)
    assert after.keyset == named.raw

    again = TrustState(floor=AT, floor_kid=CONFIG_KEYS[0].kid, keyset_version=2)
    assert reset_floor(again, named).floor == AT
    other = TrustState(floor=AT, floor_kid=CONFIG_KEYS[1].kid)
    assert reset_floor(other, named).floor == AT
    assert reset_floor(TrustState(), named).keyset_version == 2


def test_the_keys_of_the_environment_count_until_a_keyset_was_accepted_and_never_again() -> None:
    env = [TrustedKey.of(CONFIG_KEYS[4].public)]
    second = keyset(2)

    assert trusted_keys(None, TrustState(), env) == tuple(env)
    assert trusted_keys(second, TrustState(), env) == second.trusted
    assert trusted_keys(second, TrustState(keyset_version=2), env) == second.trusted
    assert trusted_keys(None, TrustState(keyset_version=2), env) == ()
    assert trusted_keys(second, TrustState(keyset_version=3), env) == ()


def test_a_walk_takes_one_step_after_the_other_and_only_what_was_stored() -> None:
    walk = KeysetWalk(ENV_ROOTS, 1)
    first = walk.judge(keyset(1).raw)
    again = walk.judge(keyset(1).raw)
    assert first is not None
    assert first == again
    walk.commit(first)

    assert walk.judge(keyset(1).raw) is None
    with pytest.raises(RefusedDocumentError) as refused:
        walk.judge(keyset(3).raw)
    assert refused.value.code == "KEYSET_GAP"
    for version in (2, 3):
        step = walk.judge(keyset(version).raw)
        assert step is not None
        walk.commit(step)
    assert walk.current is not None
    assert walk.current.version == 3


def test_a_walk_ends_after_so_many_steps_in_one_run() -> None:
    walk = KeysetWalk(ENV_ROOTS, 1)
    for version in range(1, MAX_STEPS + 1):
        step = walk.judge(keyset(version).raw)
        assert step is not None
        walk.commit(step)

    with pytest.raises(RefusedDocumentError) as refused:
        walk.judge(keyset(MAX_STEPS + 1).raw)
    assert refused.value.code == "KEYSET_STEPS"
    assert walk.judge(keyset(MAX_STEPS).raw) is None


@given(st.lists(st.integers(1, 6), max_size=20))
def test_whatever_order_keysets_come_in_the_version_rises_by_one(versions: list[int]) -> None:
    made = {version: keyset(version).raw for version in range(1, 7)}
    walk = KeysetWalk(ENV_ROOTS, 1)
    for version in versions:
        before = walk.current.version if walk.current else None
        try:
            step = walk.judge(made[version])
        except RefusedDocumentError:
            continue
        if step is not None:
            walk.commit(step)
            assert before is None or step.version == before + 1
