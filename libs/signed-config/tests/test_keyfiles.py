"""Keys in files and in the environment."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from parlour_config.keyfiles import KeyFile, ManagerKeys, ServiceKeys, read_root_key
from parlour_config.keylines import NamedKey, merged, parse_lines, render_lines
from parlour_config.sealing import lkg_key, service_key, symmetric_id
from parlour_config.signing import SigningKey
from parlour_config.trust import EpochPolicy
from parlour_kit.errors import StartupError


def text(n: int) -> str:
    return base64.b64encode(bytes([n]) * 32).decode()


def public(n: int) -> str:
    return base64.b64encode(SigningKey(bytes([n]) * 32).public).decode()


MANAGER = {
    "CONFIG_SIGNATURE_PRIVATE_KEY": text(1),
    "CONFIG_MASTER_KEY": text(2),
    "LKG_HMAC_KEY": text(3),
}
EPOCH = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.req("C062", "C069")
def test_the_managers_keys_come_with_ids_and_predecessors() -> None:
    keys = ManagerKeys.of(
        {
            **MANAGER,
            "CONFIG_SIGNATURE_PRIVATE_KEY_ID": SigningKey(bytes([1]) * 32).kid,
            "CONFIG_SIGNATURE_PRIVATE_KEY_NEXT": text(4),
            "CONFIG_SIGNATURE_PUBLIC_KEYS_PREVIOUS": public(5),
            "CONFIG_MASTER_KEY_ID": "2026-a",
            "CONFIG_MASTER_KEY_PREVIOUS": f"{text(6)},{text(7)}",
            "CONFIG_MASTER_KEY_PREVIOUS_ID": "2025-b,2025-a",
            "LKG_HMAC_KEY_PREVIOUS": text(8),
            "CONFIG_ROOT_PUBLIC_KEYS": f"{public(9)},{public(10)}",
            "CONFIG_ROOT_THRESHOLD": "2",
        }
    )

    assert [key.kid for key in keys.trusted] == [SigningKey(bytes([n]) * 32).kid for n in (1, 4, 5)]
    assert list(keys.keyring) == ["2026-a", "2025-b", "2025-a"]
    assert keys.hmac.id == symmetric_id(bytes([3]) * 32)
    assert keys.service_keys("router")["2025-a"] == service_key(bytes([7]) * 32, "router")
    assert keys.lkg_keys("router") == (
        lkg_key(bytes([3]) * 32, "router"),
        lkg_key(bytes([8]) * 32, "router"),
    )
    assert (len(keys.roots), keys.threshold) == (2, 2)


def test_a_services_keys_are_public_or_its_own() -> None:
    keys = ServiceKeys.of(
        {
            "CONFIG_SIGNATURE_PUBLIC_KEYS": f"{public(1)}, {public(4)},{public(1)}",
            "CONFIG_ROOT_PUBLIC_KEYS": public(9),
            "CONFIG_SERVICE_KEY": f"new:{text(2)}",
            "CONFIG_SERVICE_KEY_PREVIOUS": f"old:{text(3)},new:{text(9)}",
            "LKG_SERVICE_KEY": f"b:{text(4)}",
            "LKG_SERVICE_KEY_PREVIOUS": f"a:{text(5)}",
            "CONFIG_EPOCH_POLICY": "pin",
            "CONFIG_EPOCH_PINNED": EPOCH,
        }
    )

    assert len(keys.public_keys) == 2
    assert keys.service_keys == {"new": bytes([2]) * 32, "old": bytes([3]) * 32}
    assert keys.lkg_keys == (bytes([4]) * 32, bytes([5]) * 32)
    assert keys.policy == EpochPolicy("pin", EPOCH)


def test_a_service_without_any_key_can_be_told_from_one_with_wrong_keys() -> None:
    assert ServiceKeys.of({}) == ServiceKeys()
    assert ServiceKeys().public_keys == ()


def test_all_problems_are_named_at_once_and_no_value_is() -> None:
    wrong = {
        "CONFIG_SIGNATURE_PRIVATE_KEY": "canary-one",
        "CONFIG_SIGNATURE_PRIVATE_KEY_ID": "canary-two",
        "CONFIG_SIGNATURE_PUBLIC_KEYS_PREVIOUS": text(0),
        "CONFIG_MASTER_KEY": text(2)[:-4],
        "CONFIG_MASTER_KEY_PREVIOUS": f"{text(3)},{text(4)}",
        "CONFIG_MASTER_KEY_PREVIOUS_ID": "only-one",
        "LKG_HMAC_KEY_ID": "no key, but an id",
        "CONFIG_ROOT_PUBLIC_KEYS": public(9),
        "CONFIG_ROOT_THRESHOLD": "2",
    }

    with pytest.raises(StartupError) as refused:
        ManagerKeys.of(wrong)

    right = {"CONFIG_MASTER_KEY_PREVIOUS", "CONFIG_ROOT_PUBLIC_KEYS"}
    for name in {*wrong, "LKG_HMAC_KEY"} - right:
        assert f"{name}:" in str(refused.value)
    for value in (*wrong.values(), "canary"):
        if len(value) > 8:
            assert value not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONFIG_SIGNATURE_PUBLIC_KEYS", base64.b64encode(b"\x01" + bytes(31)).decode()),
        ("CONFIG_SIGNATURE_PUBLIC_KEYS", ",".join(map(public, range(1, 6)))),
        ("CONFIG_SERVICE_KEY", text(1)),
        ("CONFIG_SERVICE_KEY", f"a b:{text(1)}"),
        ("LKG_SERVICE_KEY", f"id:{text(1)}x"),
        ("CONFIG_ROOT_THRESHOLD", "0"),
        ("CONFIG_ROOT_THRESHOLD", "-1"),
        ("CONFIG_ROOT_THRESHOLD", "１"),
        ("CONFIG_EPOCH_POLICY", "Open"),
        ("CONFIG_EPOCH_PINNED", EPOCH.upper()),
    ],
)
def test_a_wrong_line_of_a_service_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(StartupError, match=f"{name}: "):
        ServiceKeys.of({name: value})


def test_a_fifth_signing_key_is_refused() -> None:
    with pytest.raises(StartupError, match="signing keys"):
        ManagerKeys.of(
            {
                **MANAGER,
                "CONFIG_SIGNATURE_PUBLIC_KEYS_PREVIOUS": ",".join(map(public, range(4, 8))),
            }
        )


def test_keys_appear_in_no_text() -> None:
    keys = ManagerKeys.of({**MANAGER, "CONFIG_MASTER_KEY_PREVIOUS": text(6)})
    service = ServiceKeys.of({"CONFIG_SERVICE_KEY": f"id:{text(2)}"})

    for shown in (f"{keys!r}{keys}", f"{service!r}{service}", f"{keys.master!r} {keys.master}"):
        for n in (1, 2, 3, 6):
            assert bytes([n] * 32).hex() not in shown
            assert repr(bytes([n] * 32)) not in shown
    assert NamedKey.of(bytes(32)) == (symmetric_id(bytes(32)), bytes(32))


def test_lines_are_read_as_they_are_written() -> None:
    values = {"A": "1", "B_2": "x:y,z==", "EMPTY": ""}

    data = render_lines(values, "About\nthese.")

    assert data.startswith(b"# About\n# these.\n")
    assert parse_lines(data, "here") == {"A": "1", "B_2": "x:y,z=="}
    assert parse_lines(b"\n  # c\nA=\n B=2 \n", "here") == {"A": "", "B": "2"}


@pytest.mark.parametrize(
    "data", [b"A=1\nA=2", b"canary", b"a=1", b"A=canary two", b"A=\xff", b"A B=1", b"#" * 70_000]
)
def test_a_wrong_file_is_refused_without_its_content(data: bytes) -> None:
    with pytest.raises(StartupError, match="here") as refused:
        parse_lines(data, "here")

    assert "canary" not in str(refused.value)


def test_the_environment_wins_and_a_key_of_it_brings_its_id_along() -> None:
    file = {
        "CONFIG_MASTER_KEY": "file",
        "CONFIG_MASTER_KEY_ID": "file-id",
        "CONFIG_MASTER_KEY_PREVIOUS": "file-previous",
        "CONFIG_EPOCH_POLICY": "pin",
        "LKG_HMAC_KEY": "file",
    }
    env = {"CONFIG_MASTER_KEY": "env", "CONFIG_EPOCH_PINNED": "x", "LKG_HMAC_KEY": " "}

    assert merged(file, env) == {
        "CONFIG_MASTER_KEY": "env",
        "CONFIG_EPOCH_POLICY": "pin",
        "CONFIG_EPOCH_PINNED": "x",
        "LKG_HMAC_KEY": "file",
    }


def write(path: Path, values: dict[str, str], tick: int) -> None:
    """A new file under the same name, as a rotation leaves it."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(render_lines(values, "test"))
    os.utime(fresh, ns=(tick, tick))
    fresh.replace(path)


@pytest.mark.req("C071")
def test_a_changed_file_is_read_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "stt-worker.env"
    keys = KeyFile.of_service(path)
    assert keys.current().public_keys == ()

    write(path, {"CONFIG_SIGNATURE_PUBLIC_KEYS": public(1)}, 1)
    first = keys.current()
    assert keys.current() is first
    write(path, {"CONFIG_SIGNATURE_PUBLIC_KEYS": f"{public(1)},{public(2)}"}, 2)

    assert len(first.public_keys) == 1
    assert len(keys.current().public_keys) == 2


def test_a_file_that_became_wrong_or_went_away_leaves_the_keys_of_before(tmp_path: Path) -> None:
    path = tmp_path / "config-manager.env"
    write(path, MANAGER, 1)
    keys = KeyFile.of_manager(path)
    good = keys.current()

    write(path, {**MANAGER, "CONFIG_MASTER_KEY": "x"}, 2)
    assert keys.current() is good
    assert keys.problem is not None
    assert "CONFIG_MASTER_KEY" in str(keys.problem)
    path.unlink()
    assert keys.current() is good
    assert "gone" in str(keys.problem)

    write(path, {**MANAGER, "CONFIG_MASTER_KEY": text(5)}, 3)
    assert keys.current().master.raw == bytes([5]) * 32
    assert keys.problem is None


def test_the_first_reading_must_succeed(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="CONFIG_MASTER_KEY: missing"):
        KeyFile.of_manager(tmp_path / "missing.env").current()
    with pytest.raises(StartupError, match="root key"):
        read_root_key(tmp_path / "root.key")
    with pytest.raises(StartupError, match="cannot read"):
        ServiceKeys.from_environment({}, tmp_path)


def test_keys_may_come_from_the_environment_alone(tmp_path: Path) -> None:
    assert ManagerKeys.from_environment(MANAGER, None).master.raw == bytes([2]) * 32
    assert KeyFile.of_manager(None, MANAGER).current().signing.kid == (
        SigningKey(bytes([1]) * 32).kid
    )
