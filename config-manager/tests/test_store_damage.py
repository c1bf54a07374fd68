"""Flipped and cut bytes: the process lives, says what is wrong, and signs nothing altered (T13)."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from desk import SIGNING, Desk
from parlour_config.errors import RefusedUpdateError
from parlour_config.signing import TrustedKey
from parlour_config.update import check_update, read_update
from parlour_contracts.config import CONFIGS

TRIALS = 60


async def accepted_checksums(folder: Path) -> set[str]:
    """A database with a few versions, and the checksums of all that was ever accepted."""
    desk = await Desk(folder).open()
    for value in range(8):
        await desk.ask("patch", config={"volume_percent": value})
        await desk.ask("patch", "router", config={"history_messages": value})
    checksums = {row[0] for row in desk.rows("SELECT checksum FROM service_config_snapshots")}
    await desk.close()
    return checksums


@pytest.mark.threat(18)
@pytest.mark.req("C054")
@pytest.mark.parametrize("damage", ["flipped", "cut"])
async def test_a_damaged_database_never_leads_to_settings_that_nobody_accepted(
    tmp_path: Path, damage: str
) -> None:
    checksums = await accepted_checksums(tmp_path / "good")
    chance = random.Random(7)
    seen = set()
    for trial in range(TRIALS):
        folder = tmp_path / f"bad-{trial}"
        shutil.copytree(tmp_path / "good", folder)
        path = folder / "config-manager" / "config.db"
        data = bytearray(path.read_bytes())
        if damage == "flipped":
            for _ in range(chance.choice((1, 8, 64))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(1, len(data)) :]
        path.write_bytes(data)

        desk = Desk(folder)
        condition = await desk.store.open()
        seen.add(condition.status)
        if condition.ok:
            for service in CONFIGS:
                await desk.ask("resend", service)
                await desk.ask("patch", service, config={"threads": 1})
                await desk.ask("get", service, role="read")
            for (payload,) in desk.rows("SELECT payload FROM outbox ORDER BY id DESC LIMIT 8"):
                try:
                    update = read_update(payload)
                    check_update(update, [TrustedKey.of(SIGNING.public)], kid_hint=None)
                except RefusedUpdateError:
                    continue  # damaged in the outbox: no service takes it
                assert update.checksum in checksums or update.config.get("threads") == 1
        else:
            assert condition.mode == "read-only-fallback"
        await desk.close()
        shutil.rmtree(folder)

    assert "corrupted" in seen
