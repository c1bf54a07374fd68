"""Restarting a service by request: who may, what is sent, and what is put on record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from config_manager.commands import SyncState
from config_manager.commands.others import RESTART_EXPIRY_S
from config_manager.tables import outbox
from config_manager.tables.outbox import Outgoing
from desk import SIGNING, Desk
from parlour_config.restart import read_restart
from parlour_config.signing import TrustedKey
from parlour_contracts.messages.health import Health
from parlour_contracts.topics import HEALTH, RESTART
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker
from parlour_testkit.home_assistant import HomeAssistant
from running_manager import Person, manager
from test_homeassistant_bridge import allow

TRUSTED = [TrustedKey.of(SIGNING.public)]
RUNS = {"tts-worker": "run-1", "tts-worker-2": "run-2"}


async def orders(desk: Desk) -> list[Outgoing]:
    found = await desk.store.read(lambda db: outbox.due(db, 100))
    return [row for row in found if RESTART.parse(row.topic)]


async def accesses(desk: Desk) -> list[tuple[Any, ...]]:
    return await desk.store.read(
        lambda db: db.execute(
            "SELECT user_id, action, service, success, reason FROM access_log"
        ).fetchall()
    )


async def test_every_living_instance_gets_a_signed_order_for_its_run(desk: Desk) -> None:
    desk.sync = SyncState(runs=RUNS)

    answer = await desk.ask("restart", user="homeassistant", role="write")

    assert (answer.status, answer.data) == ("accepted", {"instances": sorted(RUNS)})
    sent = await orders(desk)
    assert [row.topic for row in sent] == [RESTART.topic(instance=name) for name in sorted(RUNS)]
    assert {r.instance: r.boot_id for r in (read_restart(o.payload, TRUSTED) for o in sent)} == RUNS
    assert {(row.retain, row.expiry_s) for row in sent} == {(False, RESTART_EXPIRY_S)}
    assert ("homeassistant", "write", "tts-worker", 1, "restart") in await accesses(desk)


async def test_a_repeated_request_is_answered_and_restarts_nobody_twice(desk: Desk) -> None:
    desk.sync = SyncState(runs=RUNS)
    first = await desk.ask("restart", transaction="t-1", role="write")
    desk.sync = SyncState(runs=dict.fromkeys(RUNS, "another run"))

    again = await desk.ask("restart", transaction="t-1", role="write")

    assert again == first.model_copy(update={"duplicate": True})
    assert len(await orders(desk)) == 2


async def test_who_may_only_read_restarts_nothing(desk: Desk) -> None:
    desk.sync = SyncState(runs=RUNS)

    answer = await desk.ask("restart", role="read")
    service = await desk.ask(
        "restart", user="tts-worker", role="instance", instance_of="tts-worker"
    )

    assert answer.error == service.error == "FORBIDDEN"
    assert await orders(desk) == []


@pytest.mark.parametrize(
    ("service", "body", "error"),
    [
        ("tts-worker", {}, "UNKNOWN_SERVICE"), ("nobody", {}, "UNKNOWN_SERVICE"),
        ("_all", {}, "INVALID_REQUEST"), ("tts-worker", {"config": {}}, "INVALID_REQUEST"),
    ],
)  # fmt: skip
async def test_what_cannot_be_restarted_is_said(
    desk: Desk, service: str, body: dict[str, Any], error: str
) -> None:
    answer = await desk.ask("restart", service, role="admin", **body)

    assert (answer.status, answer.error) == ("rejected", error)


async def test_a_rehearsal_restarts_nobody(desk: Desk) -> None:
    desk.sync = SyncState(runs=RUNS)

    answer = await desk.ask("restart", dry_run=True, role="write")

    assert answer.data == {"instances": sorted(RUNS)}
    assert await orders(desk) == []


def health(boot: str, event: str = "birth") -> bytes:
    return Health(
        service="tts-worker", instance="tts-worker", status="healthy", ok=True, ready=True,
        version="1.2.3", boot=boot, conn=1, seq=1, interval_s=5.0,
        issued_at="2026-01-02T03:04:05.000006Z", event=event,
    ).encode()  # fmt: skip


async def test_the_button_of_home_assistant_reaches_the_run_that_lives(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    allow(tmp_path)
    async with manager(broker, tmp_path, home_assistant=True) as service:
        boot, worker = new_id(), broker.client("tts-worker")
        home = HomeAssistant(broker.client("homeassistant"))
        await home.start()
        await asyncio.sleep(1)
        await home.settle()
        button = home.entity("parlour-tts-worker", "restart")
        assert not button.available
        await worker.publish(HEALTH.topic(instance="tts-worker"), health(boot), qos=1, retain=True)
        await asyncio.sleep(0.1)
        assert button.available

        await home.press(button)
        await asyncio.sleep(1)

        (order,) = [m for m in broker.log if RESTART.parse(m.topic)]
        read = read_restart(order.payload, [TrustedKey.of(service._keys.current().signing.public)])
        assert (read.instance, read.boot_id, order.retain) == ("tts-worker", boot, False)


async def test_on_a_broker_without_an_access_list_nobody_restarts_anything_over_mqtt(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, mqtt_acl="none"):
        await broker.client("tts-worker").publish(
            HEALTH.topic(instance="tts-worker"), health(new_id()), qos=1
        )
        person = await Person(broker).listen()
        answer = await person.ask("restart", "tts-worker")

    assert answer["error"] == "READ_ONLY"
    assert not any(RESTART.parse(m.topic) for m in broker.log)
