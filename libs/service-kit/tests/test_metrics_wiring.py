"""What happens in a process is what its metrics say."""

from __future__ import annotations

import asyncio

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Say
from parlour_contracts.topics import SAY
from parlour_kit import metrics
from parlour_kit.bus import Message
from parlour_kit.clock import LoopClock
from parlour_kit.errors import NotConnectedError
from parlour_kit.link import Outgoing
from parlour_kit.messenger import Messenger
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.service import Service
from parlour_kit.version import VERSION
from parlour_testkit import MemoryBroker, memory_service
from parlour_testkit.fakes_vitals import FakeSensors


class Example(Service[RouterConfig]):
    """A service with three requests that wait."""

    name = "router"
    config_model = RouterConfig

    async def load(self) -> None:
        await asyncio.sleep(0)

    async def serve(self) -> None:
        return

    def queue(self) -> int:
        return 3


def sample(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.req("H016", "P022")
async def test_a_running_process_shows_itself_and_its_machine_second_by_second(
    broker: MemoryBroker,
) -> None:
    sensors = FakeSensors()
    sensors.set(temperature_c=86.0)
    beats = sample("parlour_event_loop_lag_seconds_count")
    async with memory_service(Example, broker, sensors=sensors):
        await asyncio.sleep(2.5)

        assert sample("parlour_app_info", service="router", version=VERSION) == 1
        assert sample("parlour_ready") == 1
        assert sample("parlour_queue_depth") == 3
        assert sample("parlour_process_memory_bytes") > 1_000_000
        assert sample("system_cpu_temperature_celsius") == 86.0
        assert sample("parlour_throttle_level") == 2
        assert sample("parlour_event_loop_lag_seconds_count") == beats + 2

        sensors.set(temperature_c=60.0)
        await asyncio.sleep(1.5)

        assert sample("system_cpu_temperature_celsius") == 60.0
        assert sample("parlour_throttle_level") == 0


async def test_messages_are_counted_and_those_of_no_use_by_their_fault(
    broker: MemoryBroker,
) -> None:
    messenger = Messenger(broker.client("one"), "one", LoopClock())
    await messenger.on(SAY, lambda _message, _levels: None)
    names = ("parlour_mqtt_messages_total", "parlour_mqtt_messages_refused_total")

    def counts() -> list[float]:
        return [
            sample(names[0], direction="sent"), sample(names[0], direction="received"),
            sample(names[1], reason="invalid"), sample(names[1], reason="too_big"),
        ]  # fmt: skip

    before = counts()

    await messenger.send(SAY, Say(text="hello"), site="kitchen")
    topic = SAY.topic(site="kitchen")
    await messenger.bus.publish(topic, b'{"text": ""}', qos=1)
    await messenger.bus.publish(topic, b"x" * (SAY.max_bytes + 1), qos=1)
    await asyncio.sleep(1)

    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 3, 1, 1]


class Link:
    """A connection that opens when it is told to."""

    def __init__(self, opens: bool) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.opens = opens

    async def open(self) -> None:
        if not self.opens:
            raise NotConnectedError("refused")

    async def subscribe(self, *_args: object) -> None:
        return

    async def unsubscribe(self, _filter: str) -> None:
        return

    async def publish(self, _message: Outgoing | Message) -> None:
        return

    async def close(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        if not self.closed.done():
            self.closed.set_result("broken")


async def test_a_connection_to_the_broker_shows_whether_it_stands_and_how_often_it_came_back() -> (
    None
):
    links: list[Link] = []

    def make(*_args: object) -> Link:
        links.append(Link(opens=len(links) != 1))
        return links[-1]

    line = {"connection": "test"}
    before = (
        sample("parlour_mqtt_reconnects_total", **line),
        sample("parlour_mqtt_connect_failures_total", **line),
    )
    bus = MqttBus(make, LoopClock(), name="test")
    await bus.start()
    await bus.wait_connected()
    assert sample("parlour_mqtt_connected", **line) == 1

    links[0].abandon()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sample("parlour_mqtt_connected", **line) == 0

    await asyncio.sleep(60)
    assert sample("parlour_mqtt_connected", **line) == 1
    assert sample("parlour_mqtt_reconnects_total", **line) == before[0] + 1
    assert sample("parlour_mqtt_connect_failures_total", **line) == before[1] + 1

    await bus.stop()
    assert sample("parlour_mqtt_connected", **line) == 0
