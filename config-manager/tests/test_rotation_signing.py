"""The signing key: keysets, instances that are away, revocation."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from config_manager.commands import RefusedError
from parlour_config.errors import RefusedDocumentError
from parlour_config.keyset import sign_keyset, trusted_keys
from parlour_config.signing import SigningKey
from parlour_contracts.config import CONFIGS
from rotation_house import House, Killed, ids

# The signing key.


async def test_the_next_signing_key_waits_for_a_root_key_and_for_every_instance(house):
    house.away = {"router"}
    before = ids(house)["signing"]
    await house.rotations.start("signing", by="admin", reason="six months")
    report = await house.rotations.report()

    assert house.state(report, "signing") == "awaiting-keyset"
    assert report.draft["keyset_version"] == 1
    assert [key["status"] for key in report.draft["config_keys"]] == ["active", "next"]

    house.away = set()
    document = sign_keyset(report.draft, [house.root])
    await house.rotations.accept_keyset(document, by="admin", reason="signed at home")
    waiting = (await house.rotations.report()).keys[0]

    assert waiting.state == "awaiting-services"
    assert waiting.waiting_for == sorted(CONFIGS)
    assert ids(house)["signing"] == before

    await house.deliver()
    while await house.rotations.step():
        await house.deliver()

    assert ids(house)["signing"] != before
    assert house.state(await house.rotations.report(), "signing") == "grace"
    assert house.refused == []


async def test_an_instance_that_comes_back_within_the_grace_starts_from_its_file(house):
    house.away = {"router"}
    await house.rotations.start("signing", by="admin", reason="six months")
    for _ in range(8):
        draft = (await house.rotations.report()).draft
        if draft:
            document = sign_keyset(draft, [house.root])
            await house.rotations.accept_keyset(document, by="admin", reason="signed")
        await house.deliver()
        await house.rotations.step()
    assert house.state(await house.rotations.report(), "signing") == "grace"

    house.services["router"].restart()
    await house.come_back("router")

    assert house.services["router"].trust.state.floor_kid == ids(house)["signing"]


async def test_an_instance_that_was_away_for_longer_takes_what_is_retained(house):
    house.away = {"router"}
    await house.rotations.start("signing", by="admin", reason="six months")
    await house.until_rest("signing")
    await house.come_back("router")

    assert house.services["router"].trust.state.floor_kid == ids(house)["signing"]
    assert house.refused == []


async def test_after_the_grace_the_old_signing_key_verifies_nothing(house):
    old = house.keyfile.current().signing
    await house.rotations.start("signing", by="admin", reason="six months")
    await house.until_rest("signing")
    service = house.services["router"]
    trusted = trusted_keys(service.walk.current, service.trust.state, ())

    assert old.kid not in {key.kid for key in trusted}
    assert old.kid not in (house.folder / "router/keys.env").read_text()
    assert (
        base64.b64encode(old.public).decode() not in (house.folder / "router/keys.env").read_text()
    )


async def test_the_old_signing_key_counts_for_the_whole_grace(house):
    await house.rotations.start("signing", by="admin", reason="six months")
    draft = (await house.rotations.report()).draft
    await house.rotations.accept_keyset(
        sign_keyset(draft, [house.root]), by="admin", reason="signed"
    )
    await house.deliver()
    while await house.rotations.step():
        await house.deliver()
    key = (await house.rotations.report()).keys[0]

    assert key.grace_until == house.clock.wall() + timedelta(days=7)

    house.clock.pass_time(timedelta(days=7) - timedelta(seconds=1))
    await house.rotations.step()
    assert house.state(await house.rotations.report(), "signing") == "grace"

    house.clock.pass_time(timedelta(seconds=1))
    await house.rotations.step()
    assert house.state(await house.rotations.report(), "signing") == "awaiting-retirement"


@pytest.mark.threat(14)
async def test_a_revoked_key_is_left_at_once_with_a_new_epoch(house):
    old = ids(house)["signing"]
    house.away = {"stt-worker"}
    await house.rotations.start("signing", by="admin", reason="stolen", compromised=True)
    draft = (await house.rotations.report()).draft

    assert draft["revoked"] == draft["reset_floor_for"] == [old]

    await house.rotations.accept_keyset(
        sign_keyset(draft, [house.root]), by="admin", reason="stolen"
    )
    while await house.rotations.step():
        pass
    await house.deliver()

    assert house.epochs_made == 1
    assert house.state(await house.rotations.report(), "signing") == "idle"
    assert ids(house)["signing"] != old
    assert house.refused == []
    assert house.services["router"].trust.state.floor_kid == ids(house)["signing"]


@pytest.mark.parametrize("kill_at", range(14))
async def test_a_revocation_that_is_killed_still_makes_its_epoch(tmp_path, kill_at):
    house = House(tmp_path)
    await house.open()
    house.kill_at = kill_at
    for _ in range(3):
        try:
            report = await house.rotations.report()
            if house.state(report, "signing") == "idle" and report.keyset_version == 0:
                await house.rotations.start("signing", by="admin", reason="x", compromised=True)
                report = await house.rotations.report()
            if report.draft:
                document = sign_keyset(report.draft, [house.root])
                await house.rotations.accept_keyset(document, by="admin", reason="x")
            while await house.rotations.step():
                pass
            break
        except Killed:
            house.boot()
    await house.deliver()

    assert house.epochs_made >= 1
    assert house.state(await house.rotations.report(), "signing") == "idle"
    assert house.refused == []
    await house.store.close()


async def test_a_keyset_that_would_leave_the_manager_without_a_key_is_refused(house):
    stranger = SigningKey(bytes(range(32)))
    await house.rotations.start("signing", by="admin", reason="x")
    draft = (await house.rotations.report()).draft
    draft["config_keys"] = [
        {
            "kid": stranger.kid,
            "pub": base64.b64encode(stranger.public).decode(),
            "status": "active",
            "not_after": None,
        }
    ]
    document = sign_keyset(draft, [house.root])

    with pytest.raises(RefusedError, match="no key"):
        await house.rotations.accept_keyset(document, by="admin", reason="x")
    assert (await house.rotations.report()).keyset_version == 0


async def test_a_keyset_of_somebody_else_is_refused_and_the_same_one_twice_is_fine(house):
    await house.rotations.start("signing", by="admin", reason="x")
    draft = (await house.rotations.report()).draft
    forged = sign_keyset(draft, [SigningKey(bytes(range(32)))])

    with pytest.raises(RefusedDocumentError):
        await house.rotations.accept_keyset(forged, by="mallory", reason="x")

    document = sign_keyset(draft, [house.root])
    assert await house.rotations.accept_keyset(document, by="admin", reason="x") == 1
    assert await house.rotations.accept_keyset(document, by="admin", reason="x") == 1
