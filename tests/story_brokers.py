"""The embedded broker of ``parlour up``, as a bus for stories."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parlour_cli.broker.embedded import prepare_embedded
from parlour_kit.mqtt_link import MqttOptions
from parlour_testkit.brokers import free_port, wait_for_port

USER, PASSWORD = "story", "story-password"


@contextmanager
def embedded() -> Iterator[MqttOptions]:
    """The embedded broker in a process of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = prepare_embedded(Path(folder) / "broker", port, {USER: PASSWORD})
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_port("127.0.0.1", port)
            yield MqttOptions("127.0.0.1", port, USER, PASSWORD)
        finally:
            process.kill()
            process.wait()


MORE = {"embedded": embedded}
