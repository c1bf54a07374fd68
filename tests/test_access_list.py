"""Every user, topic and verb against a real broker with the repository's own configuration.

What somebody may do is told here anew from the registry's words, apart from the code that renders
the access list. MQTT 3.1.1 acknowledges a refused message like any other, so for both protocols it
counts what arrives.
"""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from parlour_cli.broker.users import read_password
from parlour_cli.prepare.accounts import CHECK, SECOND, prepare
from parlour_cli.up.members import INSTANCES
from parlour_contracts.topics import TOPICS, TopicBase
from parlour_testkit.brokers import find_mosquitto, free_port, wait_for_port

pytestmark = [pytest.mark.broker, pytest.mark.req("F29")]
ROOT = Path(__file__).resolve().parents[1]
TURN = "0190163d-8694-739b-aea5-966c26f8ad91"
PERSON, ROOM, HOME = "alice", "kitchen", "homeassistant"
PROCESSES = INSTANCES | SECOND | {ROOM: "satellite"}
USERS = [*PROCESSES, "admin", PERSON, HOME, CHECK]
OBSERVER = "observer"
PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
UNKNOWN = ["voice/kitchen", "voice/kitchen/turn/open/more", "system/other", "somebody/else", "#x"]

LEVELS = {
    "site": [ROOM, "bath"],
    "instance": list(PROCESSES),
    "service": ["router", "stt-worker", "llm-worker", "tts-worker", "satellite"],
    "user": [*USERS],
    "turn_id": [TURN],
    "utterance_id": [TURN],
}
"""What the levels of a topic are filled with; any other level with one word."""


@dataclass(frozen=True)
class Case:
    """A topic with its levels filled."""

    topic: TopicBase
    levels: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return self.topic.pattern.format(**dict(self.levels))


def cases() -> list[Case]:
    found = []
    for topic in TOPICS:
        choices = [[(p, v) for v in LEVELS.get(p, ["some-word"])] for p in topic.params]
        found += [Case(topic, levels) for levels in itertools.product(*choices)]
    return found


def may(user: str, verb: str, case: Case) -> bool:
    """Whether the registry lets a user write or read a topic."""
    levels = dict(case.levels)
    roles = case.topic.writers if verb == "write" else case.topic.readers
    return (
        ("user" in roles and levels["user"] == user)
        or ("satellite" in roles and levels.get("site") == user)
        or ("person" in roles and user in (PERSON, "admin"))
        or (user == HOME and HOME in roles)
        or (user in PROCESSES and _a_process_may(user, verb, case.topic, levels))
    )


def _a_process_may(user: str, verb: str, topic: TopicBase, levels: dict[str, str]) -> bool:
    service, roles = PROCESSES[user], topic.writers if verb == "write" else topic.readers
    of_its_own = levels.get("instance", user) == user
    if service in roles and not (service == "satellite" and "site" in levels):
        # Work lies under the instance that is to do it: whoever sends it writes there, and that
        # instance alone reads it. Whoever watches what all tell of themselves reads all of it.
        told = "*" in topic.writers or "own" in topic.writers
        return verb == "write" or told or of_its_own
    if "own" in roles:
        return (
            of_its_own and levels.get("service", service) == service and service != "config-manager"
        )
    return "*" in roles and of_its_own


class Client:
    """A connection that remembers what came and what was answered."""

    def __init__(self, port: int, user: str | None, password: str | None, protocol: str) -> None:
        self.got: set[str] = set()
        self.codes: dict[int, int] = {}
        self.refused: int | None = None
        self._marks: set[str] = set()
        self._changed = threading.Condition()
        self._v5 = protocol == "5"
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{user}-{protocol}",
            protocol=PROTOCOLS[protocol],
        )
        self.client.max_inflight_messages_set(20)
        if user is not None:
            self.client.username_pw_set(user, password)
        self.client.on_message = self._message
        self.client.on_publish = self._published
        self.client.on_subscribe = self._subscribed
        self.client.on_connect = self._connected
        self._state = ""
        self.client.connect("127.0.0.1", port, 60)
        self.client.loop_start()
        self._wait(lambda: self._state != "")

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, topics: list[str]) -> None:
        for start in range(0, len(topics), 200):
            self._state = "subscribing"
            self.client.subscribe([(topic, 1) for topic in topics[start : start + 200]])
            self._wait(lambda: self._state == "subscribed")

    def publish(self, topics: list[str], mark: str) -> dict[str, int]:
        """Send one message to each, then the mark; topic → the broker's reason code."""
        mids = {self.client.publish(topic, b"{}", 1).mid: topic for topic in topics}
        last = self.client.publish(mark, b"mark", 1).mid
        self._wait(lambda: {*mids, last} <= set(self.codes))
        return {topic: self.codes[mid] for mid, topic in mids.items()}

    def until(self, mark: str) -> set[str]:
        """What came before the mark did."""
        self._wait(lambda: mark in self._marks)
        return self.got

    def _wait(self, done: Any) -> None:
        with self._changed:
            assert self._changed.wait_for(done, timeout=30), "the broker does not answer"

    def _tell(self, **changes: Any) -> None:
        with self._changed:
            for name, value in changes.items():
                setattr(self, name, value)
            self._changed.notify_all()

    def _connected(self, _c: Any, _u: Any, _flags: Any, reason: Any, _p: Any) -> None:
        self._tell(_state="connected", refused=reason.value if reason.is_failure else None)

    def _subscribed(self, _c: Any, _u: Any, _mid: int, _codes: Any, _p: Any) -> None:
        self._tell(_state="subscribed")

    def _published(self, _c: Any, _u: Any, mid: int, reason: Any, _p: Any) -> None:
        with self._changed:
            self.codes[mid] = reason.value
            self._changed.notify_all()

    def _message(self, _c: Any, _u: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            (self._marks if message.payload == b"mark" else self.got).add(message.topic)
            self._changed.notify_all()


@dataclass
class Broker:
    """A broker with all accounts."""

    port: int
    passwords: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def client(self, user: str, protocol: str = "5") -> Iterator[Client]:
        made = Client(self.port, user, self.passwords[user], protocol)
        assert made.refused is None
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The mosquitto binary with mosquitto.conf of this repository, and one who sees all."""
    binary = find_mosquitto()
    if binary is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    data = tmp_path_factory.mktemp("access")
    prepare(data, [ROOM], [PERSON, HOME, OBSERVER])
    acl = data / "broker/acl"
    acl.write_text(acl.read_text() + f"\nuser {OBSERVER}\ntopic readwrite #\n")
    (data / "store").mkdir()
    port = free_port()
    text = (ROOT / "mosquitto/mosquitto.conf").read_text().replace("/data/", f"{data}/")
    conf = data / "mosquitto.conf"
    conf.write_text(text.replace("listener 1883", f"listener {port} 127.0.0.1") + "\nuser root\n")
    process = subprocess.Popen(
        [binary, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    passwords = {
        name: (data / "logins" / name / "password").read_text().strip()
        for name in PROCESSES
        if name != ROOM
    }
    passwords[CHECK] = (data / "broker/check/password").read_text().strip()
    for user in ("admin", PERSON, ROOM, HOME, OBSERVER):
        passwords[user] = read_password(data, user)
    try:
        wait_for_port("127.0.0.1", port)
        yield Broker(port, passwords)
    finally:
        process.kill()
        process.wait()


def expected(user: str, verb: str) -> set[str]:
    return {case.text for case in cases() if may(user, verb, case)}


def everything() -> list[str]:
    return [*dict.fromkeys(case.text for case in cases()), *(t for t in UNKNOWN if "#" not in t)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("user", USERS)
def test_a_user_writes_what_the_registry_lets_it_write_and_nothing_else(
    broker: Broker, user: str, protocol: str
) -> None:
    mark = f"system/config-request/{user}/mark/{protocol.replace('.', '-')}"
    with broker.client(OBSERVER) as observer, broker.client(user, protocol) as writer:
        observer.subscribe(["#"])

        codes = writer.publish(everything(), mark)

        arrived = observer.until(mark)
    allowed = expected(user, "write")
    assert arrived == allowed
    if protocol == "5":
        assert {topic for topic, code in codes.items() if code < 128} == allowed
        assert {code for code in codes.values() if code >= 128} <= {135}, "not authorised"


@pytest.mark.parametrize("how", ["topic by topic", "everything at once"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("user", USERS)
def test_a_user_reads_what_the_registry_lets_it_read_and_nothing_else(
    broker: Broker, user: str, protocol: str, how: str
) -> None:
    mark = f"system/config-response/{user}/mark/mark/accepted"
    with broker.client(OBSERVER) as observer, broker.client(user, protocol) as reader:
        reader.subscribe([*everything(), mark] if how == "topic by topic" else ["#"])

        observer.publish(everything(), mark)

        assert reader.until(mark) == expected(user, "read")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("user", [None, "nobody", "router"])
def test_nobody_gets_in_without_a_name_and_its_password(
    broker: Broker, user: str | None, protocol: str
) -> None:
    client = Client(broker.port, user, "a guess" if user else None, protocol)

    assert client.refused is not None
    client.close()


def test_the_words_of_the_registry_leave_something_to_everybody_and_nothing_to_all() -> None:
    """The table that the tests above compare with is no table of always or never."""
    for user in USERS:
        for verb in ("write", "read"):
            share = len(expected(user, verb)) / len(everything())
            assert 0 < share < 0.9, (user, verb, share)
    assert expected(CHECK, "read") == {
        c.text for c in cases() if c.text.startswith(f"system/config-response/{CHECK}/")
    }
