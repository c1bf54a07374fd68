"""How a verified change reaches a service, and what is on disk when it is reported."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parlour_config.errors import StorageError
from parlour_config.lkg_store import LkgStore
from parlour_testkit import ConfigAuthority, MemoryBroker

from .house import House, Story, house


@pytest.mark.req("C033", "C070", "C085", "SC003")
async def test_a_change_is_staged_switched_stored_and_reported(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    story = Story()
    async with house(broker, authority, tmp_path, story) as service:
        report = await authority.change("router", {"history_messages": 7})

        assert service.config.history_messages == 7
        assert (report.status, report.source, report.error) == ("applied", "mqtt", None)
        assert report.config_epoch == authority.epoch
        assert report.lkg_age_s == 0
    assert story.seen[-2:] == [("stage", 7), ("commit", 7)]


async def test_nothing_is_reported_applied_before_it_is_stored(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path, monkeypatch
) -> None:
    happened: list[str] = []
    save, begin = LkgStore.save, LkgStore.begin_apply

    def noted_save(self, update, state) -> None:
        save(self, update, state)
        happened.append(f"stored {len(applied())}")

    def noted_begin(self, update) -> None:
        begin(self, update)
        happened.append("marked")

    def applied() -> list[str]:
        return [r.checksum for r in authority.reports if r.checksum]

    monkeypatch.setattr(LkgStore, "save", noted_save)
    monkeypatch.setattr(LkgStore, "begin_apply", noted_begin)
    story = Story()
    async with house(broker, authority, tmp_path, story):
        await authority.change("router", {"history_messages": 7})

    assert happened[:2] == ["marked", "stored 0"]
    assert applied()


@pytest.mark.threat(23)
async def test_a_burst_costs_one_change_and_ends_on_the_newest(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    story = Story(stage_s=5)
    async with house(broker, authority, tmp_path, story) as service:
        for number in range(1, 20):
            last = await authority.publish("router", {"history_messages": number})
        await authority.applied(last)

        assert service.config.history_messages == 19
    assert len(story.of("stage")) <= 2


async def test_what_cannot_be_staged_leaves_the_old_settings_running(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    story = Story(refuse={3})
    async with house(broker, authority, tmp_path, story) as service:
        good = await authority.change("router", {"history_messages": 7})
        await authority.publish("router", {"history_messages": 3})
        report = await authority.until(lambda r: r.error == "HOOK_FAILED")

        assert service.config.history_messages == 7
        assert (report.status, report.checksum) == ("rejected", good.checksum)
        assert report.issued_at == good.issued_at

        await authority.change("router", {"history_messages": 8})


async def test_a_refresh_moves_the_floor_and_applies_nothing(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    story = Story()
    async with house(broker, authority, tmp_path, story):
        first = await authority.change("router", {"history_messages": 7})
        await authority.publish("router", {"history_messages": 7})
        again = await authority.until(lambda r: r.issued_at != first.issued_at and r.checksum)

        assert again.checksum == first.checksum
    assert story.of("stage") == [7]


async def test_a_floor_that_moved_alone_is_written_once_an_hour(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path, monkeypatch
) -> None:
    written: list[str] = []
    save = LkgStore.save
    monkeypatch.setattr(
        LkgStore, "save", lambda s, u, t: (written.append(u.issued_at), save(s, u, t))
    )
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
        for _ in range(3):
            await authority.publish("router", {"history_messages": 7})
            await asyncio.sleep(10)
        assert len(written) == 1
        await asyncio.sleep(3600)
        await authority.publish("router", {"history_messages": 7})
        await asyncio.sleep(10)
        assert len(written) == 2

        authority.epoch = "7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a"
        await authority.publish("router", {"history_messages": 7})
        await asyncio.sleep(10)
    assert len(written) == 3, "another epoch is worth writing at once"


async def test_a_change_that_needs_a_restart_says_so_and_is_stored(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path, Story(restart=True)):
        await authority.publish("router", {"history_messages": 7})
        await authority.until(lambda r: r.status == "pending_restart")

    async with house(broker, authority, tmp_path) as service:
        assert service.config.history_messages == 7


@pytest.mark.threat(19)
async def test_a_full_disk_leaves_the_new_settings_running_and_is_told_until_it_is_over(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path, monkeypatch
) -> None:
    full = True
    save = LkgStore.save

    def fails(self, update, state) -> None:
        if full:
            raise StorageError("no space", code="LKG_WRITE_FAILED")
        save(self, update, state)

    monkeypatch.setattr(LkgStore, "save", fails)
    async with house(broker, authority, tmp_path) as service:
        await authority.publish("router", {"history_messages": 7})
        await authority.until(lambda r: (r.status, r.error) == ("applied", "LKG_WRITE_FAILED"))
        assert service.config.history_messages == 7

        full = False
        now = asyncio.get_running_loop().time()
        await authority.until(lambda r: r.checksum is not None and r.error is None)
        assert asyncio.get_running_loop().time() - now <= 6


async def test_reports_of_refusals_come_once_a_second_and_the_newest_first(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        await asyncio.sleep(1)
        before = len(authority.reports)
        for number in range(40):
            await authority.send("router", b"not json %d" % number)
            await asyncio.sleep(0.1)
        await authority.send("router", b"[" * 20)
        report = await authority.until(lambda r: r.error == "DEPTH")

    assert len(authority.reports) - before <= 6
    assert report.status == "rejected"


async def test_the_state_is_reported_again_at_every_connect(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path) as service:
        await authority.change("router", {"history_messages": 7})
        before = len(authority.reports)
        service.ctx.bus.lose()
        await asyncio.sleep(5)
        service.ctx.bus.regain()
        await asyncio.sleep(1)

    assert len(authority.reports) == before + 1


async def test_a_service_that_could_not_load_is_repaired_by_a_setting(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    story = Story(cannot_load=True)
    async with house(broker, authority, tmp_path, story) as service:
        await asyncio.sleep(1)
        assert not service.health.state.ready

        await authority.change("router", {"history_messages": 7})

        assert service.health.state.ready
        assert service.health.state.error is None


async def test_the_health_message_tells_which_settings_run(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path) as service:
        assert isinstance(service, House)
        report = await authority.change("router", {"history_messages": 7})
        await asyncio.sleep(1)
        state = service.health.state.config

    assert (state.source, state.checksum) == ("mqtt", report.checksum)
    assert state.config_epoch == authority.epoch


@pytest.mark.threat(23)
async def test_settings_that_load_for_ever_do_not_hold_up_the_next_change(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    story = Story(stage_s=1e9)
    async with house(broker, authority, tmp_path, story) as service:
        await authority.publish("router", {"history_messages": 7})
        await asyncio.sleep(10)
        story.stage_s = 0
        payload = await authority.publish("router", {"history_messages": 8})
        await authority.applied(payload, within=700)

        assert service.config.history_messages == 8
    assert story.of("commit") == [8]


async def test_an_engine_that_raises_anything_is_a_refusal_and_no_end(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path, Story(explode={3})) as service:
        await authority.publish("router", {"history_messages": 3})
        await authority.until(lambda r: r.error == "HOOK_FAILED")

        await authority.change("router", {"history_messages": 4})
        assert service.config.history_messages == 4


async def test_a_marker_that_cannot_be_written_keeps_no_household_from_its_settings(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path, monkeypatch
) -> None:
    def full(_self, *_args) -> None:
        raise StorageError("no space")

    monkeypatch.setattr(LkgStore, "begin_apply", full)
    monkeypatch.setattr(LkgStore, "settled", full)
    async with house(broker, authority, tmp_path) as service:
        await authority.change("router", {"history_messages": 4})
        await asyncio.sleep(70)
        await authority.change("router", {"history_messages": 5})
        assert service.config.history_messages == 5
