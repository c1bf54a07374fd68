"""A verifier in another language, written from the document, comes to the same verdicts."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import fuzz
import fuzz_readers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parlour_config.canonical import MAX_NUMBER, canonical, checksum
from parlour_config.errors import LoadCode, SignedConfigError
from parlour_config.pae import CONFIG_UPDATE, LEASE
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import TrustState, judge
from parlour_config.update import check_update, read_update

HERE = Path(__file__).parent
NODE = shutil.which("node")
NODE_MAJOR = 20
"""The first with ``String.isWellFormed``."""

KEYS = [SigningKey(bytes([n]) * 32) for n in (1, 2, 3)]
EPOCH = "550e8400-e29b-41d4-a716-446655440000"
NOTHING_SEEN = TrustState()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_NUMBER, MAX_NUMBER)
    | st.floats(-MAX_NUMBER, MAX_NUMBER, allow_nan=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
CONFIGS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), VALUES, max_size=5)
ODD: dict[str, list[Any]] = {
    "version": [True, 1.0, "1", 2, 0, None],
    "service": ["router", "Stt-worker", "stt-worker\n", "1", "", 7, "stt٣"],
    "config": [[], None, {"A": 1}, {"a-b": 1}, {"a": {"$x": 1}}, {"a": {"$secret": 1}}],
    "checksum": ["0" * 64, "A" * 64, "0" * 63, 1],
    "config_epoch": [EPOCH.upper(), EPOCH.replace("-4", "-1"), EPOCH + "\n", "", None],
    "issued_at": [
        "2025-02-29T12:00:00.000000Z",
        "2024-02-29T12:00:00.000000Z",
        "2025-10-17T24:00:00.000000Z",
        "2025-10-17T23:59:60.000000Z",
        "2025-10-17T12:00:00Z",
        "2025-10-17T12:00:00.000000+00:00",
        "0000-01-01T00:00:00.000000Z",
        "0001-01-01T00:00:00.000000Z",
        "２025-10-17T12:00:00.000000Z",
        "2025-10-17T12:00:00.000000Z\n",
    ],
    "signature": ["", "A" * 88, "A" * 86 + "==", 5, "é" * 88],
}


def node() -> str:
    if NODE is None:
        pytest.skip("node is not installed")
    found = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    if int(found[1:].partition(".")[0]) < NODE_MAJOR:
        pytest.skip(f"node {found.strip()} is older than {NODE_MAJOR}")
    return NODE


def run(*args: str, lines: str = "") -> list[str]:
    done = subprocess.run(
        [node(), str(HERE / "independent" / "verify.mjs"), *args],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def sign(body: dict[str, Any], key: SigningKey, kind: str = CONFIG_UPDATE) -> dict[str, Any]:
    return {**body, "signature": key.sign(kind, canonical(body))}


def wrong_field(draw: st.DrawFn, body: dict[str, Any], key: SigningKey) -> bytes:
    """One field of another form, correctly signed, so that only its own rule stops it."""
    field = draw(st.sampled_from(sorted(ODD)))
    value = draw(st.sampled_from(ODD[field]))
    if field == "signature":
        return canonical({**body, field: value})
    changed = {**body, field: value}
    if field == "config" and isinstance(value, dict):
        changed["checksum"] = checksum(value)
    return json.dumps(sign(changed, key)).encode()


def flipped(draw: st.DrawFn, data: bytes) -> bytes:
    raw = bytearray(data)
    bit = draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    return bytes(raw)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, str]:
    """Bytes and the topic they came on: a good half is right, the others in one way wrong."""
    config = draw(CONFIGS)
    body: dict[str, Any] = {
        "version": 1,
        "service": "stt-worker",
        "config": config,
        "checksum": checksum(config),
        "config_epoch": EPOCH,
        "issued_at": draw(st.datetimes()).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27),
    }
    key = draw(st.sampled_from(KEYS[:2]))
    message = sign(body, key)
    wire = canonical(message)
    topics = ["system/config/router", "stt-worker", "system/config/stt-worker/"]
    if draw(st.integers(0, 9)) == 0:
        return wire, draw(st.sampled_from(topics))
    ways: list[Callable[[], bytes]] = [
        lambda: json.dumps(message, indent=1).encode(),
        lambda: json.dumps(message, ensure_ascii=False, sort_keys=True).encode(),
        lambda: wrong_field(draw, body, key),
        lambda: canonical(sign(body, KEYS[2])),
        lambda: canonical(sign(body, key, LEASE)),
        lambda: canonical(sign({**body, "more": 1}, key)),
        lambda: canonical({k: v for k, v in message.items() if k != "config_epoch"}),
        lambda: flipped(draw, wire),
        lambda: wire[: draw(st.integers(0, len(wire) - 1))],
    ]
    way = draw(st.sampled_from([*ways, *[wire] * 9]))
    return (way if isinstance(way, bytes) else way()), "system/config/stt-worker"


def verdict(payload: bytes, topic: str, keys: Sequence[SigningKey]) -> str:
    """The library's code; the other verifier keeps no state, so what is newest is no matter."""
    try:
        update = read_update(payload)
        kid = check_update(update, [TrustedKey.of(key.public) for key in keys])
        judge(NOTHING_SEEN, update, kid, service="stt-worker", topic=topic)
    except SignedConfigError as error:
        return "OK" if error.code == "STALE" else error.code  # some made times are before 1970
    return "OK"


def same(ours: str, theirs: str) -> bool:
    """Where several rules of the loader are broken at once, any of them may be named."""
    return ours == theirs or {ours, theirs} <= set(get_args(LoadCode))


def agreed(made: Sequence[tuple[bytes, str]], keys: Sequence[SigningKey]) -> int:
    """Let both judge the messages; how many both of them take."""
    trusted = [key.public.hex() for key in keys]
    lines = [
        json.dumps(
            {
                "payload": base64.b64encode(payload).decode(),
                "topic": topic,
                "service": "stt-worker",
                "keys": trusted,
            }
        )
        for payload, topic in made
    ]
    theirs = run("updates", lines="\n".join([*lines, ""]))
    assert len(theirs) == len(made)
    ours = [verdict(payload, topic, keys) for payload, topic in made]
    for (payload, _), own, other in zip(made, ours, theirs, strict=True):
        assert same(own, other), (payload, own, other)
    return ours.count("OK")


@pytest.mark.req("C034", "C035")
def test_another_language_reads_every_vector_as_it_is_meant() -> None:
    lines = run("vectors", str(HERE / "vectors"))

    assert len(lines) > 25
    for line in lines:
        expected, found, _name = line.split()
        assert expected == found, line


@pytest.mark.req("C034", "C035")
def test_another_language_judges_500_messages_as_the_library_does() -> None:
    node()
    made: list[tuple[bytes, str]] = []

    @settings(
        max_examples=500, database=None, suppress_health_check=list(HealthCheck), deadline=None
    )
    @given(messages())
    def collect(message: tuple[bytes, str]) -> None:
        made.append(message)

    collect()
    assert len(made) >= 500
    assert agreed(made, KEYS[:2]) > 100


@pytest.mark.req("C034", "C035")
def test_another_language_judges_mutated_messages_as_the_library_does() -> None:
    node()
    chance = random.Random(20_251_017)
    documents = fuzz.targets()["update"].documents
    made = [(fuzz.mutated(chance, documents), "system/config/stt-worker") for _ in range(4_000)]

    assert agreed(made, [fuzz_readers.SIGNER]) > 300
