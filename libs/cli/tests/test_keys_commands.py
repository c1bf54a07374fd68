"""Unit: a rotation is followed to its end, and only a root key signs keysets."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import httpx
import pytest
from parlour_cli.keys import commands
from parlour_cli.keys.places import keys_dir
from parlour_cli.keys.rotating import follow, next_step, status_of
from parlour_config.keyfiles import read_root_key
from parlour_config.keyset import build_keyset, listed, read_keyset
from parlour_config.provision import provision
from parlour_config.signing import SigningKey

FRESH = SigningKey(bytes(32))


@pytest.fixture
def data(tmp_path):
    provision(keys_dir(tmp_path), ["router"])
    return tmp_path


@pytest.fixture
def root(data):
    return read_root_key(keys_dir(data) / "root.key")


@pytest.fixture
def draft(root):
    return build_keyset(
        version=1, roots=[root.public], threshold=1, config_keys=[listed(FRESH.public)]
    )


def report(state="idle", *, draft=None, name="signing", **more):
    key = {
        "name": name, "id": "0123456789abcdef", "next": None, "previous": [], "state": state,
        "grace_until": None, "waiting_for": [], "remaining": None, "problem": None,
        "completed_at": None, **more,
    }  # fmt: skip
    return {
        "keys": [key], "draft": draft, "keyset_version": 3, "root_threshold": 1,
        "signing_public_keys": [{"kid": "k1", "pub": "AAA="}], "root_public_keys": [],
    }  # fmt: skip


def no_roots():
    pytest.fail("no root key is needed here")


@pytest.mark.parametrize(
    ("state", "step"),
    [("idle", "done"), ("grace", "done"), ("awaiting-services", "wait"), ("in-progress", "wait"),
     ("blocked", "wait"), ("awaiting-keyset", "sign"), ("awaiting-retirement", "sign")],
)  # fmt: skip
def test_each_state_has_one_next_step(state, step):
    assert next_step(report(state, draft={}), "signing") == ("wait" if step == "sign" else step)
    assert next_step(report(state, draft={"keyset_version": 1}), "signing") == step


@pytest.mark.parametrize("name", ["hmac", "master"])
def test_a_symmetric_key_is_in_use_without_any_signature(manager, capsys, name):
    manager.on(
        "POST", f"/v1/keys/{name}/rotate",
        report("grace", name=name, grace_until="2026-01-02T03:04:05.000006Z"),
    )  # fmt: skip
    assert commands.rotate(name, reason="yearly") == 0

    assert manager.body() == {"reason": "yearly"}
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: key 0123456789abcdef is in use",
        "the old one is accepted until 2026-01-02T03:04:05.000006Z",
    ]


@pytest.mark.req("C071")
def test_a_new_signing_key_is_introduced_by_a_keyset_that_the_root_key_signs(
    manager, data, root, draft
):
    manager.on("POST", "/v1/keys/signing/rotate", report("awaiting-keyset", draft=draft))
    manager.on("POST", "/v1/keysets", {"keyset_version": 1})
    manager.on("GET", "/v1/keys", report("grace"))
    assert commands.rotate("signing", compromised=True, data=data) == 0

    assert json.loads(manager.asked[0].content)["compromised"] is True
    posted = next(r for r in manager.asked if r.url.path == "/v1/keysets")
    assert [kid for kid, _ in read_keyset(posted.content).signatures] == [root.kid]


def test_while_services_take_the_keyset_the_command_waits_and_a_short_absence_counts_as_that(
    manager, draft, root
):
    now = [0.0]
    manager.on("POST", "/v1/keysets", {"keyset_version": 1})
    manager.on(
        "GET", "/v1/keys",
        report("awaiting-services", waiting_for=["router"]),
        lambda _: httpx.Response(503, json={"error": "STARTING", "message": "soon"}),
        report("in-progress"), report("grace"),
    )  # fmt: skip
    found = follow(
        manager.api(), "signing", report("awaiting-keyset", draft=draft), lambda: [root], 60,
        clock=lambda: now[0], pause=lambda s: now.__setitem__(0, now[0] + s),
    )  # fmt: skip

    assert status_of(found, "signing")["state"] == "grace"
    assert now[0] == 1.5
    assert sum(r.url.path == "/v1/keysets" for r in manager.asked) == 1, "signed once"


def test_when_the_time_is_over_it_says_what_is_waited_for(manager, capsys):
    waiting = report("awaiting-services", waiting_for=["router", "stt-worker"])
    manager.on("POST", "/v1/keys/signing/rotate", waiting)
    assert commands.rotate("signing", wait=0) == 1

    err = capsys.readouterr().err
    assert "not in use everywhere yet: waiting for router, stt-worker" in err
    assert "parlour keys status" in err


def test_a_refusal_that_does_not_pass_ends_the_waiting(manager):
    manager.on("GET", "/v1/keys", {"error": "UNAUTHENTICATED", "message": "no"}, status=401)
    with pytest.raises(Exception, match="no"):
        follow(manager.api(), "signing", report("in-progress"), no_roots, 60, pause=lambda _: None)


def test_a_root_key_that_was_moved_away_is_asked_for(manager, data, draft, capsys):
    (keys_dir(data) / "root.key").unlink()
    manager.on("POST", "/v1/keys/signing/rotate", report("awaiting-keyset", draft=draft))
    assert commands.rotate("signing", data=data) == 2

    err = capsys.readouterr().err
    assert "the root key is not at" in err
    assert "--root-key" in err
    assert "parlour keys sign" in err


def test_a_keyset_is_drafted_here_signed_elsewhere_and_accepted_here(
    manager, data, root, draft, capsys, tmp_path
):
    manager.on("GET", "/v1/keys", report("awaiting-keyset", draft=draft))
    assert commands.draft(data=data) == 0
    drafted = tmp_path / "draft.json"
    drafted.write_text(capsys.readouterr().out)

    elsewhere = keys_dir(data) / "root.key"
    assert commands.sign(str(drafted), root_key=[elsewhere], data=tmp_path / "no-fleet") == 0
    signed = tmp_path / "signed.json"
    signed.write_text(capsys.readouterr().out)
    assert read_keyset(signed.read_bytes().strip()).signatures[0][0] == root.kid

    manager.on("POST", "/v1/keysets", {"keyset_version": 1})
    assert commands.accept(str(signed), data=data) == 0
    assert manager.asked[-1].content == signed.read_bytes()
    assert "keyset 1 is accepted" in capsys.readouterr().out


def test_signing_again_replaces_the_signatures(data, root, draft, capsys, monkeypatch):
    commands.sign_keyset(draft, [root])
    given = json.dumps({**draft, "signatures": [{"kid": "x", "sig": "y"}]}).encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(given)))
    assert commands.sign(data=data) == 0
    assert len(read_keyset(capsys.readouterr().out.strip().encode()).signatures) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"a":1}', '{"a":1,"a":2}', "\xff"])
def test_what_is_no_keyset_is_not_signed(data, content, tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_bytes(content.encode("latin-1"))
    assert commands.sign(str(path), data=data) in (1, 2)
    assert capsys.readouterr().out == ""


def test_a_missing_file_is_told_in_words(data, capsys):
    assert commands.sign("/no/such/file", data=data) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_without_a_draft_there_is_nothing_to_sign(manager, capsys):
    manager.on("GET", "/v1/keys", report())
    assert commands.draft() == 2
    assert "no keyset waits" in capsys.readouterr().err


def test_the_status_shows_ids_states_and_public_keys(manager, capsys):
    found = report("grace", grace_until="2026-01-02T03:04:05.000006Z")
    manager.on("GET", "/v1/keys", found)
    assert commands.status() == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split(maxsplit=3) == [
        "signing", "0123456789abcdef", "grace",
        "the old one is accepted until 2026-01-02T03:04:05.000006Z",
    ]  # fmt: skip
    assert lines[-2] == "keyset 3, signed by 1 root key(s)"
    assert lines[-1] == "signing public key k1  AAA="
    assert commands.status(as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == found


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"state": "blocked", "problem": "READ_ONLY"}, "problem: READ_ONLY"),
        ({"state": "awaiting-retirement"}, "a root key must sign: parlour keys rotate signing"),
        ({"state": "in-progress", "remaining": 3}, "3 secrets are under an old key"),
        ({}, ""),
    ],
)
def test_what_a_rotation_waits_for_is_said_in_words(key, words):
    assert commands.about(report(**key)["keys"][0]) == words
