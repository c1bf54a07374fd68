"""Profiles: kept, looked at, activated as one change or none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from config_manager.commands import (
    Caller,
    Commands,
    RefusedError,
    Request,
    SecretChange,
    Signer,
    SyncState,
)
from config_manager.profile_models import ProfileBody
from config_manager.profiles import Profiles
from config_manager.store import Store
from parlour_config.signing import SigningKey
from parlour_contracts.config import CONFIGS, TTSWorkerConfig
from parlour_contracts.messages.requests import ConfigRequest

ALICE = Caller("alice", "write")
QUIET = {"tts-worker": {"volume_percent": 20}, "router": {"history_messages": 4}}


class Still:
    """A clock that stands still."""

    def monotonic(self) -> float:
        return 1.0

    def wall(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@pytest.fixture
async def store(tmp_path):
    store = Store(tmp_path / "config.db")
    await store.open()
    yield store
    await store.close()


def _signer() -> Signer:
    key = bytes(range(32))
    return Signer(
        key=SigningKey(key),
        master=("m1", key),
        keyring={"m1": key},
        mask_key=key,
        clock_trusted=lambda: True,
    )


async def _seeded(store: Store, models) -> Commands:
    commands = Commands(
        store, _signer, models, Still(), gate=lambda: None, wake=lambda: None,
        status=lambda _service: SyncState(),
    )  # fmt: skip
    await commands.seed()
    return commands


@pytest.fixture
async def commands(store):
    return await _seeded(store, CONFIGS)


@pytest.fixture
async def profiles(store, commands):
    return Profiles.of_models(
        store, _signer, CONFIGS, Still(), gate=lambda: None, wake=lambda: None
    )


async def settings(commands: Commands, service: str) -> tuple[dict, int]:
    answer = await commands.execute(
        Request(
            caller=ALICE, op="get", service=service, body=ConfigRequest(), body_sha256="",
            transaction="", derived=True, via="rest",
        )
    )  # fmt: skip
    return answer.data["config"], answer.data["metadata"]["version"]


@pytest.mark.req("C083")
async def test_a_profile_changes_all_its_services_in_one_go(profiles, commands):
    await profiles.put(ALICE, "night", ProfileBody(description="all quiet", settings=QUIET))
    before = {service: (await settings(commands, service))[1] for service in QUIET}
    done = await profiles.activate(ALICE, "night", "the children sleep")

    assert done.versions == {service: version + 1 for service, version in before.items()}
    assert (await settings(commands, "tts-worker"))[0]["volume_percent"] == 20
    assert (await settings(commands, "router"))[0]["history_messages"] == 4
    assert (await commands.verify_audit()).ok


@pytest.mark.req("C083", "F17")
async def test_a_profile_that_one_service_cannot_take_changes_none(
    profiles, commands, store, monkeypatch
):
    await profiles.put(ALICE, "night", ProfileBody(settings=QUIET))
    await store.transact(
        lambda db: (
            db.execute(
                "UPDATE profiles SET snapshot_json = ?",
                ('{"router":{"history_messages":4},"tts-worker":{"volume_percent":4000}}',),
            ).rowcount
        )
    )
    before = [await settings(commands, service) for service in QUIET]

    with pytest.raises(RefusedError, match="tts-worker") as told:
        await profiles.activate(ALICE, "night", "x")
    assert told.value.code == "VALIDATION_FAILED"
    assert [await settings(commands, service) for service in QUIET] == before


@pytest.mark.req("C083")
async def test_a_profile_says_who_made_and_who_changed_it(profiles):
    await profiles.put(ALICE, "night", ProfileBody(description="one", settings=QUIET))
    bob = Caller("bob", "write")
    kept = await profiles.put(bob, "night", ProfileBody(description="two", settings=QUIET))

    assert (kept.created_by, kept.updated_by, kept.description) == ("alice", "bob", "two")
    assert kept.services == ["router", "tts-worker"]
    assert [one.name for one in await profiles.listed()] == ["night"]


async def test_what_is_set_now_is_kept_without_secrets(profiles, commands):
    kept = await profiles.put(ALICE, "today", ProfileBody())

    assert set(kept.settings) == set(CONFIGS)
    assert "api_key" not in kept.settings["llm-worker"]
    assert kept.settings["tts-worker"] == (await settings(commands, "tts-worker"))[0]


async def test_what_is_set_now_leaves_out_a_service_that_this_release_dropped(store, profiles):
    await _seeded(store, {**CONFIGS, "lamp": TTSWorkerConfig})

    kept = await profiles.put(ALICE, "today", ProfileBody())

    assert set(kept.settings) == set(CONFIGS)


@pytest.mark.parametrize("most", [3, len(CONFIGS)])
async def test_settings_of_more_services_than_a_profile_holds_are_refused_and_not_cut(
    store, profiles, monkeypatch, most
):
    monkeypatch.setattr("config_manager.profiles.MOST_SERVICES", most)
    await _seeded(store, {**CONFIGS, "a-lamp": TTSWorkerConfig, "b-lamp": TTSWorkerConfig})

    if most < len(CONFIGS):
        with pytest.raises(RefusedError, match="1 to 3 services") as told:
            await profiles.put(ALICE, "today", ProfileBody())
        assert "name" in told.value.hint
        assert await profiles.listed() == []
    else:
        assert set((await profiles.put(ALICE, "today", ProfileBody())).settings) == set(CONFIGS)


async def test_activating_leaves_a_secret_as_it_is(profiles, commands):
    _, version = await settings(commands, "llm-worker")
    admin = Caller("admin", "admin")
    await commands.set_secret(
        SecretChange(admin, "llm-worker", "api_key", "a-long-enough-key", version)
    )
    await profiles.put(ALICE, "today", ProfileBody())
    await profiles.activate(ALICE, "today", "x")

    assert await commands.reveal(admin, "llm-worker", "api_key", "look") == "a-long-enough-key"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({}, "VALIDATION_FAILED"),
        ({"nobody": {"a": 1}}, "UNKNOWN_SERVICE"),
        ({"router": {"no_such_thing": 1}}, "UNKNOWN_KEY"),
        ({"router": {"history_messages": "many"}}, "VALIDATION_FAILED"),
        ({"router": {"history_messages": True}}, "VALIDATION_FAILED"),
        ({"llm-worker": {"api_key": "a-secret-in-clear"}}, "VALIDATION_FAILED"),
    ],
)
async def test_a_profile_that_could_not_be_activated_is_not_kept(profiles, wrong, code):
    with pytest.raises(RefusedError) as told:
        await profiles.put(ALICE, "night", ProfileBody(settings=wrong))

    assert told.value.code == code
    assert "a-secret" not in str(told.value)
    assert await profiles.listed() == []


async def test_a_deleted_profile_is_gone_and_the_settings_stay(profiles, commands):
    await profiles.put(ALICE, "night", ProfileBody(settings=QUIET))
    await profiles.activate(ALICE, "night", "x")
    await profiles.delete(ALICE, "night")

    with pytest.raises(RefusedError) as told:
        await profiles.get("night")
    assert told.value.code == "UNKNOWN_KEY"
    assert (await settings(commands, "tts-worker"))[0]["volume_percent"] == 20


async def test_while_nothing_may_be_changed_no_profile_is(profiles, store):
    closed = Profiles(
        store, _signer, profiles.rules, Still(),
        lambda: RefusedError("READ_ONLY", "standing by"), lambda: None,
    )  # fmt: skip

    for change in (
        closed.put(ALICE, "night", ProfileBody()),
        closed.delete(ALICE, "night"),
        closed.activate(ALICE, "night", "x"),
    ):
        with pytest.raises(RefusedError, match="standing by"):
            await change
    assert await closed.listed() == []
