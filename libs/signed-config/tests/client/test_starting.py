"""What a service starts with: last known good, a retained message, or its defaults."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from parlour_config.keyfiles import ServiceKeys
from parlour_config.update import read_update
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.health import Health
from parlour_testkit import ConfigAuthority, MemoryBroker

from .house import Story, house

DEFAULT = RouterConfig().history_messages
FILE = "router.lkg.json"


@pytest.mark.req("SC011", "C070", "C072")
async def test_a_service_starts_from_last_known_good_within_a_second_when_the_broker_is_away(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        report = await authority.change("router", {"history_messages": 7})
    broker.stop()
    began = asyncio.get_running_loop().time()
    story = Story()

    async with house(broker, authority, tmp_path, story) as service:
        assert asyncio.get_running_loop().time() - began <= 1
        assert story.seen == [("load", 7)]
        assert service.health.state.ready
        state = service.health.state.config
    assert (state.source, state.checksum) == ("lkg", report.checksum)


async def test_a_service_without_anything_stored_starts_with_the_retained_message(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    await authority.publish("router", {"history_messages": 7})
    story = Story()

    async with house(broker, authority, tmp_path, story):
        report = await authority.until(lambda r: r.checksum is not None)

    assert story.seen == [("load", 7)], "no engine is loaded twice"
    assert (report.status, report.source) == ("applied", "mqtt")
    assert (tmp_path / FILE).exists()


async def test_a_service_that_hears_nothing_starts_with_its_defaults_after_two_seconds(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    began = asyncio.get_running_loop().time()

    async with house(broker, authority, tmp_path) as service:
        assert asyncio.get_running_loop().time() - began == pytest.approx(2, abs=0.1)
        assert service.config.history_messages == DEFAULT
        report = await authority.until(lambda r: True)
        assert (report.status, report.source, report.checksum) == ("applied", "default", None)

        await authority.change("router", {"history_messages": 7})
        assert service.config.history_messages == 7


async def test_stored_settings_that_the_broker_confirms_are_said_to_come_from_it(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
    kept = dict(broker.retained)
    broker.retained.clear()

    async with house(broker, authority, tmp_path) as service:
        await asyncio.sleep(1)
        assert service.health.state.config.source == "lkg"
        message = kept["system/config/router"]
        await authority.send("router", message.payload)
        await asyncio.sleep(1)
        assert service.health.state.config.source == "mqtt"


@pytest.mark.threat(9)
async def test_a_newer_retained_message_follows_last_known_good(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
    last = await authority.publish("router", {"history_messages": 8})
    story = Story()

    async with house(broker, authority, tmp_path, story):
        await authority.applied(last)

    assert story.seen == [("load", 7), ("stage", 8), ("commit", 8)]


@pytest.mark.threat(7)
@pytest.mark.req("C070")
@pytest.mark.parametrize("part", ["lkg", "update", "state", "mac"])
async def test_a_tampered_file_is_set_aside_and_told_and_the_defaults_run(
    part: str, broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    """Threat 7."""
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
    found = json.loads((tmp_path / FILE).read_text())
    text = json.dumps(found[part])
    found[part] = json.loads(text.translate(str.maketrans("0123456789", "1234567890")))
    (tmp_path / FILE).write_text(json.dumps(found))
    broker.retained.clear()

    async with house(broker, authority, tmp_path) as service:
        assert service.config.history_messages == DEFAULT
        report = await authority.until(lambda r: r.error == "LKG_BAD")
        health = Health.decode(broker.retained["system/health/router"].payload)
        assert (report.status, report.source, report.checksum) == ("rejected", "default", None)
        assert health.err is not None
        assert (health.err.code, health.status, health.ready) == ("LKG_BAD", "degraded", True)

        await authority.change("router", {"history_messages": 9})
        await asyncio.sleep(1)
        health = Health.decode(broker.retained["system/health/router"].payload)
        assert health.status == "healthy", "a new file has taken its place"
    assert len(set_aside(tmp_path)) == 1


def set_aside(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".bad-" in path.name]


def _rewrite(path: Path) -> None:
    path.write_bytes(b"\x00" * 100)


async def test_a_file_of_zeros_never_keeps_a_service_from_starting(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    for name in (FILE, "router.keyset.json", "router.applying.json"):
        _rewrite(tmp_path / name)

    async with house(broker, authority, tmp_path) as service:
        assert service.config.history_messages == DEFAULT
        await authority.change("router", {"history_messages": 7})


CRASHED: list[object] = []
"""What nobody may tidy up."""


async def _crash_while_applying(
    broker: MemoryBroker, authority: ConfigAuthority, folder: Path, payload: bytes | None
) -> Story:
    """Start, let the configuration come, and die within its minute."""
    story = Story()
    running = house(broker, authority, folder, story)
    CRASHED.append(running)
    service = await running.__aenter__()
    await authority.send("router", payload) if payload else None
    await asyncio.sleep(5)
    feed = service.ctx.messenger  # the client dies with its tasks; its marker stays
    for task in asyncio.all_tasks():
        if task.get_name().startswith(("config", "health")):
            task.cancel()
    service.ctx.bus.kill()
    await feed.close()
    return story


@pytest.mark.threat(24)
@pytest.mark.req("C070")
async def test_a_configuration_that_stopped_the_service_twice_is_refused_and_the_one_before_runs(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    """Threat 24: once may have been the power."""
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
    poison = authority.sign("router", {"history_messages": 8})
    first = await _crash_while_applying(broker, authority, tmp_path, poison)
    second = await _crash_while_applying(broker, authority, tmp_path, None)
    assert first.of("commit") == [8]
    assert second.of("load") == [8], "the first time it is tried again"

    story = Story()
    async with house(broker, authority, tmp_path, story) as service:
        assert story.of("load") == [7]
        report = await authority.until(lambda r: r.error == "CRASH_AFTER_APPLY")
        await asyncio.sleep(5)
        assert service.config.history_messages == 7, "its retained message does not bring it back"
        assert report.status == "rejected"

        await authority.change("router", {"history_messages": 9})
    assert story.of("stage") == [9]


@pytest.mark.threat(24)
async def test_the_operator_lets_what_stopped_the_service_be_tried_again(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
    poison = authority.sign("router", {"history_messages": 8})
    await _crash_while_applying(broker, authority, tmp_path, poison)
    await _crash_while_applying(broker, authority, tmp_path, None)
    async with house(broker, authority, tmp_path) as service:
        assert service.config.history_messages == 7

    story = Story()
    with structlog.testing.capture_logs() as logs:
        async with house(broker, authority, tmp_path, story, forgive=True) as service:
            await asyncio.sleep(5)
            assert service.config.history_messages == 8, "its retained message brings it back"

    assert (story.of("load"), story.of("stage")) == ([7], [8])
    (told,) = [line for line in logs if "poison" in line["event"]]
    assert told["checksums"] == (read_update(poison).checksum,)


async def test_a_configuration_that_ran_for_a_minute_is_not_to_blame_for_a_crash(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
        assert (tmp_path / "router.applying.json").exists()
        await asyncio.sleep(62)
        assert not (tmp_path / "router.applying.json").exists()


async def test_a_clean_end_is_no_crash(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})

    assert not (tmp_path / "router.applying.json").exists()


async def test_an_end_while_a_change_is_being_applied_is_no_crash_either(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    marker = tmp_path / "router.applying.json"
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 6})
    for _ in range(3):
        story = Story(stage_s=3600)
        async with house(broker, authority, tmp_path, story):
            await authority.publish("router", {"history_messages": 7})
            await asyncio.sleep(5)
            assert (story.of("load"), story.of("stage")) == ([6], [7])
            assert marker.exists()
        assert not marker.exists()


async def test_a_service_that_cannot_load_with_its_first_configuration_keeps_none_of_it(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    await authority.publish("router", {"history_messages": 7})

    async with house(broker, authority, tmp_path, Story(cannot_load=True)):
        report = await authority.until(lambda r: r.error == "HOOK_FAILED")

    assert (report.status, report.checksum, report.issued_at) == ("rejected", None, None)
    assert not (tmp_path / FILE).exists()


async def test_stored_settings_that_no_longer_fit_the_model_are_not_run(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path, monkeypatch
) -> None:
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
    broker.retained.clear()
    validate = RouterConfig.model_validate
    monkeypatch.setattr(
        RouterConfig, "model_validate",
        classmethod(lambda cls, plain, **how: validate({**plain, "new": 1} if plain else {}, **how)),
    )  # fmt: skip

    async with house(broker, authority, tmp_path) as service:
        report = await authority.until(lambda r: r.error == "SCHEMA_INVALID")
        assert service.config.history_messages == DEFAULT
    assert (report.source, report.checksum) == ("default", None)


@pytest.mark.threat(1)
@pytest.mark.req("C035")
async def test_a_service_without_keys_takes_nothing_over_mqtt_and_says_so(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    """Threat 1."""
    await authority.publish("router", {"history_messages": 7})
    began = asyncio.get_running_loop().time()

    async with house(broker, authority, tmp_path, keys=ServiceKeys) as service:
        assert asyncio.get_running_loop().time() - began < 0.5, (
            "nothing can come, so none is awaited"
        )
        report = await authority.until(lambda r: r.error == "NO_KEYS")
        health = Health.decode(broker.retained["system/health/router"].payload)
        assert service.config.history_messages == DEFAULT
    assert (report.status, report.source) == ("rejected", "default")
    assert health.err is not None
    assert (health.err.code, health.ready, health.status) == ("NO_KEYS", True, "degraded")


async def test_a_key_that_is_added_to_the_file_is_used_without_a_restart(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    held = ServiceKeys()
    await authority.publish("router", {"history_messages": 7})
    async with house(broker, authority, tmp_path, keys=lambda: held) as service:
        await authority.until(lambda r: r.error == "NO_KEYS")
        held = authority.keys("router")
        await authority.until(lambda r: r.status == "applied" and r.checksum is not None)

        assert service.config.history_messages == 7


async def test_the_file_is_written_again_when_its_key_changed(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    held = authority.keys("router")
    async with house(broker, authority, tmp_path, keys=lambda: held) as service:
        await authority.change("router", {"history_messages": 7})
        old = (tmp_path / FILE).read_bytes()
        held = replace(held, lkg_keys=(b"n" * 32, *held.lkg_keys))
        await asyncio.sleep(12)
        assert (tmp_path / FILE).read_bytes() != old

    held = replace(held, lkg_keys=(b"n" * 32,))
    broker.stop()
    async with house(broker, authority, tmp_path, keys=lambda: held) as service:
        assert service.config.history_messages == 7
