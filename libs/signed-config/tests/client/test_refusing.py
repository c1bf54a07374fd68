"""What a service refuses leaves everything as it was, and is told by its own code."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from parlour_config.clock import add_us
from parlour_config.signing import SigningKey
from parlour_config.trust import EpochPolicy
from parlour_kit.metrics import REGISTRY
from parlour_testkit import ConfigAuthority, MemoryBroker

from .house import Story, house

OTHER = "7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a"
STRANGER = SigningKey(b"s" * 32)
GOOD = {"history_messages": 7}
NEXT = {"history_messages": 8}


def forged(authority: ConfigAuthority) -> bytes:
    return authority.sign("router", NEXT, key=STRANGER)


def altered(authority: ConfigAuthority) -> bytes:
    message = json.loads(authority.sign("router", NEXT))
    return json.dumps({**message, "config": {"history_messages": 9}}).encode()


def of_another_service(authority: ConfigAuthority) -> bytes:
    return authority.sign("llm-worker", NEXT)


def older(authority: ConfigAuthority) -> bytes:
    return authority.sign("router", NEXT, issued_at=add_us(authority.floor, -3_600_000_000))


def at_the_same_moment(authority: ConfigAuthority) -> bytes:
    return authority.sign("router", NEXT, issued_at=authority.floor)


def older_of_another_epoch(authority: ConfigAuthority) -> bytes:
    return authority.sign("router", NEXT, issued_at=authority.floor, config_epoch=OTHER)


def with_an_unknown_setting(authority: ConfigAuthority) -> bytes:
    return authority.sign("router", {"surprise": 1})


def with_true_for_a_number(authority: ConfigAuthority) -> bytes:
    return authority.sign("router", {"history_messages": True})


def twice_the_same_key(authority: ConfigAuthority) -> bytes:
    return authority.sign("router", NEXT).replace(b'"version":1', b'"version":1,"version":1')


def much_too_large(authority: ConfigAuthority) -> bytes:
    return b" " * 262_145


def refused(code: str) -> float:
    """How often settings were refused by this code, as Prometheus is told."""
    return REGISTRY.get_sample_value("parlour_config_refused_total", {"code": code}) or 0.0


REFUSED = [
    (forged, "BAD_SIGNATURE", "bad_signature"),
    (altered, "BAD_SIGNATURE", "bad_signature"),
    (of_another_service, "WRONG_SERVICE", "rejected"),
    (older, "STALE", "stale"),
    (at_the_same_moment, "EQUIVOCATION", "rejected"),
    (older_of_another_epoch, "STALE_EPOCH", "stale"),
    (with_an_unknown_setting, "SCHEMA_INVALID", "rejected"),
    (with_true_for_a_number, "SCHEMA_INVALID", "rejected"),
    (twice_the_same_key, "DUPLICATE_KEY", "rejected"),
    (much_too_large, "TOO_LARGE", "rejected"),
]


@pytest.mark.req("C035", "SC037", "SC038", "SC030")
@pytest.mark.parametrize(
    ("make", "code", "status"), REFUSED, ids=lambda v: getattr(v, "__name__", v)
)
async def test_a_message_that_fails_a_check_changes_nothing_but_the_report(
    make, code: str, status: str, broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    """Threats 1, 2, 5 and 25."""
    story = Story()
    before = refused(code)
    async with house(broker, authority, tmp_path, story) as service:
        good = await authority.change("router", GOOD)
        on_disk = (tmp_path / "router.lkg.json").read_bytes()
        await authority.send("router", make(authority))
        report = await authority.until(lambda r: r.error == code)

        assert service.config.history_messages == 7
        assert (report.status, report.checksum) == (status, good.checksum)
        assert (report.config_epoch, report.issued_at) == (good.config_epoch, good.issued_at)
        assert (tmp_path / "router.lkg.json").read_bytes() == on_disk
        assert refused(code) == before + 1

        authority.floor = add_us(authority.floor, 10)
        await authority.change("router", NEXT)
    assert story.of("commit") == [7, 8]


@pytest.mark.req("C051", "SC022")
async def test_an_epoch_that_was_left_is_never_entered_again(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    """Threat 13: two managers move a service at most once."""
    first = authority.epoch
    async with house(broker, authority, tmp_path) as service:
        await authority.change("router", GOOD)
        authority.epoch = OTHER
        report = await authority.change("router", NEXT)
        assert report.config_epoch == OTHER

        authority.epoch = first
        await authority.publish("router", {"history_messages": 9})
        refusal = await authority.until(lambda r: r.error == "RETIRED_EPOCH")
        assert refusal.status == "retired_epoch"
        assert service.config.history_messages == 8

    async with house(broker, authority, tmp_path) as service:
        await authority.publish("router", {"history_messages": 9})
        await asyncio.sleep(3)
        assert service.config.history_messages == 8, "not after a restart either"


async def test_a_pinned_service_takes_another_epoch_only_when_the_operator_named_it(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    held = replace(authority.keys("router"), policy=EpochPolicy("pin", None))
    async with house(broker, authority, tmp_path, keys=lambda: held):
        await authority.change("router", GOOD)
        authority.epoch = OTHER
        payload = await authority.publish("router", NEXT)
        await authority.until(lambda r: r.error == "EPOCH_UNCONFIRMED")

        held = replace(held, policy=EpochPolicy("pin", OTHER))
        await asyncio.sleep(6)
        await authority.send("router", payload)
        await authority.applied(payload)


async def test_garbage_on_every_topic_never_ends_the_client(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    topics = (
        "system/config/router",
        "system/config-keys",
        "system/health/config-manager",
        "system/config-response/router/keyset/_all/accepted",
    )
    stuff = (b"", b"\xff\xfe", b"{}", b"[]", b"null", b'{"data":[1,{"a":NaN}]}', b"[" * 5000)
    async with house(broker, authority, tmp_path):
        for topic in topics:
            for payload in stuff:
                await authority.bus.publish(topic, payload, qos=1)
                await asyncio.sleep(0.1)

        await authority.change("router", GOOD)
