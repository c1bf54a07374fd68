"""paho-mqtt from asyncio, two ways: the loop's socket callbacks, or paho's own thread.

Each side echoes frames of 100 ms (3,200 bytes) to itself through the same broker, alternating in
one run. Prints the medians of the round trip and of CPU time per message, and their ratios.
Needs the mosquitto binary. ``python -m bench.mqtt_driver``
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from parlour_kit.clock import LoopClock
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.mqtt_link import MqttOptions
from parlour_testkit.brokers import mosquitto_process

FRAME = bytes(3200)
PINGS = 500
BURST = 5000
ROUNDS = 7

Send = Callable[[bytes], Awaitable[None]]


async def measure(send: Send, arrived: asyncio.Queue[bytes]) -> tuple[float, float]:
    """Median round trip in ms, and CPU in µs per message of a burst."""
    trips = []
    for _ in range(PINGS):
        began = time.perf_counter()
        await send(FRAME)
        await arrived.get()
        trips.append((time.perf_counter() - began) * 1e3)
    cpu = time.process_time()
    for start in range(0, BURST, 50):
        for _ in range(start, start + 50):
            await send(FRAME)
        for _ in range(start, start + 50):
            await arrived.get()
    return statistics.median(trips), (time.process_time() - cpu) / BURST * 1e6


async def by_callbacks(options: MqttOptions) -> tuple[float, float]:
    """The wrapper of service-kit."""
    bus = MqttBus.connect_to(options, "callbacks", LoopClock())
    await bus.start()
    await bus.wait_connected()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    await bus.subscribe("echo/callbacks", lambda m: arrived.put_nowait(m.payload), qos=0)
    found = await measure(lambda f: bus.publish("echo/callbacks", f), arrived)
    await bus.stop()
    return found


async def by_thread(host: str, port: int) -> tuple[float, float]:
    """The loop_start of paho and a hand-off into the event loop."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    ready = asyncio.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, "thread", protocol=paho.MQTTv5)

    def on_subscribe(*_: object) -> None:
        loop.call_soon_threadsafe(ready.set)

    def on_message(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        loop.call_soon_threadsafe(arrived.put_nowait, bytes(message.payload))

    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.connect(host, port)
    client.loop_start()
    client.subscribe("echo/thread", 0)
    await ready.wait()

    async def send(frame: bytes) -> None:
        client.publish("echo/thread", frame, 0)

    found = await measure(send, arrived)
    client.disconnect()
    client.loop_stop()
    return found


async def main() -> None:
    with mosquitto_process() as broker:
        rows: list[tuple[float, float, float, float]] = []
        for number in range(ROUNDS):
            a = await by_callbacks(broker.options)
            b = await by_thread("127.0.0.1", broker.port)
            rows.append((*a, *b))
            print(f"round {number + 1} of {ROUNDS}: {a[0]:.3f} ms against {b[0]:.3f} ms")
    trip_a, cpu_a, trip_b, cpu_b = (statistics.median(r[i] for r in rows) for i in range(4))
    print(f"round trip, median: callbacks {trip_a:.3f} ms, thread {trip_b:.3f} ms, "
          f"ratio {trip_a / trip_b:.2f}")  # fmt: skip
    print(f"CPU per message: callbacks {cpu_a:.0f} µs, thread {cpu_b:.0f} µs, "
          f"ratio {cpu_a / cpu_b:.2f}")  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main())
