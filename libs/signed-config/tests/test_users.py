"""The users file: roles, tokens, and a list that is read again when it changes."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.users import (
    UnknownUserError,
    User,
    UsersError,
    UsersFile,
    read_users,
    render_users,
    token_digest,
)

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True).filter(
    lambda name: name not in ("forbidden", "system")
)


@pytest.fixture
def users(tmp_path):
    users = UsersFile(tmp_path / "users.json", instances=lambda: frozenset({"stt-worker"}))
    users.ensure()
    return users


def test_the_first_list_has_one_administrator_without_a_token(users, tmp_path):
    assert users.current() == (User("admin", "admin", None),)
    assert (tmp_path / "users.json").stat().st_mode & 0o777 == 0o600


def test_a_list_that_is_there_is_kept(users, tmp_path):
    users.put("alice", "read")
    again = UsersFile(tmp_path / "users.json")
    again.ensure()

    assert again.role_of("alice") == "read"


@pytest.mark.req("C079")
def test_a_token_names_its_user_and_only_its_digest_is_stored(users, tmp_path):
    users.put("alice", "write")
    token = users.issue_token("alice")

    assert users.by_token(token) == User("alice", "write", token_digest(token))
    assert token not in (tmp_path / "users.json").read_text()
    assert users.by_token(token + "x") is None
    assert users.by_token("") is None


@pytest.mark.req("C079")
def test_every_user_is_compared_in_constant_time(users, monkeypatch):
    users.put("alice", "write")
    users.put("bob", "read")
    token = users.issue_token("alice")
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("parlour_config.people.hmac.compare_digest", compare)

    assert users.by_token(token) is not None
    assert len(compared) == 3


@pytest.mark.req("SC044")
def test_a_token_is_checked_within_fifty_milliseconds_among_a_thousand_users(tmp_path):
    digests = [token_digest(f"token-{number}") for number in range(1000)]
    people = tuple(User(f"u{number}", "admin", one) for number, one in enumerate(digests))
    (tmp_path / "users.json").write_bytes(render_users(people))
    users = UsersFile(tmp_path / "users.json")
    users.current()
    began = time.perf_counter()
    for number in range(20):
        assert users.by_token(f"token-{number}") == people[number]

    assert (time.perf_counter() - began) / 20 <= 0.050


def test_somebody_without_a_token_is_found_by_none(users):
    assert users.by_token("-" * 64) is None


def test_a_new_token_ends_the_old_one_and_a_revoked_one_is_worth_nothing(users):
    first = users.issue_token("admin")
    second = users.issue_token("admin")

    assert users.by_token(first) is None
    assert users.by_token(second) is not None

    users.revoke_token("admin")

    assert users.by_token(second) is None


def test_a_file_changed_by_another_program_counts_at_once(users, tmp_path):
    path = tmp_path / "users.json"
    path.write_bytes(render_users((User("admin", "admin"), User("carol", "read"))))

    assert users.role_of("carol") == "read"


def test_a_broken_file_changes_nobodys_rights_and_says_so(users, tmp_path):
    token = users.issue_token("admin")
    path = tmp_path / "users.json"
    good = path.read_bytes()
    path.write_text('[{"name": "mallory", "role": "owner"}]')

    assert users.by_token(token) is not None
    assert users.role_of("mallory") is None
    assert users.problem is not None

    path.write_bytes(good + b"\n")

    assert users.by_token(token) is not None
    assert users.problem is None


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1]",
        '[{"name":"a","role":"owner"}]',
        '[{"name":"A","role":"read"}]',
        '[{"name":"a\\n","role":"read"}]',
        '[{"name":"a","role":"read"},{"name":"a","role":"admin"}]',
        '[{"name":"a","role":"read","role":"admin"}]',
        '[{"name":"a","role":"read","token_sha256":"12"}]',
        '[{"name":"a","role":"read","token":"secret"}]',
        '[{"name":"forbidden","role":"read"}]',
        "[NaN]",
        json.dumps([{"name": n, "role": "read", "token_sha256": "0" * 64} for n in "ab"]),
    ],
)
def test_a_list_of_another_form_is_refused(text):
    with pytest.raises(UsersError):
        read_users(text.encode())


@given(
    st.lists(
        st.builds(
            User,
            NAMES,
            st.sampled_from(["read", "write", "admin"]),
            st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
        ),
        max_size=8,
        unique_by=(lambda user: user.name, lambda user: user.token_sha256 or object()),
    )
)
def test_what_is_written_is_read_back(users):
    assert read_users(render_users(tuple(users))) == tuple(users)


@pytest.mark.parametrize("name", ["forbidden", "system", "stt-worker", "Alice", "a b", "", "a\n"])
def test_a_name_that_is_taken_or_malformed_is_refused(users, name):
    with pytest.raises(UsersError):
        users.put(name, "read")


def test_the_last_administrator_stays(users):
    users.put("alice", "write")

    with pytest.raises(UsersError):
        users.remove("admin")
    with pytest.raises(UsersError):
        users.put("admin", "read")

    users.put("alice", "admin")
    users.remove("admin")

    assert [user.name for user in users.current()] == ["alice"]


def test_an_unknown_user_gets_no_token(users):
    with pytest.raises(UnknownUserError):
        users.issue_token("nobody")
    with pytest.raises(UnknownUserError):
        users.remove("nobody")


def test_two_programs_that_add_users_at_once_lose_none(tmp_path):
    path = tmp_path / "users.json"
    UsersFile(path).ensure()

    def add(letter: str) -> None:
        mine = UsersFile(path)
        for number in range(20):
            mine.put(f"{letter}{number}", "read")

    threads = [threading.Thread(target=add, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(UsersFile(path).current()) == 81


def test_a_folder_that_cannot_be_written_is_told_with_a_hint(tmp_path):
    (tmp_path / "plain").write_text("no folder")

    with pytest.raises(UsersError):
        UsersFile(tmp_path / "plain" / "users.json").ensure()


def test_no_half_file_is_left_behind_when_writing_fails(users, tmp_path, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("parlour_config.files.os.fsync", full)

    with pytest.raises(UsersError):
        users.put("alice", "read")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["users.json", "users.json.lock"]
    assert users.role_of("alice") is None
